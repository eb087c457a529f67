//! Words and answers between a person and the agent.

use musher_protocol::{Answer as Reply, *};
use musher_runtime::{AgentInput, RuntimeContext, RuntimeError};
use musher_testkit::dialects::{Answer, Dialect, Item, Script, ScriptedEndpoint};
use serde_json::json;

use super::{harness::*, stops::*};

each_dialect! {
    allows,
    denies,
    answers_a_question,
    what_is_not_asked_is_not_answered,
    follows_up_and_says_nothing_twice,
    steers_in_order,
    ends_after_its_turn,
    the_end_of_input_finds_room_behind_many_words,
    interrupts_its_words,
    interrupts_a_tool,
    interrupts_a_request,
    another_model_half_way,
    another_dialect_goes_on,
    lost_thoughts_are_told_once,
    another_place_gets_no_secrets_of_the_first,
    an_answer_of_no_known_place_loses_nothing,
}

async fn allows(dialect: Dialect) {
    let endpoint = serves(dialect, [calls("ask"), Answer::text("Done.")]);
    let mut agent = Setup::new(&endpoint).start();
    let request = agent.until_request().await;
    assert!(agent.setup.tools.begun().is_empty(), "it ran before it was allowed");
    agent.answer(&request.request, Reply::Allow).await;
    let over = agent.finish().await;
    endpoint.check().unwrap();
    assert_eq!(over.setup.tools.begun().len(), 1);
    assert_eq!(over.results()[0].text, "notes");
}

async fn denies(dialect: Dialect) {
    let endpoint = serves(dialect, [calls("ask"), calls("forbidden"), Answer::text("Well.")]);
    let mut agent = Setup::new(&endpoint).start();
    let request = agent.until_request().await;
    agent.answer(&request.request, Reply::Deny { message: Some("rather not".into()) }).await;
    let over = agent.finish().await;
    endpoint.check().unwrap();
    assert_eq!(over.result.outcome, RunOutcome::Completed, "a denial is no failure");
    let results = over.results();
    assert!(results[0].is_error && results[0].text.contains("rather not"), "{results:?}");
    assert!(results[1].is_error && results[1].text.contains("as the test has it"), "{results:?}");
    assert!(over.setup.tools.begun().is_empty());
    let judged = |it: &AgentEvent| matches!(it, AgentEvent::ToolDecision(_));
    assert_eq!(over.count(judged), 2, "every decision is told");
}

async fn answers_a_question(dialect: Dialect) {
    let asks = json!({"question": "Which colour?", "options": ["Red", "Blue"]});
    let endpoint = serves(dialect, [Answer::call("ask_user", &asks), Answer::text("I see.")]);
    let mut agent = Setup::new(&endpoint).start();
    let asked = agent.until(|it| matches!(it, AgentEvent::Question(_))).await;
    let AgentEvent::Question(question) = asked else { panic!("{asked:?}") };
    assert_eq!(question.questions[0].options[1].label, "Blue");
    let answers = [("Which colour?".to_owned(), "Blue".to_owned())].into();
    agent.answer(&question.request, Reply::Answers { answers }).await;
    let over = agent.finish().await;
    endpoint.check().unwrap();
    assert_eq!(over.results()[0].text, "Blue");
}

async fn what_is_not_asked_is_not_answered(dialect: Dialect) {
    let endpoint = serves(dialect, [calls("ask"), Answer::text("Done.")]);
    let mut agent = Setup::new(&endpoint).start();
    let request = agent.until_request().await.request;
    let answer =
        |request: &str| AgentInput::Answer { request: request.to_owned(), answer: Reply::Allow };
    let unknown = agent.runtime.steer(answer("no-such")).await;
    assert!(matches!(unknown, Err(RuntimeError::Unsupported(_))), "{unknown:?}");
    agent.steer(answer(&request)).await;
    let again = agent.runtime.steer(answer(&request)).await;
    assert!(matches!(again, Err(RuntimeError::Unsupported(_))), "{again:?}");
    assert_eq!(agent.finish().await.result.outcome, RunOutcome::Completed);
}

async fn follows_up_and_says_nothing_twice(dialect: Dialect) {
    let endpoint = ScriptedEndpoint::start(dialect, Script::repeating([Answer::text("Yes.")]));
    let endpoint = endpoint.unwrap();
    let mut agent = Setup::new(&endpoint).start();
    agent.until_turns_end(1).await;
    agent.message("m1", "and now this").await;
    agent.message("m1", "and now this").await;
    agent.message("prompt-1", "do it").await;
    agent.until_turns_end(2).await;
    agent.message("m1", "and now this").await;
    agent.steer(AgentInput::EndOfInput).await;
    let over = agent.end().await;
    endpoint.check().unwrap();
    assert_eq!(over.sent(), ["prompt-1", "m1"]);
    assert_eq!(endpoint.turns().len(), 2);
}

