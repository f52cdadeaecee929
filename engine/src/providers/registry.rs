//! The clients and limits of all providers, in memory, by key.
//!
//! Invariant: the registry matches the stored providers, which override those of the environment and the product. A
//! changed provider keeps its queue, so waiting calls keep waiting.

use super::{
    definition::{ApiKey, Definition},
    local::{self, LocalClient},
};
use crate::{
    Config, Error, Result, StartError,
    models::{
        Http, ModelClient, ProviderClient, ProviderLimits,
        local::{LocalModel, LocalModelConfig},
    },
    secrets::Vault,
    store::{Store, providers as rows},
};
use domain::{
    error::ErrorClass,
    event::Failure,
    key::{ModelName, ProviderKey},
    provider::ProviderKind,
    view::{Provider, ProviderSlowdown, ProviderStatus},
};
use futures::future::join_all;
use secrecy::ExposeSecret;
use std::{
    collections::BTreeMap,
    ffi::OsString,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard},
    time::{Duration, Instant},
};

/// How long a request for a provider's state waits.
const STATUS_LIMIT: Duration = Duration::from_secs(10);
/// How long a list of all models waits for each provider, and how long it is cached.
const OFFER_LIMIT: Duration = Duration::from_secs(3);
const OFFER_KEPT: Duration = Duration::from_secs(30);

/// The name of the local model before it is installed: the one that `make setup` installs.
const SHIPPED_MODEL: &str = "smollm2-135m-instruct";

pub(crate) struct Models {
    http: Http,
    local: LocalModel,
    /// Built in or from the environment; a stored provider with the same key overrides it.
    given: BTreeMap<ProviderKey, Definition>,
    served: RwLock<BTreeMap<ProviderKey, Arc<Served>>>,
    /// Serialises re-reads, so that the last one to finish has read last.
    rereading: tokio::sync::Mutex<()>,
}

/// The destination of a model's calls.
pub(crate) struct Resolved {
    pub client: Arc<dyn ModelClient>,
    pub limits: Arc<ProviderLimits>,
    /// The name that the provider knows.
    pub model: String,
}

struct Served {
    definition: Definition,
    /// The error: why nothing can be sent.
    client: Result<Arc<dyn ModelClient>, Failure>,
    limits: Arc<ProviderLimits>,
    offer: tokio::sync::Mutex<Option<(Instant, Offer)>>,
}

/// The names of models, or why there are none now.
type Offer = Result<Vec<String>, String>;

impl Models {
    pub async fn open(config: &Config, store: &Store, vault: &Vault) -> Result<Self, StartError> {
        let environment = &config.environment;
        let local = LocalModelConfig::discover_from(|name| {
            let value = environment.get(name).map(|value| OsString::from(value.expose_secret()));
            value.or_else(|| std::env::var_os(name))
        });
        let given = Definition::given(environment).into_iter();
        let models = Self {
            http: Http::new(),
            local: LocalModel::new(local),
            given: given.map(|definition| (definition.key.clone(), definition)).collect(),
            served: RwLock::default(),
            rereading: tokio::sync::Mutex::default(),
        };
        let stored = rows::all(store.read()).await.map_err(StartError::Providers)?;
        let stored = stored.into_iter().map(|row| Definition::stored(row, vault));
        for definition in models.given.values().cloned().chain(stored) {
            models.serve(definition);
        }
        Ok(models)
    }

    /// # Errors
    /// The failure of the attempt: the provider does not exist, or nothing can be sent to it.
    pub async fn resolve(&self, model: &ModelName) -> Result<Resolved, Failure> {
        let key = model.provider();
        let Some(served) = self.get(&key) else {
            let message = format!("the provider '{key}' does not exist; see Settings / Models");
            return Err(Failure::new(ErrorClass::BadRequest, message));
        };
        Ok(Resolved {
            client: served.client.clone()?,
            limits: served.limits.clone(),
            model: model.model().to_owned(),
        })
    }

    /// The name of the local model, installed or not.
    pub fn local_model(&self) -> String {
        self.local.model_name().unwrap_or_else(|| SHIPPED_MODEL.to_owned())
    }

    /// Stops the local model's process and waits for its exit.
    pub async fn stop(&self) {
        self.local.stop().await;
    }

    pub(super) fn http(&self) -> &Http {
        &self.http
    }

    pub fn all(&self) -> Vec<Provider> {
        self.read().values().map(|served| served.view()).collect()
    }

    /// Reloads the provider from the store. `None` if it is gone.
    pub(super) async fn reread(
        &self,
        store: &Store,
        vault: &Vault,
        key: &ProviderKey,
    ) -> Result<Option<Provider>> {
        let _turn = self.rereading.lock().await;
        let stored = rows::by_key(store.read(), key).await?.map(|row| Definition::stored(row, vault));
        match stored.or_else(|| self.given.get(key).cloned()) {
            Some(definition) => Ok(Some(self.serve(definition))),
            None => {
                self.served.write().unwrap_or_else(PoisonError::into_inner).remove(key);
                Ok(None)
            }
        }
    }

