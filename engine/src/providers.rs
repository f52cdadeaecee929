//! Model providers: their addresses, keys (write-only), limits and current state.
//!
//! Invariant: a key is stored encrypted and is read back only by the client that sends it, and only to the server for
//! which it was entered.

mod definition;
mod draft;
mod local;
mod registry;

pub use draft::ProviderDraft;
pub(crate) use registry::Models;

use crate::{
    Engine, Error, Result, User,
    accounts::admins_only,
    store::{self, providers as rows},
    to_its_end,
};
use domain::{
    id::ProviderId,
    key::ProviderKey,
    view::{Provider, ProviderStatus},
};

impl Engine {
    /// All providers by key, including `local` and those from the environment. Any signed-in user.
    pub async fn providers(&self, _user: &User) -> Result<Vec<Provider>> {
        Ok(self.0.models.all())
    }

    /// Creates a provider. Installation admins only. It hides a built-in or environment provider with the same key.
    ///
    /// # Errors
    /// `Invalid` for an invalid draft, `Conflict` if the key is taken.
    pub async fn create_provider(&self, user: &User, draft: ProviderDraft) -> Result<Provider> {
        admins_only(user)?;
        let draft = draft.checked()?;
        let engine = self.clone();
        to_its_end(async move {
            let key = draft.key.clone();
            let sealing = engine.clone();
            engine
                .0
                .store
                .write(move |tx| {
                    Box::pin(async move {
                        if rows::by_key(&mut *tx, &draft.key).await?.is_some() {
                            return Err(Error::Conflict(format!(
                                "there is a provider '{}' already",
                                draft.key
                            )));
                        }
                        draft.try_out(draft.api_key.clone(), sealing.0.models.http())?;
                        let row = draft.row(ProviderId(store::mint()), None, &sealing.0.secrets)?;
                        rows::insert(tx, &row, store::now()).await
                    })
                })
                .await?;
            engine.reread_provider(&key).await
        })
        .await
    }

    /// Changes a provider, whose key cannot change. Installation admins only. Without `api_key` the stored API key
    /// stays, unless the provider moves to another server; an empty one removes it.
    pub async fn update_provider(
        &self,
        user: &User,
        key: &ProviderKey,
        draft: ProviderDraft,
    ) -> Result<Provider> {
        admins_only(user)?;
        let stored = rows::by_key(self.0.store.read(), key).await?;
        stored.ok_or_else(|| self.0.models.not_stored(key))?;
        let draft = draft.checked()?;
        if draft.key != *key {
            return Err(Error::invalid("key", format!("a provider keeps its key: '{key}'")));
        }
        let engine = self.clone();
        to_its_end(async move {
            let key = draft.key.clone();
            let sealing = engine.clone();
            engine
                .0
                .store
                .write(move |tx| {
                    Box::pin(async move {
                        let (models, vault) = (&sealing.0.models, &sealing.0.secrets);
                        let stored = rows::by_key(&mut *tx, &draft.key).await?;
                        let stored = stored.ok_or_else(|| models.not_stored(&draft.key))?;
                        let api_key = draft.key_after(&stored, vault)?;
                        draft.try_out(api_key, models.http())?;
                        let row = draft.row(stored.id, stored.sealed_key, vault)?;
                        rows::update(tx, &row, store::now()).await
                    })
                })
                .await?;
            engine.reread_provider(&key).await
        })
        .await
    }

    /// Deletes a provider. Installation admins only. Roles that use it fail until they name another.
    pub async fn delete_provider(&self, user: &User, key: &ProviderKey) -> Result<()> {
        admins_only(user)?;
        let (engine, key) = (self.clone(), key.clone());
        to_its_end(async move {
            let (models, gone) = (engine.clone(), key.clone());
            engine
                .0
                .store
                .write(move |tx| {
                    Box::pin(async move {
                        let deleted = rows::delete(tx, &gone).await?;
                        if deleted { Ok(()) } else { Err(models.0.models.not_stored(&gone)) }
                    })
                })
                .await?;
            engine.0.models.reread(&engine.0.store, &engine.0.secrets, &key).await?;
            Ok(())
        })
        .await
    }

    /// Asks the provider for its models now. Waits ten seconds at most, and does not start the local model. Requires
    /// editor permission in a project.
    pub async fn provider_status(&self, user: &User, key: &ProviderKey) -> Result<ProviderStatus> {
        self.permits_calls(user).await?;
        self.0.models.status(key).await
    }

    async fn reread_provider(&self, key: &ProviderKey) -> Result<Provider> {
        let provider = self.0.models.reread(&self.0.store, &self.0.secrets, key).await?;
        // Another user has deleted it in between.
        provider.ok_or_else(|| Error::not_found("provider", key))
    }
}
