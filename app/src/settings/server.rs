//! What the settings pages ask of the server.

use crate::fault::Result;
#[cfg(feature = "ssr")]
use crate::{fault::Fault, session::caller};
#[cfg(feature = "ssr")]
use domain::access::Permission;
use domain::{
    id::TokenId,
    key::{ProjectKey, ProviderKey},
    view::{ApiToken, Member, Provider, ProviderStatus},
};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

#[server]
pub async fn list_providers() -> Result<Vec<Provider>> {
    let (engine, user) = caller().await?;
    Ok(engine.providers(&user).await?)
}

/// Asks the provider now.
#[server]
pub async fn ask_provider(key: ProviderKey) -> Result<ProviderStatus> {
    let (engine, user) = caller().await?;
    Ok(engine.provider_status(&user, &key).await?)
}

/// The fields of a provider as a form gives them. `api_key` empty keeps the stored key.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProviderForm {
    pub key: String,
    pub kind: String,
    pub base_url: String,
    pub api_key: String,
    pub max_concurrent: String,
    pub requests_per_minute: String,
}

/// Makes a provider (`existing` none), or changes it.
#[server]
pub async fn save_provider(
    provider: ProviderForm,
    #[server(default)] existing: Option<ProviderKey>,
) -> Result<Provider> {
    let (engine, user) = caller().await?;
    let draft = super::draft::provider_draft(provider, existing.as_ref())
        .map_err(|problems| Fault::Invalid { problems }.answered())?;
    let saved = match existing {
        None => engine.create_provider(&user, draft).await?,
        Some(key) => engine.update_provider(&user, &key, draft).await?,
    };
    leptos_axum::redirect("/settings/models");
    Ok(saved)
}

#[server]
pub async fn delete_provider(key: ProviderKey) -> Result<()> {
    let (engine, user) = caller().await?;
    engine.delete_provider(&user, &key).await?;
    leptos_axum::redirect("/settings/models");
    Ok(())
}

#[server]
pub async fn list_members(project: ProjectKey) -> Result<Vec<Member>> {
    let (engine, user) = caller().await?;
    Ok(engine.members(&user, &project).await?)
}

/// Those of the one who asks.
#[server]
pub async fn list_api_tokens() -> Result<Vec<ApiToken>> {
    let (engine, user) = caller().await?;
    Ok(engine.api_tokens(&user).await?)
}

/// The token itself is shown this once.
#[server]
pub async fn create_token(name: String) -> Result<String> {
    use secrecy::ExposeSecret;
    let (engine, user) = caller().await?;
    let (_, token) = engine.create_own_api_token(&user, name.trim()).await?;
    Ok(token.expose_secret().to_owned())
}

#[server]
pub async fn revoke_token(id: TokenId) -> Result<()> {
    let (engine, user) = caller().await?;
    Ok(engine.revoke_api_token(&user, id).await?)
}

/// `permission` empty removes the member.
#[server]
pub async fn set_member(
    project: ProjectKey,
    email: String,
    #[server(default)] permission: String,
) -> Result<()> {
    let (engine, user) = caller().await?;
    let permission = match permission.as_str() {
        "" => None,
        word => Some(
            Permission::parse(word)
                .ok_or_else(|| Fault::field("permission", "choose viewer, editor or admin").answered())?,
        ),
    };
    engine.set_member(&user, &project, email.trim(), permission).await?;
    Ok(())
}
