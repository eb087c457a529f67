//! How a run begins and ends, whatever it does between.

use std::time::Duration;

use musher_protocol::*;
use musher_runtime::{
    AgentInput, EventSink, RuntimeError, RuntimeKind,
    model::{Patience, TOOLS},
};
use musher_testkit::dialects::{Answer, Dialect, Header, Item, Message, Oddity, Offer, Problem};

use super::{harness::*, stops::*};
use futures::StreamExt;

each_dialect! {
    starts_streams_and_completes,
    starts_once,
    a_local_model_needs_no_key_and_its_session_is_free,
    without_a_key_nothing_is_asked,
    an_engine_that_is_gone_leaves_an_end_behind,
    ends_a_silent_one,
    a_silence_lasts_from_one_try_to_the_next,
    a_wait_that_was_asked_for_is_no_silence,
    waiting_for_a_person_is_no_silence,
    says_until_when_a_server_is_overloaded,
}

async fn starts_streams_and_completes(dialect: Dialect) {
    let endpoint = serves(dialect, [Answer::text("Hello. Ünïcode: 你好 🦀")]);
    let mut agent = Setup::new(&endpoint).start();
    agent.until(|it| matches!(it, AgentEvent::MessageSent { id } if id == "prompt-1")).await;
    assert_eq!(agent.runtime.get_status(), RuntimeStatus::Running);
    let over = agent.finish().await;
    endpoint.check().unwrap();
    assert_eq!(over.result.outcome, RunOutcome::Completed);
    assert!(over.said("Hello. Ünïcode: 你好 🦀"));
    assert!(over.count(|it| matches!(it, AgentEvent::Text { delta: true, .. })) > 1);
    assert_eq!(over.count(|it| matches!(it, AgentEvent::Session(_))), 1);
    assert_eq!(over.count(|it| matches!(it, AgentEvent::TurnEnded { ok: true, .. })), 1);
    let late = over.runtime.steer(AgentInput::Interrupt).await;
    assert!(matches!(late, Err(RuntimeError::NotRunning)), "{late:?}");
    let streamed: Vec<_> = over.runtime.stream_events(2).map(|it| it.event).collect().await;
    assert_eq!(streamed, over.events[1..]);
}

async fn starts_once(dialect: Dialect) {
    let endpoint = serves(dialect, [Answer::text("Hello.")]);
    let over = Setup::new(&endpoint).start().finish().await;
    let (sink, mut batches) = EventSink::new(std::sync::Arc::new(Transcript::default()));
    let again = over.runtime.start(over.setup.context.clone(), sink).await;
    assert!(matches!(again, Err(RuntimeError::Unsupported(_))), "{again:?}");
    assert!(batches.recv().await.is_none(), "nothing is said of it");
    assert_eq!(over.runtime.get_status(), RuntimeStatus::Completed);
}

async fn a_local_model_needs_no_key_and_its_session_is_free(dialect: Dialect) {
    let endpoint = Offer::new(dialect).without_key().start([Answer::text("Hello.")]).unwrap();
    let over = Setup::new(&endpoint).key(None).start().finish().await;
    endpoint.check().unwrap();
    assert_eq!(over.result.outcome, RunOutcome::Completed);
    let free =
        |it: &AgentEvent| matches!(it, AgentEvent::Session(it) if it.billing == Billing::Free);
    assert_eq!(over.count(free), 1);
    // What runs on this machine costs nothing, and that is known.
    assert_eq!(over.result.token_usage.cost_microdollars, 0);
    assert_eq!(over.result.token_usage.cost_source, CostSource::Estimated);
}

async fn without_a_key_nothing_is_asked(dialect: Dialect) {
    let endpoint = serves(dialect, [Answer::text("Hello.")]);
    // Written out or not.
    let own = match dialect {
        Dialect::Gemini => "https://generativelanguage.googleapis.com/v1beta/",
        _ => "https://API.openai.com/v1",
    };
    for base in [None, Some(own.to_owned())] {
        let setup = Setup::new(&endpoint).key(None);
        let runtime = setup.kind().new_run();
        let setup = setup.with(|context| context.endpoint.base_url = base);
        let over = setup.start_with(runtime).end().await;
        let RunOutcome::AuthenticationRequired { message } = over.result.outcome else {
            panic!("{:?}", over.result.outcome)
        };
        assert!(
            message.contains("There is no key for") && message.contains("musher keys set"),
            "{message}"
        );
        assert!(endpoint.requests().is_empty());
    }
}

