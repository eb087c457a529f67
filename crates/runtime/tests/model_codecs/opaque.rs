//! A request that lacks what its model gave to be given back, or has it elsewhere, is known before it is
//! sent; what a dialect does not take back is no lack. (That no story makes such a request: `talks`.)

use musher_runtime::model::{
    codec::Dialect,
    conversation::{Conversation, Entry, Invalid, Origin, Step, check_repeated},
};
use serde_json::{Value, json};

use super::{PLACE, ask, body, talk, user};

const MODEL: &str = "m";

fn step(dialect: Dialect, model: &str, items: Vec<Value>) -> Entry {
    let origin = Origin { dialect, model: model.to_owned(), place: Some(PLACE.into()) };
    let parts = dialect.codec().parts(&items);
    Entry::Step(Step { origin: Some(origin), items, parts })
}

/// What each dialect says in one answer with this secret, and the name of its member.
fn secret(dialect: Dialect, mark: &str) -> (Vec<Value>, &'static str) {
    match dialect {
        Dialect::OpenAiResponses => {
            let thought = json!({ "type": "reasoning", "summary": [], "encrypted_content": mark });
            let said = json!({ "type": "message", "role": "assistant",
                "content": [{ "type": "output_text", "text": "Yes.", "annotations": [] }] });
            (vec![thought, said], "encrypted_content")
        }
        Dialect::OpenAiChat => {
            let details = json!([{ "type": "reasoning.encrypted", "data": mark }]);
            let said =
                json!({ "role": "assistant", "content": "Yes.", "reasoning_details": details });
            (vec![said], "reasoning_details")
        }
        Dialect::Gemini => {
            (vec![json!({ "text": "Yes.", "thoughtSignature": mark })], "thoughtSignature")
        }
    }
}

/// Two answers, each with a secret of its own.
fn two(dialect: Dialect) -> Conversation {
    let [one, other] = ["one", "other"].map(|it| step(dialect, MODEL, secret(dialect, it).0));
    talk([user("Go."), one, user("On."), other, user("And on.")])
}

fn checked(dialect: Dialect, talk: &Conversation, body: &Value) -> Result<(), Invalid> {
    check_repeated(dialect, &ask(MODEL, talk, &[]), body)
}

#[test]
fn a_secret_that_is_not_sent_as_it_came_is_missed() {
    for dialect in Dialect::ALL {
        let (talk, member) = (two(dialect), secret(dialect, "").1);
        let whole = body(dialect, MODEL, &talk);
        let with = |from: &str, to: &str| -> Value {
            serde_json::from_str(&whole.to_string().replace(from, to)).unwrap()
        };
        assert_eq!(checked(dialect, &talk, &whole), Ok(()));
        let dropped = Err(Invalid::Dropped(member));
        assert_eq!(checked(dialect, &talk, &with(r#""one""#, "null")), dropped, "{dialect}");
        assert_eq!(checked(dialect, &talk, &with(r#""other""#, "null")), dropped, "{dialect}");
        assert_eq!(checked(dialect, &talk, &with("one", "o\u{a0}ne")), dropped, "{dialect}");
        let swapped =
            with("one", "x").to_string().replace("other", "one").replace("\"x\"", "\"other\"");
        let swapped = serde_json::from_str(&swapped).unwrap();
        assert_eq!(checked(dialect, &talk, &swapped), dropped, "{dialect}");
    }
}

#[test]
fn a_secret_of_another_model_is_seen() {
    for dialect in Dialect::ALL {
        let own = two(dialect);
        let stranger = step(dialect, "another", secret(dialect, "strange").0);
        let mixed = talk(own.entries.iter().cloned().chain([stranger, user("Well?")]));
        let sent = body(dialect, MODEL, &mixed);
        assert!(!sent.to_string().contains("strange"), "{sent:#}");
        // As if the strange answer were its own.
        let leaking = dialect.codec().body(&ask("another", &mixed, &[]));
        assert!(checked(dialect, &talk([user("Go.")]), &leaking) == Err(Invalid::Foreign));
    }
}

#[test]
fn what_a_dialect_does_not_take_back_is_not_missed() {
    let cut = json!({ "type": "reasoning", "summary": [], "encrypted_content": "cut" });
    let after = |dialect, item: Value| {
        let cut = step(dialect, MODEL, vec![item]);
        let again = step(dialect, MODEL, secret(dialect, "whole").0);
        let talk = talk([user("Go."), cut, user("Go on."), again, user("Good.")]);
        body(dialect, MODEL, &talk).to_string()
    };
    let sent = after(Dialect::OpenAiResponses, cut);
    assert!(sent.contains("whole") && !sent.contains("cut"), "{sent}");
    let details = json!([{ "type": "reasoning.encrypted", "data": "cut" }]);
    let cut = json!({ "role": "assistant", "content": "", "reasoning_details": details });
    let sent = after(Dialect::OpenAiChat, cut);
    assert!(sent.contains("whole") && !sent.contains("cut"), "{sent}");
}

#[test]
fn messages_that_become_one_keep_the_thoughts_of_both() {
    let chat = Dialect::OpenAiChat;
    let thought = |mark: &str| {
        let mut said = secret(chat, mark).0.remove(0);
        said["reasoning"] = format!("{mark} is it\n\n\n").into();
        step(chat, MODEL, vec![said])
    };
    let talk = talk([user("Go."), thought("one"), thought("other"), user("On.")]);
    let body = body(chat, MODEL, &talk);
    assert_eq!(body["messages"].as_array().map(Vec::len), Some(4), "{body:#}");
    let details = body["messages"][2]["reasoning_details"].to_string();
    assert!(details.contains("one") && details.contains("other"), "{body:#}");
}
