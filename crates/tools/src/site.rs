//! The worktree as the tools on files share it: its root, the rules that a file must pass again when
//! it is open, and what the agent has seen of it.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Mutex, PoisonError},
};

use musher_runtime::Secrets;

use crate::{
    paths::{Relative, Root},
    rules::{Access, Demand, LiveRules, Spot},
    show::visible,
};

/// Most bytes of a file that a tool takes.
pub const LARGEST: u64 = 16 << 20;
/// How far into a file a NUL makes it binary, as git has it (`FIRST_FEW_BYTES` in xdiff-interface.c).
const LOOK: usize = 8000;

pub struct Site {
    pub root: Root,
    pub rules: LiveRules,
    /// What is not shown of files.
    pub secrets: Secrets,
    /// Files that the agent was shown whole, as they were then.
    seen: Mutex<HashMap<Relative, u64>>,
}

impl Site {
    pub fn new(root: Root, rules: LiveRules, secrets: Secrets) -> Self {
        Self { root, rules, secrets, seen: Mutex::default() }
    }

    /// What a model's path names, and where that leads.
    pub fn spot(&self, text: &str) -> Result<Spot, String> {
        let path = self.root.relative(text).map_err(|error| error.to_string())?;
        let place = self.root.place(&path).map_err(|error| error.to_string())?;
        Ok(Spot { path, place })
    }

    /// Checks a file that is open: it is the one that was judged, and no rule denies it.
    pub fn admit(
        &self,
        access: Access,
        demand: Option<&Demand>,
        place: &Relative,
    ) -> Result<(), String> {
        if let Some(Demand::Path(judged, spot)) = demand
            && (*judged, &spot.place) != (access, place)
        {
            return Err(format!(
                "{} leads elsewhere than it did when it was judged; look again.",
                visible(spot.path.as_str())
            ));
        }
        match self.rules.now().denies(access, place) {
            Some(rule) => {
                Err(format!("{} is closed by the rule `{rule}`.", visible(place.as_str())))
            }
            None => Ok(()),
        }
    }

    pub fn saw(&self, place: &Relative, bytes: &[u8]) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.insert(place.clone(), digest(bytes));
    }

    pub fn has_seen(&self, place: &Relative, bytes: &[u8]) -> bool {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.get(place) == Some(&digest(bytes))
    }
}

fn digest(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

pub fn is_binary(bytes: &[u8]) -> bool {
    memchr::memchr(0, &bytes[..bytes.len().min(LOOK)]).is_some()
}

/// The beginning of a line, and how much more of it there is.
pub fn cut(line: &str, most: usize) -> String {
    match line.char_indices().nth(most) {
        None => line.to_owned(),
        Some((at, _)) => format!("{}… [{} bytes more]", &line[..at], line.len() - at),
    }
}
