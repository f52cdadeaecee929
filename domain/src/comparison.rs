//! Runs side by side: what people think of them, and what that comes to per role, model and template version.

use crate::{
    id::{RunNumber, Timestamp},
    key::TemplateKey,
};
use serde::{Deserialize, Serialize};

/// How many runs stand side by side at most.
pub const MOST_COMPARED: usize = 4;

/// A comparison as lists show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ComparisonSummary {
    /// Rising.
    pub runs: Vec<RunNumber>,
    /// The name of the first run's template.
    pub template: String,
    pub by: String,
    pub created_at: Timestamp,
    pub verdicts: u32,
}

/// What a member thinks of compared runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// None: on the whole.
    pub step: Option<String>,
    /// The better run; none: they are as good as each other.
    pub winner: Option<RunNumber>,
    pub note: String,
    pub by: String,
    /// It is of the one who asks.
    pub mine: bool,
    pub at: Timestamp,
}

/// How often something won.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Score {
    pub won: u32,
    pub lost: u32,
    pub same: u32,
}

/// A role at a step of a template.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleScore {
    pub template: TemplateKey,
    pub step: String,
    pub role: String,
    pub score: Score,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelScore {
    pub model: String,
    pub score: Score,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionScore {
    pub template: TemplateKey,
    pub version: u32,
    pub score: Score,
}

/// What all verdicts of a project come to. A verdict on the whole counts for the roles of those steps in which the runs
/// had different ones.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scores {
    /// By template, step, and most often won.
    pub roles: Vec<RoleScore>,
    pub models: Vec<ModelScore>,
    pub versions: Vec<VersionScore>,
}
