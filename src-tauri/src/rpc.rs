//! What the page may call: [`rpc`] for every command, [`news`] to hear what changed, [`ready`] to say
//! that it listens, [`shows`] to say what it shows. Nothing else is granted to it.

use std::sync::Arc;

use musher_protocol::{ApiError, ErrorCode, StoryId};
use serde_json::Value;
use tauri::{State, ipc::Response};

use crate::shell::{Shell, locked};

/// As much as the server takes.
const PARAMS_LIMIT: usize = 4 << 20;

/// Any command of the protocol. The reply's JSON is passed on as text, never parsed here.
#[tauri::command]
pub(crate) async fn rpc(
    shell: State<'_, Arc<Shell>>,
    name: String,
    params: Value,
) -> Result<Response, ApiError> {
    let params = params.to_string();
    if params.len() > PARAMS_LIMIT {
        return Err(ApiError::new(ErrorCode::BadRequest, "The parameters are longer than 4 MiB."));
    }
    Ok(Response::new(shell.call(&name, &params).await?))
}

/// Waits for news, 25 seconds at most. The page asks again when it has drawn what it got: a Tauri
/// event for each would be kept by the web view for ever (tauri#12724), and nothing would hold the
/// sender back. With `fresh` everything is told, as a page that was just loaded needs it.
#[tauri::command]
pub(crate) async fn news(shell: State<'_, Arc<Shell>>, fresh: bool) -> Result<Response, ApiError> {
    // The page asks again after it has drawn: the first time without `fresh` it shows its data.
    tracing::debug!(fresh, "the page asks for news");
    let news = shell.page_news(fresh).await?;
    let text = serde_json::to_string(&news)
        .map_err(|error| crate::start::failed("The news could not be written", &error))?;
    Ok(Response::new(text))
}

/// The page listens to `drop` and `open-run` from now on.
#[tauri::command]
pub(crate) async fn ready(shell: State<'_, Arc<Shell>>) -> Result<(), ApiError> {
    shell.page_is_ready();
    Ok(())
}

/// The story on the page, if it shows one: of all others a person is told.
#[tauri::command]
pub(crate) fn shows(shell: State<'_, Arc<Shell>>, story: Option<StoryId>) {
    *locked(&shell.shown) = story;
}
