//! The real `claude` is content with the scripted model: what the other live tests build on.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::process::{Command, Output};

use musher_testkit::Live;
use serde_json::Value;

fn claude(live: &Live, prompt: &str) -> (Value, Output) {
    let output = Command::new(&live.claude)
        .args(["-p", prompt, "--output-format", "stream-json", "--verbose"])
        .args(["--permission-mode", "acceptEdits", "--allowedTools", "Bash"])
        .current_dir(live.repo.path())
        .env_clear()
        .envs(live.env())
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let result = lines.rfind(|line| line["type"] == "result");
    (result.unwrap_or_else(|| panic!("no result: {output:?}")), output)
}

#[test]
#[ignore = "needs the claude package: cargo xtask test --live"]
fn carries_out_what_the_model_says() {
    let live = Live::new().unwrap();
    let (result, output) = claude(&live, "do it [[model:agentic]]");
    assert_eq!((output.status.code(), &result["is_error"]), (Some(0), &Value::Bool(false)));
    assert_eq!(result["result"], "Done: written, edited and seen by git.");
    let text = std::fs::read_to_string(live.repo.path().join("greeting.txt")).unwrap();
    assert_eq!(text, "hello\nplanet — ünïcødé 🦀\n");
    let steps: Vec<_> = live
        .model
        .requests()
        .into_iter()
        .filter_map(|request| request.scenario)
        .map(|(_, step)| step)
        .collect();
    assert_eq!(steps, [0, 1, 2, 3]);
}

#[test]
#[ignore = "needs the claude package: cargo xtask test --live"]
fn reports_what_the_service_refuses() {
    let live = Live::new().unwrap();
    // A cut stream is asked for once more without streaming.
    assert_eq!(claude(&live, "do it [[model:cut]]").0["result"], "This will be cut. ");
    for (scenario, status) in
        [("rate_limited", 429), ("server_error", 500), ("bad_key", 401), ("refused", 400)]
    {
        let (result, output) = claude(&live, &format!("do it [[model:{scenario}]]"));
        assert_eq!(
            (output.status.code(), &result["api_error_status"]),
            (Some(1), &status.into()),
            "{scenario}"
        );
    }
}
