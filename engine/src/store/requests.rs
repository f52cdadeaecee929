//! Requests to live runs, as rows. The asker's commit stores a row; the commit of the run's batch that carries the
//! request out removes it. So neither a lost wake-up nor the end of a process loses a request, and none is carried out
//! twice.

use crate::Result;
use domain::id::{OwnerId, RunId, Timestamp};
use sqlx::{SqliteConnection, SqliteExecutor, SqlitePool};
use uuid::Uuid;

/// A request that the run has not taken yet.
pub struct RequestRow {
    pub id: Uuid,
    /// The server on which a caller waits for the outcome.
    pub asker: Option<OwnerId>,
    /// JSON.
    pub body: String,
}

/// What a commit does to a request.
#[derive(Clone, Debug)]
pub struct SettledRow {
    pub id: Uuid,
    /// The outcome for an asker on another server, as JSON; none: the row is deleted.
    pub outcome: Option<String>,
}

/// Stores a request. False, with nothing written: the run does not exist or has ended, or the same request without an
/// asker is already pending.
pub async fn insert(
    tx: &mut SqliteConnection,
    run: RunId,
    request: &RequestRow,
    at: Timestamp,
) -> Result<bool> {
    let inserted = sqlx::query(
        "INSERT INTO run_request (id, run_id, asker, body, created_at) \
         SELECT $1, r.id, $3, $4, $5 FROM run r WHERE r.id = $2 AND r.finished_at IS NULL AND ($3 IS NOT NULL \
         OR NOT EXISTS (SELECT 1 FROM run_request q WHERE q.run_id = r.id AND q.outcome IS NULL \
         AND q.asker IS NULL AND q.body = $4))",
    )
    .bind(request.id)
    .bind(run.0)
    .bind(request.asker.map(|asker| asker.0))
    .bind(&request.body)
    .bind(at.0)
    .execute(tx)
    .await?;
    Ok(inserted.rows_affected() > 0)
}

/// The run's pending requests, in the order in which they were made.
pub async fn pending(db: impl SqliteExecutor<'_>, run: RunId) -> Result<Vec<RequestRow>> {
    let rows: Vec<(Uuid, Option<Uuid>, String)> = sqlx::query_as(
        "SELECT id, asker, body FROM run_request WHERE run_id = $1 AND outcome IS NULL ORDER BY created_at, id",
    )
    .bind(run.0)
    .fetch_all(db)
    .await?;
    let read =
        |(id, asker, body): (Uuid, Option<Uuid>, String)| RequestRow { id, asker: asker.map(OwnerId), body };
    Ok(rows.into_iter().map(read).collect())
}

/// Runs with pending requests.
pub async fn asked(db: &SqlitePool) -> Result<Vec<RunId>> {
    let runs: Vec<Uuid> = sqlx::query_scalar("SELECT DISTINCT run_id FROM run_request WHERE outcome IS NULL")
        .fetch_all(db)
        .await?;
    Ok(runs.into_iter().map(RunId).collect())
}

pub async fn settle(tx: &mut SqliteConnection, settled: &[SettledRow]) -> Result<()> {
    for SettledRow { id, outcome } in settled {
        match outcome {
            None => sqlx::query("DELETE FROM run_request WHERE id = $1").bind(id).execute(&mut *tx).await?,
            Some(outcome) => {
                sqlx::query("UPDATE run_request SET outcome = $2 WHERE id = $1")
                    .bind(id)
                    .bind(outcome)
                    .execute(&mut *tx)
                    .await?
            }
        };
    }
    Ok(())
}

/// Deletes outcomes that no asker has collected.
pub async fn forget_outcomes(tx: &mut SqliteConnection, before: Timestamp) -> Result<()> {
    sqlx::query("DELETE FROM run_request WHERE outcome IS NOT NULL AND created_at < $1")
        .bind(before.0)
        .execute(tx)
        .await?;
    Ok(())
}

/// Whether the request has an outcome.
pub async fn has_outcome(db: &SqlitePool, id: Uuid) -> Result<bool> {
    let found =
        sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM run_request WHERE id = $1 AND outcome IS NOT NULL)");
    Ok(found.bind(id).fetch_one(db).await?)
}

/// The outcome of a request, if there is one; its row is deleted.
pub async fn outcome(tx: &mut SqliteConnection, id: Uuid) -> Result<Option<String>> {
    let outcome =
        sqlx::query_scalar("DELETE FROM run_request WHERE id = $1 AND outcome IS NOT NULL RETURNING outcome");
    Ok(outcome.bind(id).fetch_optional(tx).await?)
}
