//! Where a model is reached, and how long each part of an exchange may take.

use std::{fmt, time::Duration};

use reqwest::{
    Url,
    header::{HeaderMap, HeaderName, HeaderValue},
};
use secrecy::{ExposeSecret, SecretString};

use super::codec::Dialect;

/// An endpoint with what opens it. Its `Debug` and `Display` hold no secret.
#[derive(Clone)]
pub struct Endpoint {
    /// What paths are put behind: `https://api.openai.com/v1`.
    base: Url,
    pub dialect: Dialect,
    headers: HeaderMap,
    pub has_key: bool,
    /// What no message of the server's may repeat.
    secrets: Vec<SecretString>,
}

/// In bytes.
const SHORTEST_SECRET: usize = 6;

/// Why an address or a header cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    #[error("{0} is no address of a model server. Give one like http://127.0.0.1:11434/v1.")]
    Address(String),
    #[error("The header {0} cannot be sent as it is. Headers are printable ASCII.")]
    Header(String),
    #[error("The key holds characters that no key has. Copy it again.")]
    Key,
}

impl Endpoint {
    /// Where a dialect's own provider is.
    pub fn default_base(dialect: Dialect) -> &'static str {
        match dialect {
            Dialect::OpenAiResponses | Dialect::OpenAiChat => "https://api.openai.com/v1",
            Dialect::Gemini => "https://generativelanguage.googleapis.com/v1beta",
        }
    }

    pub fn new(base: &str, dialect: Dialect) -> Result<Self, EndpointError> {
        let wrong = || EndpointError::Address(base.to_owned());
        let mut url = Url::parse(base).map_err(|_| wrong())?;
        let is_plain = url.query().is_none()
            && url.fragment().is_none()
            && url.username() == ""
            && url.password().is_none();
        if !matches!(url.scheme(), "http" | "https") || url.host().is_none() || !is_plain {
            return Err(wrong());
        }
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&path);
        Ok(Self {
            base: url,
            dialect,
            headers: HeaderMap::new(),
            has_key: false,
            secrets: Vec::new(),
        })
    }

    /// The key goes into a header, never into an address.
    pub fn with_key(mut self, key: &SecretString) -> Result<Self, EndpointError> {
        let (name, text) = match self.dialect {
            Dialect::Gemini => ("x-goog-api-key", key.expose_secret().to_owned()),
            _ => ("authorization", format!("Bearer {}", key.expose_secret())),
        };
        let mut value = HeaderValue::from_str(&text).map_err(|_| EndpointError::Key)?;
        value.set_sensitive(true);
        self.headers.insert(HeaderName::from_static(name), value);
        self.has_key = true;
        self.secrets.push(key.clone());
        Ok(self)
    }

    pub fn with_header(mut self, name: &str, value: &str) -> Result<Self, EndpointError> {
        let wrong = |_| EndpointError::Header(name.to_owned());
        let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong(()))?;
        self.secrets.push(SecretString::from(value.to_owned()));
        let mut value = HeaderValue::from_str(value).map_err(|_| wrong(()))?;
        value.set_sensitive(true);
        self.headers.insert(key, value);
        Ok(self)
    }

    /// One that is no secret: which account pays.
    pub(super) fn with_account(
        mut self,
        name: &'static str,
        id: &str,
    ) -> Result<Self, EndpointError> {
        let value =
            HeaderValue::from_str(id).map_err(|_| EndpointError::Header(name.to_owned()))?;
        self.headers.insert(HeaderName::from_static(name), value);
        Ok(self)
    }

    /// Without the key and the headers that were sent: servers repeat them when they do not like them.
    pub(super) fn masked(&self, text: String) -> String {
        self.secrets.iter().fold(text, |text, secret| {
            let secret = secret.expose_secret().trim();
            // A short one is no secret, and would be found in every word.
            let shown = secret.len() >= SHORTEST_SECRET && text.contains(secret);
            if shown { text.replace(secret, "[key]") } else { text }
        })
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base.as_str().trim_end_matches('/'))
    }

    /// What asks it. See [`super::near`].
    pub(super) fn client(&self, connect: Duration) -> reqwest::ClientBuilder {
        super::near::client(&self.base, connect)
    }

    pub(super) fn headers(&self) -> HeaderMap {
        self.headers.clone()
    }

    /// On this machine: what runs there costs nothing.
    pub fn is_local(&self) -> bool {
        match self.base.host() {
            Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
            Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
            Some(url::Host::Domain(name)) => name == "localhost",
            None => false,
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.base.as_str().trim_end_matches('/'))
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({self}, {})", self.dialect)
    }
}

/// How long each part of an exchange may take. One limit for the whole would cut a long answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    pub connect: Duration,
    /// From the request to the answer's first byte: a model may think before it says anything.
    pub first_byte: Duration,
    /// Between two pieces of an answer.
    pub between: Duration,
    /// Before the second try; it doubles from there.
    pub backoff: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(15),
            first_byte: Duration::from_secs(300),
            between: Duration::from_secs(120),
            backoff: Duration::from_secs(1),
        }
    }
}
