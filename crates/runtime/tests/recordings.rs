//! Recordings of the real `claude` (2.1.330 and 2.1.197, their long lists shortened) against the
//! events and the outcome that they must give. A changed snapshot is a changed contract: look at it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{fmt::Write as _, path::Path};

use musher_runtime::claude::{
    decode::{Decoder, DecoderConfig},
    outcome::{Ended, Exit, outcome},
};

/// Recording, exit code (negative: the signal that ended it), a line on stderr, resumed session.
const TABLE: &[(&str, i32, Option<&str>, Option<&str>)] = &[
    ("agentic_partial", 0, None, None),
    ("ansi_bash", 0, None, None),
    ("bad_flag", 1, Some("error: unknown option '--no-such-flag'"), None),
    ("bare", 0, None, None),
    ("corrupt_config", 1, Some("Claude configuration file is corrupted"), None),
    ("crash_sigabrt_before_init", -6, Some("panic: Aborted by signal"), None),
    ("ctl_approve", 0, None, None),
    ("ctl_ask_user_question", 0, None, None),
    ("ctl_deny", 0, None, None),
    ("ctl_eof_pending_ask", 0, None, None),
    ("ctl_hooks", 0, None, None),
    ("ctl_interrupt_bash", 0, None, None),
    ("ctl_interrupt_text", 0, None, None),
    ("ctl_plan_file", 0, None, None),
    ("ctl_set_mode_model", 0, None, None),
    ("denied_bash_no_prompt_tool", 0, None, None),
    ("drop_rst", 0, None, None),
    ("e401", 1, None, None),
    ("e404_model", 1, None, None),
    ("e429_apikey", 1, None, None),
    ("e500_then_ok", 0, None, None),
    ("e529", 1, None, None),
    ("hook_events", 0, None, None),
    ("max_budget", 1, None, None),
    ("max_turns", 1, None, None),
    ("mcp_dead_server", 0, None, None),
    ("no_auth", 1, None, None),
    ("old_2.1.197_agentic", 0, None, None),
    ("old_2.1.197_e400", 1, None, None),
    ("old_2.1.197_rl_rejected", 1, None, None),
    ("prompt_too_long", 1, None, None),
    ("pty_p_80", 0, None, None),
    ("refusal", 1, None, None),
    ("resume_notuuid", 1, None, Some("some-name")),
    ("resume_ok", 0, None, Some("11111111-2222-4333-8444-555555555555")),
    ("resume_unknown", 1, None, Some("99999999-2222-4333-8444-555555555555")),
    ("rl_mid_oauth", 1, None, None),
    ("rl_overage_oauth", 0, None, None),
    ("rl_rejected_oauth", 1, None, None),
    ("rl_warning_oauth", 0, None, None),
    ("session_state_events", 0, None, None),
    ("sigint_during_bash", 0, None, None),
    ("sigkill_during_bash", -9, None, None),
    ("sigterm_during_bash", 143, None, None),
    ("stream_overloaded", 0, None, None),
    ("subagent", 0, None, None),
    ("subagent_fg", 0, None, None),
    ("thinking", 0, None, None),
    ("todo", 0, None, None),
];

#[test]
fn recordings_give_their_events_and_outcomes() {
    for (name, exit, stderr, resumed) in TABLE {
        insta::assert_snapshot!(*name, story(name, *exit, *stderr, *resumed));
    }
}

#[test]
fn every_fixture_is_in_the_table() {
    let mut files: Vec<String> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    files.sort();
    let named: Vec<&str> = TABLE.iter().map(|row| row.0).collect();
    assert_eq!(files, named);
}

/// Each event as a line of JSON behind its place, then the outcome.
fn story(name: &str, exit: i32, stderr: Option<&str>, resumed: Option<&str>) -> String {
    let bytes = std::fs::read(folder().join(format!("{name}.jsonl"))).unwrap();
    let mut decoder = Decoder::new(DecoderConfig {
        cwd: "/repo".into(),
        resumed: resumed.is_some(),
        ..DecoderConfig::default()
    });
    let mut text = String::new();
    for decoded in [decoder.feed(&bytes), decoder.finish()] {
        for sourced in decoded.events {
            let event = serde_json::to_string(&sourced.event).unwrap();
            writeln!(text, "{:>6} {event}", sourced.spool.unwrap()).unwrap();
        }
        for cue in decoded.cues {
            writeln!(text, "   cue {cue:?}").unwrap();
        }
    }
    let outcome = outcome(&Ended {
        facts: decoder.facts(),
        exit: &Exit {
            code: (exit >= 0).then_some(exit),
            signal: (exit < 0).then_some(-exit),
            ..Exit::default()
        },
        cause: None,
        stderr: &stderr.map(str::to_owned).into_iter().collect::<Vec<_>>(),
        resumed,
    });
    write!(text, "outcome {}", serde_json::to_string(&outcome).unwrap()).unwrap();
    text
}

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/claude")
}
