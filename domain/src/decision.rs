//! Decisions on a step that waits for a person.

use serde::{Deserialize, Serialize};

/// The decision on a waiting step, made by a person or by the step's time limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Decision {
    /// The proposal becomes the output.
    Approve,
    /// The step fails.
    Reject,
    /// The value that the person entered becomes the output.
    Edit,
}

impl Decision {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Reject => "reject",
            Self::Edit => "edit",
        }
    }
}
