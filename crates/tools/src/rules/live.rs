//! The rules of a run that lives: those of its project may change at any time, its own do not.

use std::sync::{Arc, PoisonError, RwLock};

use super::Rules;

/// Clones are one: what is set for any of them holds for all, from the next look on.
#[derive(Clone, Debug, Default)]
pub struct LiveRules(Arc<RwLock<Held>>);

#[derive(Debug, Default)]
struct Held {
    own: Rules,
    project: Rules,
    /// Which reading of the project's rules these are.
    reading: u64,
    now: Arc<Rules>,
}

impl LiveRules {
    pub fn now(&self) -> Arc<Rules> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).now.clone()
    }

    /// The run's own, known at its start.
    pub fn set_own(&self, own: Rules) {
        self.change(|held| held.own = own);
    }

    /// The project's. Whoever reads them takes a number first, higher than all before: so of two who set
    /// them the one with the older list changes nothing, whoever comes last.
    pub fn set_of_project(&self, reading: u64, project: Rules) {
        self.change(|held| {
            if reading >= held.reading {
                (held.reading, held.project) = (reading, project);
            }
        });
    }

    fn change(&self, change: impl FnOnce(&mut Held)) {
        let mut held = self.0.write().unwrap_or_else(PoisonError::into_inner);
        change(&mut held);
        held.now = Arc::new(held.project.clone().of_project_and(held.own.clone()));
    }
}

/// Rules that stay as they are.
impl From<Rules> for LiveRules {
    fn from(rules: Rules) -> Self {
        let live = Self::default();
        live.set_own(rules);
        live
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(text: &str) -> Rules {
        Rules::parse(text).expect("rules")
    }

    fn shown(live: &LiveRules) -> Vec<String> {
        live.now().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_older_list_changes_nothing_and_the_runs_own_rules_stay() {
        let live = LiveRules::default();
        let other = live.clone();
        other.set_of_project(2, rules("deny edit a\ndeny edit b"));
        live.set_own(rules("allow run make"));
        live.set_of_project(1, rules("deny edit a"));
        assert_eq!(shown(&other), ["deny edit a", "deny edit b", "allow run make"]);
        live.set_of_project(3, Rules::default());
        assert_eq!(shown(&other), ["allow run make"]);
    }
}
