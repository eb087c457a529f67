//! A run for tests.

use musher_protocol::{RunPhase, RunSummary};

pub(crate) fn run(id: &str, phase: RunPhase) -> RunSummary {
    let run = serde_json::from_value(serde_json::json!({
        "id": id, "story": "s", "project": "p", "title": "Add a flag", "agent_name": "coder-1",
        "runtime": "demo", "worktree": "/w", "branch": "musher/add", "status": "running",
        "phase": phase, "usage": {
            "input_tokens": 0, "output_tokens": 0, "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0, "cost_microdollars": 0, "cost_source": "unknown" },
        "added": 0, "removed": 0, "files_changed": 0, "waiting": 0, "unread": false,
        "demo": false, "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
        "last_seq": 1,
    }));
    run.unwrap()
}
