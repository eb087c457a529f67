//! `fetch_url`: one page of the network, as text. Off unless asked for.
//!
//! What holds: only `http` and `https`; no address of this machine or of a private network is ever
//! connected to (names are looked up here, and what they lead to is checked where the connection is
//! made, so no second look-up can say otherwise); no proxy; no redirect to another host; no cookie, no
//! credentials; what comes has a limit of size and of time.

mod address;

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use musher_protocol::ToolKind;
use musher_runtime::{Call, Effect, ToolOutcome, ToolSpec};
use reqwest::{
    Client, Response, Url,
    dns::{Addrs, Name, Resolve, Resolving},
    redirect::Policy,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use address::is_public;

use crate::{
    Demand, Planned, Tool, schema,
    show::visible,
    site::is_binary,
    tool::{STOPPED, arguments},
};

const MOST_BYTES: usize = 200_000;
const LONGEST_URL: usize = 2000;
const LIMIT: Duration = Duration::from_secs(30);
const MOST_REDIRECTS: usize = 5;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Arguments {
    /// The page, with `https://` or `http://`.
    url: String,
}

pub struct FetchUrl;

#[async_trait]
impl Tool for FetchUrl {
    fn spec(&self) -> ToolSpec {
        ToolSpec {
            name: "fetch_url".to_owned(),
            description:
                "Gets one page of the public network as text. Pages of this machine and of \
                          private networks cannot be had; a redirect to another host is named and \
                          not followed."
                    .to_owned(),
            parameters: schema::of::<Arguments>(),
        }
    }

    fn only_reads(&self) -> bool {
        false
    }

    async fn plan(&self, input: &Value) -> Result<Planned, String> {
        let (url, host) = page(input)?;
        let title = visible(url.as_str());
        // What is asked for tells the other side something.
        Ok(Planned {
            kind: ToolKind::Fetch,
            title,
            effect: Effect::Changes,
            demand: Demand::Fetch(host),
        })
    }

    async fn call(
        &self,
        call: &Call,
        _demand: Option<&Demand>,
        stop: CancellationToken,
    ) -> ToolOutcome {
        let fetched = async {
            let (url, _) = page(&call.input)?;
            tokio::time::timeout(LIMIT, fetch(url))
                .await
                .unwrap_or_else(|_| Err(format!("It took longer than {} s.", LIMIT.as_secs())))
        };
        let fetched = tokio::select! {
            () = stop.cancelled() => Err(STOPPED.to_owned()),
            fetched = fetched => fetched,
        };
        fetched.unwrap_or_else(ToolOutcome::error)
    }
}

/// The page and its host, when it may be asked for at all.
fn page(input: &Value) -> Result<(Url, String), String> {
    let wanted: Arguments = arguments(input)?;
    if wanted.url.len() > LONGEST_URL {
        return Err("The URL is too long.".to_owned());
    }
    let url = Url::parse(&wanted.url).map_err(|error| format!("This is no URL: {error}."))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("Only pages by https and http can be fetched.".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("A URL with a name or password in it is not fetched.".to_owned());
    }
    let host = url.host_str().ok_or("The URL names no host.")?.to_owned();
    // A number in place of a name is not looked up, so it is checked here.
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    if bare.parse::<IpAddr>().is_ok_and(|address| !is_public(address)) {
        return Err(private(&host));
    }
    Ok((url, host))
}

fn private(host: &str) -> String {
    format!("{} is on this machine or in a private network; it is not fetched.", visible(host))
}

async fn fetch(url: Url) -> Result<ToolOutcome, String> {
    let failed = |error: reqwest::Error| {
        format!("The page could not be fetched: {}.", reasons(&error.without_url()))
    };
    let response = client().map_err(failed)?.get(url).send().await.map_err(failed)?;
    let status = response.status();
    if status.is_redirection() {
        let to =
            response.headers().get("location").map(|to| String::from_utf8_lossy(to.as_bytes()));
        let to = to.map(|to| visible(&to)).unwrap_or_default();
        return Err(format!("The page is elsewhere, at {to}; fetch that if it is what you want."));
    }
    let (bytes, whole) = body(response).await.map_err(failed)?;
    if is_binary(&bytes) {
        return Err("The page is binary; it cannot be shown.".to_owned());
    }
    let mut text = String::from_utf8_lossy(&bytes).into_owned();
    if !whole {
        text.push_str("\n[only the beginning; the page is longer]");
    }
    let text = format!("[{status}]\n{text}");
    Ok(ToolOutcome { text, is_error: !status.is_success(), ..ToolOutcome::default() })
}

fn client() -> reqwest::Result<Client> {
    Client::builder()
        .no_proxy()
        .dns_resolver(Arc::new(PublicOnly))
        .redirect(Policy::custom(|attempt| {
            let same = attempt.previous().last().is_some_and(|from| same_host(from, attempt.url()));
            let enough = attempt.previous().len() > MOST_REDIRECTS;
            if same && !enough { attempt.follow() } else { attempt.stop() }
        }))
        .referer(false)
        .user_agent(concat!("musher/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(Duration::from_secs(10))
        .timeout(LIMIT)
        .build()
}

/// The same host, and not to less safety.
fn same_host(from: &Url, to: &Url) -> bool {
    let upgrade = from.scheme() == "http" && to.scheme() == "https";
    let ports = from.port_or_known_default() == to.port_or_known_default()
        || upgrade && from.port().is_none() && to.port().is_none();
    from.host_str() == to.host_str() && (from.scheme() == to.scheme() || upgrade) && ports
}

async fn body(mut response: Response) -> reqwest::Result<(Vec<u8>, bool)> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        let room = MOST_BYTES - bytes.len();
        bytes.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if chunk.len() > room {
            return Ok((bytes, false));
        }
    }
    Ok((bytes, true))
}

/// An error with all that lies behind it.
fn reasons(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

/// Looks names up as the system does, and keeps public addresses alone.
struct PublicOnly;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let public: Vec<SocketAddr> = found.filter(|found| is_public(found.ip())).collect();
            if public.is_empty() {
                return Err(io::Error::other(private(name.as_str())).into());
            }
            Ok(Box::new(public.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use serde_json::json;
    use std::sync::Mutex;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    #[test]
    fn pages_that_may_not_be_asked_for() {
        for url in [
            "file:///etc/passwd",
            "ftp://a.b/",
            "http://127.0.0.1/",
            "http://[::1]/",
            "http://0/",
            "http://0x7f000001/",
            "http://2130706433/",
            "http://127.1/",
            "https://u:p@docs.rs/",
            "http://[::ffff:127.0.0.1]:80/",
            "nonsense",
            "http://",
            "http://169.254.169.254/latest",
        ] {
            assert!(page(&json!({ "url": url })).is_err(), "{url}");
        }
        assert_eq!(page(&json!({"url": "https://Docs.RS/x"})).unwrap().1, "docs.rs");
    }

    #[test]
    fn redirects_stay_at_their_host() {
        let same = |a: &str, b: &str| same_host(&Url::parse(a).unwrap(), &Url::parse(b).unwrap());
        assert!(same("http://a.b/x", "https://a.b/y") && same("https://a.b/x", "https://a.b/y"));
        for (from, to) in [
            ("https://a.b/", "https://b.a/"),
            ("https://a.b/", "http://a.b/"),
            ("https://a.b/", "https://a.b:8443/"),
            ("https://a.b/", "https://x.a.b/"),
        ] {
            assert!(!same(from, to), "{from} {to}");
        }
    }

    /// Serves one answer to each request, by path; says what was asked for.
    async fn server(listener: TcpListener, asked: Arc<Mutex<Vec<String>>>) {
        let port = listener.local_addr().unwrap().port();
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 4096];
            let count = stream.read(&mut request).await.unwrap();
            let request = String::from_utf8_lossy(&request[..count]).into_owned();
            let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
            asked.lock().unwrap().push(path.clone());
            let head = |status: &str, more: &str| {
                format!("HTTP/1.1 {status}\r\nConnection: close\r\n{more}\r\n").into_bytes()
            };
            let mut answer = match path.as_str() {
                "/page" => head("200 OK", ""),
                "/none" => head("404 Not Found", ""),
                "/moved" => head("302 Found", "Location: /page\r\n"),
                "/away" => {
                    head("302 Found", &format!("Location: http://localhost:{port}/page\r\n"))
                }
                "/round" => head("302 Found", "Location: /round\r\n"),
                _ => head("200 OK", ""),
            };
            match path.as_str() {
                "/long" => answer.extend(vec![b'x'; 3 * MOST_BYTES]),
                "/binary" => answer.extend(b"\0\x01\x02"),
                _ => answer.extend(b"the page"),
            }
            // A reader that has enough closes the connection.
            let _ = stream.write_all(&answer).await;
        }
    }

    #[tokio::test]
    async fn pages_come_with_limits() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(server(listener, asked.clone()));
        // A number in place of a name is refused by `page`, which is left out here.
        let get =
            |path: &str| fetch(Url::parse(&format!("http://127.0.0.1:{port}{path}")).unwrap());
        let page = get("/page").await.unwrap();
        assert_eq!((page.text.as_str(), page.is_error), ("[200 OK]\nthe page", false));
        assert_eq!(get("/moved").await.unwrap().text, "[200 OK]\nthe page");
        let none = get("/none").await.unwrap();
        assert_eq!((none.text.as_str(), none.is_error), ("[404 Not Found]\nthe page", true));
        let long = get("/long").await.unwrap().text;
        assert!(long.ends_with("the page is longer]") && long.len() < MOST_BYTES + 100);
        assert!(get("/binary").await.unwrap_err().contains("binary"));
        assert!(get("/round").await.unwrap_err().contains("elsewhere"));
        asked.lock().unwrap().clear();
        assert!(get("/away").await.unwrap_err().contains(&format!("http://localhost:{port}/page")));
        assert_eq!(*asked.lock().unwrap(), ["/away"]);
    }

    #[tokio::test]
    async fn a_name_that_leads_home_is_not_fetched() {
        let fetched = fetch(Url::parse("http://localhost:1/").unwrap()).await;
        assert!(fetched.unwrap_err().contains("private network"));
    }
}
