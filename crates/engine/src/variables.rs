//! A story's own variables: their values may be keys, so they live in memory; their names are stored,
//! so that an agent is never begun without one that it was given.

use musher_protocol::{ApiError, RunId, RunSettings};

use crate::core::conflict;

/// Writes down which variables there are.
pub(crate) fn name_variables(settings: &mut RunSettings) {
    settings.env_names.extend(settings.env.keys().cloned());
    settings.env_names.sort();
    settings.env_names.dedup();
}

/// Refuses while a value is not known to this engine.
pub(crate) fn check_complete(settings: &RunSettings, run: &RunId) -> Result<(), ApiError> {
    let lacking = settings.env_names.iter().filter(|name| !settings.env.contains_key(*name));
    let lacking: Vec<&str> = lacking.map(String::as_str).collect();
    if lacking.is_empty() {
        return Ok(());
    }
    let given: Vec<String> = lacking.iter().map(|name| format!("--env {name}=...")).collect();
    Err(conflict(format!(
        "It was started with the variables {}, whose values are never stored: go on with \
         `musher resume {run} {}`.",
        lacking.join(", "),
        given.join(" ")
    )))
}
