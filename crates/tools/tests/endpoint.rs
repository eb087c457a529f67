//! The endpoint as an agent sees it: a client of the same protocol at its other end.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::{collections::BTreeMap, fs};

use common::{CANARY, Place, until, within};
use musher_protocol::{EditDiff, PermissionMode};
use musher_runtime::{ToolEndpoint, ToolHost};
use musher_tools::{
    HostConfig,
    endpoint::{Endpoint, FILE, Offer, READERS, serve_on},
};
use rmcp::{
    RoleClient, ServiceError, ServiceExt,
    model::{CallToolRequestParams, CallToolResult},
    service::{PeerRequestOptions, RunningService},
};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

type Client = RunningService<RoleClient, ()>;

/// The endpoint of a place, as the engine has it.
fn endpoint(place: &Place, rules: &str, mode: PermissionMode) -> Endpoint {
    let config = place.config(rules);
    let rules = rules.lines().map(str::to_owned).collect();
    Endpoint::new(Offer { program: "musher".into(), config, rules, mode }).unwrap()
}

/// The agent's own key, and one that is kept.
const KEY: &str = "canary+agent/0c7e11";
const KEPT: &str = "canary+kept/51aa90";

fn environment() -> BTreeMap<String, String> {
    [("PATH", "/usr/local/bin:/usr/bin:/bin"), ("SOME_API_KEY", KEY)]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}

/// An agent's connection, and the server's end.
struct Agent {
    client: Client,
    served: JoinHandle<()>,
    ending: CancellationToken,
}

async fn agent(place: &Place) -> Agent {
    let (ours, theirs) = tokio::io::duplex(1 << 16);
    let (run_dir, ending) = (place.run_dir(), CancellationToken::new());
    let stop = ending.clone();
    let served = tokio::task::spawn(async move {
        let kept = run_dir.join("kept");
        let keys = move || vec![fs::read_to_string(&kept).unwrap_or_default().into()];
        serve_on(&run_dir, (environment(), Box::new(keys)), tokio::io::split(theirs), &stop)
            .await
            .unwrap();
    });
    Agent { client: within(().serve(ours)).await.unwrap(), served, ending }
}

fn request(tool: &'static str, input: Value) -> CallToolRequestParams {
    CallToolRequestParams::new(tool).with_arguments(input.as_object().unwrap().clone())
}

fn text(result: &CallToolResult) -> String {
    result.content.iter().filter_map(|block| Some(block.as_text()?.text.clone())).collect()
}

impl Agent {
    async fn call(&self, tool: &'static str, input: Value) -> (bool, String) {
        let result = within(self.client.call_tool(request(tool, input))).await.unwrap();
        (result.is_error == Some(true), text(&result))
    }

    async fn ok(&self, tool: &'static str, input: Value) -> String {
        let (is_error, text) = self.call(tool, input).await;
        assert!(!is_error, "{text}");
        text
    }

    async fn error(&self, tool: &'static str, input: Value) -> String {
        let (is_error, text) = self.call(tool, input).await;
        assert!(is_error, "{text}");
        text
    }

    /// Goes, as an agent does that ends.
    async fn leave(self) {
        within(self.client.cancel()).await.unwrap();
        within(self.served).await.unwrap();
    }
}

/// Living processes of the place's commands.
fn alive(place: &Place) -> usize {
    let folders = fs::read_dir(place.run_dir().join("tools")).into_iter().flatten().flatten();
    let mark = |name: std::ffi::OsString| format!("{}.{}", place.mark, name.to_string_lossy());
    let marks = folders.map(|folder| mark(folder.file_name()));
    marks.map(|mark| musher_process::processes_with_mark(&mark).len()).sum()
}

