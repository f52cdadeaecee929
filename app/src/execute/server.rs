//! Server functions of the execute form.

#[cfg(feature = "ssr")]
use crate::{fault::Fault, session::caller};
use crate::{fault::Result, run::compare_href};
use domain::{
    id::{RunNumber, UserId},
    key::{ProjectKey, RoleKey, TemplateKey},
    view::{LaunchPreview, Launched, Preset, Role, TemplateDetail},
};
use leptos::{prelude::*, server_fn::codec::Json};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The data of the rendered form.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ready {
    pub template: TemplateDetail,
    /// In order of creation.
    pub roles: Vec<Role>,
    /// By name.
    pub presets: Vec<Preset>,
    /// The preview of a launch of the empty form.
    pub preview: LaunchPreview,
    /// The user whose draft the form keeps.
    pub owner: UserId,
}

/// The form's values. Fields and steps are identified by their position in the shown version (`f0`, `s2`), so that a
/// form posted without script works for all names.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LaunchForm {
    pub version: u32,
    /// The conversation of the launch; empty for a new one.
    pub task: String,
    /// The conversation's branch; empty for the most recently changed one.
    pub branch: String,
    pub idempotency_key: String,
    pub input: BTreeMap<String, String>,
    pub roles: BTreeMap<String, String>,
    /// Further assignments of the same launch: `v1s0` is the role of the first step in the first further assignment.
    pub others: BTreeMap<String, String>,
}

/// The result of a launch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Started {
    pub launched: Launched,
    /// The runs of several assignments, in their order; empty for a single one.
    pub side_by_side: Vec<RunNumber>,
}

impl LaunchForm {
    /// Reads the form's current values in the browser.
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
            } else if let Some(step) = inner("form[others][") {
                read.others.insert(step, text);
            }
        }
        read
    }
}

impl Started {
    /// The address of the launched run or comparison.
    pub fn href(&self, project: &ProjectKey) -> String {
        match self.side_by_side.as_slice() {
            [] => format!("/p/{project}/conversations/{}", self.launched.task_id),
            runs => compare_href(project, runs),
        }
    }
}

#[server]
pub async fn load_form(project: ProjectKey, key: TemplateKey) -> Result<Ready> {
    let (engine, user) = caller().await?;
    let template = engine.template(&user, &project, &key, None).await?;
    let roles = engine.roles(&user, &project, None).await?.items;
    let presets = engine.presets(&user, &project, &key).await?;
    let untouched = LaunchForm { version: template.version, ..LaunchForm::default() };
    let preview = preview_launch(project, key, untouched).await?;
    Ok(Ready { template, roles, presets, preview, owner: user.id })
}

/// Saves an assignment under a name; returns the updated presets.
#[server(input = Json)]
pub async fn save_preset(
    project: ProjectKey,
    template: TemplateKey,
    name: String,
    roles: BTreeMap<String, RoleKey>,
    replace: bool,
) -> Result<Vec<Preset>> {
    let (engine, user) = caller().await?;
    engine.save_preset(&user, &project, &template, &name, roles, replace).await?;
    Ok(engine.presets(&user, &project, &template).await?)
}

#[server]
pub async fn delete_preset(project: ProjectKey, template: TemplateKey, name: String) -> Result<Vec<Preset>> {
    let (engine, user) = caller().await?;
    engine.delete_preset(&user, &project, &template, &name).await?;
    Ok(engine.presets(&user, &project, &template).await?)
}

/// The preview of a launch of the form.
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
    for roles in super::read::others(&detail.document, &form, &mut Vec::new()) {
        let one = engine::Launch { role_assignments: roles, ..launch.clone() };
        let other = engine.preview(&user, &project, &template, &one).await?.estimate;
        preview.estimate = preview.estimate.zip(other).map(|(sum, other)| domain::view::Estimate {
            runs: sum.runs.min(other.runs),
            usage: sum.usage + other.usage,
        });
    }
    // If a text of the form is invalid, the engine's message about the missing value would be misleading.
    preview.errors.retain(|problem| !unreadable.iter().any(|other| other.path == problem.path));
    preview.errors.extend(unreadable);
    Ok(preview)
}

/// Starts the run, or one run per assignment. A form posted without script is redirected to them.
#[server]
pub async fn launch(project: ProjectKey, template: TemplateKey, form: LaunchForm) -> Result<Started> {
    let (engine, user) = caller().await?;
    let detail = engine.template(&user, &project, &template, Some(form.version)).await?;
    let (launch, mut problems) = super::read::launch(&detail.document, &form);
    let others = super::read::others(&detail.document, &form, &mut problems);
    if !problems.is_empty() {
        return Err(Fault::Invalid { problems }.answered());
    }
    let started = if others.is_empty() {
        let subject = engine::Subject::Template(template);
        let launched = engine.execute(&user, &project, subject, launch).await?;
        Started { launched, side_by_side: Vec::new() }
    } else {
        let all = engine.execute_side_by_side(&user, &project, &template, launch, others).await?;
        let side_by_side = all.iter().map(|one| one.run).collect();
        Started { launched: all.into_iter().next().ok_or_else(nothing_launched)?, side_by_side }
    };
    if crate::session::posted_without_script() {
        leptos_axum::redirect(&started.href(&project));
    }
    Ok(started)
}

#[cfg(feature = "ssr")]
fn nothing_launched() -> Fault {
    engine::Error::internal("a launch of several assignments launched none").into()
}
