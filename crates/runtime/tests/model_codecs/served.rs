//! Whole turns against scripted endpoints that somebody else wrote and that hold each request to the
//! provider's rules; and a conversation that goes on with another provider.

use musher_runtime::model::{
    codec::{Answer, Dialect, Finish},
    conversation::{Conversation, Entry},
};
use musher_testkit::dialects::{self, Answer as Scripted, Item, Script, ScriptedEndpoint, agentic};
use serde_json::json;

use super::{body, calls, step, words};

const MODEL: &str = "scripted-large";

fn endpoint(dialect: Dialect, script: Script) -> ScriptedEndpoint {
    let same = |it: &dialects::Dialect| it.name() == dialect.name();
    let dialect = dialects::Dialect::ALL.into_iter().find(same).unwrap();
    ScriptedEndpoint::start(dialect, script).unwrap()
}

async fn ask(
    http: &reqwest::Client,
    at: &ScriptedEndpoint,
    dialect: Dialect,
    talk: &Conversation,
) -> Answer {
    talk.check().unwrap();
    let url = at.base_url() + &dialect.codec().path(MODEL);
    let request = http.post(url).bearer_auth("sk-test").header("x-goog-api-key", "sk-test");
    let response = request.json(&body(dialect, MODEL, talk)).send().await.unwrap();
    let status = response.status();
    if !status.is_success() {
        panic!("{dialect}: {status}: {}", response.text().await.unwrap());
    }
    let mut reader = dialect.codec().reader();
    let stream = response.text().await.unwrap();
    for event in stream.split("\n\n") {
        let data = event.lines().filter_map(|line| line.strip_prefix("data:"));
        reader.read(&data.collect::<Vec<_>>().join("\n")).unwrap();
    }
    reader.answer()
}

/// Asks until the model wants no more; the results of a step come in the wrong order.
async fn work(
    http: &reqwest::Client,
    at: &ScriptedEndpoint,
    dialect: Dialect,
    talk: &mut Conversation,
) -> String {
    loop {
        let answer = ask(http, at, dialect, talk).await;
        assert_eq!(answer.finish, Finish::Done);
        talk.entries.push(step(dialect, MODEL, &answer));
        let calls = calls(&answer);
        if calls.is_empty() {
            return words(&answer);
        }
        for (id, name, _) in calls.into_iter().rev() {
            let (call, text) = (id.to_owned(), format!("{name} is done."));
            talk.entries.push(Entry::Result { call, text, is_error: false });
        }
    }
}

fn steps() -> Vec<Vec<(&'static str, serde_json::Value)>> {
    vec![
        vec![("read_file", json!({ "path": "a" })), ("read_file", json!({ "path": "a" }))],
        vec![("update_plan", json!({}))],
        vec![
            ("run_command", json!({ "command": "größe\n" })),
            ("read_file", json!({ "path": "b" })),
        ],
    ]
}

#[tokio::test]
async fn a_whole_turn_keeps_the_rules() {
    let http = reqwest::Client::new();
    for dialect in Dialect::ALL {
        let at = endpoint(dialect, agentic(steps(), "All is done."));
        let mut talk = Conversation::default();
        talk.say("Work.");
        assert_eq!(work(&http, &at, dialect, &mut talk).await, "All is done.", "{dialect}");
        assert_eq!(at.turns().len(), 4);
        at.check().unwrap();
    }
}

#[tokio::test]
async fn words_between_calls_and_an_unknown_end_keep_the_rules() {
    let http = reqwest::Client::new();
    for dialect in Dialect::ALL {
        let at = endpoint(dialect, agentic(steps(), "All is done."));
        let mut talk = Conversation::default();
        talk.say("Work.");
        let answer = ask(&http, &at, dialect, &talk).await;
        talk.entries.push(step(dialect, MODEL, &answer));
        let call = calls(&answer)[1].0.to_owned();
        talk.say("Hurry.");
        talk.entries.push(Entry::Result { call, text: "Done.".to_owned(), is_error: false });
        talk.mend();
        work(&http, &at, dialect, &mut talk).await;
        at.check().unwrap();
    }
}

#[tokio::test]
async fn another_provider_goes_on() {
    let http = reqwest::Client::new();
    for first in Dialect::ALL {
        for second in Dialect::ALL {
            let at = endpoint(first, agentic(steps(), "All is done."));
            let mut talk = Conversation::default();
            talk.say("Work.");
            work(&http, &at, first, &mut talk).await;
            talk.say("Go on.");
            let thanks = Scripted::says([Item::think("Hm."), Item::text("Gone on.")]);
            let there = endpoint(second, Script::list([thanks]));
            let entries = talk.entries.iter_mut();
            // The same dialect's other endpoint knows nothing of the items either.
            entries.for_each(|entry| {
                if let Entry::Step(step) = entry {
                    step.origin.as_mut().unwrap().model = "another".to_owned();
                }
            });
            assert_eq!(
                work(&http, &there, second, &mut talk).await,
                "Gone on.",
                "{first} {second}"
            );
            there.check().unwrap();
        }
    }
}
