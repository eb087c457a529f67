//! Command lines: the corpus in every mode, and what no line of it shows.

use musher_protocol::PermissionMode::{self, AcceptEdits, Ask, Bypass, Plan};
use musher_runtime::Verdict;
use musher_tools::{Demand, Host, Rules, rules::Script};
use serde_json::json;

use super::{
    RULES, common,
    corpus::{ALLOWED, ASKED, CHANGING, DENIED, NAMING, PRINTING},
    judged, place,
};

async fn run(host: &Host, command: &str, mode: PermissionMode) -> Verdict {
    judged(host, "run_command", json!({"command": command}), mode).await
}

#[tokio::test]
async fn what_rules_allow() {
    let place = place();
    let host = place.host_with(RULES);
    for (command, rules) in ALLOWED {
        let verdict = run(&host, command, Ask).await;
        assert_eq!(verdict, Verdict::Allow { reason: (*rules).to_owned() }, "{command:?}");
        let reason = "the mode is plan, in which nothing is changed or run".to_owned();
        assert_eq!(run(&host, command, Plan).await, Verdict::Deny { reason }, "{command:?}");
    }
}

#[tokio::test]
async fn what_is_asked() {
    let place = place();
    let host = place.host_with(RULES);
    // An `allow run *` changes nothing for what is not understood.
    let generous = place.host_with(&format!("{RULES}\nallow run\nallow edit"));
    for (command, why) in ASKED {
        let verdict = run(&host, command, Ask).await;
        match &verdict {
            Verdict::Ask { reason } if reason.contains(why) => {}
            _ => panic!("{command:?}: {verdict:?} without {why:?}"),
        }
        let verdict = run(&generous, command, AcceptEdits).await;
        let by_rules = why.starts_with("no rule");
        assert_eq!(matches!(verdict, Verdict::Allow { .. }), by_rules, "{command:?}: {verdict:?}");
        let verdict = run(&host, command, Bypass).await;
        let allowed =
            matches!(&verdict, Verdict::Allow { reason } if reason == "the mode is bypass");
        assert_eq!(allowed, by_rules, "{command:?}: {verdict:?}");
    }
}

/// What runs anything is allowed by its own name only, where something is denied.
#[test]
fn what_runs_the_unread_is_asked_where_something_is_denied() {
    let verdict = |rules: &str, text: &str, mode| {
        let script = Script::look(text, |_| Err(String::new()));
        Rules::parse(rules).unwrap().judge(&Demand::Run(script), mode)
    };
    for text in ["make all", "python3 -c 'print(1)'", "gdb -p 1", "git -c alias.x=!y x"] {
        let asked = |rules, mode| matches!(verdict(rules, text, mode), Verdict::Ask { .. });
        let denying = "allow run\ndeny run git push*";
        assert!(asked(denying, Ask) && asked(denying, Bypass), "{text}");
        assert!(!asked("allow run", Ask) && !asked("allow run", Bypass), "{text}");
    }
    let named = "allow run make *\ndeny run git push*";
    assert!(matches!(verdict(named, "make all", Ask), Verdict::Allow { .. }));
}

/// A word that the shell makes names of may be what a rule denies.
#[test]
fn a_pattern_is_denied_where_it_may_become_what_is() {
    let rules = Rules::parse("allow run cat *\ndeny run cat .env*\ndeny run cp a b").unwrap();
    let denied = |text: &str| {
        let script = Script::look(text, |_| Err(String::new()));
        matches!(rules.judge(&Demand::Run(script), Ask), Verdict::Deny { .. })
    };
    for text in ["cat .e?v", "cat .*", "cat .[e]nv", "cat [.]env", "cp [ab]", "cp ? b"] {
        assert!(denied(text), "{text}");
    }
    for text in ["cat src/*", "cat '.e?v'", "cat .e\\?v", "cat b*", "cp [ab]c"] {
        assert!(!denied(text), "{text}");
    }
}

#[test]
fn what_may_lead_out_of_a_folder_is_not_allowed_by_its_rule() {
    let rules = Rules::parse("allow run cat src/*").unwrap();
    for text in ["cat src/.?/x", "cat src/.*/x", "cat src/.[.]/x", "cat src/[.][.]/x"] {
        let script = Script::look(text, |_| Err(String::new()));
        let verdict = rules.judge(&Demand::Run(script), Ask);
        assert!(matches!(verdict, Verdict::Ask { .. }), "{text}: {verdict:?}");
    }
}

