//! The page's files: read from one folder, never from outside of it.

use std::{
    io,
    path::{Component, Path, PathBuf},
    sync::Arc,
};

use axum::{
    extract::State,
    http::{StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use musher_protocol::{ApiError, ErrorCode};

/// A folder of built files, and the policy they are sent with.
pub(super) struct Page {
    /// Absolute, symlinks resolved.
    dir: PathBuf,
    pub(super) policy: String,
}

impl Page {
    /// The folder must hold an `index.html`.
    pub(super) fn open(dir: &Path, port: u16) -> Result<Self, ApiError> {
        let missing = |error: io::Error| {
            ApiError::new(
                ErrorCode::NotFound,
                format!("There is no built page in `{}`: {error}.", dir.display()),
            )
            .with_hint("Build it: `npm ci && npm run build` in `ui/`.")
        };
        let dir = dir.canonicalize().map_err(missing)?;
        dir.join("index.html").metadata().map_err(missing)?;
        Ok(Self { dir, policy: policy(port) })
    }
}

/// The window's policy, with this server in place of Tauri's own channel. `'self'` covers the
/// WebSocket in some browsers only, so it is named.
fn policy(port: u16) -> String {
    format!(
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
         img-src 'self' data:; font-src 'self'; \
         connect-src 'self' ws://127.0.0.1:{port} ws://localhost:{port}; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}

pub(super) async fn serve_file(State(page): State<Arc<Page>>, uri: Uri) -> Response {
    let found = async {
        let path = inner_path(uri.path())?;
        // A link inside the folder may lead out of it: what counts is where it ends.
        let file = tokio::fs::canonicalize(page.dir.join(path)).await.ok()?;
        let inside = file.starts_with(&page.dir) && file.is_file();
        let bytes = if inside { tokio::fs::read(&file).await.ok()? } else { return None };
        Some(([(header::CONTENT_TYPE, mime(&file))], bytes).into_response())
    };
    found.await.unwrap_or_else(|| {
        let error = ApiError::new(ErrorCode::NotFound, "The page has no such file.");
        (StatusCode::NOT_FOUND, axum::Json(error)).into_response()
    })
}

/// The file that an address names, relative; nothing for an address that is not plain.
fn inner_path(address: &str) -> Option<PathBuf> {
    let decoded = percent_decode(address)?;
    let relative = decoded.strip_prefix('/')?;
    let relative = if relative.is_empty() { "index.html" } else { relative };
    let odd = relative.contains(['\0', '\\', ':']);
    let path = PathBuf::from(relative);
    let plain = path.components().all(|part| matches!(part, Component::Normal(_)));
    (!odd && plain).then_some(path)
}

fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digits = std::str::from_utf8(rest.get(..2)?).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = &rest[2..];
    }
    String::from_utf8(bytes).ok()
}

fn mime(file: &Path) -> &'static str {
    match file.extension().and_then(|extension| extension.to_str()).unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_only_what_is_inside() {
        assert_eq!(inner_path("/"), Some("index.html".into()));
        assert_eq!(inner_path("/assets/a%20b.js"), Some("assets/a b.js".into()));
        for bad in [
            "",
            "a",
            "//etc/passwd",
            "/../x",
            "/a/../../x",
            "/%2e%2e/x",
            "/..%2fx",
            "/%2Fetc/passwd",
            "/a%00.js",
            "/a\\..\\b",
            "/%5c..",
            "/%",
            "/%g0",
            "/%ff",
            "/c:/x",
        ] {
            assert_eq!(inner_path(bad), None, "{bad}");
        }
    }
}
