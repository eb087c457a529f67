//! A project's rules as Claude Code's own: `--allowedTools` and `--disallowedTools`.
//!
//! What must hold: a rule that allows is never told wider than it is, one that denies never narrower.
//! What cannot be told so is left out, with a sentence that says so: what was to be allowed is asked,
//! what was to be denied is judged by the mode alone.
//!
//! Their syntax is that of <https://code.claude.com/docs/en/permissions> (November 2026): `Bash(git *)`
//! with `*` as any text, words and spaces, a last ` *` also as nothing; paths as in `.gitignore`, from
//! the working folder on; hosts as `domain:`; a server's tools as `mcp__server__*`. How Claude Code
//! takes a command apart is its own: it does not see that `/bin/rm` is `rm`.

use crate::{About, Rule};

/// The tools that change files, where none of them may.
const EDITORS: [&str; 3] = ["Edit", "Write", "NotebookEdit"];
const READERS: [&str; 3] = ["Read", "Glob", "Grep"];

/// What the agent is told of a rule. `Err` says why nothing.
pub fn told(rule: &Rule) -> Result<Vec<String>, &'static str> {
    match rule.about {
        About::Run => command(rule),
        About::Read => path(rule, "Read", &READERS),
        About::Edit => path(rule, "Edit", &EDITORS),
        About::Fetch => page(rule),
        About::Tool => tool(rule),
    }
}

/// One sentence about a rule that the agent cannot be told.
pub fn cannot_keep(rule: &Rule) -> Option<String> {
    let why = told(rule).err()?;
    let so = match rule.allow {
        true => "it asks as if the rule were not there",
        false => "its permission mode alone decides",
    };
    Some(format!("Claude Code cannot be told `{}`, because {why}: {so}.", rule.text))
}

/// Both flags' lists: what may be used, what may not.
pub fn lists(rules: &[Rule]) -> (Vec<String>, Vec<String>) {
    let (mut allowed, mut denied) = (Vec::new(), Vec::new());
    for rule in rules {
        let list = if rule.allow { &mut allowed } else { &mut denied };
        list.extend(told(rule).unwrap_or_default());
    }
    (allowed, denied)
}

fn command(rule: &Rule) -> Result<Vec<String>, &'static str> {
    let pattern = rule.pattern.as_str();
    if pattern.is_empty() || pattern == "*" {
        return Ok(vec!["Bash".to_owned()]);
    }
    plain(pattern)?;
    if pattern.ends_with(":*") {
        return Err("`:*` has another meaning there");
    }
    let before_the_end = pattern.strip_suffix('*').unwrap_or(pattern);
    let last = pattern.rsplit(' ').next().unwrap_or_default();
    let is_wider = before_the_end.contains('*') || last.contains('/') && last.contains('*');
    if rule.allow && is_wider {
        return Err("its `*` would stand for more than one word there");
    }
    // What denies is about all that begins with its words.
    match rule.allow || pattern.ends_with('*') {
        true => Ok(vec![format!("Bash({pattern})")]),
        false => Ok(vec![format!("Bash({pattern} *)")]),
    }
}

fn path(rule: &Rule, tool: &str, all: &[&str]) -> Result<Vec<String>, &'static str> {
    let pattern = rule.pattern.trim_end_matches('/');
    let pattern = pattern.strip_prefix("./").unwrap_or(pattern);
    match (pattern, rule.allow) {
        ("", true) => return Ok(vec![format!("{tool}(./**)")]),
        ("", false) => return Ok(all.iter().map(|&tool| tool.to_owned()).collect()),
        _ => {}
    }
    plain(pattern)?;
    if pattern.contains(['{', '}', '[', ']', '!', '#']) {
        return Err("its pattern means something else there");
    }
    match pattern.strip_prefix('/') {
        None => Ok(vec![format!("{tool}({pattern})")]),
        Some(rest) if rest.contains('/') => Ok(vec![format!("{tool}({rest})")]),
        Some(_) if rule.allow => Err("a name at the top alone cannot be told there"),
        Some(rest) => Ok(vec![format!("{tool}({rest})")]),
    }
}

