//! A story's own variables and headers: their values may be keys, so they live in memory; their names
//! are stored, so that an agent is never begun without one that it was given.

use std::collections::BTreeMap;

use musher_protocol::{ApiError, ErrorCode, RunId, RunSettings};

/// Writes down which there are.
pub(crate) fn name_given(settings: &mut RunSettings) {
    note(&mut settings.env_names, &settings.env);
    note(&mut settings.endpoint.header_names, &settings.endpoint.headers);
}

fn note(names: &mut Vec<String>, given: &BTreeMap<String, String>) {
    names.extend(given.keys().cloned());
    names.sort();
    names.dedup();
}

/// Refuses while a value is not known to this engine.
pub(crate) fn check_complete(settings: &RunSettings, run: &RunId) -> Result<(), ApiError> {
    let endpoint = &settings.endpoint;
    let env = lacking(&settings.env_names, &settings.env);
    let headers = lacking(&endpoint.header_names, &endpoint.headers);
    if env.is_empty() && headers.is_empty() {
        return Ok(());
    }
    let what = [("variables", &env), ("headers", &headers)]
        .into_iter()
        .filter(|(_, names)| !names.is_empty())
        .map(|(what, names)| format!("the {what} {}", names.join(", ")))
        .collect::<Vec<_>>();
    let env = env.iter().map(|name| format!("--env {name}=..."));
    let headers = headers.iter().map(|name| format!("--header '{name}: ...'"));
    let given: Vec<String> = env.chain(headers).collect();
    Err(ApiError::new(
        ErrorCode::ValuesMissing,
        format!(
            "It was started with {}, whose values are never stored: go on with `musher resume {run} {}`.",
            what.join(" and "),
            given.join(" ")
        ),
    ))
}

fn lacking<'a>(names: &'a [String], given: &BTreeMap<String, String>) -> Vec<&'a str> {
    names.iter().filter(|name| !given.contains_key(*name)).map(String::as_str).collect()
}
