//! One question: which models are there.

use std::time::Duration;

use futures::StreamExt;
use musher_protocol::ListedModel;
use reqwest::Response;
use tokio::time::timeout;

use super::list;
use crate::model::{
    codec::{Dialect, Fault},
    endpoint::{Endpoint, Patience},
    faults::fault,
    prices::Prices,
};

/// The longest list known (openrouter.ai, November 2026) is under 1 MB.
const MAX_LIST: usize = 8 << 20;

/// What came of the question.
#[derive(Debug, PartialEq)]
pub enum Found {
    Models(Vec<ListedModel>),
    /// The server's own error.
    Refused(Fault),
    /// Something answered that is no model server.
    Else(String),
    /// Nothing answered.
    Nothing(String),
}

pub async fn models(endpoint: &Endpoint, patience: Patience, prices: &Prices) -> Found {
    let client = match endpoint.client(patience.connect).build() {
        Ok(client) => client,
        Err(error) => return Found::Nothing(format!("No request can be made: {error}.")),
    };
    let asked = client.get(endpoint.url(path(endpoint.dialect))).headers(endpoint.headers());
    let response = match timeout(patience.first_byte, asked.send()).await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => {
            return Found::Nothing(format!("{endpoint} cannot be reached: {}.", cause(&error)));
        }
        Err(_) => {
            let seconds = patience.first_byte.as_secs_f32();
            return Found::Nothing(format!("{endpoint} said nothing for {seconds} s."));
        }
    };
    let status = response.status();
    if status.is_redirection() {
        let why = format!("{endpoint} sends the request elsewhere; it was not followed.");
        return Found::Else(why);
    }
    let Some(body) = body(response, patience.between).await else {
        return Found::Else(format!("{endpoint} sends a list of models that does not end."));
    };
    match status.is_success() {
        true => listed(endpoint, &body, prices),
        false => {
            let body = endpoint.masked(body);
            Found::Refused(fault(endpoint.dialect, Some(status.as_u16()), &body))
        }
    }
}

/// OpenAI: <https://platform.openai.com/docs/api-reference/models/list>; Gemini, which gives 50 unasked
/// and 1000 at most: <https://ai.google.dev/api/models#method:-models.list>. November 2026.
fn path(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Gemini => "/models?pageSize=1000",
        _ => "/models",
    }
}

fn listed(endpoint: &Endpoint, body: &str, prices: &Prices) -> Found {
    match list::read(body) {
        Some(models) => {
            let local = endpoint.is_local();
            Found::Models(list::with_prices(models, local, prices))
        }
        None if body.trim_start().starts_with('<') => Found::Else(format!(
            "{endpoint} answers with a web page; no model server is at this address."
        )),
        None => Found::Else(format!("{endpoint} answers, and not with a list of models.")),
    }
}

/// `None`: longer than any list is. What breaks off is read as far as it came.
async fn body(response: Response, between: Duration) -> Option<String> {
    let mut body = Vec::new();
    let mut bytes = response.bytes_stream();
    while let Ok(Some(Ok(more))) = timeout(between, bytes.next()).await {
        body.extend_from_slice(&more);
        if body.len() > MAX_LIST {
            return None;
        }
    }
    Some(String::from_utf8_lossy(&body).into_owned())
}

/// The innermost reason; the outer ones repeat the address.
fn cause(error: &reqwest::Error) -> String {
    let mut inner: &dyn std::error::Error = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}