    /// The error for changing a provider that is not stored.
    pub(super) fn not_stored(&self, key: &ProviderKey) -> Error {
        match self.given.get(key) {
            Some(given) if given.kind == ProviderKind::Local => {
                Error::Conflict(format!("the provider '{key}' is built in and cannot be changed"))
            }
            Some(_) => Error::Conflict(format!(
                "the provider '{key}' comes from the server's environment; create one of this key to use instead"
            )),
            None => Error::not_found("provider", key),
        }
    }

    pub(super) async fn status(&self, key: &ProviderKey) -> Result<ProviderStatus> {
        let served = self.get(key).ok_or_else(|| Error::not_found("provider", key))?;
        if served.definition.kind == ProviderKind::Local {
            return Ok(local::status(&self.local));
        }
        Ok(match served.ask(STATUS_LIMIT).await {
            Ok(models) => ProviderStatus::Reachable { models },
            Err(message) => ProviderStatus::Failed { message },
        })
    }

    /// The models of all providers, and the providers whose models could not be listed, with the reasons.
    pub async fn offered(&self) -> (Vec<ModelName>, Vec<(ProviderKey, String)>) {
        let all: Vec<_> = self.read().values().cloned().collect();
        let offers = join_all(all.iter().map(|served| served.offer())).await;
        let (mut models, mut failed) = (Vec::new(), Vec::new());
        for (served, offer) in all.iter().zip(offers) {
            let key = &served.definition.key;
            match offer {
                // Names that no role could use are not offered.
                Ok(names) => {
                    models.extend(names.iter().filter_map(|name| ModelName::new(key.clone(), name).ok()))
                }
                Err(message) => failed.push((key.clone(), message)),
            }
        }
        (models, failed)
    }

    fn get(&self, key: &ProviderKey) -> Option<Arc<Served>> {
        self.read().get(key).cloned()
    }

    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<ProviderKey, Arc<Served>>> {
        self.served.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, definition: Definition) -> Provider {
        let client = self.client(&definition);
        let mut all = self.served.write().unwrap_or_else(PoisonError::into_inner);
        let (most, rate) = (definition.max_concurrent, definition.requests_per_minute);
        let limits = match all.get(&definition.key) {
            Some(before) => before.limits.clone(),
            None => Arc::new(ProviderLimits::new(most, rate)),
        };
        limits.set(most, rate);
        let key = definition.key.clone();
        let served = Arc::new(Served { definition, client, limits, offer: tokio::sync::Mutex::default() });
        let view = served.view();
        all.insert(key, served);
        view
    }

    fn client(&self, definition: &Definition) -> Result<Arc<dyn ModelClient>, Failure> {
        if definition.kind == ProviderKind::Local {
            return Ok(Arc::new(LocalClient::new(self.local.clone(), self.http.clone())));
        }
        let key = match &definition.api_key {
            ApiKey::None => None,
            ApiKey::Known(key) => Some(key.clone()),
            ApiKey::Unreadable => {
                let message = format!(
                    "the stored API key of the provider '{}' cannot be read with this installation's secret key; \
                     enter it again",
                    definition.key
                );
                return Err(Failure::new(ErrorClass::Auth, message));
            }
        };
        match ProviderClient::new(definition.kind, definition.base_url.as_deref(), key, &self.http) {
            Ok(client) => Ok(Arc::new(client)),
            Err(error) => Err(Failure::new(error.class, error.message)),
        }
    }
}

impl Served {
    fn view(&self) -> Provider {
        Provider {
            key: self.definition.key.clone(),
            kind: self.definition.kind,
            base_url: self.definition.base_url.clone(),
            has_key: !matches!(self.definition.api_key, ApiKey::None),
            origin: self.definition.origin,
            max_concurrent: self.definition.max_concurrent,
            requests_per_minute: self.definition.requests_per_minute,
            active: self.limits.in_flight(),
            queued: self.limits.queued() as u32,
            slowdown: self.limits.slowdown().map(|slowdown| ProviderSlowdown {
                resumes_in_ms: slowdown.resumes_in.as_millis() as u64,
                refused: slowdown.refused,
            }),
        }
    }

    async fn ask(&self, limit: Duration) -> Offer {
        let client = self.client.as_ref().map_err(|failure| failure.message.clone())?;
        match tokio::time::timeout(limit, client.list_models()).await {
            Ok(answer) => answer.map_err(|error| error.message),
            Err(_) => Err(format!("it did not answer within {} seconds", limit.as_secs())),
        }
    }

    /// The provider's models, cached for a while. Concurrent callers wait for the same answer.
    async fn offer(&self) -> Offer {
        let mut kept = self.offer.lock().await;
        if let Some((at, offer)) = &*kept
            && at.elapsed() < OFFER_KEPT
        {
            return offer.clone();
        }
        let offer = self.ask(OFFER_LIMIT).await;
        *kept = Some((Instant::now(), offer.clone()));
        offer
    }
}
