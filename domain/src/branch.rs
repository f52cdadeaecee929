//! Branches of a conversation. Editing a message and sending it again starts a branch.
//!
//! The id of a branch's first message identifies the branch. The branch shares all messages before the one that its
//! first message replaces.

use crate::id::MessageId;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// Serialised as `main`, or as the id of the branch's first message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Branch {
    /// The conversation without edits.
    Main,
    Of(MessageId),
}

impl Branch {
    pub fn of(first: Option<MessageId>) -> Self {
        first.map_or(Self::Main, Self::Of)
    }

    /// The first message of the branch; `None` for `main`.
    pub fn first(self) -> Option<MessageId> {
        match self {
            Self::Main => None,
            Self::Of(first) => Some(first),
        }
    }
}

impl fmt::Display for Branch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Main => f.write_str("main"),
            Self::Of(first) => first.fmt(f),
        }
    }
}

impl FromStr for Branch {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "main" { Ok(Self::Main) } else { text.parse().map(Self::Of) }
    }
}

impl Serialize for Branch {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Branch {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The position of a message among the versions of it, the original and its edits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Versions {
    /// This version's position, from 1, in the order of writing.
    pub place: u32,
    pub of: u32,
    /// The previous and the next version.
    pub before: Option<Version>,
    pub after: Option<Version>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Version {
    pub message: MessageId,
    /// The branch that contains the message.
    pub branch: Branch,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn branches_are_written_as_they_are_read() {
        for text in ["main", "01890a5d-ac96-774b-bcce-b302099a8057"] {
            assert_eq!(text.parse::<Branch>().map(|branch| branch.to_string()), Ok(text.to_owned()));
        }
        assert!("trunk".parse::<Branch>().is_err());
    }
}
