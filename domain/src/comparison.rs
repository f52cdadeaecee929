//! Comparisons of runs: members' verdicts, and their totals per role, model and template version.

use crate::{
    id::{RunNumber, Timestamp},
    key::TemplateKey,
};
use serde::{Deserialize, Serialize};

/// Maximum number of runs in one comparison.
pub const MOST_COMPARED: usize = 4;

/// A comparison as lists show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ComparisonSummary {
    /// Ascending.
    pub runs: Vec<RunNumber>,
    /// The name of the first run's template.
    pub template: String,
    pub by: String,
    pub created_at: Timestamp,
    pub verdicts: u32,
}

/// A member's verdict on compared runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// The step that the verdict is about; `None` for a verdict on the run as a whole.
    pub step: Option<String>,
    /// The better run; `None` for a tie.
    pub winner: Option<RunNumber>,
    pub note: String,
    pub by: String,
    /// Whether the requesting user gave this verdict.
    pub mine: bool,
    pub at: Timestamp,
}

/// How often a role, model or version won, lost or tied.
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

/// Totals over all verdicts of a project. A verdict on the run as a whole counts for the roles of those steps whose
/// roles differ between the runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scores {
    /// Sorted by template, then step, then wins (descending).
    pub roles: Vec<RoleScore>,
    pub models: Vec<ModelScore>,
    pub versions: Vec<VersionScore>,
}
