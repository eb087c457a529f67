//! A project's rules: what a person allowed or denied in every run of it. They are kept as they are
//! written; `musher_tools` alone reads them.

use std::sync::atomic::Ordering;

use musher_protocol::*;
use musher_tools::{Rule, Rules};
use tokio::sync::oneshot;

use crate::{
    Engine,
    actor::Mail,
    core::{Core, bad_request, not_found},
};

/// More than a person can look over.
const MOST_RULES: usize = 500;
const LONGEST_RULE: usize = 1000;

impl Engine {
    pub async fn rule_list(&self, params: ProjectParams) -> Result<Vec<ProjectRule>, ApiError> {
        let project = self.project(&params.project).await?;
        let rules = rules_in(&self.core, &project.id).await?;
        Ok(rules.iter().map(|rule| self.shown(rule)).collect())
    }

    /// Holds for runs that start from now on, and for what those that live do by Musher's own tools from
    /// their next call on; answers what others ask.
    pub async fn rule_add(&self, params: RuleParams) -> Result<Vec<ProjectRule>, ApiError> {
        let project = self.project(&params.project).await?.id;
        let rule = rule_of(&params.rule)?;
        let known = self.core.store.rules(&project).await?;
        if known.len() >= MOST_RULES {
            return Err(bad_request(format!("A project has at most {MOST_RULES} rules."))
                .with_hint("Remove some, or say more with one: `allow run cargo *`."));
        }
        self.core.store.put_rule(&project, &rule.to_string(), self.core.now()).await?;
        self.tell_of_rules(&project).await?;
        self.rule_list(ProjectParams { project }).await
    }

    pub async fn rule_remove(&self, params: RuleParams) -> Result<Vec<ProjectRule>, ApiError> {
        let project = self.project(&params.project).await?.id;
        // As rules are kept: one space between words.
        let rule = params.rule.split_whitespace().collect::<Vec<_>>().join(" ");
        if !self.core.store.remove_rule(&project, &rule).await? {
            return Err(not_found("rule", format!("`{rule}` in this project"))
                .with_hint("`musher rules list` shows the ones there are."));
        }
        self.tell_of_rules(&project).await?;
        self.rule_list(ProjectParams { project }).await
    }

    /// The tools of the runs that live judge by them at once. What waits for an answer is looked at by
    /// its actor; one with a full mailbox does so when its agent asks next.
    async fn tell_of_rules(&self, project: &ProjectId) -> Result<(), ApiError> {
        let reading = next_reading(&self.core);
        let rules: Rules = rules_in(&self.core, project).await?.into_iter().collect();
        for (_, run) in self.core.runs.all() {
            if run.summary.borrow().project == *project {
                run.rules.set_of_project(reading, rules.clone());
                let (reply, _) = oneshot::channel();
                let _ = run.mailbox.try_send(Mail::Rules { reply });
            }
        }
        Ok(())
    }

    fn shown(&self, rule: &Rule) -> ProjectRule {
        let told = rule.told();
        ProjectRule {
            rule: rule.to_string(),
            allow: rule.allows(),
            sentence: rule.sentence(),
            notes: self.core.registry.all().filter_map(|kind| kind.cannot_keep(&told)).collect(),
        }
    }
}

fn rule_of(line: &str) -> Result<Rule, ApiError> {
    if line.len() > LONGEST_RULE || line.contains(char::is_control) {
        return Err(bad_request(
            "A rule is one short line: write for example `allow run cargo test*`.",
        ));
    }
    line.parse().map_err(|error| bad_request(sentence(&error)))
}

/// Taken before rules are read for runs that live. A run is in the table before it reads its own, so a
/// rule that was kept reaches it one way or the other.
pub(crate) fn next_reading(core: &Core) -> u64 {
    core.rule_readings.fetch_add(1, Ordering::SeqCst) + 1
}

/// # Errors
/// When a stored one cannot be read: to leave it out in silence would be worse.
pub(crate) async fn rules_in(core: &Core, project: &ProjectId) -> Result<Vec<Rule>, ApiError> {
    let lines = core.store.rules(project).await?;
    let read = |line: &String| {
        line.parse().map_err(|error| {
            bad_request(sentence(&error))
                .with_hint(format!("musher rules remove {}", in_shell(line)))
        })
    };
    lines.iter().map(read).collect()
}

/// The run's own rules, of an agent that has no others.
pub(crate) fn own_rules(settings: &RunSettings) -> Result<Rules, ApiError> {
    let text: Vec<String> = own_lines(settings).collect();
    Rules::parse(&text.join("\n")).map_err(|error| bad_request(sentence(&error)))
}

/// Those that are in Musher's words; an agent with a loop of its own keeps the others.
pub(crate) fn own_rules_in_our_words(settings: &RunSettings) -> Rules {
    own_lines(settings).filter_map(|line| line.parse().ok()).collect()
}

/// Each allowed or refused tool is a rule without its first word.
fn own_lines(settings: &RunSettings) -> impl Iterator<Item = String> {
    let allowed = settings.allowed_tools.iter().map(|rule| format!("allow {rule}"));
    allowed.chain(settings.disallowed_tools.iter().map(|rule| format!("deny {rule}")))
}

/// As a word that a shell reads back.
fn in_shell(line: &str) -> String {
    format!("'{}'", line.replace('\'', r"'\''"))
}

fn sentence(error: &musher_tools::RuleError) -> String {
    format!("The rule {error}.")
}