async fn steers_in_order(dialect: Dialect) {
    let endpoint = serves(dialect, [calls("ask"), Answer::text("Left, then right.")]);
    let mut agent = Setup::new(&endpoint).start();
    let request = agent.until_request().await;
    agent.message("m1", "turn left").await;
    agent.message("m2", "then right").await;
    agent.answer(&request.request, Reply::Allow).await;
    let over = agent.finish().await;
    endpoint.check().unwrap();
    assert_eq!(over.sent(), ["prompt-1", "m1", "m2"]);
    let second = endpoint.turns()[1].body.to_string();
    let (left, right) = (second.find("turn left"), second.find("then right"));
    assert!(left.is_some() && left < right, "{second}");
}

async fn ends_after_its_turn(dialect: Dialect) {
    let endpoint = serves(dialect, [calls("ask"), Answer::text("Done.")]);
    let mut agent = Setup::new(&endpoint).start();
    let request = agent.until_request().await;
    agent.steer(AgentInput::EndOfInput).await;
    agent.answer(&request.request, Reply::Allow).await;
    let over = agent.end().await;
    assert_eq!(over.result.outcome, RunOutcome::Completed);
    assert!(over.said("Done."));
}

async fn the_end_of_input_finds_room_behind_many_words(dialect: Dialect) {
    let endpoint = serves(dialect, [calls("ask"), Answer::text("Done.")]);
    let mut agent = Setup::new(&endpoint).start();
    let request = agent.until_request().await;
    let mut said = vec!["prompt-1".to_owned()];
    for number in 0.. {
        let (id, text) = (format!("m{number}"), format!("word {number}"));
        match agent.runtime.steer(AgentInput::Message { id: id.clone(), text }).await {
            Ok(()) => said.push(id),
            Err(RuntimeError::Process(_)) => break,
            Err(error) => panic!("{error}"),
        }
        assert!(number < 10_000, "the queue has an end");
    }
    agent.steer(AgentInput::EndOfInput).await;
    let late = AgentInput::Message { id: "late".into(), text: "too late".into() };
    let late = agent.runtime.steer(late).await;
    assert!(matches!(late, Err(RuntimeError::NotRunning)), "{late:?}");
    agent.answer(&request.request, Reply::Allow).await;
    let over = agent.end().await;
    endpoint.check().unwrap();
    assert_eq!(over.result.outcome, RunOutcome::Completed);
    assert_eq!(over.sent(), said);
}

/// Ends the turn, and has the agent hear the next words.
async fn goes_on(mut agent: Agent, endpoint: &ScriptedEndpoint) -> Over {
    agent.steer(AgentInput::Interrupt).await;
    let ended = agent.until(|it| matches!(it, AgentEvent::TurnEnded { .. })).await;
    assert!(matches!(ended, AgentEvent::TurnEnded { ok: false, .. }), "{ended:?}");
    assert_eq!(agent.runtime.get_status(), RuntimeStatus::Running, "the agent lives on");
    agent.message("m1", "go on").await;
    agent.until_turns_end(2).await;
    agent.steer(AgentInput::EndOfInput).await;
    let over = agent.end().await;
    endpoint.check().unwrap();
    assert_eq!(over.result.outcome, RunOutcome::Completed);
    assert!(over.said("Gone on."));
    over
}

async fn interrupts_its_words(dialect: Dialect) {
    let endpoint = serves(dialect, [slow_words(), Answer::text("Gone on.")]);
    let mut agent = Setup::new(&endpoint).start();
    agent.until_delta().await;
    goes_on(agent, &endpoint).await;
}

async fn interrupts_a_tool(dialect: Dialect) {
    let endpoint = serves(dialect, [calls("hang"), Answer::text("Gone on.")]);
    let mut agent = Setup::new(&endpoint).start();
    agent.until(|it| matches!(it, AgentEvent::ToolDecision(_))).await;
    agent.setup.tools.until_begun(1).await;
    let over = goes_on(agent, &endpoint).await;
    assert_eq!(over.results()[0].text, "stopped");
}

async fn interrupts_a_request(dialect: Dialect) {
    let endpoint = serves(dialect, [calls("ask"), Answer::text("Gone on.")]);
    let mut agent = Setup::new(&endpoint).start();
    let request = agent.until_request().await.request;
    let over = goes_on(agent, &endpoint).await;
    let withdrawn = |it: &AgentEvent| {
        matches!(it, AgentEvent::PermissionAnswer { request: it, by: AnsweredBy::Withdrawn, .. }
            if *it == request)
    };
    assert_eq!(over.count(withdrawn), 1, "nobody is asked any more");
    assert!(over.setup.tools.begun().is_empty());
}

async fn another_model_half_way(dialect: Dialect) {
    let script = Script::by(|asked| match asked.number {
        1 => calls("ask"),
        _ => Answer::text("Done."),
    });
    let endpoint = ScriptedEndpoint::start(dialect, script).unwrap();
    let mut agent = Setup::new(&endpoint).start();
    let request = agent.until_request().await;
    agent.steer(AgentInput::SetModel(Some("scripted-small".into()))).await;
    agent.answer(&request.request, Reply::Allow).await;
    let over = agent.finish().await;
    endpoint.check().unwrap();
    assert_eq!(over.result.outcome, RunOutcome::Completed);
    let second = &endpoint.turns()[1];
    let asked = format!("{} {}", second.target, second.body);
    assert!(asked.contains("scripted-small") && !asked.contains("scripted-large"), "{asked}");
    // Gemini's calls are signed, the others' are not.
    assert_eq!(over.warned("model_changed"), usize::from(dialect == Dialect::Gemini));
}

