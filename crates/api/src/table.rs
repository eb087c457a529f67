//! The table of commands: each named once, with its parameters and what answers it.

use musher_engine::Engine;
use musher_protocol::*;
use serde::{Serialize, de::DeserializeOwned};

use crate::{Host, check::Check, open};

/// Each row: a name, the parameters' type, and the expression that answers: with a value, or with JSON
/// text already.
macro_rules! commands {
    (
        |$engine:ident, $host:ident, $params:ident|
        values { $($name:ident($type:ty) => $answer:expr;)* }
        text { $($text_name:ident($text_type:ty) => $text_answer:expr;)* }
    ) => {
        /// The names of all commands of the table.
        pub fn names() -> Vec<&'static str> {
            vec![$(stringify!($name),)* $(stringify!($text_name),)*]
        }

        /// Answers a command: `params` and the reply are JSON text. Nothing reaches the engine that
        /// did not parse and pass its check.
        pub async fn dispatch(
            $engine: &Engine,
            $host: &dyn Host,
            name: &str,
            params: &str,
        ) -> Result<String, ApiError> {
            match name {
                $(stringify!($name) => {
                    let $params: $type = read(params)?;
                    write(&$answer)
                })*
                $(stringify!($text_name) => {
                    let $params: $text_type = read(params)?;
                    Ok($text_answer)
                })*
                _ => Err(no_such_command(name)),
            }
        }
    };
}

commands! {
    |engine, host, params|
    values {
        app_info(Empty) => { let Empty {} = params; engine.app_info(host.kind()).await? };
        doctor(Empty) => { let Empty {} = params; engine.doctor().await? };
        folder_inspect(PathParams) => engine.folder_inspect(params).await?;
        folder_pick(Empty) => { let Empty {} = params; PickedFolders { paths: host.pick_folders().await? } };
        open_external(OpenParams) => { host.open_external(open::target(&params, open::known_worktrees(engine)).await?).await?; Empty {} };
        project_add(PathParams) => engine.project_add(params).await?;
        project_list(Empty) => { let Empty {} = params; engine.project_list().await? };
        project_remove(ProjectParams) => engine.project_remove(params).await?;
        project_bases(ProjectParams) => engine.project_bases(params).await?;
        project_worktrees(ProjectParams) => engine.project_worktrees(params).await?;
        trust_get(TrustParams) => engine.trust_get(params).await?;
        trust_set(TrustSetParams) => engine.trust_set(params).await?;
        rule_list(ProjectParams) => engine.rule_list(params).await?;
        rule_add(RuleParams) => engine.rule_add(params).await?;
        rule_remove(RuleParams) => engine.rule_remove(params).await?;
        worktree_changes(WorktreeParams) => engine.worktree_changes(params).await?;
        worktree_diff(DiffParams) => engine.worktree_diff(params).await?;
        worktree_remove(WorktreeRemoveParams) => engine.worktree_remove(params).await?;
        run_start(RunStartParams) => engine.run_start(params).await?;
        run_list(Empty) => { let Empty {} = params; engine.run_list().await? };
        run_get(RunParams) => engine.run_get(params).await?;
        run_send(RunSendParams) => engine.run_send(params).await?;
        run_answer(RunAnswerParams) => engine.run_answer(params).await?;
        run_interrupt(RunParams) => engine.run_interrupt(params).await?;
        run_stop(RunParams) => engine.run_stop(params).await?;
        run_stop_all(Empty) => { let Empty {} = params; engine.run_stop_all().await? };
        run_resume(RunResumeParams) => engine.run_resume(params).await?;
        run_set_model(RunSetModelParams) => engine.run_set_model(params).await?;
        run_set_permission_mode(RunSetModeParams) => engine.run_set_permission_mode(params).await?;
        run_mark_read(RunParams) => engine.run_mark_read(params).await?;
        key_list(Empty) => { let Empty {} = params; engine.key_list().await? };
        key_set(KeySetParams) => engine.key_set(params).await?;
        key_remove(KeyPlaceParams) => engine.key_remove(params).await?;
        endpoint_probe(EndpointProbeParams) => engine.endpoint_probe(params).await?;
        find_local_endpoints(Empty) => { let Empty {} = params; engine.find_local_endpoints().await? };
        page_log(PageLogParams) => { log_from_page(&params); Empty {} };
    }
    text {
        // A batch is assembled from stored lines; parsing it on the way would cost what storing it saved.
        run_events(RunEventsParams) => engine.run_events(params).await?;
    }
}

