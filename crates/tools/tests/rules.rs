//! The rule corpus: what is allowed, denied and asked, and why.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::Place;
use musher_protocol::PermissionMode::{self, AcceptEdits, Ask, Bypass, Plan};
use musher_runtime::{ToolHost, Verdict};
use musher_tools::{
    Demand, Host, Rules,
    paths::Relative,
    rules::{Access, Script, Spot},
};
use serde_json::json;

const RULES: &str = "
# What a careful person would write.
allow run cargo test*
allow run cargo check
allow run git status
allow run git log *
allow run ls*
allow run echo *
allow run cat src/*
allow run npm run lint
allow edit src/**
allow edit *.md
allow fetch docs.rs
deny run git push*
deny run rm *
deny run cargo test --danger
deny run curl
deny read .env
deny edit src/secret
deny fetch *.evil.example
";

async fn judged(
    host: &Host,
    tool: &str,
    input: serde_json::Value,
    mode: PermissionMode,
) -> Verdict {
    host.intent(&common::call(tool, input), mode).await.unwrap().verdict
}

async fn run(host: &Host, command: &str, mode: PermissionMode) -> Verdict {
    judged(host, "run_command", json!({"command": command}), mode).await
}

/// Command, and the rules that allow it.
const ALLOWED: &[(&str, &str)] = &[
    ("cargo test", "allow run cargo test*"),
    ("cargo test --all -- --nocapture", "allow run cargo test*"),
    ("cargo testament", "allow run cargo test*"),
    ("  cargo   test  ", "allow run cargo test*"),
    ("cargo\ttest", "allow run cargo test*"),
    ("'cargo' \"test\"", "allow run cargo test*"),
    ("ca'rg'o te\\st", "allow run cargo test*"),
    ("cargo check", "allow run cargo check"),
    ("cargo check && cargo test", "allow run cargo check and allow run cargo test*"),
    ("cargo check; cargo test", "allow run cargo check and allow run cargo test*"),
    ("cargo check ;\n\n cargo test\n", "allow run cargo check and allow run cargo test*"),
    ("cargo check\ncargo test", "allow run cargo check and allow run cargo test*"),
    ("cargo test | cat src/x", "allow run cargo test* and allow run cat src/*"),
    ("cargo test ||\ngit status", "allow run cargo test* and allow run git status"),
    ("cargo test &", "allow run cargo test*"),
    ("cargo test & git status", "allow run cargo test* and allow run git status"),
    ("cargo test 2>&1", "allow run cargo test*"),
    ("cargo test 2>&1 | ls", "allow run cargo test* and allow run ls*"),
    ("cargo test >/dev/null 2>&1", "allow run cargo test*"),
    ("cargo test > /dev/null", "allow run cargo test*"),
    ("git log", "allow run git log *"),
    ("git log --oneline -5", "allow run git log *"),
    ("ls", "allow run ls*"),
    ("ls -la src/*.rs", "allow run ls*"),
    ("ls src/[ab]?.rs", "allow run ls*"),
    ("echo 'a; rm -rf /'", "allow run echo *"),
    ("echo \"a && b | c\"", "allow run echo *"),
    ("echo 'a $(rm x) `rm x`'", "allow run echo *"),
    ("echo a\\;b", "allow run echo *"),
    ("echo \"it's\" 'said \"so\"'", "allow run echo *"),
    ("echo 'line\nline'", "allow run echo *"),
    ("echo größe 漢字", "allow run echo *"),
    ("echo \\$HOME \"\\$HOME\"", "allow run echo *"),
    ("echo a#b", "allow run echo *"),
    ("echo ''", "allow run echo *"),
    ("cat src/main.rs", "allow run cat src/*"),
    ("cat src/*.rs", "allow run cat src/*"),
    ("cat src/'.?'/x", "allow run cat src/*"),
    ("echo hi > src/new.rs", "allow run echo * and allow edit src/**"),
    ("echo hi >> README.md", "allow run echo * and allow edit *.md"),
    ("echo hi >|src/new.rs", "allow run echo * and allow edit src/**"),
    ("echo hi 1>src/a 2> src/b", "allow run echo * and allow edit src/** and allow edit src/**"),
    ("cargo test < src/main.rs", "allow run cargo test*"),
    ("npm run lint", "allow run npm run lint"),
];

/// Command, and what the reason holds.
const ASKED: &[(&str, &str)] = &[
    // No rule.
    ("frob", "no rule allows `frob`"),
    ("cargo", "no rule allows `cargo`"),
    ("cargo build", "no rule"),
    ("cargo check --all", "no rule"),
    ("cargo check x", "no rule"),
    ("npm run lint2", "no rule"),
    ("npm run lint --fix", "no rule"),
    ("./cargo test", "no rule"),
    ("/tmp/cargo test", "no rule"),
    ("Cargo test", "no rule"),
    ("'cargo test'", "no rule"),
    ("cargo\\ test", "no rule"),
    ("gitlog", "no rule"),
    ("cargo test && frob", "no rule allows `frob`"),
    ("frob; cargo test", "no rule"),
    ("cargo test | tee x", "no rule"),
    ("cargo test & frob", "no rule"),
    ("cargo test\nfrob", "no rule"),
    ("cargo test &&\nfrob", "no rule"),
    ("cat /etc/passwd", "no rule"),
    ("cat src", "no rule"),
    ("cat src/a /etc/passwd", "no rule"),
    ("cat src/../../etc/passwd", "no rule"),
    ("cat src/..", "no rule"),
    ("cd /tmp && cargo test", "no rule allows `cd /tmp`"),
    ("find . -name x", "no rule"),
    // What the shell makes names of may lead out, or become what the rule does not name.
    ("cat src/.?/.env", "no rule"),
    ("cat src/.*/x", "no rule"),
    ("cat src/.[.]/x", "no rule"),
    ("cat src/[.][.]/x", "no rule"),
    ("cat src/*/.?/x", "no rule"),
    ("cat s[r]c/x", "no rule"),
    ("npm run lin?", "no rule"),
    // Redirections.
    ("echo hi > build.rs", "no rule allows this edit"),
    ("echo hi > /tmp/x", "leads out"),
    ("echo hi > ../x", "`..`"),
    ("echo hi > .git/config", "belongs to git"),
    ("echo hi > .GIT/hooks/pre-commit", "belongs to git"),
    ("echo hi > out/x", "leads out"),
    ("echo hi > ~/x", "made by the shell"),
    ("echo hi > src/*", "made by the shell"),
    ("echo hi > $X", "substitution"),
    ("echo hi &> src/x", "not every shell"),
    ("echo hi >& src/x", "seldom"),
    ("echo hi >&- ", "seldom"),
    ("echo hi >&2x", "seldom"),
    ("echo hi <> src/x", "seldom"),
    ("echo hi <&3", "seldom"),
    ("echo hi 12> src/x", "not every shell"),
    ("echo hi |& cat src/x", "not every shell"),
    ("> src/x", "without a command"),
    ("echo hi >", "not complete"),
    ("cat src/a < /etc/passwd", "leads out"),
    ("cd src && echo hi > x.md", "after changing the folder"),
    // Substitutions.
    ("echo $(make)", "substitution"),
    ("echo `make`", "substitution"),
    ("echo \"$(make)\"", "substitution"),
    ("echo \"`make`\"", "substitution"),
    ("echo $HOME", "substitution"),
    ("echo ${HOME}", "substitution"),
    ("echo \"$HOME\"", "substitution"),
    ("echo $((1+1))", "substitution"),
    ("echo $'a'", "substitution"),
    ("cat src/x <(make)", "substitution"),
    ("cargo test > >(make)", "not complete"),
    ("$CMD", "substitution"),
    ("c$(true)argo test", "substitution"),
    // Here-documents.
    ("cat src/x <<EOF\nmake\nEOF", "here-document"),
    ("cat src/x <<-EOF\nmake\nEOF", "here-document"),
    ("cat src/x <<< y", "here-document"),
    // What runs something else.
    ("sudo cargo test", "`sudo` runs other commands"),
    ("/usr/bin/sudo cargo test", "`sudo` runs"),
    ("env cargo test", "`env` runs"),
    ("env -S 'cargo test'", "`env` runs"),
    ("env -i PATH=. cargo test", "`env` runs"),
    ("xargs cargo test", "`xargs` runs"),
    ("ls | xargs cargo test", "`xargs` runs"),
    ("sh -c 'cargo test'", "`sh` runs"),
    ("bash -c 'cargo test'", "`bash` runs"),
    ("bash5.2 -c 'cargo test'", "runs other"),
    ("zsh-5.9 -c 'cargo test'", "runs other"),
    ("echo cargo test | sh", "`sh` runs"),
    ("busybox sh", "`busybox` runs"),
    ("nohup cargo test", "`nohup` runs"),
    ("timeout 5 cargo test", "`timeout` runs"),
    ("nice cargo test", "`nice` runs"),
    ("ssh host cargo test", "`ssh` runs"),
    ("find . -exec cargo test ;", "`find` runs"),
    ("find . -exec cargo test \\;", "`find` runs"),
    ("find . -ok cargo test \\;", "`find` runs"),
    ("fakeroot cargo test", "`fakeroot` runs"),
    ("x86_64 cargo test", "`x86_64` runs"),
    ("/lib64/ld-linux-x86-64.so.2 /bin/cargo test", "runs other"),
    ("start-stop-daemon -S -x /bin/cargo", "runs other"),
    ("eval cargo test", "`eval` changes"),
    ("source src/x", "`source` changes"),
    (". src/x", "`.` changes"),
    ("exec cargo test", "`exec` changes"),
    ("command cargo test", "`command` changes"),
    ("builtin echo hi", "`builtin` changes"),
    ("alias cargo=make; cargo test", "`alias` changes"),
    ("alias ls=make\nls", "`alias` changes"),
    ("unalias ls", "changes"),
    ("export PATH=.; cargo test", "`export` changes"),
    ("trap make EXIT; cargo test", "`trap` changes"),
    ("set -x; cargo test", "`set` changes"),
    ("hash -p ./make cargo; cargo test", "`hash` changes"),
    ("printf -v PATH . ; cargo test", "`printf` changes"),
    ("test -v 'a[$(make)]'", "`test` changes"),
    ("wait -p PATH", "`wait` changes"),
    ("jobs -x make", "`jobs` changes"),
    ("getopts a 'b[$(make)]'", "`getopts` changes"),
    // Assignments.
    ("PATH=. cargo test", "sets variables"),
    ("GIT_SSH_COMMAND=make git log", "sets variables"),
    ("X=1", "sets variables"),
    ("X=1; cargo test", "sets variables"),
    ("X+=1 cargo test", "sets variables"),
    // Groups, functions, keywords, comments.
    ("(cargo test)", "group"),
    ("{ cargo test; }", "braces"),
    ("echo {a,b}", "braces"),
    ("cargo() { make; }; cargo test", "group or a function"),
    ("function cargo { make; }", "keyword"),
    ("if cargo test; then make; fi", "keyword"),
    ("for x in a; do make; done", "keyword"),
    ("while cargo test; do make; done", "keyword"),
    ("! cargo test", "keyword"),
    ("time cargo test", "keyword"),
    ("[[ a ]] && cargo test", "keyword"),
    ("cargo test # make", "comment"),
    ("# cargo test\nmake", "comment"),
    ("cargo test\n#x", "comment"),
    // Lines, quotes.
    ("cargo \\\ntest", "continued line"),
    ("cargo te\\\nst", "continued line"),
    ("echo \"a\\\nb\"", "continued line"),
    ("cargo test \\", "continued line"),
    ("echo 'a", "not closed"),
    ("echo \"a", "not closed"),
    ("echo \"a\\\"", "not closed"),
    ("cargo test &&", "not complete"),
    ("cargo test |", "not complete"),
    ("; cargo test", "not complete"),
    ("&& cargo test", "not complete"),
    ("cargo test ;; git status", "not complete"),
    ("cargo test & & git status", "not complete"),
    // The program's name.
    ("carg? test", "made by the shell"),
    ("/bin/ech* hi", "made by the shell"),
    ("[ a ]", "made by the shell"),
    ("~/bin/echo hi", "made by the shell"),
    ("'' cargo test", "empty"),
    ("есho hi", "look like others"),
    ("\u{ff45}cho hi", "look like others"),
    // What does not show.
    ("echo\u{a0}hi", "do not show"),
    ("cargo test\u{200b}", "do not show"),
    ("echo \u{202e}ih", "do not show"),
    ("echo '\u{2066}x\u{2069}'", "do not show"),
    ("cargo\u{2003}test", "do not show"),
    ("cargo test\r", "do not show"),
    ("echo \u{1b}[2J", "do not show"),
    ("echo a\u{ad}b", "do not show"),
];

