//! Rules that could never hold for anything: whoever wrote one believes in a rule that there is not.

/// Words that end a command, or open a file.
const SIGNS: &[&str] = &["&&", "||", "|", ";", "&", ">", ">>", "<"];

/// Why a rule fits nothing, and how to write what is meant.
pub fn never_fits(allow: bool, about: &str, words: &[&str]) -> Option<(&'static str, String)> {
    let verb = if allow { "allow" } else { "deny" };
    match about {
        "run" => compound(verb, words),
        "fetch" => no_host(verb, &words.join(" ")),
        _ => None,
    }
}

fn compound(verb: &str, words: &[&str]) -> Option<(&'static str, String)> {
    let ends = |word: &&str| SIGNS.contains(word) || word.ends_with(';');
    if !words.iter().any(ends) {
        return None;
    }
    let parts = words.split_inclusive(ends).map(|part| {
        let words = part.iter().filter(|word| !SIGNS.contains(word));
        words.map(|word| word.trim_end_matches(';')).collect::<Vec<_>>().join(" ")
    });
    let parts: Vec<String> =
        parts.filter(|part| !part.is_empty()).map(|part| format!("`{verb} run {part}`")).collect();
    let form = format!("one rule for each part: {}", parts.join(", "));
    Some(("each part of a command line is judged alone", form))
}

fn no_host(verb: &str, pattern: &str) -> Option<(&'static str, String)> {
    let is_address = |char: char| char.is_whitespace() || "/?#@:".contains(char);
    // The address of a machine in brackets has colons of its own.
    let is_host =
        pattern.starts_with('[') && pattern.ends_with(']') || !pattern.contains(is_address);
    let star = pattern == "*" || pattern.strip_prefix("*.").unwrap_or(pattern).find('*').is_none();
    if is_host && star {
        return None;
    }
    let host = pattern.split_once("://").map_or(pattern, |(_, rest)| rest);
    let host = host.split(['/', '?', '#', ' ']).next().unwrap_or_default();
    let host = host.rsplit('@').next().unwrap_or_default();
    let host = host.split(':').next().unwrap_or_default();
    let form = match host.is_empty() || host.contains('*') {
        true => format!("the host alone: `{verb} fetch docs.rs`, or `{verb} fetch *.docs.rs`"),
        false => format!("the host alone: `{verb} fetch {host}`"),
    };
    Some(("pages are judged by their host", form))
}
