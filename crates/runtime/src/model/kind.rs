//! The two kinds that this runtime is registered as, and where their keys come from.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use musher_protocol::{
    EndpointProbeParams, EndpointReport, EndpointSettings, LocalEndpoint, RuntimeInfo,
};
use secrecy::SecretString;

use super::{
    ModelRuntime, TOOLS,
    codec::Dialect,
    endpoint::{Endpoint, EndpointError, Patience},
    prices::Prices,
    probe::{USUAL_PORTS, find_at, the_only_model},
    wishes,
};
use crate::{AgentRuntime, RuntimeContext, RuntimeKind};

/// Where keys are kept. Found anew for each run, never kept by a runtime.
#[async_trait]
pub trait Keys: Send + Sync {
    /// The key that was stored for this provider (`openai`, `gemini`) or for this address; an address
    /// never gets the provider's.
    async fn key(&self, place: &str) -> Option<SecretString>;
}

/// OpenAI and what speaks like it, or Gemini.
#[derive(Clone)]
pub struct ModelKind {
    family: Family,
    keys: Arc<dyn Keys>,
    /// The user's own prices.
    prices: PathBuf,
    patience: Patience,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    OpenAi,
    Gemini,
}

impl ModelKind {
    pub fn openai(keys: Arc<dyn Keys>, prices: PathBuf) -> Self {
        Self { family: Family::OpenAi, keys, prices, patience: Patience::default() }
    }

    pub fn gemini(keys: Arc<dyn Keys>, prices: PathBuf) -> Self {
        Self { family: Family::Gemini, keys, prices, patience: Patience::default() }
    }

    /// For tests: other limits of time.
    pub fn with_patience(self, patience: Patience) -> Self {
        Self { patience, ..self }
    }

    pub(super) fn patience(&self) -> Patience {
        self.patience
    }

    pub(super) fn prices(&self) -> Result<Prices, String> {
        Prices::with_file(&self.prices)
    }

