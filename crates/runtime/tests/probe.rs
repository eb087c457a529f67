//! What a person is told of an endpoint before an agent is sent there.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use async_trait::async_trait;
use musher_protocol::{EndpointProbeParams, EndpointReport, EndpointSettings, KeyState};
use musher_runtime::{
    RuntimeKind,
    model::{Keys, ModelKind, find_at},
};
use musher_testkit::dialects::{
    Answer, Dialect, Header, Item, Message, Oddity, Offer, Problem, Script, ScriptedEndpoint,
};
use secrecy::SecretString;
use serde_json::json;

const KEY: &str = "sk-canary-9d21c07e55";

/// The stored key of every place, or none.
struct Stored(Option<&'static str>);

#[async_trait]
impl Keys for Stored {
    async fn key(&self, _place: &str) -> Option<SecretString> {
        self.0.map(SecretString::from)
    }
}

fn kind(dialect: Dialect, key: Option<&'static str>) -> ModelKind {
    let keys = Arc::new(Stored(key));
    let prices = PathBuf::from("/no/such/prices.toml");
    match dialect {
        Dialect::Gemini => ModelKind::gemini(keys, prices),
        _ => ModelKind::openai(keys, prices),
    }
}

fn wanted(base_url: &str, dialect: Dialect, round_trip: bool) -> EndpointProbeParams {
    EndpointProbeParams {
        base_url: Some(base_url.to_owned()),
        dialect: Some(dialect.name().to_owned()),
        round_trip,
        ..EndpointProbeParams::default()
    }
}

async fn probe(
    endpoint: &ScriptedEndpoint,
    key: Option<&'static str>,
    round_trip: bool,
) -> EndpointReport {
    let dialect = endpoint.dialect();
    let wanted = wanted(&endpoint.base_url(), dialect, round_trip);
    let report = kind(dialect, key).probe(&wanted).await.unwrap();
    assert!(!format!("{report:?}").contains(KEY), "the key is in the report");
    report
}

fn ready() -> Script {
    Script::by(|_| {
        Answer::says([Item::text("Hello."), Item::call("report", &json!({"word": "ready"}))])
    })
}

fn names(report: &EndpointReport) -> Vec<&str> {
    report.models.iter().map(|model| model.name.as_str()).collect()
}

#[tokio::test]
async fn the_one_model_of_an_address_is_found_and_a_choice_is_put_to_a_person() {
    let dialect = Dialect::Chat;
    let only = async |base: String, key| {
        let wanted = EndpointSettings { base_url: Some(base), ..EndpointSettings::default() };
        kind(dialect, key).only_model(&wanted, &BTreeMap::new()).await
    };
    let many = ["a", "b", "c", "d", "e"];
    for (models, found) in [
        (&many[..1], Ok("a")),
        (&many[..0], Err("Load one there first")),
        (&many[..2], Err("has 2 models, and none was named. Name one (`--model`): a, b.")),
        (&many[..], Err("Name one (`--model`): a, b, c, d, ....")),
    ] {
        let endpoint = Offer::new(dialect).key(KEY).models(models).start(ready()).unwrap();
        match (only(endpoint.base_url(), Some(KEY)).await, found) {
            (Ok(model), Ok(expected)) => assert_eq!(model, expected),
            (Err(why), Err(words)) => assert!(why.contains(words), "{why}"),
            other => panic!("{other:?}"),
        }
        assert!(endpoint.turns().is_empty());
    }
    let endpoint = Offer::new(dialect).key(KEY).start(ready()).unwrap();
    let shut = only(endpoint.base_url(), None).await.unwrap_err();
    assert!(shut.contains("musher keys set"), "{shut}");
    let nobody = only("http://127.0.0.1:9/v1".to_owned(), None).await.unwrap_err();
    assert!(nobody.contains("Start the model server"), "{nobody}");
}

#[tokio::test]
async fn a_list_costs_no_turn_and_a_round_trip_shows_streaming_and_calls() {
    for dialect in Dialect::ALL {
        let endpoint = Offer::new(dialect).key(KEY).start(ready()).unwrap();
        let report = probe(&endpoint, Some(KEY), false).await;
        assert!(report.reachable, "{dialect:?}: {report:?}");
        assert_eq!(report.key, KeyState::Known);
        assert_eq!(names(&report), ["scripted-large", "scripted-small"]);
        assert_eq!((report.streaming, report.tool_calls), (None, None));
        assert_eq!(report.models[0].input_price, Some(0), "what is local costs nothing");
        assert!(endpoint.turns().is_empty(), "{dialect:?}: a turn that nobody asked for");

        let report = probe(&endpoint, Some(KEY), true).await;
        assert_eq!((report.streaming, report.tool_calls), (Some(true), Some(true)), "{report:?}");
        assert_eq!(report.hint, None);
        assert_eq!(endpoint.turns().len(), 1);
        endpoint.check().unwrap();
    }
}

#[tokio::test]
async fn what_a_run_would_send_is_sent_with_a_test_too() {
    for dialect in Dialect::ALL {
        let is_openai = dialect != Dialect::Gemini;
        let endpoint = Offer::new(dialect).key(KEY).start(ready()).unwrap();
        let wanted = EndpointProbeParams {
            headers: [("X-Gateway-Token".to_owned(), "canary+gateway".to_owned())].into(),
            organization: is_openai.then(|| "org-abc123".to_owned()),
            account_project: is_openai.then(|| "proj_abc123".to_owned()),
            ..wanted(&endpoint.base_url(), dialect, true)
        };
        let report = kind(dialect, Some(KEY)).probe(&wanted).await.unwrap();
        assert_eq!(report.tool_calls, Some(true), "{report:?}");
        let requests = endpoint.requests();
        assert_eq!(requests.len(), 2);
        for request in requests {
            assert_eq!(request.header("x-gateway-token"), Some("canary+gateway"));
            if is_openai {
                assert_eq!(request.header("openai-organization"), Some("org-abc123"));
                assert_eq!(request.header("openai-project"), Some("proj_abc123"));
            }
        }
        let refused = kind(dialect, Some(KEY))
            .probe(&EndpointProbeParams {
                headers: [("Cookie".to_owned(), "canary+gateway".to_owned())].into(),
                ..wanted
            })
            .await
            .unwrap();
        assert!(refused.sentence.contains("Musher's own to send"), "{refused:?}");
        assert!(!format!("{refused:?}").contains("canary"));
    }
}

#[tokio::test]
async fn a_wrong_key_and_none_are_told_apart() {
    for dialect in Dialect::ALL {
        let endpoint = Offer::new(dialect).key("another").start(ready()).unwrap();
        let report = probe(&endpoint, Some(KEY), true).await;
        assert!(report.reachable, "{report:?}");
        assert_eq!(report.key, KeyState::Refused, "{dialect:?}: {report:?}");
        assert!(report.hint.is_some() && endpoint.turns().is_empty());

        let report = probe(&endpoint, None, false).await;
        assert_eq!(report.key, KeyState::Missing, "{dialect:?}: {report:?}");
        let open = Offer::new(dialect).without_key().start(ready()).unwrap();
        assert_eq!(probe(&open, None, false).await.key, KeyState::NotNeeded);
    }
}

#[tokio::test]
async fn a_provider_without_a_key_is_not_asked() {
    for dialect in [Dialect::Responses, Dialect::Gemini] {
        let report = kind(dialect, None).probe(&EndpointProbeParams::default()).await.unwrap();
        assert_eq!((report.reachable, report.key), (false, KeyState::Missing));
        assert!(report.sentence.contains("was not asked"), "{report:?}");
        assert!(report.hint.unwrap().contains("musher keys set"));
    }
}

#[tokio::test]
async fn what_is_no_endpoint_is_told_in_a_sentence() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let gone = format!("http://{closed}/v1");
    for (address, words) in [(gone.as_str(), "cannot be reached"), ("no address", "no address of")]
    {
        let wanted = wanted(address, Dialect::Chat, true);
        let report = kind(Dialect::Chat, Some(KEY)).probe(&wanted).await.unwrap();
        assert!(!report.reachable && report.sentence.contains(words), "{report:?}");
    }
    let odd = wanted("http://127.0.0.1:1/v1", Dialect::Chat, false);
    let odd = EndpointProbeParams { dialect: Some("esperanto".into()), ..odd };
    let report = kind(Dialect::Chat, None).probe(&odd).await.unwrap();
    assert!(report.sentence.contains("openai-chat"), "{report:?}");
}