async fn lost_thoughts_are_told_once(dialect: Dialect) {
    let thinks = Answer::says([Item::think("Hidden."), Item::text("Said.")]);
    let endpoint = serves(dialect, [thinks, Answer::text("Well."), Answer::text("Done.")]);
    let mut stored = Setup::new(&endpoint).start().finish().await.stored();
    for warned in [1, 0] {
        let other = |context: &mut RuntimeContext| context.model = Some("scripted-small".into());
        let over =
            Setup::new(&endpoint).with(other).resuming(stored.clone()).start().finish().await;
        assert_eq!(over.result.outcome, RunOutcome::Completed);
        assert_eq!(over.warned("model_changed"), warned);
        stored.extend(over.stored());
    }
    endpoint.check().unwrap();
}

/// What only the old address can read goes to no other one, and a person is told; words and results go.
async fn another_place_gets_no_secrets_of_the_first(dialect: Dialect) {
    let thinks = Answer::says([Item::think("Hidden."), Item::text("Said.")]);
    let first = serves(dialect, [thinks]);
    let stored = Setup::new(&first).start().finish().await.stored();
    let second = serves(dialect, [Answer::text("Well."), Answer::text("Done.")]);
    let mut events = stored.clone();
    for warned in [1, 0] {
        let over = Setup::new(&second).resuming(events.clone()).start().finish().await;
        assert_eq!(over.result.outcome, RunOutcome::Completed);
        assert_eq!(over.warned("model_changed"), warned);
        events.extend(over.stored());
        let asked = second.turns().pop().unwrap().body.to_string();
        assert!(asked.contains("Said."), "{asked}");
        for secret in opaque(&stored) {
            assert!(!asked.contains(&secret), "{secret}: {asked}");
        }
    }
    second.check().unwrap();
}

/// What a provider alone can read of its answers, and the thoughts that only some servers want back.
fn opaque(events: &[EventEnvelope]) -> Vec<String> {
    fn look(value: &serde_json::Value, found: &mut Vec<String>) {
        match value {
            serde_json::Value::Object(members) => members.iter().for_each(|(name, value)| {
                let is_opaque = matches!(
                    name.as_str(),
                    "encrypted_content" | "thoughtSignature" | "reasoning_content"
                );
                found.extend(value.as_str().filter(|_| is_opaque).map(str::to_owned));
                look(value, found);
            }),
            serde_json::Value::Array(values) => values.iter().for_each(|it| look(it, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    for envelope in events {
        if let AgentEvent::ModelStep(step) = &envelope.event {
            step.items.iter().for_each(|item| look(item, &mut found));
        }
    }
    assert!(!found.is_empty());
    found
}

/// An older Musher did not write down where an answer came from.
async fn an_answer_of_no_known_place_loses_nothing(dialect: Dialect) {
    let thinks = Answer::says([Item::think("Hidden."), Item::text("Said.")]);
    let first = serves(dialect, [thinks, Answer::text("Done.")]);
    let mut stored = Setup::new(&first).start().finish().await.stored();
    for envelope in &mut stored {
        if let AgentEvent::ModelStep(step) = &mut envelope.event {
            assert_eq!(step.place.take(), Some(first.base_url()));
        }
    }
    let over = Setup::new(&first).resuming(stored.clone()).start().finish().await;
    assert_eq!(
        (over.result.outcome.clone(), over.warned("model_changed")),
        (RunOutcome::Completed, 0)
    );
    first.check().unwrap();
    let asked = first.turns()[1].body.to_string();
    assert!(opaque(&stored).iter().any(|it| asked.contains(it)), "{asked}");
}

async fn another_dialect_goes_on(dialect: Dialect) {
    let first = serves(dialect, [calls("change"), Answer::text("Half of it is done.")]);
    let stored = Setup::new(&first).start().finish().await.stored();
    for other in Dialect::ALL.into_iter().filter(|it| *it != dialect) {
        let second = serves(other, [Answer::text("Now all of it.")]);
        let over = Setup::new(&second).resuming(stored.clone()).start().finish().await;
        second.check().unwrap();
        assert_eq!(over.result.outcome, RunOutcome::Completed);
        assert_eq!(over.warned("model_changed"), usize::from(dialect == Dialect::Gemini));
        let asked = second.turns()[0].body.to_string();
        assert!(asked.contains("Half of it is done.") && asked.contains("notes"), "{asked}");
    }
    let second = Setup::new(&first).resuming(stored).start().end().await;
    assert_eq!(second.warned("model_changed"), 0, "the same model takes its own thoughts");
}
