//! Row ids, as newtypes over UUIDv7. `engine` generates them.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};
use uuid::Uuid;

macro_rules! id {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0.as_hyphenated(), f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(text).map(Self)
            }
        }
    )+};
}

id! {
    UserId, SessionId, TokenId, ProjectId, ProviderId, RoleId, TemplateId, TaskId, MessageId, RunId,
    /// A text that is stored once and referenced: a prompt, an output, an input.
    ContentId,
    /// A new id per server process; it identifies the owner of an attempt.
    OwnerId,
    /// The public id of an acknowledgement (`eventId` in the response of an execute request).
    EventId,
}

/// A run's number in its project, from 1, as shown to users and in URLs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunNumber(pub u32);

impl fmt::Display for RunNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Milliseconds since 1970-01-01 UTC. A plain number, so that server and browser need no shared time library.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Milliseconds from `earlier` to `self`; 0 if the clock was set back.
    pub fn since(self, earlier: Timestamp) -> u64 {
        u64::try_from(self.0 - earlier.0).unwrap_or(0)
    }
}

/// A step run of a run: the step's index in the plan and, under `forEach`, the item's index. Serialised as `3` or
/// `3.14`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StepRunId {
    pub step: u32,
    pub item: Option<u32>,
}

impl StepRunId {
    pub fn of(step: usize) -> Self {
        Self { step: step as u32, item: None }
    }

    pub fn index(self) -> usize {
        self.step as usize
    }
}

impl fmt::Display for StepRunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.item {
            None => write!(f, "{}", self.step),
            Some(item) => write!(f, "{}.{item}", self.step),
        }
    }
}

impl FromStr for StepRunId {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('.') {
            None => Ok(Self { step: text.parse()?, item: None }),
            Some((step, item)) => Ok(Self { step: step.parse()?, item: Some(item.parse()?) }),
        }
    }
}

impl Serialize for StepRunId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for StepRunId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