/// Command, and the rule that denies it, in every mode.
const DENIED: &[(&str, &str)] = &[
    ("git push", "deny run git push*"),
    ("git push --force", "deny run git push*"),
    ("git pushx", "deny run git push*"),
    ("/usr/bin/git push", "deny run git push*"),
    ("GIT push", "deny run git push*"),
    ("gi't' \"push\"", "deny run git push*"),
    ("\\git push", "deny run git push*"),
    ("cargo test && git push", "deny run git push*"),
    ("git status; git push", "deny run git push*"),
    ("git status\ngit push", "deny run git push*"),
    ("git status & git push", "deny run git push*"),
    ("cargo test --danger", "deny run cargo test --danger"),
    ("rm x", "deny run rm *"),
    ("rm", "deny run rm *"),
    ("/bin/rm -rf x", "deny run rm *"),
    ("ls | rm x", "deny run rm *"),
    ("curl", "deny run curl"),
    ("curl http://x", "deny run curl"),
    ("cargo test --danger now", "deny run cargo test --danger"),
    ("git -C . push", "deny run git push*"),
    ("git --no-pager push", "deny run git push*"),
    ("/bin/git -c a=b --git-dir x push -f", "deny run git push*"),
    ("sudo git -C . push", "deny run git push*"),
    ("fakeroot git push", "deny run git push*"),
    ("git pus?", "deny run git push*"),
    ("git [p]ush", "deny run git push*"),
    ("sudo git *ush", "deny run git push*"),
    ("python3 -c \"import os; os.system('git push')\"", "deny run git push*"),
    ("awk 'BEGIN { system(\"rm x\") }'", "deny run rm *"),
    ("git -c 'alias.x=!rm y' x", "deny run rm *"),
    ("tar -xf a --to-command='rm x'", "deny run rm *"),
    ("sed '1e rm x' a", "deny run rm *"),
    // In what is not understood, too.
    ("echo $(rm x)", "deny run rm *"),
    ("echo `git push`", "deny run git push*"),
    ("sudo rm -rf /", "deny run rm *"),
    ("sudo -u x rm -rf /", "deny run rm *"),
    ("env A=b rm x", "deny run rm *"),
    ("env -S 'rm x'", "deny run rm *"),
    ("ls | xargs rm -f", "deny run rm *"),
    ("sh -c 'rm x'", "deny run rm *"),
    ("sh -c \"sh -c 'git push'\"", "deny run git push*"),
    ("find . -exec rm {} +", "deny run rm *"),
    ("A=b git push", "deny run git push*"),
    ("(git push)", "deny run git push*"),
    ("{ git push; }", "deny run git push*"),
    ("if true; then git push; fi", "deny run git push*"),
    ("git push # quietly", "deny run git push*"),
    ("x() { rm y; }; x", "deny run rm *"),
    ("eval 'rm x'", "deny run rm *"),
    ("cat src/x <<EOF\n$(git push)\nEOF", "deny run git push*"),
    ("timeout 5 git push", "deny run git push*"),
    ("echo hi > src/secret", "deny edit src/secret"),
    ("echo hi > src/secret/x", "deny edit src/secret"),
    ("echo hi > SRC/SECRET", "deny edit src/secret"),
    ("cat src/x < .env", "deny read .env"),
    ("cat src/x < src/.env", "deny read .env"),
];