    pub(super) fn default_model(&self) -> &'static str {
        match self.family {
            Family::OpenAi => "gpt-5.4",
            Family::Gemini => "gemini-3.5-flash",
        }
    }

    pub(super) fn label(&self) -> &'static str {
        match self.family {
            Family::OpenAi => "OpenAI",
            Family::Gemini => "Gemini",
        }
    }

    /// How a key gets here.
    pub(super) fn key_hint(&self) -> String {
        format!(
            "{} needs a key: `musher keys set {}`, or {} where Musher is started.",
            self.label(),
            self.name(),
            self.variables()[0]
        )
    }

    /// The variables that hold the provider's key.
    fn variables(&self) -> &'static [&'static str] {
        match self.family {
            Family::OpenAi => &["OPENAI_API_KEY"],
            Family::Gemini => &["GEMINI_API_KEY", "GOOGLE_API_KEY"],
        }
    }

    /// The address, where it is another one than the provider's own: written out, that one is still the
    /// provider, and is opened by its key.
    fn elsewhere<'a>(&self, base: Option<&'a str>) -> Option<&'a str> {
        let dialect = self.own_dialect();
        let own = Endpoint::default_base(dialect);
        base.filter(|base| Endpoint::place(Some(*base), dialect) != own)
    }

    /// Whether it is the provider itself, written out or not.
    pub(super) fn is_own(&self, base: Option<&str>) -> bool {
        self.elsewhere(base).is_none()
    }

    /// What the provider itself speaks.
    fn own_dialect(&self) -> Dialect {
        match self.family {
            Family::OpenAi => Dialect::OpenAiResponses,
            Family::Gemini => Dialect::Gemini,
        }
    }

    fn dialect(&self, settings: &EndpointSettings) -> Result<Dialect, String> {
        let elsewhere = self.elsewhere(settings.base_url.as_deref());
        let named = settings.dialect.as_deref();
        match (self.family, named) {
            (Family::Gemini, None) => Ok(Dialect::Gemini),
            // What is not OpenAI's own mostly has only the older dialect.
            (Family::OpenAi, None) if elsewhere.is_some() => Ok(Dialect::OpenAiChat),
            (Family::OpenAi, None) => Ok(self.own_dialect()),
            (_, Some(name)) => {
                let dialect = Dialect::of(name).ok_or_else(|| {
                    let known = Dialect::ALL.map(Dialect::name).join(", ");
                    format!("There is no dialect {name}. Choose one of {known}.")
                })?;
                self.check_spoken(dialect, settings).map(|()| dialect)
            }
        }
    }

    /// Without an address a dialect means its own provider, and that is where this one's key would go.
    fn check_spoken(&self, dialect: Dialect, settings: &EndpointSettings) -> Result<(), String> {
        let is_own = (dialect == Dialect::Gemini) == (self.family == Family::Gemini);
        if is_own || settings.base_url.is_some() {
            return Ok(());
        }
        Err(format!(
            "{} itself does not speak {dialect}: leave the dialect out, or give the address of a server \
             that does.",
            self.label()
        ))
    }

    /// Where a run's model is, with what opens it. `Err` is a sentence for the person.
    pub(super) async fn endpoint(&self, context: &RuntimeContext) -> Result<Endpoint, String> {
        self.endpoint_at(&context.endpoint, &context.secrets).await
    }

    /// The same for a probe, which has no run and so no key that was named for it.
    pub(super) async fn probed(&self, wanted: &EndpointProbeParams) -> Result<Endpoint, String> {
        let EndpointProbeParams { base_url, dialect, headers, .. } = wanted.clone();
        let settings = EndpointSettings {
            base_url,
            dialect,
            headers,
            organization: wanted.organization.clone(),
            account_project: wanted.account_project.clone(),
            ..EndpointSettings::default()
        };
        self.endpoint_at(&settings, &BTreeMap::new()).await
    }

    async fn endpoint_at(
        &self,
        settings: &EndpointSettings,
        secrets: &BTreeMap<String, SecretString>,
    ) -> Result<Endpoint, String> {
        let wrong = |error: EndpointError| error.to_string();
        let mut endpoint = self.bare(settings)?;
        if let Some(found) = self.key(settings.base_url.as_deref(), secrets).await {
            found.check(&endpoint)?;
            endpoint = endpoint.with_key(&found.key).map_err(wrong)?;
        }
        for (name, value) in &settings.headers {
            endpoint = endpoint.with_header(name, value).map_err(wrong)?;
        }
        let accounts = [
            ("openai-organization", &settings.organization),
            ("openai-project", &settings.account_project),
        ];
        for (name, id) in accounts {
            if let Some(id) = id {
                endpoint = endpoint.with_account(name, id).map_err(wrong)?;
            }
        }
        Ok(endpoint)
    }

    /// Where it is, before anything opens it: what is wrong with it is told without a look at keys.
    fn bare(&self, settings: &EndpointSettings) -> Result<Endpoint, String> {
        let dialect = self.dialect(settings)?;
        wishes::check(dialect, settings)?;
        let base = settings.base_url.as_deref().unwrap_or(Endpoint::default_base(dialect));
        Endpoint::new(base, dialect).map_err(|error| error.to_string())
    }

    /// The key that was named for this run, else the stored one, else the one of the environment. An
    /// address of the user's gets the environment's key too: who names both means them together.
    async fn key(
        &self,
        base: Option<&str>,
        secrets: &BTreeMap<String, SecretString>,
    ) -> Option<Found> {
        let meant = |key| Found { key, variable: None };
        let given = self.variables().iter().find_map(|name| secrets.get(*name));
        if let Some(given) = given {
            return Some(meant(given.clone()));
        }
        // As it is written first: a key may be kept by that.
        let elsewhere = self.elsewhere(base);
        let place = elsewhere.map(|base| Endpoint::place(Some(base), Dialect::OpenAiChat));
        let place = place.filter(|place| Some(place.as_str()) != elsewhere);
        for place in elsewhere.or(Some(self.name())).into_iter().chain(place.as_deref()) {
            if let Some(stored) = self.keys.key(place).await {
                return Some(meant(stored));
            }
        }
        self.variables().iter().find_map(|name| {
            let key = std::env::var(name).ok().filter(|key| !key.trim().is_empty())?;
            Some(Found { key: SecretString::from(key), variable: Some(*name) })
        })
    }
}

/// A key, and the variable of the environment that it is from: nobody named it for this very address.
struct Found {
    key: SecretString,
    variable: Option<&'static str>,
}