#[tokio::test]
async fn a_key_is_told_to_no_agent() {
    let place = Place::new();
    endpoint(&place, "", PermissionMode::Ask);
    let agent = agent(&place).await;
    place.put("keys", &format!("{KEY} {KEPT}\n"));
    // It is kept while the agent is served.
    fs::write(place.run_dir().join("kept"), KEPT).unwrap();
    let hidden = format!("{0} {0}\n", musher_runtime::MARK);
    let said = agent.ok("run_command", json!({"command": "cat keys"})).await;
    assert_eq!(said, format!("{hidden}[exit code 0]"));
    let read = agent.ok("read_file", json!({"path": "keys"})).await;
    assert!(read.starts_with(&format!("     1\t{hidden}[")), "{read}");
    agent.leave().await;
}

const HANG: &str = "touch begun; setsid sleep 1000 & sleep 1000";

#[tokio::test]
async fn every_tool_is_listed_with_its_schema() {
    let place = Place::new();
    endpoint(&place, "", PermissionMode::Plan);
    let agent = agent(&place).await;
    let listed = within(agent.client.list_all_tools()).await.unwrap();
    let specs = place.host().specs(PermissionMode::Ask);
    assert_eq!((listed.len(), specs.len()), (7, 7));
    let mut readers = Vec::new();
    for (tool, spec) in listed.iter().zip(&specs) {
        assert_eq!(
            (&*tool.name, tool.description.as_deref()),
            (&*spec.name, Some(&*spec.description))
        );
        assert_eq!(Value::Object((*tool.input_schema).clone()), spec.parameters);
        if tool.annotations.as_ref().unwrap().read_only_hint == Some(true) {
            readers.push(&*tool.name);
        }
    }
    assert_eq!(readers, READERS);
    agent.leave().await;

    let config = HostConfig { fetch: true, ..place.config("") };
    let mode = PermissionMode::Ask;
    Endpoint::new(Offer { program: "musher".into(), config, rules: Vec::new(), mode }).unwrap();
    let agent = self::agent(&place).await;
    let listed = within(agent.client.list_all_tools()).await.unwrap();
    assert!(listed.iter().any(|tool| tool.name == "fetch_url"), "{listed:?}");
    agent.leave().await;
}

#[tokio::test]
async fn outputs_of_the_storys_earlier_runs_are_read_too() {
    let place = Place::new();
    let folder = place.folder.path().join("earlier/tools/c-toolu_1");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(format!("stdout-{:020}.spool", 0)), "one\n").unwrap();
    let earlier = vec![place.folder.path().join("earlier")];
    let (config, mode) = (HostConfig { earlier, ..place.config("") }, PermissionMode::Ask);
    Endpoint::new(Offer { program: "musher".into(), config, rules: Vec::new(), mode }).unwrap();
    let agent = agent(&place).await;
    let page = agent.ok("read_output", json!({"output": "c-toolu_1"})).await;
    assert_eq!(page, "     1\tone\n");
    agent.leave().await;
}

#[tokio::test]
async fn the_worktree_is_all_there_is() {
    let place = Place::new();
    endpoint(&place, "", PermissionMode::Ask);
    let agent = agent(&place).await;
    assert!(agent.ok("read_file", json!({"path": "README.md"})).await.contains("Read me"));
    assert!(agent.ok("search", json!({"pattern": "hello"})).await.contains("src/main.rs"));
    place.link("../outside", "way_out");
    for path in ["../outside/canary.txt", ".git/config", "way_out/canary.txt", "/etc/passwd"] {
        let told = agent.error("read_file", json!({"path": path})).await;
        assert!(!told.contains(CANARY), "{path}: {told}");
        agent.error("edit_file", json!({"path": path, "old": null, "new": "x"})).await;
    }
    let names = agent.ok("run_command", json!({"command": "pwd; env"})).await;
    assert!(names.contains(&*place.root().to_string_lossy()), "{names}");
    assert!(names.contains("PATH=") && !names.contains("SOME_API_KEY"), "{names}");
    agent.leave().await;
    place.assert_whole();
}

