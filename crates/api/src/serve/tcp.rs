//! Loopback TCP with the page, only when a person asked for it.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::Arc,
};

use musher_protocol::{ApiError, ErrorCode};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{Serving, door::Door, page::Page, routes};
use crate::Api;

/// Where a browser finds the server.
#[derive(Clone, Debug)]
pub struct ServeInfo {
    /// With the token behind `#`, which a browser keeps to itself.
    pub url: String,
    pub address: SocketAddr,
    /// For programs: `Authorization: Bearer <token>`.
    pub token: String,
}

/// Answers on `127.0.0.1:port` (0: any free one) and serves the page from `page_dir`. The token is
/// new each time.
pub async fn serve_tcp(
    api: Arc<dyn Api>,
    port: u16,
    page_dir: &Path,
) -> Result<(ServeInfo, Serving), ApiError> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(|error| {
        ApiError::new(ErrorCode::Conflict, format!("Port {port} cannot be used: {error}."))
            .with_hint("Choose another one with --port, or 0 for any free one.")
    })?;
    let address = listener.local_addr().map_err(unexpected)?;
    let page = Page::open(page_dir, address.port())?;
    let token = fresh_token()?;
    let cancel = CancellationToken::new();
    let door = Door::tcp(address, token.clone());
    let router = routes::router(api, door, Some(page), cancel.clone());
    let url = format!("http://{address}/#token={token}");
    let serving = Serving::start(listener, router, cancel.clone(), cancel);
    Ok((ServeInfo { url, address, token }, serving))
}

/// 256 random bits in hex.
fn fresh_token() -> Result<String, ApiError> {
    use std::fmt::Write;
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(unexpected)?;
    let mut token = String::with_capacity(64);
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(token, "{byte:02x}");
    }
    Ok(token)
}

fn unexpected(error: impl std::fmt::Display) -> ApiError {
    ApiError::new(ErrorCode::Internal, format!("The server could not start: {error}."))
}
