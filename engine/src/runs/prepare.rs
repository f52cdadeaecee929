//! Checks before a launch: the template, its input, the roles. This module writes nothing.

use super::{
    Launch, body,
    child_templates::{ChildTemplates, PinnedVersions},
    compiled::{ASK, CompiledTemplate},
};
use crate::{
    Engine, Error, Result, User,
    store::versions::{self, RoleHead, RoleVersion},
};
use domain::{
    access::Permission,
    event::TemplateVersion,
    id::{ProjectId, RoleId, TemplateId},
    key::{ProjectKey, TemplateKey},
    problem::Problem,
    role::{Candidate, ResolveError, StepRole, fallback_warning, resolve},
    view::{LaunchPreview, RolePreview, StepPreview},
};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

/// The largest input, in bytes of its JSON.
const INPUT_LIMIT: usize = 8 * 1024 * 1024;

/// A launch that passed every check.
pub(super) struct PreparedLaunch {
    pub project: ProjectId,
    pub template_id: Option<TemplateId>,
    pub version: TemplateVersion,
    pub compiled: Arc<CompiledTemplate>,
    pub roles: Vec<StepRole>,
    pub role_versions: BTreeMap<u32, Arc<RoleVersion>>,
    pub input: Value,
    /// The pinned versions of the templates that it calls.
    pub templates: PinnedVersions,
}

/// A template version that can be run; no id: the built-in template.
pub(super) type Runnable = (Option<TemplateId>, u32, Arc<CompiledTemplate>);

impl Engine {
    pub(super) async fn preview_launch(
        &self,
        user: &User,
        project: &ProjectKey,
        key: &TemplateKey,
        launch: &Launch,
    ) -> Result<LaunchPreview> {
        let project = self.authorise(user, project, Permission::Viewer).await?;
        let runnable = self.newest(project, key).await?;
        let compiled = runnable.2.clone();
        let turn = self.0.turns.take(user).await?;
        let mut errors = input_problems(&compiled, &launch.input);
        drop(turn);
        errors.extend(unsupported(&compiled));
        let roles = versions::roles(self.0.store.read(), project).await?;
        let children =
            self.settle_child_templates(project, &runnable, &launch.role_assignments, &roles).await?;
        errors.extend(children.problems);
        let resolved = match resolve(&compiled.plan, &candidates(&roles), &launch.role_assignments) {
            Ok(resolved) => resolved,
            Err(refused) => {
                errors.extend(role_problems(&refused));
                // The result without the assignments that cannot be met.
                let mut known = launch.role_assignments.clone();
                known.retain(|_, role| roles.iter().any(|version| &version.key == role));
                known.retain(|step, _| compiled.plan.position(step).is_some());
                resolve(&compiled.plan, &candidates(&roles), &known).unwrap_or_default()
            }
        };
        let warnings = resolved.iter().filter_map(|role| {
            fallback_warning(&compiled.plan.steps[role.step as usize].name, &role.key, role.reason)
        });
        let warnings = warnings.collect();
        let mut by_step: HashMap<u32, StepRole> =
            resolved.into_iter().map(|role| (role.step, role)).collect();
        let steps = compiled.plan.steps.iter().enumerate().map(|(index, step)| StepPreview {
            name: step.name.clone(),
            role: by_step.remove(&(index as u32)).map(|role| RolePreview {
                key: role.key,
                version: role.version,
                model: role.model,
                reason: role.reason,
            }),
        });
        let steps: Vec<_> = steps.collect();
        let estimate = self.estimate(project, key, &compiled.plan, &steps).await?;
        Ok(LaunchPreview { steps, warnings, errors, estimate })
    }

    /// The newest version of the template with this key.
    pub(super) async fn newest(&self, project: ProjectId, key: &TemplateKey) -> Result<Runnable> {
        if key.as_ref() == ASK {
            return self.runnable(None, None).await;
        }
        let newest = versions::newest_template(self.0.store.read(), project, key).await?;
        self.runnable(Some(key), newest).await
    }

