//! Server functions of the role pages. Trying a role streams, so it does not use a server function.

use crate::fault::Result;
#[cfg(feature = "ssr")]
use crate::{fault::Fault, session::caller};
use domain::{
    id::UserId,
    key::{ModelName, ProjectKey, ProviderKey, RoleKey},
    view::{Page, Role},
};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

/// The models that the providers currently offer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Offered {
    pub models: Vec<ModelName>,
    /// Providers that did not respond, and why.
    pub failed: Vec<(ProviderKey, String)>,
    /// The requesting user: drafts are kept per user.
    pub me: Option<UserId>,
}

/// In order of creation.
#[server]
pub async fn list_roles(
    project: ProjectKey,
    #[server(default)] cursor: Option<String>,
) -> Result<Page<Role>> {
    let (engine, user) = caller().await?;
    Ok(engine.roles(&user, &project, cursor.as_deref()).await?)
}

#[server]
pub async fn load_role(project: ProjectKey, key: RoleKey) -> Result<Role> {
    let (engine, user) = caller().await?;
    Ok(engine.role(&user, &project, &key).await?)
}

#[server]
pub async fn offered_models() -> Result<Offered> {
    let (engine, user) = caller().await?;
    let (models, failed) = engine.offered_models(&user).await?;
    Ok(Offered { models, failed, me: Some(user.id) })
}

/// The fields of a role's form.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RoleForm {
    pub key: String,
    pub name: String,
    pub base_prompt: String,
    pub model: String,
    pub temperature: String,
    pub max_tokens: String,
    /// Names, separated by commas.
    pub tools: String,
}

/// Creates a role (`based_on` is `None`) or its next version, and redirects to the role's page.
#[server]
pub async fn save_role(
    project: ProjectKey,
    role: RoleForm,
    #[server(default)] based_on: Option<u32>,
) -> Result<Role> {
    let (engine, user) = caller().await?;
    let draft = role.draft().map_err(|problems| Fault::Invalid { problems }.answered())?;
    let saved = match based_on {
        None => engine.create_role(&user, &project, draft).await?,
        Some(version) => {
            let key = draft.key.clone();
            engine.update_role(&user, &project, &key, draft, Some(version)).await?
        }
    };
    leptos_axum::redirect(&format!("/p/{project}/roles/{}", saved.key));
    Ok(saved)
}

/// Redirects to the list.
#[server]
pub async fn delete_role(project: ProjectKey, key: RoleKey) -> Result<()> {
    let (engine, user) = caller().await?;
    engine.delete_role(&user, &project, &key).await?;
    leptos_axum::redirect(&format!("/p/{project}/roles"));
    Ok(())
}
