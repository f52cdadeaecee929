//! Branches of conversations: the path from a branch's end to the conversation's start, and the versions of a message.
//!
//! Invariant: the messages of a branch are younger than the message that the branch's first message replaces, so a path
//! is in id order. Reading part of a path touches only the rows that it returns, however long the conversation is.

use super::sqlite::json;
use crate::Result;
use domain::{
    branch::{Branch, Version, Versions},
    id::{MessageId, TaskId},
};
use sqlx::{FromRow, SqlitePool};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// One branch's part of a path: the branch's messages below `below`.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct BranchSegment {
    /// None: the trunk.
    pub branch: Option<Uuid>,
    pub below: Uuid,
}

/// A message's author, branch and the message that it replaces.
#[derive(Clone, Debug, FromRow)]
pub struct MessagePosition {
    pub id: Uuid,
    pub author: String,
    pub branch: Option<Uuid>,
    pub replaces: Option<Uuid>,
}

impl MessagePosition {
    /// The first version of this message: the message that it replaces, or the message itself.
    pub fn original(&self) -> Uuid {
        self.replaces.unwrap_or(self.id)
    }
}

pub async fn position(db: &SqlitePool, task: TaskId, message: MessageId) -> Result<Option<MessagePosition>> {
    let row =
        sqlx::query_as("SELECT id, author, branch, replaces FROM message WHERE id = $1 AND task_id = $2")
            .bind(message.0)
            .bind(task.0)
            .fetch_optional(db)
            .await?;
    Ok(row)
}

/// The branch of the conversation's newest message.
pub async fn newest(db: &SqlitePool, task: TaskId) -> Result<Branch> {
    let row: Option<Option<Uuid>> =
        sqlx::query_scalar("SELECT branch FROM message WHERE task_id = $1 ORDER BY id DESC LIMIT 1")
            .bind(task.0)
            .fetch_optional(db)
            .await?;
    Ok(Branch::of(row.flatten().map(MessageId)))
}

/// The path of a branch, from the branch's end to the conversation's beginning.
pub async fn path(db: &SqlitePool, branch: Branch) -> Result<Vec<BranchSegment>> {
    let rows = sqlx::query_as(
        "WITH RECURSIVE segment (branch, below) AS ( \
         SELECT $1, $2 UNION ALL \
         SELECT r.branch, r.id FROM segment s JOIN message f ON f.id = s.branch JOIN message r ON r.id = f.replaces) \
         SELECT branch, below FROM segment",
    )
    .bind(branch.first().map(|first| first.0))
    .bind(Uuid::max())
    .fetch_all(db)
    .await?;
    Ok(rows)
}

/// Whether the message is on the path.
pub fn is_on(path: &[BranchSegment], message: &MessagePosition) -> bool {
    path.iter().any(|segment| segment.branch == message.branch && message.id < segment.below)
}

/// The versions of each given message that has more than one, keyed by the first version's id.
pub async fn versions(db: &SqlitePool, positions: &[MessagePosition]) -> Result<BTreeMap<Uuid, Versions>> {
    let originals: BTreeSet<Uuid> = positions
        .iter()
        .filter(|position| position.author == "user")
        .map(MessagePosition::original)
        .collect();
    let rows = json::replacing(db, originals).await?;
    let mut lines: BTreeMap<Uuid, Vec<Version>> = BTreeMap::new();
    for (original, version, trunk) in rows {
        let first = Version { message: MessageId(original), branch: Branch::of(trunk.map(MessageId)) };
        let message = MessageId(version);
        lines
            .entry(original)
            .or_insert_with(|| vec![first])
            .push(Version { message, branch: Branch::Of(message) });
    }
    let versions = positions.iter().filter_map(|position| {
        let line = lines.get(&position.original())?;
        let place = line.iter().position(|version| version.message.0 == position.id)?;
        let version = |place: usize| line.get(place).copied();
        let versions = Versions {
            place: place as u32 + 1,
            of: line.len() as u32,
            before: place.checked_sub(1).and_then(version),
            after: version(place + 1),
        };
        Some((position.id, versions))
    });
    Ok(versions.collect())
}
