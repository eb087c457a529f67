//! Keys of model providers, for the runtimes that need them.

use std::{
    path::Path,
    sync::{Arc, PoisonError},
};

use async_trait::async_trait;
use musher_protocol::*;
use musher_runtime::{
    Registry, keys_among,
    model::{self, codec::Dialect},
};
use musher_store::keys::{KeyError, KeyRing};
use secrecy::{ExposeSecret, SecretString};

use crate::{
    Engine,
    core::{Core, bad_request, not_found},
};

/// Runtimes that keys are kept for by name.
const PROVIDERS: [&str; 2] = ["openai", "gemini"];
/// A shorter value could not be hidden (decision 9), and no provider gives one.
const SHORTEST: usize = 8;

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

/// All that nobody may be told who works for this story: the keys of this process's environment and of
/// the story's own, the headers that were given to it, the kept keys, and all that were set since this
/// engine began. The keychain, which may wait for a person, is asked only `also_in_keychain`.
pub(crate) async fn secrets_of(
    core: &Core,
    settings: &RunSettings,
    also_in_keychain: bool,
) -> Vec<SecretString> {
    let ring = KeyRing::new(&core.config.data_dir);
    let mut all = match also_in_keychain {
        true => ring.all().await,
        false => ring.filed(),
    };
    let own = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let given = settings.env.clone();
    all.extend(keys_among(&own.chain(given).collect::<Vec<_>>()));
    let headers = settings.endpoint.headers.iter().filter(|(name, _)| !is_plain(name));
    all.extend(headers.map(|(_, value)| SecretString::from(value.clone())));
    all.extend(core.keys_set.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned());
    all
}

/// Nobody is told this key any more: no run that lives, and none that is yet to begin. A run that is
/// beginning is in the table before it asks for [`secrets_of`], so one of the two reaches it.
fn hide_from_now_on(core: &Core, key: &SecretString) {
    core.keys_set.lock().unwrap_or_else(PoisonError::into_inner).push(key.clone());
    for (_, run) in core.runs.all() {
        run.secrets.add([key]);
    }
}

/// Whether a header's value is no secret: to hide `application/json` wherever it stands would keep an
/// agent from its work.
fn is_plain(header: &str) -> bool {
    const PLAIN: [&str; 8] = [
        "accept",
        "accept-language",
        "content-type",
        "http-referer",
        "openai-beta",
        "referer",
        "user-agent",
        "x-title",
    ];
    PLAIN.iter().any(|plain| header.eq_ignore_ascii_case(plain))
}

impl Engine {
    pub async fn key_list(&self) -> Result<Vec<KeptKey>, ApiError> {
        self.key_ring().list().await.map_err(key_error)
    }

    /// Who shows runtimes hears that one may have a key now. It is hidden before it is kept, where an
    /// agent could find it; a key that is removed later stays hidden.
    pub async fn key_set(&self, params: KeySetParams) -> Result<KeptKey, ApiError> {
        let KeySetParams { place, key, file } = params;
        check_kept(&place, &key)?;
        hide_from_now_on(&self.core, &key);
        let kept = self.key_ring().set(&place, &key, file).await.map_err(key_error)?;
        self.core.news.runtimes_changed();
        Ok(KeptKey { place, kept })
    }

    pub async fn key_remove(&self, params: KeyPlaceParams) -> Result<KeyRemoved, ApiError> {
        let was = self.key_ring().remove(&params.place).await.map_err(key_error)?;
        self.core.news.runtimes_changed();
        Ok(KeyRemoved { was })
    }

    /// Goes to the network: a person asked.
    pub async fn endpoint_probe(
        &self,
        params: EndpointProbeParams,
    ) -> Result<EndpointReport, ApiError> {
        let name = &params.runtime;
        let kind = self.core.registry.get(name).ok_or_else(|| not_found("runtime", name))?;
        let report = kind.probe(&params).await;
        report.ok_or_else(|| bad_request(format!("The models of {name} have no address to ask.")))
    }

    /// Looks at this machine's usual ports: a person asked.
    pub async fn find_local_endpoints(&self) -> Result<Vec<LocalEndpoint>, ApiError> {
        let looks = self.core.registry.all().map(|kind| kind.find_local());
        Ok(futures::future::join_all(looks).await.into_iter().flatten().collect())
    }

    fn key_ring(&self) -> KeyRing {
        KeyRing::new(self.data_dir())
    }
}

/// What is kept for nobody, or is no key of theirs, is refused.
pub fn check_kept(place: &str, key: &SecretString) -> Result<(), ApiError> {
    let place = place.trim().trim_end_matches('/');
    let is_address = ["http://", "https://"]
        .iter()
        .any(|scheme| place.strip_prefix(scheme).is_some_and(|rest| !rest.is_empty()));
    if !PROVIDERS.contains(&place) && !is_address {
        let known = PROVIDERS.join(", ");
        return Err(bad_request(format!("There is nothing called {place:?} that a key opens."))
            .with_hint(format!("Name one of {known}, or an address that begins with https://.")));
    }
    let own = [Dialect::OpenAiResponses, Dialect::Gemini].map(model::Endpoint::default_base);
    let is_short = key.expose_secret().trim().len() < SHORTEST;
    if is_short && (PROVIDERS.contains(&place) || own.contains(&place)) {
        let message =
            format!("This is no key of {place}: it has fewer than {SHORTEST} characters.");
        return Err(bad_request(message).with_hint("Copy the whole key."));
    }
    Ok(())
}

/// A refusal of the ring of keys, with the next step. It holds nothing of a key.
pub fn key_error(error: KeyError) -> ApiError {
    let code = match error {
        KeyError::NoKey => ErrorCode::BadRequest,
        // With the consent to a file it can be done.
        KeyError::NoKeychain(_) => ErrorCode::Conflict,
        KeyError::File { .. } => ErrorCode::NoPermission,
    };
    let hint = match error {
        KeyError::NoKeychain(_) => Some(
            "Keep it in a file that only you can read (`musher keys set --file`), or set \
             OPENAI_API_KEY or GEMINI_API_KEY where Musher is started.",
        ),
        KeyError::File { .. } => Some("Look at the file, or remove it and set the keys again."),
        KeyError::NoKey => None,
    };
    let mut text = error.to_string();
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    let error = ApiError::new(code, format!("{text}."));
    match hint {
        Some(hint) => error.with_hint(hint),
        None => error,
    }
}
