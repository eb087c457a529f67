//! Keys of model providers, for the runtimes that need them.

use std::{path::Path, sync::Arc};

use async_trait::async_trait;
use musher_runtime::{Registry, model};
use musher_store::keys::KeyRing;
use secrecy::SecretString;

struct Stored(KeyRing);

#[async_trait]
impl model::Keys for Stored {
    async fn key(&self, place: &str) -> Option<SecretString> {
        self.0.get(place).await
    }
}

/// Adds the runtimes whose models are reached over HTTP, with the keys and prices of this data
/// directory.
pub fn with_models(registry: Registry, data_dir: &Path) -> Registry {
    let keys: Arc<dyn model::Keys> = Arc::new(Stored(KeyRing::new(data_dir)));
    let prices = data_dir.join("prices.toml");
    registry
        .with(model::ModelKind::openai(keys.clone(), prices.clone()))
        .with(model::ModelKind::gemini(keys, prices))
}