fn page(rule: &Rule) -> Result<Vec<String>, &'static str> {
    match rule.pattern.as_str() {
        "" | "*" => Ok(vec!["WebFetch".to_owned()]),
        host if host.contains('*') => Err("it knows whole names of hosts only"),
        host => {
            plain(host)?;
            Ok(vec![format!("WebFetch(domain:{host})")])
        }
    }
}

fn tool(rule: &Rule) -> Result<Vec<String>, &'static str> {
    let pattern = rule.pattern.as_str();
    let name = pattern.strip_suffix("__*").unwrap_or(pattern);
    let word = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    match name.starts_with("mcp__") && name.bytes().all(word) {
        true => Ok(vec![pattern.to_owned()]),
        false => Err("it knows tools by whole name or by their server (`mcp__server__*`)"),
    }
}

/// Nothing that ends or splits an argument of these flags.
fn plain(pattern: &str) -> Result<(), &'static str> {
    match pattern.contains(['(', ')', ',', '\\', '"', '\'', '\n']) || pattern.starts_with('-') {
        true => Err("it has signs that mean something else there"),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(text: &str) -> Rule {
        let mut words = text.splitn(3, ' ');
        let allow = words.next() == Some("allow");
        let about = match words.next() {
            Some("read") => About::Read,
            Some("edit") => About::Edit,
            Some("run") => About::Run,
            Some("fetch") => About::Fetch,
            _ => About::Tool,
        };
        let pattern = words.next().unwrap_or_default().to_owned();
        Rule { text: text.to_owned(), allow, about, pattern }
    }

    #[test]
    fn what_can_be_told_is_told_as_it_is() {
        for (text, flags) in [
            ("allow run git status", vec!["Bash(git status)"]),
            ("allow run cargo test*", vec!["Bash(cargo test*)"]),
            ("allow run cargo *", vec!["Bash(cargo *)"]),
            ("deny run", vec!["Bash"]),
            ("deny run rm", vec!["Bash(rm *)"]),
            ("deny run git * --force*", vec!["Bash(git * --force*)"]),
            ("deny read .env", vec!["Read(.env)"]),
            ("deny read", vec!["Read", "Glob", "Grep"]),
            ("allow edit src/**", vec!["Edit(src/**)"]),
            ("allow edit ./docs/", vec!["Edit(docs)"]),
            ("allow edit", vec!["Edit(./**)"]),
            ("deny edit", vec!["Edit", "Write", "NotebookEdit"]),
            ("deny edit /Cargo.lock", vec!["Edit(Cargo.lock)"]),
            ("allow fetch docs.rs", vec!["WebFetch(domain:docs.rs)"]),
            ("deny tool mcp__github__*", vec!["mcp__github__*"]),
        ] {
            assert_eq!(
                told(&rule(text)),
                Ok(flags.iter().map(|it| it.to_string()).collect()),
                "{text}"
            );
            assert_eq!(cannot_keep(&rule(text)), None);
        }
    }

    #[test]
    fn what_would_become_wider_or_narrower_is_left_out_and_said() {
        for text in [
            "allow run git * main",
            "allow run cat src/*",
            "allow run npm run test:*",
            "allow run echo (a)",
            "deny run npm run a:*",
            "deny read {a,b}",
            "allow edit /Cargo.lock",
            "deny fetch *.example.org",
            "allow tool mcp__a__e*",
            "deny tool update_plan",
            "deny tool",
            "allow run --model x",
        ] {
            let why = cannot_keep(&rule(text)).unwrap_or_default();
            assert!(why.contains(text) && why.ends_with('.'), "{text}: {why}");
            assert_eq!(lists(&[rule(text)]), (vec![], vec![]));
        }
    }
}