impl Found {
    fn check(&self, endpoint: &Endpoint) -> Result<(), String> {
        match self.variable {
            Some(name) if endpoint.is_overheard() => Err(format!(
                "The key of {name} would go to {endpoint} for everybody on the way to read: give an \
                 address that begins with https://."
            )),
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl RuntimeKind for ModelKind {
    fn label(&self) -> &'static str {
        ModelKind::label(self)
    }

    fn name(&self) -> &'static str {
        match self.family {
            Family::OpenAi => "openai",
            Family::Gemini => "gemini",
        }
    }

    fn needs_tools(&self) -> bool {
        true
    }

    fn new_run(&self) -> Arc<dyn AgentRuntime> {
        Arc::new(ModelRuntime::new(self.clone()))
    }

    /// There once it has a key; an endpoint of the user's own may need none.
    async fn detect(&self, _path: &str) -> RuntimeInfo {
        let set = |name: &str| std::env::var(name).is_ok_and(|key| !key.trim().is_empty());
        let found = self.variables().iter().any(|name| set(name))
            || self.keys.key(self.name()).await.is_some();
        RuntimeInfo {
            name: self.name().to_owned(),
            label: self.label().to_owned(),
            found,
            over_http: true,
            path: None,
            version: None,
            hint: (!found).then(|| self.key_hint()),
            models: vec![self.default_model().to_owned()],
        }
    }

    fn trouble(&self) -> Option<String> {
        self.prices().err()
    }

    fn check_endpoint(&self, wanted: &EndpointSettings) -> Result<(), String> {
        self.bare(wanted).map(drop)
    }

    fn place(&self, wanted: &EndpointSettings) -> Option<String> {
        Some(Endpoint::place(wanted.base_url.as_deref(), self.own_dialect()))
    }

    fn is_elsewhere(&self, wanted: &EndpointSettings) -> bool {
        !self.is_own(wanted.base_url.as_deref())
    }

    async fn only_model(
        &self,
        wanted: &EndpointSettings,
        given: &BTreeMap<String, SecretString>,
    ) -> Result<String, String> {
        the_only_model(&self.endpoint_at(wanted, given).await?).await
    }

    async fn environments_key(
        &self,
        wanted: &EndpointSettings,
        given: &BTreeMap<String, SecretString>,
    ) -> Option<&'static str> {
        let address = self.elsewhere(wanted.base_url.as_deref())?;
        self.key(Some(address), given).await?.variable
    }

    async fn check_key(
        &self,
        wanted: &EndpointSettings,
        given: &BTreeMap<String, SecretString>,
    ) -> Result<(), String> {
        self.endpoint_at(wanted, given).await.map(drop)
    }

    async fn probe(&self, wanted: &EndpointProbeParams) -> Option<EndpointReport> {
        Some(self.ask_about(wanted).await)
    }

    /// What runs on a machine of one's own speaks OpenAI's older dialect.
    async fn find_local(&self) -> Vec<LocalEndpoint> {
        match self.family {
            Family::OpenAi => find_at(&USUAL_PORTS, self.name()).await,
            Family::Gemini => Vec::new(),
        }
    }

    /// The run had begun, and its engine is gone.
    fn left_something(&self, run_dir: &Path) -> bool {
        run_dir.join(TOOLS).exists()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    struct Provider;

    #[async_trait]
    impl Keys for Provider {
        async fn key(&self, place: &str) -> Option<SecretString> {
            matches!(place, "openai" | "gemini" | "https://models.example.com/v1")
                .then(|| SecretString::from("k"))
        }
    }

    #[tokio::test]
    async fn the_provider_s_address_written_out_is_the_provider() {
        let kind = ModelKind::openai(Arc::new(Provider), PathBuf::new());
        let at = |base: &str| EndpointSettings {
            base_url: Some(base.to_owned()),
            ..EndpointSettings::default()
        };
        let own = at("https://API.openai.com:443/v1/");
        let endpoint = kind.endpoint_at(&own, &BTreeMap::new()).await.unwrap();
        assert!(endpoint.has_key);
        assert_eq!(endpoint.dialect, Dialect::OpenAiResponses);
        let written = at("https://Models.example.com:443/v1/");
        assert!(kind.endpoint_at(&written, &BTreeMap::new()).await.unwrap().has_key);
        for other in ["https://api.openai.com.example.com/v1", "https://api.openai.com/v1/x"] {
            let endpoint = kind.endpoint_at(&at(other), &BTreeMap::new()).await.unwrap();
            assert!(!endpoint.has_key || std::env::var("OPENAI_API_KEY").is_ok());
            assert_eq!(endpoint.dialect, Dialect::OpenAiChat);
        }
    }

    #[test]
    fn the_environment_s_key_goes_nowhere_that_it_can_be_read() {
        let check = |base: &str, variable| {
            let endpoint = Endpoint::new(base, Dialect::OpenAiChat).unwrap();
            Found { key: SecretString::from("k"), variable }.check(&endpoint)
        };
        let why = check("http://api.example.com/v1", Some("OPENAI_API_KEY")).unwrap_err();
        assert!(why.contains("OPENAI_API_KEY") && why.contains("https://"), "{why}");
        check("https://api.example.com/v1", Some("OPENAI_API_KEY")).unwrap();
        check("http://127.0.0.1:8080/v1", Some("OPENAI_API_KEY")).unwrap();
        check("http://api.example.com/v1", None).unwrap();
    }
}
