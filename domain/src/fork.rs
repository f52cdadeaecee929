//! What a fork (a rerun from one of the steps) takes over from its parent, and why it runs the other steps again.

use crate::{id::RunNumber, key::TemplateKey, role::StepRole, usage::Usage};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The origin of an output that a fork takes over: the run that made the call, across any number of forks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Origin {
    pub run: RunNumber,
    /// The template version of that run.
    pub version: u32,
    /// The role that made the output; `None` for a step that needs no role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<StepRole>,
    /// The usage of the original call. It does not count towards the fork's own usage.
    #[serde(default, skip_serializing_if = "Usage::is_none")]
    pub usage: Usage,
    /// Why the step would run again, if the user had not asked to reuse its output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stale: Option<RerunReason>,
}

/// Why a fork runs a step again instead of taking over its output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum RerunReason {
    /// The fork starts with this step.
    Start,
    /// The parent has no output of the step that can be taken over.
    NoOutput,
    /// These fields of the step's definition differ in the version that the fork runs.
    Definition { fields: Vec<String>, version: u32 },
    /// The step reads this field of the input, or the whole input, and it differs from the parent's.
    Input {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        field: Option<String>,
    },
    /// The step reads this name of the context, which other steps or other expressions write in the version that the
    /// fork runs.
    Mapping { name: String, version: u32 },
    /// The version that the fork runs has an output mapping that cannot be applied to the existing output.
    OutputMapping { version: u32 },
    /// The template that the step calls has a new version.
    Child { template: TemplateKey, version: u32 },
    /// The step depends on a step that runs again.
    Upstream { step: String },
    /// The step's output was already stale in the parent.
    Stale { reason: Box<RerunReason> },
}

impl fmt::Display for RerunReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start => f.write_str("the rerun begins here"),
            Self::NoOutput => f.write_str("the parent run has no output to reuse"),
            Self::Definition { fields, version } => match fields.as_slice() {
                [] => write!(f, "changed in version {version}"),
                [field] => write!(f, "{field} changed in version {version}"),
                [fields @ .., last] => {
                    write!(f, "{} and {last} changed in version {version}", fields.join(", "))
                }
            },
            Self::Input { field: Some(field) } => write!(f, "reads input.{field}, which changed"),
            Self::Input { field: None } => f.write_str("reads the input, which changed"),
            Self::Mapping { name, version } => {
                write!(f, "reads context.{name}, which is mapped differently in version {version}")
            }
            Self::OutputMapping { version } => {
                write!(f, "its output does not fit the outputMapping of version {version}")
            }
            Self::Child { template, version } => {
                write!(f, "calls template '{template}', which is at version {version} now")
            }
            Self::Upstream { step } => write!(f, "depends on '{step}', which runs again"),
            Self::Stale { reason } => write!(f, "already stale in the parent run: {reason}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_sentences_and_travel_by_their_kind() {
        let definition = |fields: &[&str]| RerunReason::Definition {
            fields: fields.iter().map(ToString::to_string).collect(),
            version: 2,
        };
        let table = [
            (definition(&["prompt"]), "prompt changed in version 2"),
            (definition(&["prompt", "uses", "with"]), "prompt, uses and with changed in version 2"),
            (RerunReason::Input { field: Some("q".to_owned()) }, "reads input.q, which changed"),
            (RerunReason::Upstream { step: "A".to_owned() }, "depends on 'A', which runs again"),
            (
                RerunReason::Stale { reason: Box::new(RerunReason::Input { field: None }) },
                "already stale in the parent run: reads the input, which changed",
            ),
        ];
        for (reason, words) in table {
            assert_eq!(reason.to_string(), words);
            let json = serde_json::to_value(&reason).unwrap();
            assert_eq!(serde_json::from_value::<RerunReason>(json).unwrap(), reason);
        }
    }
}
