//! The routes, and what every answer carries.

use std::sync::Arc;

use axum::{
    Router,
    body::Bytes,
    extract::{
        DefaultBodyLimit, Path, Request, State, WebSocketUpgrade,
        rejection::BytesRejection,
        ws::{Message, WebSocket},
    },
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::{Next, from_fn_with_state, map_response_with_state},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use futures::StreamExt;
use musher_engine::MAX_PROMPT_BYTES;
use musher_protocol::{ApiError, ErrorCode, News};
use tokio_util::sync::CancellationToken;

use super::{
    door::{Door, Refusal, answered_protocol},
    page::{Page, serve_file},
};
use crate::{Api, NewsStream};

/// The longest prompt in its longest spelling (JSON may write one byte as `\u0000`), and room for the
/// settings beside it.
const BODY_LIMIT: usize = MAX_PROMPT_BYTES * 6 + (1 << 20);
/// The page says nothing over the WebSocket.
const INBOUND_LIMIT: usize = 4 << 10;

#[derive(Clone)]
struct Behind {
    api: Arc<dyn Api>,
    cancel: CancellationToken,
}

/// All routes behind `door`. Without a page the commands, the news, `/show` and
/// `/give_way`; these two only where no page is served, for only another start of the program may ask.
pub(super) fn router(
    api: Arc<dyn Api>,
    door: Door,
    page: Option<Page>,
    cancel: CancellationToken,
) -> Router {
    let policy = page.as_ref().map_or("default-src 'none'".to_owned(), |page| page.policy.clone());
    let mut router = Router::new().route("/rpc/{name}", post(rpc)).route("/news", get(news));
    router = match page {
        Some(page) => router.fallback_service(get(serve_file).with_state(Arc::new(page))),
        None => router
            .route("/show", post(show))
            .route("/give_way", post(give_way))
            .fallback(nothing_here),
    };
    router
        .method_not_allowed_fallback(wrong_method)
        .with_state(Behind { api, cancel })
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(from_fn_with_state(Arc::new(door), guard))
        .layer(map_response_with_state(Arc::<str>::from(policy), harden))
}

async fn guard(State(door): State<Arc<Door>>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    match door.check(&parts) {
        Ok(()) => next.run(Request::from_parts(parts, body)).await,
        Err(refusal) => refusal.into_response(),
    }
}

/// On every answer, refusals included.
async fn harden(State(policy): State<Arc<str>>, mut response: Response) -> Response {
    let headers = response.headers_mut();
    let fixed = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
    headers.insert("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}

fn json(status: StatusCode, value: &impl serde::Serialize) -> Response {
    (status, axum::Json(value)).into_response()
}

fn json_text(text: String) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], text).into_response()
}

fn failed(error: &ApiError) -> Response {
    json(status_of(error.code), error)
}

