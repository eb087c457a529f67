//! The scripts that come with the program, and where a script is taken from.

use std::collections::BTreeMap;

use crate::script::{Script, ScriptError, marker};

macro_rules! scripts {
    ($($name:literal),* $(,)?) => {
        const SCRIPTS: &[(&str, &str)] = &[$(($name, include_str!(concat!("../scripts/", $name, ".json")))),*];
    };
}

scripts![
    "api_error",
    "auth_error",
    "background",
    "big",
    "burst",
    "close_stdout_early",
    "crash_before_init",
    "crash_mid_turn",
    "demo",
    "edit",
    "exit_no_result",
    "follow_up",
    "garbage",
    "grandchildren",
    "hello",
    "ignore_term",
    "late",
    "max_turns",
    "plan_approval",
    "question",
    "rate_limited",
    "rate_overage",
    "resume_rejected",
    "silent",
    "slow",
    "steer",
    "stdout_held",
    "stubborn",
    "two_asks",
    "unknown_control",
    "unknown_event",
    "usage",
];

/// The names of the built-in scripts.
pub fn names() -> impl Iterator<Item = &'static str> {
    SCRIPTS.iter().map(|(name, _)| *name)
}

/// The script for a message: the chosen one, else the message's own, else `demo`.
pub fn load(
    chosen: Option<&str>,
    message: &str,
    params: &BTreeMap<String, String>,
) -> Result<(String, Script), ScriptError> {
    let mut params = params.clone();
    let marked = marker(message);
    if let Some((_, given)) = &marked {
        params.extend(given.clone());
    }
    let name =
        chosen.map(str::to_owned).or(marked.map(|(name, _)| name)).unwrap_or_else(|| "demo".into());
    if let Some((_, json)) = SCRIPTS.iter().find(|(known, _)| *known == name) {
        return Ok((name.clone(), Script::parse(&name, json, &params)?));
    }
    // A message may be anybody's words: only whoever starts the program names files.
    if chosen.is_some() && name.ends_with(".json") {
        let json = std::fs::read_to_string(&name)
            .map_err(|error| ScriptError::Unreadable(name.clone(), error))?;
        return Ok((name.clone(), Script::parse(&name, &json, &params)?));
    }
    Err(ScriptError::Unknown(name, names().collect::<Vec<_>>().join(", ")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_built_in_script_can_be_read() {
        for (name, json) in SCRIPTS {
            let script = Script::parse(name, json, &BTreeMap::new()).unwrap();
            assert!(!script.turns.is_empty() && !script.about.is_empty(), "{name}");
        }
        let on_disk =
            std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts")).unwrap().count();
        assert_eq!(on_disk, SCRIPTS.len(), "a file in scripts/ is not built in");
    }

    #[test]
    fn the_start_chooses_before_the_message_and_the_message_before_the_default() {
        let none = BTreeMap::new();
        assert_eq!(load(Some("hello"), "[[script:edit]]", &none).unwrap().0, "hello");
        assert_eq!(load(None, "[[script:edit]]", &none).unwrap().0, "edit");
        assert_eq!(load(None, "do it", &none).unwrap().0, "demo");
        assert!(load(None, "[[script:/etc/x.json]]", &none).is_err());
    }
}
