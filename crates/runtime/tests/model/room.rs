//! A conversation that the model cannot hold: summed up once, then cut, then given up.

use musher_protocol::*;
use musher_testkit::dialects::{Answer, Dialect, Problem, Script, ScriptedEndpoint};

use super::{harness::*, stops::*};

each_dialect! {
    is_summed_up_once_then_cut_then_given_up,
    goes_on_from_the_summary,
    is_summed_up_anew_after_work_that_fitted,
    does_not_go_round_when_little_fits,
    a_summary_is_an_answer_too,
    is_given_up_at_once_when_there_is_nothing_to_leave_out,
}

const SUMMARY: &str = "The task was to do it; a change was made.";

fn too_long(dialect: Dialect) -> Answer {
    Answer::Problem(match dialect {
        Dialect::Gemini => Problem::new(
            400,
            "INVALID_ARGUMENT",
            "The input token count (2000000) exceeds the maximum number of tokens allowed (1048576).",
        ),
        _ => Problem::new(
            400,
            "invalid_request_error",
            "Your input exceeds the context window of this model.",
        )
        .code("context_length_exceeded"),
    })
}

fn summaries(over: &Over) -> Vec<(String, u32)> {
    let all = over.events.iter().filter_map(|it| match it {
        AgentEvent::Summary { text, kept } => Some((text.clone(), *kept)),
        _ => None,
    });
    all.collect()
}

async fn is_summed_up_once_then_cut_then_given_up(dialect: Dialect) {
    let script = Script::by(move |asked| match asked.number {
        1 => calls("change"),
        _ if asked.says("has become too long") => Answer::text(SUMMARY),
        _ => too_long(dialect),
    });
    let endpoint = ScriptedEndpoint::start(dialect, script).unwrap();
    let over = Setup::new(&endpoint).start().finish().await;
    endpoint.check().unwrap();
    assert!(matches!(over.result.outcome, RunOutcome::Failed { .. }), "{:?}", over.result);
    // The call, too long, the summary, too long, the cut, too long.
    assert_eq!(endpoint.turns().len(), 5);
    let summaries = summaries(&over);
    assert_eq!(summaries.len(), 2, "{summaries:?}");
    assert_eq!(summaries[0], (SUMMARY.to_owned(), 0));
}

async fn goes_on_from_the_summary(dialect: Dialect) {
    let script = Script::by(move |asked| match asked.number {
        1 => calls("change"),
        2 => too_long(dialect),
        3 => Answer::text(SUMMARY),
        4 => calls("change"),
        _ => Answer::text("Done."),
    });
    let endpoint = ScriptedEndpoint::start(dialect, script).unwrap();
    let over = Setup::new(&endpoint).start().finish().await;
    endpoint.check().unwrap();
    assert_eq!(over.result.outcome, RunOutcome::Completed);
    let framed = format!(
        "What was done so far, summed up:\\n\\n{SUMMARY}\\n\\nThe task, in the person's own words:\\n\\ndo it"
    );
    let shorter = endpoint.turns()[3].body.to_string();
    assert!(shorter.contains(&framed), "{shorter}");
    assert_eq!(summaries(&over).len(), 1);
    // Whoever looks on knows before its first word whose words they are.
    let told = over
        .events
        .iter()
        .position(|it| matches!(it, AgentEvent::Warning { code, .. } if code == "summing_up"));
    let first = over.events.iter().position(
        |it| matches!(it, AgentEvent::Text { text, .. } if SUMMARY.starts_with(text.as_str())),
    );
    assert!(told.is_some() && told < first, "{told:?} {first:?}");

    let resumed = Setup::new(&endpoint).resuming(over.stored()).start().finish().await;
    endpoint.check().unwrap();
    assert_eq!(resumed.result.outcome, RunOutcome::Completed);
    assert!(endpoint.turns()[5].body.to_string().contains(&framed), "it is in the transcript");
}

/// How often a task of many steps is too long after so many steps, and how it ends.
async fn overflows_after(dialect: Dialect, steps: usize) -> (Over, usize) {
    let since = std::sync::atomic::AtomicUsize::new(0);
    let script = Script::by(move |asked| {
        use std::sync::atomic::Ordering::SeqCst;
        match since.fetch_add(1, SeqCst) {
            _ if asked.number > 60 => Answer::text("Done."),
            _ if asked.says("has become too long") => {
                since.store(0, SeqCst);
                Answer::text(SUMMARY)
            }
            done if done < steps => calls("change"),
            _ => {
                since.store(0, SeqCst);
                too_long(dialect)
            }
        }
    });
    let endpoint = ScriptedEndpoint::start(dialect, script).unwrap();
    let over = Setup::new(&endpoint).start().finish().await;
    endpoint.check().unwrap();
    let asked = endpoint.turns().len();
    (over, asked)
}

async fn is_summed_up_anew_after_work_that_fitted(dialect: Dialect) {
    let (over, _) = overflows_after(dialect, 4).await;
    assert_eq!(over.result.outcome, RunOutcome::Completed);
    assert!(summaries(&over).len() > 4, "{:?}", summaries(&over));
}

async fn does_not_go_round_when_little_fits(dialect: Dialect) {
    let (over, asked) = overflows_after(dialect, 2).await;
    assert!(matches!(over.result.outcome, RunOutcome::Failed { .. }), "{:?}", over.result);
    assert!(summaries(&over).len() == 2 && asked < 20, "{asked}");
}

async fn a_summary_is_an_answer_too(dialect: Dialect) {
    let script = Script::by(move |asked| match asked.number {
        1 => calls("change"),
        2 => too_long(dialect),
        _ => Answer::text(SUMMARY),
    });
    let endpoint = ScriptedEndpoint::start(dialect, script).unwrap();
    let limits = RunLimits { max_turns: Some(2), ..RunLimits::default() };
    let over = Setup::new(&endpoint).limits(limits).start().finish().await;
    endpoint.check().unwrap();
    assert_eq!(over.result.outcome, RunOutcome::LimitReached { limit: RunLimit::Turns });
    assert_eq!(endpoint.turns().len(), 3, "nothing is asked behind the limit");
}

async fn is_given_up_at_once_when_there_is_nothing_to_leave_out(dialect: Dialect) {
    let script = Script::by(move |_| too_long(dialect));
    let endpoint = ScriptedEndpoint::start(dialect, script).unwrap();
    let over = Setup::new(&endpoint).start().finish().await;
    endpoint.check().unwrap();
    let RunOutcome::Failed { last_lines, .. } = &over.result.outcome else {
        panic!("{:?}", over.result)
    };
    assert!(last_lines[0].contains("longer context"), "the next step is told: {last_lines:?}");
    assert_eq!((endpoint.turns().len(), summaries(&over).len()), (1, 0));
}
