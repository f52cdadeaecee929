//! Resolution of the role of each step, with the reason. Pure: preview, launch and tests give the same result.

use crate::{
    key::{ModelName, RoleKey},
    plan::Plan,
    price::Price,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The fallback role for a step without an assigned role.
pub const GENERAL_WORKER: &str = "general_worker";

/// Why a step has its role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    Assigned,
    GeneralWorker,
    FirstRole,
}

impl Reason {
    pub fn is_fallback(self) -> bool {
        self != Self::Assigned
    }
}

/// The role of one step of a run, fixed at launch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StepRole {
    /// The step's index in the plan.
    pub step: u32,
    pub key: RoleKey,
    pub version: u32,
    pub model: ModelName,
    pub reason: Reason,
    /// The price of the role's model when the run started; later price changes do not affect the run. `None` if no
    /// price is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<Price>,
}

impl StepRole {
    /// Whether both are the same version of the same role, on the same model.
    pub fn is_same(&self, other: &Self) -> bool {
        (&self.key, self.version, &self.model) == (&other.key, other.version, &other.model)
    }
}

/// A role as an input of the resolution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    pub key: RoleKey,
    pub version: u32,
    pub model: ModelName,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    #[error("the project has no roles: create one, or a role named general_worker for every step")]
    NoRoles,
    #[error("no step named '{step}' in this template; its steps are {known}")]
    UnknownStep { step: String, known: String },
    #[error("step '{step}' is assigned the role '{role}', which does not exist; the roles are {known}")]
    UnknownRole { step: String, role: RoleKey, known: String },
}

/// Resolves a role for every step of `plan` that needs one: the assigned role, else `general_worker`, else the first
/// of `roles` (they come in order of creation).
///
/// # Errors
/// Every unknown step and unknown role in `assignments`, or `NoRoles`.
pub fn resolve(
    plan: &Plan,
    roles: &[Candidate],
    assignments: &BTreeMap<String, RoleKey>,
) -> Result<Vec<StepRole>, Vec<ResolveError>> {
    let mut errors = Vec::new();
    for (step, role) in assignments {
        if !plan.steps.iter().any(|planned| planned.takes(step)) {
            let known = names(plan.steps.iter().map(|planned| planned.name.as_str()));
            errors.push(ResolveError::UnknownStep { step: step.clone(), known });
        } else if !roles.iter().any(|candidate| &candidate.key == role) {
            let known = names(roles.iter().map(|candidate| candidate.key.as_ref()));
            errors.push(ResolveError::UnknownRole { step: step.clone(), role: role.clone(), known });
        }
    }
    let needing = plan.steps.iter().enumerate().filter(|(_, planned)| planned.body.needs_role());
    let fallback = roles
        .iter()
        .find(|candidate| candidate.key.as_ref() == GENERAL_WORKER)
        .map(|candidate| (candidate, Reason::GeneralWorker))
        .or_else(|| roles.first().map(|candidate| (candidate, Reason::FirstRole)));
    let mut resolved = Vec::new();
    for (index, planned) in needing {
        let assigned = assignments
            .get(&planned.name)
            .and_then(|key| roles.iter().find(|candidate| &candidate.key == key))
            .map(|candidate| (candidate, Reason::Assigned));
        match assigned.or(fallback) {
            Some((candidate, reason)) => resolved.push(StepRole {
                step: index as u32,
                key: candidate.key.clone(),
                version: candidate.version,
                model: candidate.model.clone(),
                reason,
                price: None,
            }),
            None => {
                errors.push(ResolveError::NoRoles);
                break;
            }
        }
    }
    if errors.is_empty() { Ok(resolved) } else { Err(errors) }
}

/// The warning for a fallback role; `None` for an assigned role.
pub fn fallback_warning(step: &str, role: &RoleKey, reason: Reason) -> Option<String> {
    match reason {
        Reason::Assigned => None,
        Reason::GeneralWorker => Some(format!("'{step}' has no role assigned: general_worker stands in")),
        Reason::FirstRole => Some(format!(
            "'{step}' has no role assigned and the project has no general_worker: its first role, {role}, stands in"
        )),
    }
}

fn names<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let all: Vec<_> = names.take(20).collect();
    if all.is_empty() { "none".to_owned() } else { all.join(", ") }
}