async fn an_engine_that_is_gone_leaves_an_end_behind(dialect: Dialect) {
    let endpoint = serves(dialect, [calls("hang")]);
    let mut agent = Setup::new(&endpoint).start();
    let run_dir = agent.setup.context.run_dir.clone();
    agent.until(|it| matches!(it, AgentEvent::ToolDecision(_))).await;
    agent.setup.tools.until_begun(1).await;
    let setup = agent.crash().await;
    assert!(setup.kind().left_something(&run_dir), "{TOOLS} is not there");
    let stored = setup.log.stored.lock().unwrap().clone();
    let over = Setup::new(&endpoint).attached_to(stored).start().end().await;
    assert_eq!(over.result.outcome, RunOutcome::Stopped { by: StoppedBy::Engine });
    let results = over.results();
    assert!(results.len() == 1 && results[0].is_error, "{results:?}");
    assert!(results[0].text.contains("whether it had an effect is unknown"), "{results:?}");
    assert_eq!((over.warned("interrupted"), endpoint.turns().len()), (1, 1));
}

/// What the contract asks for of every runtime: `contract/ends.rs`.
fn silent_for_a_second(over: &Over) -> &str {
    match &over.result.outcome {
        RunOutcome::Inactive { after_secs: 1, last_event } => last_event,
        other => panic!("{other:?}"),
    }
}

fn hurried(setup: Setup) -> Setup {
    setup.with(|context| context.inactivity_timeout_secs = 1)
}

async fn ends_a_silent_one(dialect: Dialect) {
    let words = Message::new([Item::text(&"Some words. ".repeat(9))]);
    let begun = Answer::Oddly(words.clone(), Oddity::StallAfter(7));
    for (answer, last) in [(Answer::Stall, "message_sent"), (begun, "text")] {
        let endpoint = serves(dialect, [answer]);
        let over = hurried(Setup::new(&endpoint)).start().end().await;
        assert_eq!((silent_for_a_second(&over), endpoint.turns().len()), (last, 1));
        assert_eq!(over.warned("retry"), 0, "it is no trouble of the line");
    }
    // It takes longer than a second and is never silent for one.
    let slowly = Answer::Oddly(words, Oddity::Slowly(Duration::from_millis(150)));
    let endpoint = serves(dialect, [slowly]);
    let over = hurried(Setup::new(&endpoint)).start().finish().await;
    assert_eq!(over.result.outcome, RunOutcome::Completed);
}

async fn a_silence_lasts_from_one_try_to_the_next(dialect: Dialect) {
    // Each try alone is given up sooner.
    let endpoint = serves(dialect, std::iter::repeat_n(Answer::Stall, 9));
    let short = Patience { first_byte: Duration::from_millis(400), ..PATIENCE };
    let over = hurried(Setup::new(&endpoint)).patience(short).start().end().await;
    assert_eq!(silent_for_a_second(&over), "message_sent");
    assert!((2..=4).contains(&endpoint.turns().len()), "{}", endpoint.turns().len());
    // Nobody is heard while nobody is asked.
    let busy = Problem::new(503, "UNAVAILABLE", "Come back later.");
    let endpoint = serves(dialect, [Answer::Problem(busy)]);
    let patience = Patience { backoff: Duration::from_secs(600), ..PATIENCE };
    let over = hurried(Setup::new(&endpoint)).patience(patience).start().end().await;
    assert_eq!((silent_for_a_second(&over), endpoint.turns().len()), ("message_sent", 1));
}

async fn a_wait_that_was_asked_for_is_no_silence(dialect: Dialect) {
    let busy = Problem::new(503, "UNAVAILABLE", "Come back later.");
    let busy = busy.header(Header::is("retry-after", 2));
    let endpoint = serves(dialect, [Answer::Problem(busy), Answer::text("Done.")]);
    let over = hurried(Setup::new(&endpoint)).start().finish().await;
    assert_eq!(over.result.outcome, RunOutcome::Completed);
}

/// The limit passes while the person thinks, and again while nobody says anything.
async fn waiting_for_a_person_is_no_silence(dialect: Dialect) {
    let endpoint = serves(dialect, [calls("ask"), Answer::text("Done.")]);
    let mut agent = hurried(Setup::new(&endpoint)).start();
    let request = agent.until_request().await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    agent.granted(request.request.clone());
    agent.answer(&request.request, musher_protocol::Answer::Allow).await;
    agent.until_turns_end(1).await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(agent.finish().await.result.outcome, RunOutcome::Completed);
}

async fn says_until_when_a_server_is_overloaded(dialect: Dialect) {
    let busy = Problem::new(503, "UNAVAILABLE", "Busy.").header(Header::is("retry-after", 7200));
    let endpoint = serves(dialect, [Answer::Problem(busy)]);
    let over = Setup::new(&endpoint).start().end().await;
    let RunOutcome::RateLimited { resets_at: Some(at), window } = &over.result.outcome else {
        panic!("{:?}", over.result.outcome)
    };
    assert_eq!((window.as_deref(), endpoint.turns().len()), (Some("overload"), 1));
    let told = over.events.iter().find_map(|it| match it {
        AgentEvent::Error { message, hint, .. } => Some((message.clone(), hint.clone())),
        _ => None,
    });
    let (message, hint) = told.expect("it is told");
    let time = at.format("%F %R UTC").to_string();
    assert!(message.contains("Busy.") && message.contains(&time), "{message}");
    assert!(hint.is_some_and(|it| it.contains("Resume it then")));
}
