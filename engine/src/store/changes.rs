//! The project's feed of changes: what lists listen to.

use crate::{Error, Result};
use domain::{
    id::ProjectId,
    view::{Change, Subject},
};
use sqlx::{SqliteConnection, SqlitePool};
use std::sync::atomic::{AtomicU32, Ordering};

/// How many changes are read at once.
pub const BATCH: u32 = 200;
/// How many changes are kept in all; a tab that slept longer reads its lists anew.
const KEPT: i64 = 20_000;

/// How often old changes are thrown away: once in so many launches, which each make a few.
const PRUNE_EVERY: u32 = 500;

/// Notes what happened in a project, in the transaction in which it did.
pub async fn insert(tx: &mut SqliteConnection, project: ProjectId, subject: &Subject) -> Result<()> {
    let body = serde_json::to_string(subject).map_err(Error::internal)?;
    sqlx::query("INSERT INTO change (project_id, body) VALUES ($1, $2)")
        .bind(project.0)
        .bind(body)
        .execute(tx)
        .await?;
    Ok(())
}

/// Whether it is time to throw old changes away; asked once for each launch.
pub fn prune_is_due() -> bool {
    static CALLS: AtomicU32 = AtomicU32::new(1);
    CALLS.fetch_add(1, Ordering::Relaxed).is_multiple_of(PRUNE_EVERY)
}

pub async fn prune(tx: &mut SqliteConnection) -> Result<()> {
    sqlx::query("DELETE FROM change WHERE seq <= (SELECT max(seq) FROM change) - $1")
        .bind(KEPT)
        .execute(tx)
        .await?;
    Ok(())
}

pub async fn after(db: &SqlitePool, project: ProjectId, after: u64) -> Result<Vec<Change>> {
    let rows: Vec<(i64, String)> = sqlx::query_as(
        "SELECT seq, body FROM change WHERE project_id = $1 AND seq > $2 ORDER BY seq LIMIT $3",
    )
    .bind(project.0)
    .bind(after as i64)
    .bind(BATCH)
    .fetch_all(db)
    .await?;
    rows.into_iter()
        .map(|(seq, body)| {
            let subject = serde_json::from_str(&body).map_err(Error::internal)?;
            Ok(Change { seq: seq as u64, subject })
        })
        .collect()
}

pub async fn newest(db: &SqlitePool, project: ProjectId) -> Result<u64> {
    let newest: Option<i64> = sqlx::query_scalar("SELECT max(seq) FROM change WHERE project_id = $1")
        .bind(project.0)
        .fetch_one(db)
        .await?;
    Ok(newest.unwrap_or(0) as u64)
}
