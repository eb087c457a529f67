//! Model servers of this machine, on the ports that they usually take. Asked only on loopback, without
//! a key, without a proxy, and only when a person wants to know.

use std::time::Duration;

use musher_protocol::LocalEndpoint;

use super::ask::{self, Found};
use crate::model::{
    codec::Dialect,
    endpoint::{Endpoint, Patience},
    prices::Prices,
};

/// Who usually listens where. From their documentation, November 2026: docs.ollama.com,
/// lmstudio.ai/docs, github.com/ggml-org/llama.cpp (tools/server; at its start, build 11434 says that it
/// will move to the second one), docs.vllm.ai.
pub const USUAL_PORTS: [(&str, u16); 5] = [
    ("Ollama", 11434),
    ("LM Studio", 1234),
    ("llama.cpp", 8080),
    ("llama.cpp", 9931),
    ("vLLM", 8000),
];

/// Each gets so long: what listens here answers in a few milliseconds.
const WITHIN: Duration = Duration::from_millis(500);

/// Those of these ports at which a server lists models, in this order.
pub async fn find_at(ports: &[(&str, u16)], runtime: &str) -> Vec<LocalEndpoint> {
    let asked = ports.iter().map(|(name, port)| look(name, *port, runtime));
    futures::future::join_all(asked).await.into_iter().flatten().collect()
}

async fn look(name: &str, port: u16, runtime: &str) -> Option<LocalEndpoint> {
    let endpoint =
        Endpoint::new(&format!("http://127.0.0.1:{port}/v1"), Dialect::OpenAiChat).ok()?;
    let patience =
        Patience { connect: WITHIN, first_byte: WITHIN, between: WITHIN, backoff: Duration::ZERO };
    let prices = Prices::built_in();
    let asked = ask::models(&endpoint, patience, &prices);
    match tokio::time::timeout(WITHIN, asked).await {
        Ok(Found::Models(models)) => Some(LocalEndpoint {
            name: name.to_owned(),
            runtime: runtime.to_owned(),
            base_url: endpoint.to_string(),
            models,
        }),
        _ => None,
    }
}