/// What denies a file denies each command whose words name it, in every mode and over what allows.
#[tokio::test]
async fn a_file_that_is_denied_is_in_no_command() {
    let place = place();
    for (file, text) in [(".env", "key"), ("src/secret/x", "x")] {
        place.put(file, text);
    }
    place.link(".env", "harmless");
    place.link("src", "inner");
    let denying = "deny read .env\ndeny read *.pem\ndeny edit src/secret/**\ndeny read a[bc].d";
    let host = place.host_with(&format!("allow run\nallow run cat*\nallow edit\n{denying}"));
    let inside = format!("cat {}/src/secret/x", place.root().display());
    for command in [
        "cat .env",
        "cat ./a/../.env",
        "cat a/b/.ENV",
        "cat ../x/.env",
        "cat /tmp/.env",
        "cat '.e'nv",
        "cat .e*",
        "cat .en[v]",
        "cat */.env",
        "cat k*",
        "cat k?.pem",
        "x --file=.env",
        "x -f.env",
        "git show HEAD:.env",
        "curl -d @.env x",
        "ls && cp .env x | cat",
        "cat .env/x",
        "cat src/secret/x",
        "cat src/*/x",
        "cat src/s*/x",
        "cd src && cat secret/x",
        "cat ab.d a?.d",
        "cat harmless",
        "cat inner/secret/x",
        "scripts/x.pem",
        "sh -c 'cat .env'",
        "echo $(cat .env)",
        "python3 -c \"open('.env')\"",
        "cat .env > $x",
        &inside,
    ] {
        for mode in [Ask, AcceptEdits, Bypass] {
            let verdict = run(&host, command, mode).await;
            assert!(matches!(verdict, Verdict::Deny { .. }), "{command} {mode:?}: {verdict:?}");
        }
    }
    for command in ["cat .envrc", "cat *", "cat src/*.rs", "cat src/other/x", "env.d -x", "ls a?.e"]
    {
        let allows = run(&host, command, Bypass).await;
        // Of all names, some may be keys.
        let is_any = command == "cat *";
        assert_eq!(matches!(allows, Verdict::Allow { .. }), !is_any, "{command}: {allows:?}");
    }
    for command in ["cat $x", "make", "cd - && cat x", "cd $x; cat y", "python3 -c 'print(1)'"] {
        let asks = run(&host, command, Bypass).await;
        assert!(matches!(asks, Verdict::Ask { .. }), "{command}: {asks:?}");
    }
}

/// Of all files no word tells: what is known to change files is denied, what prints them is asked.
#[tokio::test]
async fn all_files_are_closed_to_the_programs_that_are_known() {
    let place = place();
    for (rule, cases) in [
        ("deny edit", CHANGING),
        ("deny edit **", CHANGING),
        ("deny read", PRINTING),
        ("deny read **", PRINTING),
        ("deny read ./", PRINTING),
    ] {
        let host = place.host_with(&format!("allow run\nallow run cat*\nallow edit\n{rule}"));
        for (command, wanted) in cases {
            for mode in [Ask, AcceptEdits, Bypass] {
                let verdict = run(&host, command, mode).await;
                let (is, reason) = match &verdict {
                    Verdict::Allow { reason } => ("allow", reason),
                    Verdict::Deny { reason } => ("deny", reason),
                    Verdict::Ask { reason } => ("ask", reason),
                };
                assert_eq!(is, *wanted, "{rule} {mode:?} {command}: {reason}");
                assert!(is != "deny" || reason == rule, "{command}: {reason}");
            }
            let plan = run(&host, command, Plan).await;
            assert!(matches!(plan, Verdict::Deny { .. }), "{command}: {plan:?}");
        }
    }
}

/// All dot files are not all files.
#[tokio::test]
async fn a_pattern_of_dots_is_a_pattern() {
    let place = place();
    let host = place.host_with("allow run\ndeny read .*");
    assert!(matches!(run(&host, "cat .env", Bypass).await, Verdict::Deny { .. }));
    assert!(matches!(run(&host, "cat env", Bypass).await, Verdict::Allow { .. }));
}

#[test]
fn a_pattern_that_can_be_no_denied_file_denies_nothing() {
    let rules =
        Rules::parse("allow run\ndeny read .env\ndeny read *.pem\ndeny read x/key").unwrap();
    let judged = |text: &str, mode| {
        rules.judge(&Demand::Run(Script::look(text, |_| Err(String::new()))), mode)
    };
    for (text, denied) in NAMING {
        for mode in [Ask, AcceptEdits, Bypass] {
            let verdict = judged(text, mode);
            let is = matches!(verdict, Verdict::Deny { .. });
            assert_eq!(is, *denied, "{text} {mode:?}: {verdict:?}");
        }
    }
}

#[tokio::test]
async fn what_is_denied() {
    let place = place();
    let host = place.host_with(&format!("allow run\nallow edit\n{RULES}"));
    for (command, rule) in DENIED {
        for mode in [Plan, Ask, AcceptEdits, Bypass] {
            let verdict = run(&host, command, mode).await;
            assert_eq!(
                verdict,
                Verdict::Deny { reason: (*rule).to_owned() },
                "{command:?} {mode:?}"
            );
        }
    }
}

#[test]
fn the_corpus_is_large_enough() {
    assert!(ALLOWED.len() + ASKED.len() + DENIED.len() >= 200);
}

#[test]
fn without_rules_that_deny_bypass_asks_nothing() {
    let rules = Rules::parse("allow run x").unwrap();
    let script = Script::look("echo $(make)", |_| Err(String::new()));
    let verdict = rules.judge(&Demand::Run(script), Bypass);
    assert_eq!(verdict, Verdict::Allow { reason: "the mode is bypass".into() });
}

#[test]
fn a_long_command_is_judged_quickly() {
    let rules = Rules::parse("deny run rm *\nallow run echo*").unwrap();
    let begun = std::time::Instant::now();
    for text in
        ["echo ".repeat(200_000), format!("sh -c '{}'", "x y ".repeat(7000)), "(".repeat(30_000)]
    {
        let script = Script::look(&text, |_| Err(String::new()));
        assert!(matches!(rules.judge(&Demand::Run(script), Ask), Verdict::Ask { .. }));
    }
    assert!(begun.elapsed() < common::LIMIT);
}