#[tokio::test]
async fn plan_mode_reads_only_and_ends_when_the_engine_says_so() {
    let place = Place::new();
    let engine = endpoint(&place, "", PermissionMode::Plan);
    let agent = agent(&place).await;
    let edit = || json!({"path": "new.txt", "old": null, "new": "one\n"});
    for (tool, input) in [("edit_file", edit()), ("run_command", json!({"command": "touch made"}))]
    {
        let told = agent.error(tool, input).await;
        assert!(told.contains("the mode is plan"), "{told}");
    }
    assert!(agent.ok("list_files", json!({})).await.contains("README.md"));

    engine.set_mode(PermissionMode::Ask).unwrap();
    let done = within(agent.client.call_tool(request("edit_file", edit()))).await.unwrap();
    assert_eq!(done.is_error, Some(false), "{done:?}");
    let told: EditDiff = serde_json::from_value(done.meta.unwrap()["musher/edit"].clone()).unwrap();
    assert_eq!((told.path.as_str(), told.created), ("new.txt", true));
    assert_eq!(place.text("new.txt"), "one\n");

    // An engine that comes later finds the same.
    let later =
        Endpoint::found("musher".into(), &place.run_dir(), musher_runtime::Secrets::default())
            .unwrap();
    later.set_mode(PermissionMode::Plan).unwrap();
    agent.error("edit_file", json!({"path": "new.txt", "old": "one", "new": "two"})).await;
    later.set_mode(PermissionMode::Bypass).unwrap();
    fs::write(place.run_dir().join(FILE), "{").unwrap();
    let told =
        agent.error("edit_file", json!({"path": "new.txt", "old": "one", "new": "two"})).await;
    assert!(told.contains("the mode is plan"), "what cannot be read allows nothing: {told}");
    agent.leave().await;
    assert!(!place.path("made").exists());
}

#[tokio::test]
async fn what_a_rule_denies_is_denied_here_too() {
    let place = Place::new();
    place.put("secret.txt", CANARY);
    endpoint(&place, "deny read secret.txt\ndeny run git push*", PermissionMode::Bypass);
    let agent = agent(&place).await;
    let told = agent.error("read_file", json!({"path": "secret.txt"})).await;
    assert!(told.contains("deny read secret.txt"), "{told}");
    assert!(!agent.ok("search", json!({"pattern": "canary"})).await.contains("secret.txt"));
    let told = agent.error("run_command", json!({"command": "true && git push origin"})).await;
    assert!(told.contains("deny run git push*"), "{told}");
    // Nobody was asked about what the rule's reader cannot read.
    let told = agent.error("run_command", json!({"command": "$(echo git) push; touch made"})).await;
    assert!(told.contains("Not allowed"), "{told}");
    assert!(!place.path("made").exists());
    agent.ok("run_command", json!({"command": "git --version"})).await;
    agent.leave().await;
}

#[tokio::test]
async fn bad_calls_are_the_models_to_mend() {
    let place = Place::new();
    endpoint(&place, "", PermissionMode::Ask);
    let agent = agent(&place).await;
    for input in [json!({}), json!({"path": 3}), json!({"path": "README.md", "more": 1})] {
        let told = agent.error("read_file", input).await;
        assert!(told.contains("arguments do not fit"), "{told}");
    }
    agent.error("read_file", json!({"path": "nowhere.txt"})).await;
    let unknown = within(agent.client.call_tool(request("read_mail", json!({})))).await;
    assert!(
        matches!(&unknown, Err(ServiceError::McpError(error)) if error.message.contains("read_file")),
        "{unknown:?}"
    );
    agent.leave().await;
}

