//! Server functions of projects.

use crate::fault::Result;
#[cfg(feature = "ssr")]
use crate::{fault::Fault, session::caller};
use domain::{key::ProjectKey, view::Project};
use leptos::prelude::*;

/// The projects of the requesting user.
#[server]
pub async fn list_projects() -> Result<Vec<Project>> {
    let (engine, user) = caller().await?;
    Ok(engine.projects(&user).await?)
}

#[server]
pub async fn create_project(key: String, name: String) -> Result<Project> {
    let (engine, user) = caller().await?;
    let name = name.trim();
    let key = match key.trim() {
        "" => ProjectKey::from_title(name),
        key => ProjectKey::parse(key).map_err(|error| Fault::field("key", error.to_string()).answered())?,
    };
    let project = engine.create_project(&user, key, name).await?;
    leptos_axum::redirect(&format!("/p/{}", project.key));
    Ok(project)
}

/// The target of `/`: the last visited project if it still exists, else the first one.
#[server]
pub async fn home_project() -> Result<Option<ProjectKey>> {
    let (engine, user) = caller().await?;
    let last = use_context::<axum::http::request::Parts>().and_then(|parts| super::last::read(&parts));
    let projects = engine.projects(&user).await?;
    let found = projects.iter().find(|project| Some(&project.key) == last.as_ref());
    Ok(found.or(projects.first()).map(|project| project.key.clone()))
}
