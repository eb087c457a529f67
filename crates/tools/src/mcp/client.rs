//! The only code that knows the client side of `rmcp`: a connection to a server, the list of its tools,
//! and a call.
//!
//! The handshake is `initialize`, with the newest revision of the protocol that has it.

use std::{collections::BTreeMap, error::Error, sync::Arc, time::Duration};

use musher_runtime::Secrets;
use reqwest::{
    Client, Url,
    header::{HeaderName, HeaderValue},
    redirect::Policy,
};
use rmcp::{
    ClientHandler, RoleClient, ServiceError, ServiceExt,
    model::{
        CallToolRequestParams, CallToolResult, ClientCapabilities, ClientConfig, ContentBlock,
        Implementation, PaginatedRequestParams, ProtocolVersion, ResourceContents, Tool,
    },
    service::{ClientInitializeError, NotificationContext, Peer, RunningService},
    transport::{
        StreamableHttpClientTransport,
        streamable_http_client::{StreamableHttpClientTransportConfig, StreamableHttpError},
    },
};
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::Notify,
};
use tokio_util::sync::CancellationToken;

use super::config::Remote;
use crate::output::Output;

/// How long a farewell may take.
const FAREWELL: Duration = Duration::from_millis(500);
const CONNECT: Duration = Duration::from_secs(10);
/// Most bytes of one message of a server.
pub const LARGEST_MESSAGE: usize = 16 << 20;
const MOST_REDIRECTS: usize = 5;
const OF_UNKNOWN_KIND: &str = "[something of a kind that is not known]";
/// Pages of a list of tools that are asked for.
const MOST_PAGES: usize = 20;

/// What we tell a server of ourselves: a name, and that we offer nothing. What it tells us unasked is
/// heard only where it is that its list of tools is another now.
struct Us(Arc<Notify>);

impl ClientHandler for Us {
    fn get_info(&self) -> ClientConfig {
        let us = Implementation::new("musher", env!("CARGO_PKG_VERSION"));
        ClientConfig::new(ClientCapabilities::default(), us)
            .with_protocol_version(ProtocolVersion::LATEST_WITH_INITIALIZE)
    }

    async fn on_tool_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.0.notify_one();
    }
}

/// A connection. It ends when it is dropped.
pub struct Connection {
    service: RunningService<RoleClient, Us>,
    relisted: Arc<Notify>,
}

/// Calls over a connection, as long as there is one.
#[derive(Clone)]
pub struct Session(Peer<RoleClient>);

/// A tool as its server describes it.
#[derive(Clone, PartialEq)]
pub struct Listed {
    pub name: String,
    pub description: String,
    pub schema: Value,
    /// The server says that it changes nothing.
    pub only_reads: bool,
}

pub enum CallError {
    /// There is no connection any more.
    Over,
    Failed(String),
}

impl Connection {
    /// To a server that is a child.
    pub async fn over(
        stream: impl AsyncRead + AsyncWrite + Send + 'static,
    ) -> Result<Self, String> {
        Self::made(|us| us.serve(stream)).await
    }

    pub async fn to(remote: &Remote) -> Result<Self, String> {
        let mut config = StreamableHttpClientTransportConfig::with_uri(remote.url.as_str())
            .max_sse_event_size(LARGEST_MESSAGE)
            .max_json_response_size(LARGEST_MESSAGE);
        config.custom_headers = headers(&remote.headers)?.into_iter().collect();
        let client = client(&remote.url)?;
        let transport = StreamableHttpClientTransport::with_client(client, config);
        Self::made(|us| us.serve(transport)).await
    }

    async fn made<F>(serve: impl FnOnce(Us) -> F) -> Result<Self, String>
    where
        F: Future<Output = Result<RunningService<RoleClient, Us>, ClientInitializeError>>,
    {
        let relisted = Arc::new(Notify::new());
        let service = serve(Us(relisted.clone())).await.map_err(|error| said(&error))?;
        Ok(Self { service, relisted })
    }

    /// Comes when the server says that its list of tools is another now.
    pub fn relisted(&self) -> Arc<Notify> {
        self.relisted.clone()
    }

    pub fn session(&self) -> Session {
        Session(self.service.peer().clone())
    }

    /// Returns when the connection is over, or was ended with a farewell.
    pub async fn until(self, ending: &CancellationToken) {
        let end = self.service.cancellation_token();
        let mut over = std::pin::pin!(self.service.waiting());
        tokio::select! {
            _ = &mut over => {}
            () = ending.cancelled() => {
                end.cancel();
                let _ = tokio::time::timeout(FAREWELL, over).await;
            }
        }
    }
}

