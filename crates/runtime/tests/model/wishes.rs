//! What a person wished of an endpoint is in each request, where the dialect wants it.

use musher_protocol::*;
use musher_runtime::RuntimeKind;
use musher_testkit::dialects::{Answer, Dialect, Offer, RecordedRequest, ScriptedEndpoint};
use serde_json::{Value, json};

use super::harness::*;

each_dialect! { all_of_it_arrives, nothing_is_sent_unasked, nonsense_ends_before_a_request }

const CANARY: &str = "canary+header/5d0c41";

fn endpoint(dialect: Dialect) -> ScriptedEndpoint {
    Offer::new(dialect).start([Answer::text("Done.")]).unwrap()
}

async fn asked(
    endpoint: &ScriptedEndpoint,
    model: &str,
    wished: EndpointSettings,
) -> RecordedRequest {
    let mut setup = Setup::new(endpoint);
    setup.context.model = Some(model.to_owned());
    let known = setup.context.endpoint.clone();
    let (base_url, dialect) = (known.base_url, known.dialect);
    setup.context.endpoint = EndpointSettings { base_url, dialect, ..wished };
    setup.kind().check_endpoint(&setup.context.endpoint).unwrap();
    let over = setup.start().finish().await;
    assert_eq!(over.result.outcome, RunOutcome::Completed, "{:#?}", over.events);
    endpoint.check().unwrap();
    assert!(!serde_json::to_string(&over.events).unwrap().contains(CANARY));
    endpoint.turns().remove(0)
}

async fn all_of_it_arrives(dialect: Dialect) {
    let is_openai = dialect != Dialect::Gemini;
    let endpoint = endpoint(dialect);
    let wished = EndpointSettings {
        headers: [("X-Gateway-Token".to_owned(), CANARY.to_owned())].into(),
        organization: is_openai.then(|| "org-musher".to_owned()),
        account_project: is_openai.then(|| "proj_musher".to_owned()),
        effort: Some(Effort::Medium),
        max_answer_tokens: Some(4096),
        ..EndpointSettings::default()
    };
    let sent = asked(&endpoint, "scripted-large", wished).await;
    assert_eq!(sent.header("x-gateway-token"), Some(CANARY));
    assert_eq!(sent.header("openai-organization"), is_openai.then_some("org-musher"));
    assert_eq!(sent.header("openai-project"), is_openai.then_some("proj_musher"));
    let body = &sent.body;
    match dialect {
        Dialect::Responses => {
            assert_eq!(body["reasoning"]["effort"], "medium");
            assert_eq!(body["max_output_tokens"], 4096);
        }
        Dialect::Chat => {
            assert_eq!(body["reasoning_effort"], "medium");
            assert_eq!(body["max_completion_tokens"], 4096);
            assert_eq!(body["max_tokens"], 4096, "the server is this machine's own");
        }
        Dialect::Gemini => {
            let config = &body["generationConfig"];
            assert_eq!(config["maxOutputTokens"], 4096);
            let thinking = json!({"includeThoughts": true, "thinkingLevel": "MEDIUM"});
            assert_eq!(config["thinkingConfig"], thinking);
        }
    }
}

async fn nothing_is_sent_unasked(dialect: Dialect) {
    let endpoint = endpoint(dialect);
    let sent = asked(&endpoint, "scripted-large", EndpointSettings::default()).await;
    let text = sent.body.to_string();
    for name in
        ["effort", "max_output", "max_tokens", "max_completion", "maxOutput", "thinkingLevel"]
    {
        assert!(!text.contains(name), "{name}: {text}");
    }
}

/// Those before Gemini 3 take a budget.
#[tokio::test]
async fn an_older_gemini_is_given_a_budget() {
    for (effort, budget) in [(Effort::Low, 1_024), (Effort::Medium, 8_192), (Effort::High, 24_576)]
    {
        let endpoint = endpoint(Dialect::Gemini);
        let wished = EndpointSettings { effort: Some(effort), ..EndpointSettings::default() };
        let sent = asked(&endpoint, "gemini-2.5-flash", wished).await;
        let thinking = &sent.body["generationConfig"]["thinkingConfig"];
        assert_eq!(thinking["thinkingBudget"], budget);
        assert_eq!(thinking["thinkingLevel"], Value::Null);
    }
}

async fn nonsense_ends_before_a_request(dialect: Dialect) {
    for (name, value) in [("Authorization", CANARY), ("x-a", "a\nb: c")] {
        let endpoint = endpoint(dialect);
        let mut setup = Setup::new(&endpoint);
        setup.context.endpoint.headers.insert(name.into(), value.into());
        let why = setup.kind().check_endpoint(&setup.context.endpoint).unwrap_err();
        assert!(!why.contains(value), "{why}");
        let over = setup.start().finish().await;
        assert!(matches!(&over.result.outcome, RunOutcome::Failed { .. }), "{:?}", over.result);
        assert_eq!(endpoint.requests().len(), 0);
    }
}

/// Before a worktree is made, and without what may be a secret in it.
#[tokio::test]
async fn an_address_that_is_none_is_refused_at_once() {
    let endpoint = endpoint(Dialect::Chat);
    let mut setup = Setup::new(&endpoint);
    for base in ["foo", "ftp://host/v1", "http://u:PASSWORD@host/v1", "http://host/v1?key=PASSWORD"]
    {
        setup.context.endpoint.base_url = Some(base.to_owned());
        let why = setup.kind().check_endpoint(&setup.context.endpoint).unwrap_err();
        assert!(!why.contains("PASSWORD"), "{why}");
    }
}
