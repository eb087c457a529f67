//! Where a model is reached, and how long each part of an exchange may take.

use std::{fmt, time::Duration};

use reqwest::{
    Url,
    header::{HeaderMap, HeaderName, HeaderValue},
};
use secrecy::{ExposeSecret, SecretString};

use super::codec::Dialect;
use crate::Secrets;

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

/// Why an address or a header cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    #[error("{0} is no address of a model server. Give one like http://127.0.0.1:11434/v1.")]
    Address(String),
    #[error(
        "{0} was given with a name, a password, a query or a fragment in it. Give the address \
         without them, and keep a key with `musher keys`."
    )]
    Laden(String),
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

    /// The address in one way of writing it, as [`fmt::Display`] gives it: case, the usual port and slashes
    /// at the end make no other place. `None` is where the dialect's own provider is.
    pub fn place(base: Option<&str>, dialect: Dialect) -> String {
        let base = base.unwrap_or(Self::default_base(dialect));
        Self::new(base, dialect).map_or_else(|_| shown(base), |endpoint| endpoint.to_string())
    }

    pub fn new(base: &str, dialect: Dialect) -> Result<Self, EndpointError> {
        let wrong = || EndpointError::Address(shown(base));
        let mut url = Url::parse(base).map_err(|_| wrong())?;
        if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
            return Err(wrong());
        }
        let is_plain = url.query().is_none()
            && url.fragment().is_none()
            && url.username() == ""
            && url.password().is_none();
        if !is_plain {
            return Err(EndpointError::Laden(shown(base)));
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
        Secrets::new(&self.secrets).hide(text)
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

    /// What is sent there can be read on its way through networks of others.
    pub(super) fn is_overheard(&self) -> bool {
        self.base.scheme() == "http" && !super::near::is_near(&self.base)
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

/// An address without what may be a secret in it.
fn shown(base: &str) -> String {
    let hides = base.contains(['@', '?', '#']);
    match Url::parse(base) {
        _ if !hides => base.to_owned(),
        Ok(mut url) if url.host().is_some() => {
            url.set_query(None);
            url.set_fragment(None);
            match url.set_username("").and_then(|()| url.set_password(None)) {
                Ok(()) => url.into(),
                Err(()) => "What was given".to_owned(),
            }
        }
        // Where the parts of it begin is not known.
        _ => "What was given".to_owned(),
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_refusal_repeats_no_secret() {
        for base in [
            "http://u:PASSWORD@host/v1",
            "http://PASSWORD@host/v1",
            "https://host/v1?key=PASSWORD",
            "https://host/v1#PASSWORD",
            "http://u:PASS?WORD@host/v1",
            "ftp://u:PASSWORD@host",
            "u:PASSWORD@host",
            "host?key=PASSWORD",
        ] {
            let why = Endpoint::new(base, Dialect::OpenAiChat).unwrap_err().to_string();
            assert!(!why.contains("PASS") && !why.contains("WORD"), "{base}: {why}");
        }
        let why = Endpoint::new("http://u:p@host/v1?k=s", Dialect::OpenAiChat).unwrap_err();
        assert!(why.to_string().starts_with("http://host/v1 was given with"), "{why}");
    }

    #[test]
    fn one_place_is_written_in_many_ways() {
        let place = |base| Endpoint::place(base, Dialect::OpenAiResponses);
        for base in ["https://api.openai.com/v1/", "HTTPS://API.OpenAI.com:443/v1"] {
            assert_eq!(place(Some(base)), place(None), "{base}");
        }
        for base in ["http://api.openai.com/v1", "https://api.openai.com", "https://x/v1"] {
            assert_ne!(place(Some(base)), place(None), "{base}");
        }
        for dialect in Dialect::ALL {
            let own = Endpoint::default_base(dialect);
            assert_eq!(Endpoint::place(None, dialect), own);
        }
    }

    #[test]
    fn plain_http_to_machines_of_others_is_overheard() {
        let is_overheard =
            |base: &str| Endpoint::new(base, Dialect::OpenAiChat).unwrap().is_overheard();
        assert!(is_overheard("http://api.example.com/v1") && is_overheard("http://8.8.8.8/v1"));
        for base in ["https://api.example.com/v1", "http://127.0.0.1:1/v1", "http://gpu.lan/v1"] {
            assert!(!is_overheard(base), "{base}");
        }
    }
}
