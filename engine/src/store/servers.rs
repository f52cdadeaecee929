//! The servers that execute the runs of a database, and the ownership of runs.
//!
//! A server's lease is one row, and a run refers to its server: renewing the ownership of thousands of runs is one
//! small write.

use super::sqlite::json;
use crate::Result;
use domain::id::{OwnerId, RunId, Timestamp};
use sqlx::{SqliteConnection, SqlitePool};
use uuid::Uuid;

/// The result of an attempt to take a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Take {
    /// This server owns the run. The number counts the takes since the run last advanced.
    Taken(u32),
    /// The run has ended or does not exist.
    Ended,
    /// Another live server owns the run.
    Elsewhere,
}

/// Extends the server's lease until `until`.
pub async fn lease(tx: &mut SqliteConnection, server: OwnerId, until: Timestamp) -> Result<()> {
    sqlx::query(
        "INSERT INTO server (id, leased_until) VALUES ($1, $2) \
         ON CONFLICT (id) DO UPDATE SET leased_until = excluded.leased_until",
    )
    .bind(server.0)
    .bind(until.0)
    .execute(tx)
    .await?;
    Ok(())
}

/// Deletes servers whose leases ended before `now`; without `now`, all servers, which requires that no other is alive.
pub async fn forget(tx: &mut SqliteConnection, now: Option<Timestamp>) -> Result<()> {
    sqlx::query("DELETE FROM server WHERE $1 IS NULL OR leased_until < $1")
        .bind(now.map(|now| now.0))
        .execute(tx)
        .await?;
    Ok(())
}

/// Deletes the server, which shuts down: other servers may take its runs.
pub async fn leave(tx: &mut SqliteConnection, server: OwnerId) -> Result<()> {
    sqlx::query("DELETE FROM server WHERE id = $1").bind(server.0).execute(tx).await?;
    Ok(())
}

/// Takes ownership of a live run, unless another live server owns it. Adds `more` to the run's take counter, which is
/// reset when the run advances.
pub async fn take(
    tx: &mut SqliteConnection,
    run: RunId,
    server: OwnerId,
    now: Timestamp,
    more: u32,
) -> Result<Take> {
    let taken: Option<u32> = sqlx::query_scalar(
        "UPDATE run SET takes = takes + $4, owner = $2 WHERE id = $1 AND finished_at IS NULL AND (owner IS NULL \
         OR owner = $2 OR NOT EXISTS (SELECT 1 FROM server s WHERE s.id = run.owner AND s.leased_until > $3)) \
         RETURNING takes",
    )
    .bind(run.0)
    .bind(server.0)
    .bind(now.0)
    .bind(more)
    .fetch_optional(&mut *tx)
    .await?;
    if let Some(takes) = taken {
        return Ok(Take::Taken(takes));
    }
    let live: Option<i64> = sqlx::query_scalar("SELECT 1 FROM run WHERE id = $1 AND finished_at IS NULL")
        .bind(run.0)
        .fetch_optional(tx)
        .await?;
    Ok(if live.is_some() { Take::Elsewhere } else { Take::Ended })
}

/// Runs that need work and that no live server owns.
pub async fn unattended(db: &SqlitePool, now: Timestamp) -> Result<Vec<RunId>> {
    let runs: Vec<Uuid> = sqlx::query_scalar(
        "SELECT id FROM run WHERE status IN ('queued', 'running', 'waiting') AND status <> 'waiting' \
         AND (owner IS NULL OR NOT EXISTS (SELECT 1 FROM server s WHERE s.id = run.owner AND s.leased_until > $1))",
    )
    .bind(now.0)
    .fetch_all(db)
    .await?;
    Ok(runs.into_iter().map(RunId).collect())
}

/// How many child runs of a run have ended, and the sum of the last sequence numbers of those that wait for people.
pub type ChildCounts = (u32, i64);

/// Live runs with child runs that have ended or wait for people.
pub async fn callers(db: &SqlitePool) -> Result<Vec<(RunId, ChildCounts)>> {
    let runs: Vec<(Uuid, u32, i64)> = sqlx::query_as(
        "SELECT p.id, (SELECT count(*) FROM run c WHERE c.caller_id = p.id AND c.finished_at IS NOT NULL), \
         (SELECT coalesce(sum(c.last_seq), 0) FROM run c WHERE c.caller_id = p.id AND c.status = 'waiting') FROM run p \
         WHERE p.status IN ('queued', 'running', 'waiting') AND EXISTS (SELECT 1 FROM run c \
         WHERE c.caller_id = p.id AND (c.finished_at IS NOT NULL OR c.status = 'waiting'))",
    )
    .fetch_all(db)
    .await?;
    Ok(runs.into_iter().map(|(run, ended, waiting)| (RunId(run), (ended, waiting))).collect())
}

/// How far a run's log has come.
pub struct LastEvent {
    pub run: RunId,
    pub seq: u64,
    /// Whether the run has ended with this event.
    pub ended: bool,
}

/// The last events of these runs.
pub async fn last_events(db: &SqlitePool, runs: &[RunId]) -> Result<Vec<LastEvent>> {
    let rows = json::last_events(db, runs).await?;
    let read = |(run, seq, ended): (Uuid, i64, bool)| LastEvent { run: RunId(run), seq: seq as u64, ended };
    Ok(rows.into_iter().map(read).collect())
}
