//! What is worth a notification: a run needs an answer, is over, or hit a limit. `notices` shows them.

use musher_protocol::{RunId, RunOutcome, RunPhase, RunSummary};

/// What to tell a person, as plain text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Note {
    /// The run that a click opens; none when it opens the window only.
    pub(crate) run: Option<RunId>,
    pub(crate) summary: String,
    pub(crate) body: String,
}

/// What of a change is worth an interruption: only the step into a state, never the state itself.
pub(crate) fn note_of(
    before: Option<&RunSummary>,
    after: &RunSummary,
    project: &str,
) -> Option<Note> {
    let phase_before = before.map_or(RunPhase::Queued, |run| run.phase);
    let asked_before = before.map_or(0, |run| run.waiting);
    let happened = if after.phase == RunPhase::Done {
        if phase_before == RunPhase::Done { None } else { ending(after.outcome.as_ref()) }
    } else if after.phase.needs_person()
        && (!phase_before.needs_person() || after.waiting > asked_before)
    {
        // The phase comes after the request, and with it the words for what is asked.
        Some(("needs you", after.detail.clone()))
    } else if after.phase == RunPhase::WaitingRateLimit && phase_before != after.phase {
        Some(("waits for its limit", after.detail.clone()))
    } else {
        None
    };
    let (verb, what) = happened?;
    let place = if project.is_empty() { String::new() } else { format!(" in {project}") };
    let branch = after.branch.as_ref().map(|branch| format!(" ({branch})")).unwrap_or_default();
    let story = format!("{}{branch}", after.title);
    let body = what.into_iter().chain([story]).collect::<Vec<_>>().join("\n");
    Some(Note {
        run: Some(after.id.clone()),
        summary: format!("{}{place} {verb}", after.agent_name),
        body,
    })
}

fn ending(outcome: Option<&RunOutcome>) -> Option<(&'static str, Option<String>)> {
    match outcome? {
        RunOutcome::Completed => Some(("finished", None)),
        // The person did it.
        RunOutcome::Stopped { .. } => None,
        RunOutcome::RateLimited { .. } => {
            Some(("ran into its limit", Some("The account's quota is used up.".into())))
        }
        RunOutcome::LimitReached { .. } => {
            Some(("ran into its limit", Some("A limit of the run is reached.".into())))
        }
        RunOutcome::SpawnFailed { message } | RunOutcome::AuthenticationRequired { message } => {
            Some(("failed", Some(message.clone())))
        }
        RunOutcome::Failed { last_lines, .. }
        | RunOutcome::AbortedBeforeSession { last_lines, .. } => {
            Some(("failed", last_lines.last().cloned()))
        }
        _ => Some(("failed", None)),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn run(phase: RunPhase, waiting: u32, outcome: Option<RunOutcome>) -> RunSummary {
        let detail = Some("wants to run: cargo test".to_owned());
        RunSummary { waiting, outcome, detail, ..crate::sample::run("r", phase) }
    }

    fn said(before: Option<&RunSummary>, after: &RunSummary) -> Option<String> {
        note_of(before, after, "sundial").map(|note| note.summary)
    }

    #[test]
    fn a_request_names_project_agent_branch_and_what_is_asked() {
        let before = run(RunPhase::Running, 0, None);
        let asks = run(RunPhase::WaitingPermission, 1, None);
        let note = note_of(Some(&before), &asks, "sundial").unwrap();
        assert_eq!(note.summary, "coder-1 in sundial needs you");
        assert_eq!(note.body, "wants to run: cargo test\nAdd a flag (musher/add)");
        assert_eq!(said(Some(&asks), &asks), None);
        let only_counted = run(RunPhase::Running, 1, None);
        assert_eq!(said(Some(&before), &only_counted), None);
        assert!(said(Some(&only_counted), &asks).is_some());
        assert!(said(Some(&asks), &run(RunPhase::WaitingPermission, 2, None)).is_some());
        assert_eq!(said(Some(&asks), &before), None);
    }

    #[test]
    fn each_ending_is_told_once_and_a_stop_never() {
        let before = run(RunPhase::Running, 0, None);
        let done = |outcome| run(RunPhase::Done, 0, Some(outcome));
        let failed = RunOutcome::Failed { exit_code: Some(1), last_lines: vec!["no key".into()] };
        for (outcome, words) in [
            (RunOutcome::Completed, Some("coder-1 in sundial finished")),
            (failed, Some("coder-1 in sundial failed")),
            (
                RunOutcome::LimitReached { limit: musher_protocol::RunLimit::Turns },
                Some("coder-1 in sundial ran into its limit"),
            ),
            (RunOutcome::Stopped { by: musher_protocol::StoppedBy::User }, None),
        ] {
            let after = done(outcome);
            assert_eq!(said(Some(&before), &after).as_deref(), words);
            assert_eq!(said(Some(&after), &after), None);
            assert_eq!(said(None, &after).as_deref(), words);
        }
    }

    #[test]
    fn a_limit_is_told_when_the_wait_begins() {
        let before = run(RunPhase::Running, 0, None);
        let waits = run(RunPhase::WaitingRateLimit, 0, None);
        assert!(said(Some(&before), &waits).is_some());
        assert_eq!(said(Some(&waits), &waits), None);
    }
}
