//! Server functions of the settings pages.

use crate::fault::Result;
#[cfg(feature = "ssr")]
use crate::{fault::Fault, session::caller};
#[cfg(feature = "ssr")]
use domain::access::Permission;
use domain::{
    id::TokenId,
    key::{ProjectKey, ProviderKey},
    view::{ApiToken, Member, ModelPrice, Project, Provider, ProviderStatus},
};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

/// All providers, and the user's permissions on them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Providers {
    pub list: Vec<Provider>,
    pub may_change: bool,
    /// Whether the user may request the providers' lists of models.
    pub may_ask: bool,
    /// Only for users who may change them.
    pub prices: Vec<ModelPrice>,
}

#[server]
pub async fn list_providers() -> Result<Providers> {
    let (engine, user) = caller().await?;
    let prices = if user.admin { engine.prices(&user).await? } else { Vec::new() };
    let may_ask = match engine.permits_calls(&user).await {
        Ok(()) => true,
        Err(engine::Error::EditorsOnly) => false,
        Err(error) => return Err(error.into()),
    };
    Ok(Providers { list: engine.providers(&user).await?, may_change: user.admin, may_ask, prices })
}

/// Requests the status from the provider now.
#[server]
pub async fn ask_provider(key: ProviderKey) -> Result<ProviderStatus> {
    let (engine, user) = caller().await?;
    Ok(engine.provider_status(&user, &key).await?)
}

/// The fields of a provider's form. An empty `api_key` keeps the stored key; `remove_key` is a checkbox.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProviderForm {
    pub key: String,
    pub kind: String,
    pub base_url: String,
    pub api_key: String,
    pub remove_key: String,
    pub max_concurrent: String,
    pub requests_per_minute: String,
}

/// Creates a provider (`existing` is `None`), or changes it.
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

/// Sets the price of a model from now on, in dollars per million tokens; both empty removes it.
#[server]
pub async fn save_price(model: String, input: String, output: String) -> Result<()> {
    let (engine, user) = caller().await?;
    let (model, price) = super::draft::price_draft(&model, &input, &output)
        .map_err(|problems| Fault::Invalid { problems }.answered())?;
    engine.set_price(&user, model, price).await?;
    leptos_axum::redirect("/settings/models");
    Ok(())
}

/// The members of a project.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Members {
    pub project: Project,
    pub list: Vec<Member>,
}

/// Without `project`: the last visited project, according to the page (`last`) or the browser, else the first one. A
/// deleted `last` is ignored. `None` if there is no project.
#[server]
pub async fn list_members(
    #[server(default)] project: Option<ProjectKey>,
    #[server(default)] last: Option<ProjectKey>,
) -> Result<Option<Members>> {
    let (engine, user) = caller().await?;
    let mut key = project;
    if key.is_none()
        && let Some(last) = last
    {
        key = match engine.project(&user, &last).await {
            Ok(project) => Some(project.key),
            Err(engine::Error::NotFound { .. } | engine::Error::Forbidden(_)) => None,
            Err(error) => return Err(error.into()),
        };
    }
    if key.is_none() {
        key = crate::project::home_project().await?;
    }
    let Some(key) = key else { return Ok(None) };
    let project = engine.project(&user, &key).await?;
    Ok(Some(Members { project, list: engine.members(&user, &key).await? }))
}

/// The API tokens of the requesting user.
#[server]
pub async fn list_api_tokens() -> Result<Vec<ApiToken>> {
    let (engine, user) = caller().await?;
    Ok(engine.api_tokens(&user).await?)
}

/// The token itself is shown only this once.
#[server]
pub async fn create_token(name: String) -> Result<String> {
    use secrecy::ExposeSecret;
    let (engine, user) = caller().await?;
    if crate::session::posted_without_script() {
        let message =
            "A token is shown on this page once, which needs a script. Use 'troupe token create' instead.";
        return Err(Fault::Unavailable { message: message.into() });
    }
    let (_, token) = engine.create_own_api_token(&user, name.trim()).await?;
    Ok(token.expose_secret().to_owned())
}

#[server]
pub async fn revoke_token(id: TokenId) -> Result<()> {
    let (engine, user) = caller().await?;
    Ok(engine.revoke_api_token(&user, id).await?)
}

/// An empty `permission` removes the member.
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
    let email = email.trim();
    let adds = permission.is_some();
    match engine.set_member(&user, &project, email, permission).await {
        Err(engine::Error::NotFound { what }) if adds && what.starts_with("user ") => {
            let message =
                format!("there is no {what}; with `troupe user add {email}` an administrator makes one");
            return Err(Fault::NotFound { message }.answered());
        }
        outcome => outcome?,
    }
    // Redirects to this project's page.
    if crate::session::posted_without_script() {
        leptos_axum::redirect(&format!("/settings/members?project={project}"));
    }
    Ok(())
}