fn status_of(code: ErrorCode) -> StatusCode {
    match code {
        ErrorCode::BadRequest | ErrorCode::NotARepository => StatusCode::BAD_REQUEST,
        ErrorCode::NotFound => StatusCode::NOT_FOUND,
        ErrorCode::Conflict
        | ErrorCode::WouldLoseWork
        | ErrorCode::TrustNeeded
        | ErrorCode::ValuesMissing => StatusCode::CONFLICT,
        ErrorCode::EngineGone => StatusCode::SERVICE_UNAVAILABLE,
        ErrorCode::DataDirLocked => StatusCode::LOCKED,
        ErrorCode::DiskFull => StatusCode::INSUFFICIENT_STORAGE,
        ErrorCode::NoPermission => StatusCode::FORBIDDEN,
        ErrorCode::Unsupported => StatusCode::NOT_IMPLEMENTED,
        ErrorCode::Unauthorized => StatusCode::UNAUTHORIZED,
        ErrorCode::GitMissing
        | ErrorCode::GitFailed
        | ErrorCode::RuntimeMissing
        | ErrorCode::RuntimeFailed
        | ErrorCode::StoreFailed
        | ErrorCode::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

type Body = Result<Bytes, BytesRejection>;

/// The body's text. A form or plain text, which another page could send unasked, is not taken.
fn json_body(headers: &HeaderMap, body: Body) -> Result<String, Refusal> {
    let refuse = |status, message: &str| Refusal {
        status,
        error: ApiError::new(ErrorCode::BadRequest, message),
    };
    let kind =
        headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let essence = kind.split(';').next().unwrap_or("").trim();
    if !essence.eq_ignore_ascii_case("application/json") {
        return Err(refuse(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "The body must be sent as `application/json`.",
        ));
    }
    let body = body.map_err(|error| {
        let limit = BODY_LIMIT >> 20;
        let message = format!("The body is longer than {limit} MiB, or was cut.");
        let mut refusal = refuse(error.status(), &message);
        let hint = "Put a long text into a file of the worktree and name it.";
        refusal.error = refusal.error.with_hint(hint);
        refusal
    })?;
    String::from_utf8(body.into())
        .map_err(|_| refuse(StatusCode::BAD_REQUEST, "The body is not UTF-8."))
}

async fn rpc(
    State(behind): State<Behind>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let params = match json_body(&headers, body) {
        Ok(params) => params,
        Err(refusal) => return refusal.into_response(),
    };
    // What waits must not hold the end of the server; what acts is never cut off half way, and not
    // begun any more.
    let waits = matches!(name.as_str(), "run_events" | "run_stop");
    let answer = tokio::select! {
        biased;
        () = behind.cancel.cancelled(), if waits || behind.cancel.is_cancelled() => Err(ending()),
        answer = behind.api.call(&name, &params) => answer,
    };
    match answer {
        Ok(text) => json_text(text),
        Err(error) => failed(&error),
    }
}

#[derive(serde::Deserialize)]
struct ShowParams {
    folders: Vec<String>,
}

async fn show(State(behind): State<Behind>, headers: HeaderMap, body: Body) -> Response {
    let params = match json_body(&headers, body) {
        Ok(params) => params,
        Err(refusal) => return refusal.into_response(),
    };
    let shown = match serde_json::from_str::<ShowParams>(&params) {
        Ok(params) => behind.api.show(params.folders).await,
        Err(error) => Err(ApiError::new(
            ErrorCode::BadRequest,
            format!("The parameters do not fit: {error}."),
        )),
    };
    done(shown)
}

async fn give_way(State(behind): State<Behind>) -> Response {
    done(behind.api.give_way().await)
}

fn done(result: Result<(), ApiError>) -> Response {
    match result {
        Ok(()) => json_text("{}".to_owned()),
        Err(error) => failed(&error),
    }
}

async fn nothing_here() -> Response {
    failed(&ApiError::new(ErrorCode::NotFound, "Nothing is at this address."))
}

async fn wrong_method() -> Response {
    let error = ApiError::new(ErrorCode::BadRequest, "This address takes another method.");
    json(StatusCode::METHOD_NOT_ALLOWED, &error)
}

async fn news(
    State(behind): State<Behind>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    let news = match behind.api.news().await {
        Ok(news) => news,
        Err(error) => return failed(&error),
    };
    upgrade
        .protocols(answered_protocol(&headers))
        .max_message_size(INBOUND_LIMIT)
        .max_frame_size(INBOUND_LIMIT)
        .on_upgrade(move |socket| push(socket, news, behind.cancel))
}

/// Pushes until either side is gone. A page that reads slowly holds only its own reader back, and
/// that one joins what it missed.
async fn push(mut socket: WebSocket, mut news: NewsStream, cancel: CancellationToken) {
    loop {
        tokio::select! {
            () = cancel.cancelled() => break,
            heard = socket.recv() => match heard {
                Some(Ok(Message::Close(_)) | Err(_)) | None => break,
                Some(Ok(_)) => {}
            },
            next = news.next() => {
                let Some(Ok(message)) = next.as_ref().map(message) else { break };
                if socket.send(message).await.is_err() {
                    break;
                }
            }
        }
    }
    // The other side may be gone already.
    let _ = socket.send(Message::Close(None)).await;
}

fn message(news: &News) -> Result<Message, serde_json::Error> {
    Ok(Message::Text(serde_json::to_string(news)?.into()))
}

fn ending() -> ApiError {
    ApiError::new(ErrorCode::EngineGone, "Musher is ending.")
        .with_hint("Ask again: its agents go on, and the next Musher takes them over.")
}
