//! Who may come in: the one place that decides it.
//!
//! Over TCP a request must name one of our own addresses as `Host` (a foreign name means that DNS was
//! turned to us), must not come from another page (`Origin`, `Sec-Fetch-Site`), and needs the token
//! unless it only reads the page's own files, which hold nothing secret. A missing `Origin` is no
//! pass: it only means that the token alone decides. The token is never taken from an address, where
//! logs and histories keep it. On the engine's socket the file's mode is the door; a request with
//! the marks of a browser is refused all the same, since no browser has any business there.

use std::net::SocketAddr;

use axum::http::{HeaderMap, Method, StatusCode, header, request::Parts};
use musher_protocol::{ApiError, ErrorCode};

/// Begins the WebSocket subprotocol that carries the token, the one header a page can set there.
const TOKEN_PROTOCOL: &str = "musher.";
/// The subprotocol that is answered with when a page offers it beside its token.
const PLAIN_PROTOCOL: &str = "musher";

/// What a way in demands.
#[derive(Clone)]
pub(crate) enum Door {
    Socket { host: &'static str },
    Tcp { hosts: [String; 3], token: String },
}

/// Why a request stays out.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) error: ApiError,
}

impl axum::response::IntoResponse for Refusal {
    fn into_response(self) -> axum::response::Response {
        (self.status, axum::Json(self.error)).into_response()
    }
}

fn refuse(status: StatusCode, message: &str, hint: &str) -> Refusal {
    let error = ApiError::new(ErrorCode::Unauthorized, message).with_hint(hint);
    Refusal { status, error }
}

impl Door {
    pub(crate) fn tcp(address: SocketAddr, token: String) -> Self {
        let port = address.port();
        let hosts = ["127.0.0.1", "localhost", "[::1]"].map(|host| format!("{host}:{port}"));
        Door::Tcp { hosts, token }
    }

    /// Whether the request may come in.
    pub(crate) fn check(&self, request: &Parts) -> Result<(), Refusal> {
        match self {
            Door::Socket { host } => check_socket(&request.headers, host),
            Door::Tcp { hosts, token } => {
                check_host(&request.headers, hosts)?;
                check_origin(&request.headers, hosts)?;
                check_address(request)?;
                if reads_the_page(request) { Ok(()) } else { check_token(&request.headers, token) }
            }
        }
    }
}

fn check_socket(headers: &HeaderMap, host: &str) -> Result<(), Refusal> {
    let ours = single(headers, header::HOST).is_some_and(|named| named == host);
    let browser = headers.contains_key(header::ORIGIN) || headers.contains_key("sec-fetch-site");
    if ours && !browser {
        return Ok(());
    }
    Err(refuse(
        StatusCode::FORBIDDEN,
        "This socket is for `musher` itself, not for a browser.",
        "Use `musher serve --port` for a browser.",
    ))
}

/// The one value of a header; none when it is absent, doubled or not text.
fn single(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    }
}

fn check_host(headers: &HeaderMap, hosts: &[String]) -> Result<(), Refusal> {
    match single(headers, header::HOST) {
        Some(host) if hosts.iter().any(|ours| ours.eq_ignore_ascii_case(host)) => Ok(()),
        _ => Err(refuse(
            StatusCode::FORBIDDEN,
            "The request names a host that is not this one.",
            "Use the address that `musher serve` printed.",
        )),
    }
}

fn check_origin(headers: &HeaderMap, hosts: &[String]) -> Result<(), Refusal> {
    let own_origin = |origin: &str| {
        origin.strip_prefix("http://").is_some_and(|host| hosts.iter().any(|ours| ours == host))
    };
    let origin_fits = !headers.contains_key(header::ORIGIN)
        || single(headers, header::ORIGIN).is_some_and(own_origin);
    // Browsers say it themselves and no page can change it; `none` is a person at the address bar.
    let site_fits =
        headers.get("sec-fetch-site").is_none_or(|site| site == "same-origin" || site == "none");
    if origin_fits && site_fits {
        return Ok(());
    }
    Err(refuse(
        StatusCode::FORBIDDEN,
        "The request comes from another page.",
        "Open the address that `musher serve` printed.",
    ))
}

/// No request needs a query, so any could only carry a token into logs and histories.
fn check_address(request: &Parts) -> Result<(), Refusal> {
    if request.uri.query().is_none() {
        return Ok(());
    }
    Err(refuse(
        StatusCode::BAD_REQUEST,
        "The address carries a query, and none is taken.",
        "Send the token as `Authorization: Bearer`, or in the address behind `#`.",
    ))
}

fn reads_the_page(request: &Parts) -> bool {
    let path = request.uri.path();
    matches!(request.method, Method::GET | Method::HEAD)
        && path != "/news"
        && path != "/rpc"
        && !path.starts_with("/rpc/")
}

fn check_token(headers: &HeaderMap, token: &str) -> Result<(), Refusal> {
    let bearer =
        single(headers, header::AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer "));
    let offered =
        bearer.or_else(|| protocols(headers).find_map(|name| name.strip_prefix(TOKEN_PROTOCOL)));
    if offered.is_some_and(|offered| same(offered.as_bytes(), token.as_bytes())) {
        return Ok(());
    }
    Err(refuse(
        StatusCode::UNAUTHORIZED,
        "The token is missing or wrong.",
        "Open the address that `musher serve` printed, with what stands behind its `#`.",
    ))
}

fn protocols(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    headers
        .get_all(header::SEC_WEBSOCKET_PROTOCOL)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
}

/// The subprotocol to answer with: a browser ends a WebSocket that was answered with none of those
/// it offered.
pub(crate) fn answered_protocol(headers: &HeaderMap) -> Option<String> {
    let mut offered = protocols(headers)
        .filter(|name| *name == PLAIN_PROTOCOL || name.starts_with(TOKEN_PROTOCOL));
    let first = offered.next()?;
    let plain = first == PLAIN_PROTOCOL || offered.any(|name| name == PLAIN_PROTOCOL);
    Some(if plain { PLAIN_PROTOCOL } else { first }.to_owned())
}

/// Compares without telling by its time how much was right; the length is no secret.
fn same(left: &[u8], right: &[u8]) -> bool {
    left.len() == right.len()
        && left.iter().zip(right).fold(0, |differs, (left, right)| differs | (left ^ right)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_compared_whole() {
        assert!(same(b"abc", b"abc"));
        assert!(!same(b"abc", b"abd"));
        assert!(!same(b"abc", b"ab"));
        assert!(!same(b"", b"a"));
    }

    #[test]
    fn the_plain_protocol_is_preferred_over_the_token() {
        let mut headers = HeaderMap::new();
        assert_eq!(answered_protocol(&headers), None);
        headers
            .insert(header::SEC_WEBSOCKET_PROTOCOL, header::HeaderValue::from_static("musher.t"));
        assert_eq!(answered_protocol(&headers).as_deref(), Some("musher.t"));
        headers.insert(
            header::SEC_WEBSOCKET_PROTOCOL,
            header::HeaderValue::from_static("other, musher.t, musher"),
        );
        assert_eq!(answered_protocol(&headers).as_deref(), Some("musher"));
    }
}