/// Answers every request with these bytes.
async fn says(bytes: &'static str) -> (String, tokio::task::JoinHandle<()>) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    #[allow(clippy::disallowed_methods)]
    let server = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = [0; 4096];
            let _ = stream.read(&mut head).await;
            let _ = stream.write_all(bytes.as_bytes()).await;
        }
    });
    (format!("http://{address}/v1"), server)
}

const PAGE: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 15\r\n\r\n<html>Hi</html>";
const ELSE: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 11\r\n\r\n{\"ok\":true}";
const AWAY: &str =
    "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/take\r\ncontent-length: 0\r\n\r\n";

#[tokio::test]
async fn a_page_another_service_and_a_redirect_are_no_model_server() {
    for (bytes, words) in
        [(PAGE, "web page"), (ELSE, "not with a list of models"), (AWAY, "was not followed")]
    {
        let (address, server) = says(bytes).await;
        let wanted = wanted(&address, Dialect::Chat, true);
        let report = kind(Dialect::Chat, Some(KEY)).probe(&wanted).await.unwrap();
        assert!(!report.reachable && report.sentence.contains(words), "{report:?}");
        let port = address.rsplit(':').next().unwrap().trim_end_matches("/v1").parse().unwrap();
        assert!(find_at(&[("Something", port)], "openai").await.is_empty());
        server.abort();
    }
}

#[tokio::test]
async fn a_model_without_tools_and_one_that_breaks_off_are_told() {
    for dialect in Dialect::ALL {
        let talker = Offer::new(dialect).key(KEY).start(Script::by(|_| Answer::text("Hello.")));
        let report = probe(&talker.unwrap(), Some(KEY), true).await;
        assert_eq!((report.streaming, report.tool_calls), (Some(true), Some(false)));
        assert!(report.hint.unwrap().contains("tools"), "{dialect:?}");

        let long = Message::new([Item::text(&"Hello. ".repeat(20))]);
        let cut = Answer::Oddly(long, Oddity::EndAfter(3));
        let cut = Offer::new(dialect).key(KEY).start(Script::repeating([cut])).unwrap();
        let report = probe(&cut, Some(KEY), true).await;
        assert_eq!((report.streaming, report.tool_calls), (None, None));
        assert!(report.sentence.contains("failed"), "{dialect:?}: {report:?}");

        let busy = Problem::new(503, "overloaded", "Busy.").header(Header::is("retry-after", 1));
        let busy = Script::repeating([Answer::Problem(busy)]);
        let endpoint = Offer::new(dialect).key(KEY).start(busy).unwrap();
        let report = probe(&endpoint, Some(KEY), true).await;
        assert!(report.sentence.contains("failed: Busy."), "{dialect:?}: {report:?}");
        assert_eq!(endpoint.turns().len(), 1, "a probe tries once");
    }
}

#[tokio::test]
async fn servers_of_this_machine_are_found_with_their_models_and_without_a_key() {
    let endpoint = Offer::new(Dialect::Chat).without_key().start(ready()).unwrap();
    let port: u16 = endpoint.url().rsplit(':').next().unwrap().parse().unwrap();
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mute = silent.local_addr().unwrap().port();
    let found = find_at(&[("Mute", mute), ("Scripted", port)], "openai").await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((found[0].name.as_str(), found[0].runtime.as_str()), ("Scripted", "openai"));
    assert_eq!(found[0].base_url, format!("http://127.0.0.1:{port}/v1"));
    assert_eq!(found[0].models.len(), 2);
    let requests = endpoint.requests();
    assert!(requests.iter().all(|it| it.method == "GET" && it.header("authorization").is_none()));
}