fn place() -> Place {
    let place = Place::new();
    place.link("../outside", "out");
    place
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

/// Tool, path, mode, and what comes of it: the beginning of the verdict's name and its reason.
#[tokio::test]
async fn files_and_pages() {
    let place = place();
    place.link("src", "inner");
    let host = Host::new(musher_tools::HostConfig { fetch: true, ..place.config(RULES) }).unwrap();
    let reading = "reading in the worktree needs no leave";
    let plan = "the mode is plan, in which nothing is changed or run";
    for (tool, what, mode, kind, why) in [
        ("read_file", "src/main.rs", Ask, "Allow", reading),
        ("read_file", "src/main.rs", Plan, "Allow", reading),
        ("read_file", ".env", Bypass, "Deny", "deny read .env"),
        ("read_file", "a/b/.env", Ask, "Deny", "deny read .env"),
        ("read_file", "a/.ENV", Ask, "Deny", "deny read .env"),
        ("read_file", ".env/x", Ask, "Deny", "deny read .env"),
        ("read_file", ".envrc", Ask, "Allow", reading),
        ("edit_file", "src/main.rs", Ask, "Allow", "allow edit src/**"),
        ("edit_file", "src/new/x.rs", Ask, "Allow", "allow edit src/**"),
        ("edit_file", "inner/x.rs", Ask, "Allow", "allow edit src/**"),
        ("edit_file", "inner/secret", Ask, "Deny", "deny edit src/secret"),
        ("edit_file", "src/main.rs", Plan, "Deny", plan),
        ("edit_file", "docs/x.md", Ask, "Allow", "allow edit *.md"),
        ("edit_file", "build.rs", Ask, "Ask", "no rule allows this edit"),
        ("edit_file", "build.rs", AcceptEdits, "Allow", "the mode is accept-edits"),
        ("edit_file", "build.rs", Bypass, "Allow", "the mode is bypass"),
        ("edit_file", "src/secret", Bypass, "Deny", "deny edit src/secret"),
        ("edit_file", "src/Secret/x", AcceptEdits, "Deny", "deny edit src/secret"),
        ("edit_file", ".env", AcceptEdits, "Allow", "the mode is accept-edits"),
        ("fetch_url", "https://docs.rs/x", Ask, "Allow", "allow fetch docs.rs"),
        ("fetch_url", "https://docs.rs.evil.example/", Bypass, "Deny", "deny fetch *.evil.example"),
        ("fetch_url", "https://example.org/", AcceptEdits, "Ask", "no rule allows it"),
        ("fetch_url", "https://example.org/", Bypass, "Allow", "the mode is bypass"),
        ("fetch_url", "https://docs.rs/x", Plan, "Deny", plan),
    ] {
        let input = match tool {
            "edit_file" => json!({"path": what, "new": "x"}),
            "fetch_url" => json!({ "url": what }),
            _ => json!({ "path": what }),
        };
        let verdict = judged(&host, tool, input, mode).await;
        let (found, reason) = match &verdict {
            Verdict::Allow { reason } => ("Allow", reason),
            Verdict::Deny { reason } => ("Deny", reason),
            Verdict::Ask { reason } => ("Ask", reason),
        };
        assert_eq!((found, reason.as_str()), (kind, why), "{tool} {what} {mode:?}");
    }
}

#[test]
fn rules_are_read_whole_or_not_at_all() {
    let rules =
        Rules::parse("# no rule\n\n allow  run   cargo test*\ndeny read .env\nallow tool x__*");
    let texts: Vec<String> = rules.unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(texts, ["allow run cargo test*", "deny read .env", "allow tool x__*"]);
    for (line, why) in [
        ("permit run x", "neither"),
        ("allow", "about none"),
        ("deny walk x", "about none"),
        ("deny read [", "cannot be used"),
        ("allow edit a{b", "cannot be used"),
        ("deny run a && b", "one rule for each part: `deny run a`, `deny run b`"),
        ("allow run a; b", "one rule for each part: `allow run a`, `allow run b`"),
        ("deny fetch http://evil.com/x", "the host alone: `deny fetch evil.com`"),
        ("allow fetch docs.rs:443", "the host alone: `allow fetch docs.rs`"),
        ("allow fetch *docs.rs", "the host alone"),
    ] {
        let error = Rules::parse(&format!("allow run x\n{line}")).unwrap_err().to_string();
        assert!(error.contains(why) && error.contains(line), "{error}");
    }
}

#[test]
fn a_verdict_says_which_rule_is_the_projects() {
    let project = Rules::parse("allow run git status\ndeny read .env").unwrap();
    let own = Rules::parse("deny run git *\nallow run cargo test*").unwrap();
    let rules = project.clone().of_project_and(own);
    let run = |rules: &Rules, text: &str| {
        rules.judge(&Demand::Run(Script::look(text, |_| Err(String::new()))), Ask)
    };
    let reason = "the project's rule `allow run git status`".to_owned();
    let alone = project.of_project_and(Rules::default());
    assert_eq!(run(&alone, "git status"), Verdict::Allow { reason });
    // Whoever wrote it: what denies wins.
    let reason = "deny run git *".to_owned();
    assert_eq!(run(&rules, "git status"), Verdict::Deny { reason });
    let reason = "allow run cargo test*".to_owned();
    assert_eq!(run(&rules, "cargo test"), Verdict::Allow { reason });
    let env = Relative::root().join(".env");
    let spot = Spot { path: env.clone(), place: env };
    let reason = "the project's rule `deny read .env`".to_owned();
    assert_eq!(rules.judge(&Demand::Path(Access::Read, spot), Bypass), Verdict::Deny { reason });
}

#[test]
fn every_rule_is_a_sentence() {
    for (rule, sentence) in [
        ("allow run git status", "`git status` may run unasked."),
        ("deny run", "No command may run."),
        ("deny run rm", "No command that begins with `rm` may run."),
        ("deny read .env", "`.env` may never be read."),
        ("allow edit src/**", "`src/**` may be changed unasked."),
        ("allow fetch docs.rs", "Pages of `docs.rs` may be fetched unasked."),
        ("deny tool github__*", "The tool `github__*` may never be used."),
    ] {
        assert_eq!(rule.parse::<musher_tools::Rule>().unwrap().sentence(), sentence);
    }
}

#[test]
fn tools_of_servers_are_judged_by_name() {
    let rules = Rules::parse("allow tool docs__*\ndeny tool *__delete").unwrap();
    let judge = |name: &str, mode| rules.judge(&Demand::Tool(name.to_owned()), mode);
    assert!(matches!(judge("docs__find", Ask), Verdict::Allow { .. }));
    assert!(matches!(judge("docs__delete", Bypass), Verdict::Deny { .. }));
    assert!(matches!(judge("other__find", AcceptEdits), Verdict::Ask { .. }));
    assert!(matches!(judge("docs__find", Plan), Verdict::Deny { .. }));
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