#[tokio::test]
async fn a_hanging_command_is_ended_by_its_limit_a_cancel_or_the_agents_end() {
    let place = Place::new();
    endpoint(&place, "", PermissionMode::Ask);
    let agent = agent(&place).await;
    let hang = json!({"command": HANG, "timeout_seconds": 1});
    let told = agent.error("run_command", hang).await;
    assert!(told.contains("ended after 1 s"), "{told}");
    assert_eq!(alive(&place), 0);

    fs::remove_file(place.path("begun")).unwrap();
    let hang = || request("run_command", json!({"command": HANG}));
    let asked = rmcp::model::CallToolRequest::new(hang()).into();
    let waiting = agent.client.send_cancellable_request(asked, PeerRequestOptions::no_options());
    let waiting = within(waiting).await.unwrap();
    until("the command begins", || place.path("begun").exists()).await;
    assert_ne!(alive(&place), 0);
    within(waiting.cancel(Some("enough".into()))).await.unwrap();
    until("the cancelled command is gone", || alive(&place) == 0).await;

    fs::remove_file(place.path("begun")).unwrap();
    let asked = rmcp::model::CallToolRequest::new(hang()).into();
    let waiting = agent.client.send_cancellable_request(asked, PeerRequestOptions::no_options());
    let _waiting = within(waiting).await.unwrap();
    until("the command begins", || place.path("begun").exists()).await;
    agent.leave().await;
    assert_eq!(alive(&place), 0, "the server went before its command");
}

#[tokio::test]
async fn calls_that_change_wait_for_each_other() {
    let place = Place::new();
    endpoint(&place, "", PermissionMode::Ask);
    let agent = agent(&place).await;
    let command = "test ! -e busy || exit 9; touch busy; sleep 0.2; rm busy";
    let call = || agent.call("run_command", json!({"command": command}));
    let (one, two, three) = tokio::join!(call(), call(), call());
    for (is_error, text) in [one, two, three] {
        assert!(!is_error, "{text}");
    }
    agent.leave().await;
}

/// A server that was killed leaves its command to the next one; one that lives beside it keeps its own.
#[tokio::test]
async fn a_later_server_ends_what_a_killed_one_left_and_no_other() {
    let place = Place::new();
    let engine = endpoint(&place, "", PermissionMode::Ask);
    let first = agent(&place).await;
    let asked = rmcp::model::CallToolRequest::new(request("run_command", json!({"command": HANG})));
    let asked =
        first.client.send_cancellable_request(asked.into(), PeerRequestOptions::no_options());
    let _asked = within(asked).await.unwrap();
    until("the command begins", || place.path("begun").exists()).await;

    let second = agent(&place).await;
    assert_ne!(alive(&place), 0, "the first one lives");
    second.leave().await;
    assert_ne!(alive(&place), 0, "the first one lives");

    // As its end does when nobody is left to wait for it.
    assert_eq!(within(engine.end_left_over()).await, Vec::<u32>::new());
    assert_eq!(alive(&place), 0);
    first.ending.cancel();
    within(first.served).await.unwrap();
}

#[test]
fn a_killed_server_leaves_nothing_to_the_one_after_it() {
    let place = Place::new();
    endpoint(&place, "", PermissionMode::Ask);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let agent = agent(&place).await;
        let asked =
            rmcp::model::CallToolRequest::new(request("run_command", json!({"command": HANG})));
        let asked =
            agent.client.send_cancellable_request(asked.into(), PeerRequestOptions::no_options());
        let _asked = within(asked).await.unwrap();
        until("the command begins", || place.path("begun").exists()).await;
        std::mem::forget(agent);
    });
    // No destructor of the server's waits for anything here.
    runtime.shutdown_background();
    assert_ne!(alive(&place), 0);
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let next = agent(&place).await;
        assert_eq!(alive(&place), 0);
        next.leave().await;
    });
}

#[test]
fn values_of_variables_are_not_written_down() {
    let place = Place::new();
    let mut config = place.config("");
    config.env.insert("TOKEN".into(), CANARY.into());
    let offer =
        Offer { program: "musher".into(), config, rules: Vec::new(), mode: PermissionMode::Ask };
    Endpoint::new(offer).unwrap();
    let written = fs::read_to_string(place.run_dir().join(FILE)).unwrap();
    assert!(written.contains("TOKEN") && !written.contains(CANARY), "{written}");
}
