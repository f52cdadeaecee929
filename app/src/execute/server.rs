//! What the execute form asks of the server.

use crate::fault::Result;
#[cfg(feature = "ssr")]
use crate::{fault::Fault, session::caller};
use domain::{
    key::{ProjectKey, TemplateKey},
    view::{LaunchPreview, Launched, Role, TemplateDetail},
};
use leptos::{prelude::*, server_fn::codec::Json};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What the form is made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ready {
    pub template: TemplateDetail,
    /// In order of creation.
    pub roles: Vec<Role>,
}

/// The form as it stands. Fields and steps go by their place in the version shown (`f0`, `s2`), so that a form posted
/// without script carries any name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LaunchForm {
    pub version: u32,
    /// The conversation it belongs to; empty: a new one.
    pub task: String,
    pub idempotency_key: String,
    pub input: BTreeMap<String, String>,
    pub roles: BTreeMap<String, String>,
}

impl LaunchForm {
    /// The form as it stands in the browser.
    pub fn in_page(form: &web_sys::HtmlFormElement) -> Self {
        let mut read = Self::default();
        let Ok(data) = web_sys::FormData::new_with_form(form) else { return read };
        for entry in js_sys::try_iter(&data).ok().flatten().into_iter().flatten().flatten() {
            let entry = js_sys::Array::from(&entry);
            let (Some(name), Some(text)) = (entry.get(0).as_string(), entry.get(1).as_string()) else {
                continue;
            };
            let inner = |group: &str| Some(name.strip_prefix(group)?.strip_suffix(']')?.to_owned());
            if let Some(field) = inner("form[input][") {
                read.input.insert(field, text);
            } else if let Some(step) = inner("form[roles][") {
                read.roles.insert(step, text);
            }
        }
        read
    }
}

#[server]
pub async fn load_form(project: ProjectKey, key: TemplateKey) -> Result<Ready> {
    let (engine, user) = caller().await?;
    let template = engine.template(&user, &project, &key, None).await?;
    let roles = engine.roles(&user, &project, None).await?.items;
    Ok(Ready { template, roles })
}

/// What a launch of the form as it stands would do.
#[server(input = Json)]
pub async fn preview_launch(
    project: ProjectKey,
    template: TemplateKey,
    form: LaunchForm,
) -> Result<LaunchPreview> {
    let (engine, user) = caller().await?;
    let detail = engine.template(&user, &project, &template, Some(form.version)).await?;
    let (launch, unreadable) = super::read::launch(&detail.document, &form);
    let mut preview = engine.preview(&user, &project, &template, &launch).await?;
    // Where the form's text could not even be read, what the engine says of the lack would mislead.
    preview.errors.retain(|problem| !unreadable.iter().any(|other| other.path == problem.path));
    preview.errors.extend(unreadable);
    Ok(preview)
}

/// Starts the run. A form posted without script goes on to its conversation.
#[server]
pub async fn launch(project: ProjectKey, template: TemplateKey, form: LaunchForm) -> Result<Launched> {
    let (engine, user) = caller().await?;
    let detail = engine.template(&user, &project, &template, Some(form.version)).await?;
    let (launch, problems) = super::read::launch(&detail.document, &form);
    if !problems.is_empty() {
        return Err(Fault::Invalid { problems }.answered());
    }
    let subject = engine::Subject::Template(template);
    let launched = engine.execute(&user, &project, subject, launch).await?;
    if crate::session::posted_without_script() {
        leptos_axum::redirect(&format!("/p/{project}/conversations/{}", launched.task_id));
    }
    Ok(launched)
}
