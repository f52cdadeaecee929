//! Forks: running a run again from one of its steps. The outputs of steps before that step, or independent of it, are
//! reused without a call if their inputs have not changed. The parent run is not modified.

mod changes;
mod plan;
mod reuse;

pub(super) use reuse::ReusedSteps;

use super::{
    launch::{LaunchRequest, checked_key, request_digest},
    user_message,
};
use crate::{Engine, Error, Result, User};
use domain::{
    access::Permission,
    expression::MAX_ITEMS,
    id::RunNumber,
    key::{ProjectKey, RoleKey},
    template::MAX_STEPS,
    view::{ForkPreview, ForkStep, Launched},
};
use plan::ForkPlan;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What to run again.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Fork {
    /// The name of a step: it and its dependents run again.
    pub from_step: String,
    /// Indexes of the only items of that forEach step to run again; the others are reused.
    #[serde(default)]
    pub items: Option<Vec<u32>>,
    /// None: the parent's.
    #[serde(default)]
    pub input: Option<Value>,
    /// Merged over the parent's.
    #[serde(default)]
    pub role_assignments: BTreeMap<String, RoleKey>,
    /// None: the parent's.
    #[serde(default)]
    pub template_version: Option<u32>,
    /// Names of steps whose outputs are reused even though their inputs have changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reuse: Vec<String>,
    #[serde(default)]
    pub idempotency_key: Option<String>,
}

impl Engine {
    /// Launches a fork in the parent's conversation. Requires editor permission.
    ///
    /// # Errors
    /// `Conflict` while the parent is live. `Invalid` for a step, item, version, input or role that does not exist or
    /// does not fit: nothing is written.
    pub async fn fork(
        &self,
        user: &User,
        project: &ProjectKey,
        run: RunNumber,
        fork: Fork,
    ) -> Result<Launched> {
        let row = self.run_row(user, project, run, Permission::Editor).await?;
        let id = row.project();
        check_bounds(&fork)?;
        let digest =
            request_digest(&json!([{ "fork": run }, Fork { idempotency_key: None, ..fork.clone() }]))?;
        fork.idempotency_key.as_deref().map(checked_key).transpose()?;
        let idempotency = fork.idempotency_key.clone().map(|key| (key, digest));
        if let Some(earlier) = self.launched_under(id, idempotency.as_ref()).await? {
            return Ok(earlier);
        }
        let plan = self.plan_fork(row, &fork).await?;
        let reuse = self.reused_steps(&plan, &fork).await?;
        let ForkPlan { parent, prepared, launch, .. } = plan;
        let content = user_message::describe_fork(
            &prepared.version,
            &reuse.parent,
            fork.items.as_deref(),
            fork.input.as_ref(),
        );
        let request = LaunchRequest {
            user: Some(user.id),
            by: user.name.clone(),
            content,
            title: String::new(),
            task: Some(parent.row.summary()?.task),
            idempotency,
            caller: None,
            reuse: Some(reuse),
            waits: false,
        };
        let launched = self.open_run(prepared, &launch, request).await?.launched;
        // A user who reruns a failed run has seen the failure. The launch stands even if this fails.
        if let Err(error) = self.dismiss_checked_failure(user, id, run).await {
            tracing::warn!(%run, %error, source = ?error, "a failure that was rerun stays in the inbox");
        }
        Ok(launched)
    }

    /// What a fork would run again and why, and what it would reuse. Writes nothing, calls no model.
    ///
    /// # Errors
    /// As [`Engine::fork`]; errors of the fork itself are listed in the preview.
    pub async fn preview_fork(
        &self,
        user: &User,
        project: &ProjectKey,
        run: RunNumber,
        fork: &Fork,
    ) -> Result<ForkPreview> {
        let row = self.run_row(user, project, run, Permission::Viewer).await?;
        check_bounds(fork)?;
        let plan = match self.plan_fork(row, fork).await {
            Ok(plan) => plan,
            Err(Error::Invalid(errors)) => return Ok(ForkPreview { errors, ..ForkPreview::default() }),
            Err(error) => return Err(error),
        };
        let steps = plan.prepared.compiled.plan.steps.iter().zip(0u32..);
        let steps = steps.map(|(step, place)| {
            let role = plan.prepared.roles.iter().find(|role| role.step == place);
            let reason = plan.again.get(&place).or_else(|| plan.stale.get(&place));
            ForkStep {
                name: step.name.clone(),
                reused: !plan.again.contains_key(&place),
                reason: reason.cloned(),
                why: reason.map(ToString::to_string),
                role: role.map(Into::into),
            }
        });
        let steps: Vec<ForkStep> = steps.collect();
        let unused = |name: &&String| steps.iter().any(|step| step.name == **name && step.reused);
        let unused = fork.role_assignments.keys().filter(unused);
        let mut warnings: Vec<_> = unused
            .map(|name| format!("'{name}' does not run again: its output keeps the role that made it"))
            .collect();
        if let Some(newer) = plan.newer {
            warnings.push(format!("the template has a newer version, {newer}"));
        }
        Ok(ForkPreview { steps, warnings, newer_version: plan.newer, errors: Vec::new() })
    }
}

/// Bounds the request before anything is read for it.
fn check_bounds(fork: &Fork) -> Result<()> {
    let items = fork.items.as_ref().map_or(0, Vec::len);
    if items > MAX_ITEMS {
        let why = format!("'items' names {items} items, and a step has at most {MAX_ITEMS}");
        return Err(Error::TooLarge(why));
    }
    if fork.reuse.len() > MAX_STEPS {
        let why = format!("'reuse' names {} steps, and a template has at most {MAX_STEPS}", fork.reuse.len());
        return Err(Error::TooLarge(why));
    }
    Ok(())
}