impl Session {
    pub async fn tools(&self) -> Result<Vec<Listed>, String> {
        let (mut listed, mut cursor) = (Vec::new(), None);
        for _ in 0..MOST_PAGES {
            let asked = PaginatedRequestParams::default().with_cursor(cursor);
            let page = self.0.list_tools(Some(asked)).await.map_err(|error| said(&error))?;
            listed.extend(page.tools.into_iter().map(describe));
            cursor = page.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        Ok(listed)
    }

    /// The answer, capped and without secrets, and whether it is an error of the tool. Dropping this tells the server that
    /// nobody waits any more.
    pub async fn call(
        &self,
        name: &str,
        input: &Value,
        secrets: &Secrets,
    ) -> Result<(String, bool), CallError> {
        let arguments = input.as_object().cloned().unwrap_or_default();
        let request = CallToolRequestParams::new(name.to_owned()).with_arguments(arguments);
        match self.0.call_tool(request).await {
            Ok(result) => Ok((text_of(&result, secrets), result.is_error == Some(true))),
            Err(ServiceError::TransportClosed) => Err(CallError::Over),
            Err(error) => Err(CallError::Failed(said(&error))),
        }
    }
}

/// A URL's secrets would follow a redirect to wherever it leads, so none leads to another place.
fn client(url: &str) -> Result<Client, String> {
    let url = Url::parse(url).map_err(|error| format!("its URL cannot be read ({error})"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("its URL is neither http nor https".to_owned());
    }
    let origin = url.origin();
    let policy = Policy::custom(move |attempt| match attempt.url().origin() == origin {
        _ if attempt.previous().len() > MOST_REDIRECTS => attempt.error("too many redirects"),
        true => attempt.follow(),
        false => attempt.error("it redirects to another host, which is not followed"),
    });
    let builder = Client::builder()
        .connect_timeout(CONNECT)
        .redirect(policy)
        .referer(false)
        .user_agent(concat!("musher/", env!("CARGO_PKG_VERSION")));
    let builder = if musher_runtime::model::is_near(&url) { builder.no_proxy() } else { builder };
    builder.build().map_err(|error| said(&error))
}

fn headers(wanted: &BTreeMap<String, String>) -> Result<Vec<(HeaderName, HeaderValue)>, String> {
    let header = |(name, value): (&String, &String)| {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        let mut value = HeaderValue::from_str(value).ok()?;
        value.set_sensitive(true);
        Some((name, value))
    };
    wanted.iter().map(header).collect::<Option<_>>().ok_or("a header of it is none".to_owned())
}

fn describe(tool: Tool) -> Listed {
    Listed {
        only_reads: tool.annotations.as_ref().and_then(|it| it.read_only_hint) == Some(true),
        description: tool
            .description
            .or_else(|| tool.title.map(Into::into))
            .unwrap_or_default()
            .into(),
        schema: Value::Object((*tool.input_schema).clone()),
        name: tool.name.into_owned(),
    }
}

/// The text of an answer; what is no text is named.
fn text_of(result: &CallToolResult, secrets: &Secrets) -> String {
    let mut output = Output::without(secrets);
    for block in &result.content {
        output.take(block_text(block).as_bytes());
        output.take(b"\n");
    }
    if let (true, Some(value)) = (result.content.is_empty(), &result.structured_content) {
        output.take(value.to_string().as_bytes());
    }
    output.finish();
    match output.text() {
        text if text.trim().is_empty() => "The tool says nothing.".to_owned(),
        text => text,
    }
}

fn block_text(block: &ContentBlock) -> String {
    let blob = |kind: &str, mime: &str, data: &str| {
        format!("[{kind} {mime}, {} bytes in base64, is not shown]", data.len())
    };
    match block {
        ContentBlock::Text(text) => text.text.clone(),
        ContentBlock::Image(image) => blob("an image", &image.mime_type, &image.data),
        ContentBlock::Audio(audio) => blob("a sound", &audio.mime_type, &audio.data),
        ContentBlock::ResourceLink(link) => format!("[a resource: {} {}]", link.name, link.uri),
        ContentBlock::Resource(resource) => match &resource.resource {
            ResourceContents::TextResourceContents { uri, text, .. } => format!("[{uri}]\n{text}"),
            ResourceContents::BlobResourceContents { uri, mime_type, blob: data, .. } => {
                let mime = mime_type.as_deref().unwrap_or("of an unknown type");
                blob(&format!("the resource {uri}"), mime, data)
            }
            _ => OF_UNKNOWN_KIND.to_owned(),
        },
        _ => OF_UNKNOWN_KIND.to_owned(),
    }
}

/// The innermost cause of an error: those around it name types, and URLs that may hold a key.
fn said(error: &(dyn Error + 'static)) -> String {
    let mut cause = error;
    while let Some(next) = within(cause) {
        cause = next;
    }
    let mut text = cause.to_string();
    if let Some(url) = cause.downcast_ref::<reqwest::Error>().and_then(reqwest::Error::url) {
        text = text.replace(url.as_str(), "its URL");
    }
    crate::site::cut(&crate::show::visible(text.trim_end_matches('.')), 500)
}

/// Two of the errors do not name their cause.
fn within<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    if let Some(ClientInitializeError::TransportError { error, .. }) = error.downcast_ref() {
        return Some(&*error.error);
    }
    if let Some(StreamableHttpError::<reqwest::Error>::Client(error)) = error.downcast_ref() {
        return Some(error);
    }
    error.source()
}
