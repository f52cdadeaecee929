//! An admin's draft of a provider, and its validation.

use super::definition::origin_of;
use crate::{
    Error, Result,
    models::{Http, ProviderClient, providers::defaults},
    secrets::Vault,
    store::providers::ProviderRow,
};
use domain::{error::ErrorClass, id::ProviderId, key::ProviderKey, problem::Problem, provider::ProviderKind};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

/// Limit of concurrent calls, and of calls per minute.
const MAX_LIMIT: u32 = 1_000_000;
/// The longest base URL and the longest API key, in bytes.
const MAX_URL: usize = 2_000;
const MAX_KEY: usize = 10_000;

/// An admin's input to create or change a provider.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProviderDraft {
    pub key: ProviderKey,
    pub kind: ProviderKind,
    #[serde(default)]
    pub base_url: Option<String>,
    /// On a change, `None` keeps the stored key and an empty text removes it.
    #[serde(default)]
    pub api_key: Option<SecretString>,
    #[serde(default)]
    pub max_concurrent: Option<u32>,
    #[serde(default)]
    pub requests_per_minute: Option<u32>,
}

impl ProviderDraft {
    /// The draft with its texts trimmed, or all its problems.
    pub(super) fn checked(mut self) -> Result<Self> {
        let mut problems = Vec::new();
        let mut wrong = |path: &str, message: String| problems.push(Problem::new(path, message));
        if self.kind == ProviderKind::Local {
            wrong("kind", "the local model is built in and cannot be made again".to_owned());
        }
        self.base_url = self.base_url.map(|url| url.trim().to_owned()).filter(|url| !url.is_empty());
        if self.base_url.as_ref().is_some_and(|url| url.len() > MAX_URL) {
            wrong("baseUrl", format!("has at most {MAX_URL} bytes"));
        }
        self.api_key = self.api_key.map(|key| key.expose_secret().trim().into());
        if let Some(key) = &self.api_key {
            let key = key.expose_secret();
            if key.len() > MAX_KEY || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
                wrong(
                    "apiKey",
                    "is not an API key: it has spaces or characters that no key has, or is too long"
                        .to_owned(),
                );
            }
        }
        for (path, limit) in
            [("maxConcurrent", self.max_concurrent), ("requestsPerMinute", self.requests_per_minute)]
        {
            if limit.is_some_and(|limit| !(1..=MAX_LIMIT).contains(&limit)) {
                wrong(path, format!("must be from 1 to {MAX_LIMIT}"));
            }
        }
        if problems.is_empty() { Ok(self) } else { Err(Error::Invalid(problems)) }
    }

    /// Builds a client from the draft, which checks the address and whether a key is needed. Sends nothing.
    pub(super) fn try_out(&self, api_key: Option<SecretString>, http: &Http) -> Result<()> {
        match ProviderClient::new(self.kind, self.base_url.as_deref(), api_key, http) {
            Ok(_) => Ok(()),
            Err(error) if error.class == ErrorClass::Auth => Err(Error::invalid("apiKey", error.message)),
            Err(error) => Err(Error::invalid("baseUrl", error.message)),
        }
    }

    /// The API key of the provider after this change: the given one, or the stored one as long as the provider stays on
    /// the server for which it was entered.
    pub(super) fn key_after(&self, stored: &ProviderRow, vault: &Vault) -> Result<Option<SecretString>> {
        let (None, Some(sealed)) = (&self.api_key, &stored.sealed_key) else {
            return Ok(self.api_key.clone());
        };
        let origin = |kind, base_url: Option<&str>| base_url.or(defaults(kind).base_url).and_then(origin_of);
        let before = origin(stored.kind, stored.base_url.as_deref());
        if before != origin(self.kind, self.base_url.as_deref()) {
            let message = "give the key again: the stored one was given for another server";
            return Err(Error::invalid("apiKey", message));
        }
        match vault.unseal(sealed, stored.id.0.as_bytes()) {
            Some(key) => Ok(Some(key)),
            None => {
                Err(Error::invalid("apiKey", "give the key again: the stored one cannot be read any more"))
            }
        }
    }

    /// The row to store. `kept` is the stored encrypted key.
    pub(super) fn row(&self, id: ProviderId, kept: Option<Vec<u8>>, vault: &Vault) -> Result<ProviderRow> {
        let sealed_key = match &self.api_key {
            None => kept,
            Some(key) if key.expose_secret().is_empty() => None,
            Some(key) => Some(vault.seal(key, id.0.as_bytes())?),
        };
        Ok(ProviderRow {
            id,
            key: self.key.clone(),
            kind: self.kind,
            base_url: self.base_url.clone(),
            sealed_key,
            max_concurrent: self.max_concurrent,
            requests_per_minute: self.requests_per_minute,
        })
    }
}
