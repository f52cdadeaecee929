//! A member's permission in a project. The engine's commands check it; pages only hide actions that would be refused.

use serde::{Deserialize, Serialize};

/// Ordered: each permission includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Permission {
    /// Can read everything in the project.
    Viewer,
    /// Can also edit templates, roles and messages, and start and stop runs.
    Editor,
    /// Can also change the project and its members.
    Admin,
}

impl Permission {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Editor => "editor",
            Self::Admin => "admin",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "viewer" => Some(Self::Viewer),
            "editor" => Some(Self::Editor),
            "admin" => Some(Self::Admin),
            _ => None,
        }
    }
}