    /// The template to run: a stored one, whose newest version is known, or the built-in one if there is no key.
    pub(super) async fn runnable(
        &self,
        key: Option<&TemplateKey>,
        newest: Option<(TemplateId, u32)>,
    ) -> Result<Runnable> {
        let Some(key) = key else { return Ok((None, 1, self.compiled(None, 1).await?)) };
        let (id, version) = newest.ok_or_else(|| Error::not_found("template", key))?;
        Ok((Some(id), version, self.compiled(Some(id), version).await?))
    }

    /// What a call needs of a role. Versions are immutable, so they are cached.
    pub(super) async fn role_version(&self, id: RoleId, version: u32) -> Result<Arc<RoleVersion>> {
        let cache = &self.0.runs.role_versions;
        if let Some(role) = cache.get(&(id, version)) {
            return Ok(role);
        }
        let role = versions::role(self.0.store.read(), id, version).await?;
        let role = role.ok_or_else(|| Error::internal(format!("role {id} has no version {version}")))?;
        let role = Arc::new(role);
        cache.insert((id, version), role.clone());
        Ok(role)
    }

    /// Checks a launch of this version; `all` are the project's roles.
    pub(super) async fn prepare(
        &self,
        project: ProjectId,
        (template_id, version, compiled): Runnable,
        all: Vec<RoleHead>,
        launch: &Launch,
        children: ChildTemplates,
    ) -> Result<PreparedLaunch> {
        let mut problems = unsupported(&compiled);
        problems.extend(children.problems);
        problems.extend(input_problems(&compiled, &launch.input));
        let resolved = resolve(&compiled.plan, &candidates(&all), &launch.role_assignments);
        if let Err(refused) = &resolved {
            problems.extend(role_problems(refused));
        }
        let (true, Ok(mut roles)) = (problems.is_empty(), resolved) else {
            return Err(Error::Invalid(problems));
        };
        for role in &mut roles {
            role.price = self.0.prices.of(&role.model);
        }
        let by_key: HashMap<_, _> = all.iter().map(|role| (&role.key, (role.id, role.version))).collect();
        let mut role_versions = BTreeMap::new();
        for role in &roles {
            if let Some(&(id, version)) = by_key.get(&role.key) {
                role_versions.insert(role.step, self.role_version(id, version).await?);
            }
        }
        let name = compiled.template.name.clone();
        let version = TemplateVersion { key: compiled.template.key.clone(), version, name };
        let input = if launch.input.is_null() { json!({}) } else { launch.input.clone() };
        let templates = children.pinned;
        Ok(PreparedLaunch { project, template_id, version, compiled, roles, role_versions, input, templates })
    }
}

fn candidates(roles: &[RoleHead]) -> Vec<Candidate> {
    let candidate = |role: &RoleHead| Candidate {
        key: role.key.clone(),
        version: role.version,
        model: role.model.clone(),
    };
    roles.iter().map(candidate).collect()
}

fn role_problems(refused: &[ResolveError]) -> Vec<Problem> {
    let problem = |error: &ResolveError| match error {
        ResolveError::NoRoles => Problem::new("", error.to_string()),
        ResolveError::UnknownStep { step, .. } | ResolveError::UnknownRole { step, .. } => {
            Problem::new(format!("roleAssignments.{step}"), error.to_string())
        }
    };
    refused.iter().map(problem).collect()
}

fn unsupported(compiled: &CompiledTemplate) -> Vec<Problem> {
    body::unsupported(&compiled.template).map(|why| Problem::new("steps", why)).into_iter().collect()
}

fn input_problems(compiled: &CompiledTemplate, input: &Value) -> Vec<Problem> {
    let empty = json!({});
    let input = if input.is_null() { &empty } else { input };
    let bytes = input.to_string().len();
    if bytes > INPUT_LIMIT {
        return vec![Problem::new(
            "input",
            format!("the input is larger than {} MB", INPUT_LIMIT / 1024 / 1024),
        )];
    }
    match &compiled.input {
        Some(Ok(schema)) => {
            let bytes = if schema.is_slow() { usize::MAX } else { bytes };
            compiled.evaluate(bytes, || schema.problems(input, "input"))
        }
        Some(Err(error)) => vec![Problem::new("input", error.to_string())],
        None => Vec::new(),
    }
}
