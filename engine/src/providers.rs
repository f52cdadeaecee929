//! Providers of models: where they are, their keys (write-only), their limits, and how they feel just now.

use crate::{Engine, Result, User};
use domain::{
    key::ProviderKey,
    provider::ProviderKind,
    view::{Provider, ProviderStatus},
};
use secrecy::SecretString;
use serde::Deserialize;

/// What an admin gives to make or change a provider.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProviderDraft {
    pub key: ProviderKey,
    pub kind: ProviderKind,
    #[serde(default)]
    pub base_url: Option<String>,
    /// None keeps the stored key on a change.
    #[serde(default)]
    pub api_key: Option<SecretString>,
    #[serde(default)]
    pub max_concurrent: Option<u32>,
    #[serde(default)]
    pub requests_per_minute: Option<u32>,
}

/// The clients and limits of all providers, by key; rebuilt when a provider changes.
pub(crate) struct Models {}

/// Where a model's calls go.
pub(crate) struct Resolved {
    pub client: std::sync::Arc<dyn crate::models::ModelClient>,
    pub limits: std::sync::Arc<crate::models::ProviderLimits>,
    /// The name that the provider knows.
    pub model: String,
}

impl Models {
    pub fn new(_config: &crate::Config) -> Self {
        todo!()
    }

    pub async fn resolve(&self, _model: &domain::key::ModelName) -> Result<Resolved, domain::event::Failure> {
        todo!()
    }
}

impl Engine {
    /// Any signed-in user; `local` and those from the environment included.
    pub async fn providers(&self, user: &User) -> Result<Vec<Provider>> {
        todo!()
    }
    /// Installation admins only.
    pub async fn create_provider(&self, user: &User, draft: ProviderDraft) -> Result<Provider> {
        todo!()
    }
    pub async fn update_provider(
        &self,
        user: &User,
        key: &ProviderKey,
        draft: ProviderDraft,
    ) -> Result<Provider> {
        todo!()
    }
    pub async fn delete_provider(&self, user: &User, key: &ProviderKey) -> Result<()> {
        todo!()
    }
    /// Asks the provider for its models now.
    pub async fn provider_status(&self, user: &User, key: &ProviderKey) -> Result<ProviderStatus> {
        todo!()
    }
}