fn no_such_command(name: &str) -> ApiError {
    let name: String = name.chars().take(64).collect();
    ApiError::new(ErrorCode::NotFound, format!("There is no command `{name}`."))
        .with_hint("The page and the engine may be of different versions: restart Musher.")
}

/// Reads and checks parameters; the error names the field. Absent parameters are the empty object.
pub(crate) fn read<T: DeserializeOwned + Check>(text: &str) -> Result<T, ApiError> {
    let text = match text.trim() {
        "" | "null" => "{}",
        text => text,
    };
    let mut json = serde_json::Deserializer::from_str(text);
    let params: T = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let field = error.path().to_string();
        let at = if field == "." { String::new() } else { format!(" in `{field}`") };
        // The parser's words quote what they are about.
        let secret = T::SECRET || T::SECRET_FIELDS.iter().any(|hidden| field.starts_with(hidden));
        let why = if secret { String::new() } else { format!(": {}", error.inner()) };
        ApiError::new(ErrorCode::BadRequest, format!("The parameters do not fit{at}{why}."))
    })?;
    json.end().map_err(|_| {
        ApiError::new(ErrorCode::BadRequest, "Something follows the parameters' JSON.")
    })?;
    params.check()?;
    Ok(params)
}

pub(crate) fn write(reply: &impl Serialize) -> Result<String, ApiError> {
    serde_json::to_string(reply).map_err(|error| {
        ApiError::new(ErrorCode::Internal, format!("The reply could not be written: {error}."))
    })
}

/// More of one message is not kept: a page in a loop must not fill the disk.
const PAGE_LOG_CHARS: usize = 4_000;

fn log_from_page(params: &PageLogParams) {
    let message: String = params.message.chars().take(PAGE_LOG_CHARS).collect();
    tracing::warn!(target: "page", "{message:?}");
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_the_protocols_list() {
        let mut ours = names();
        let mut theirs: Vec<_> = COMMANDS.iter().map(|(name, _, _)| *name).collect();
        ours.sort_unstable();
        theirs.sort_unstable();
        assert_eq!(ours, theirs);
    }

    fn refused<T: DeserializeOwned + Check + std::fmt::Debug>(text: &str) -> String {
        let error = read::<T>(text).unwrap_err();
        assert_eq!(error.code, ErrorCode::BadRequest);
        error.message
    }

    #[test]
    fn an_error_names_the_field() {
        assert!(refused::<RunParams>("{}").contains("`run`"));
        assert!(refused::<RunParams>(r#"{"run":7}"#).contains("`run`"));
        assert!(refused::<RunParams>(r#"{"run":"../../etc"}"#).contains("`run`"));
        assert!(refused::<RunEventsParams>(r#"{"run":"r","from_seq":-1}"#).contains("`from_seq`"));
        let nested = r#"{"prompt":"x","place":{"kind":"worktree","path":"/w"},"settings":{"limits":{"max_turns":"many"}}}"#;
        assert!(refused::<RunStartParams>(nested).contains("`settings.limits.max_turns`"));
    }

    #[test]
    fn an_error_does_not_repeat_what_may_be_a_secret() {
        for (settings, field) in [
            (r#"{"endpoint":{"headers":"canary-5e"}}"#, "`settings.endpoint.headers`"),
            (r#"{"endpoint":{"headers":{"x-a":["canary-5e"]}}}"#, "headers.x-a"),
            (r#"{"env":"canary-5e"}"#, "`settings.env`"),
        ] {
            let place = r#"{"kind":"worktree","path":"/w"}"#;
            let text = format!(r#"{{"prompt":"x","place":{place},"settings":{settings}}}"#);
            let why = refused::<RunStartParams>(&text);
            assert!(why.contains(field) && !why.contains("canary"), "{why}");
        }
        let asked = r#"{"runtime":"openai","headers":"canary-5e"}"#;
        let why = refused::<EndpointProbeParams>(asked);
        assert!(why.contains("`headers`") && !why.contains("canary"), "{why}");
    }

    #[test]
    fn what_is_no_json_or_more_than_one_value_is_refused() {
        refused::<Empty>("{} {}");
        refused::<Empty>("[1");
        refused::<RunParams>(&"[".repeat(100_000));
    }

    #[test]
    fn absent_parameters_are_the_empty_object() {
        assert_eq!(read::<Empty>("").unwrap(), Empty {});
        assert_eq!(read::<Empty>(" null ").unwrap(), Empty {});
    }
}
