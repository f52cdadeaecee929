//! Stored folds of long logs, so that opening a run need not read the whole log. They are only a cache.

use crate::Result;
use domain::{
    id::RunId,
    run::{RunState, STATE_VERSION},
};
use sqlx::{SqliteConnection, SqlitePool};

/// Stores the snapshot, unless a later one exists.
pub async fn keep(tx: &mut SqliteConnection, run: RunId, seq: u64, body: &str) -> Result<()> {
    sqlx::query(
        "INSERT INTO snapshot (run_id, seq, version, body) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (run_id) DO UPDATE SET seq = excluded.seq, version = excluded.version, body = excluded.body \
         WHERE excluded.seq > snapshot.seq OR excluded.version <> snapshot.version",
    )
    .bind(run.0)
    .bind(seq as i64)
    .bind(STATE_VERSION)
    .bind(body)
    .execute(tx)
    .await?;
    Ok(())
}

/// The latest snapshot; `None` also if another version of the product made it or it cannot be read.
pub async fn latest(db: &SqlitePool, run: RunId) -> Result<Option<RunState>> {
    let body: Option<String> =
        sqlx::query_scalar("SELECT body FROM snapshot WHERE run_id = $1 AND version = $2")
            .bind(run.0)
            .bind(STATE_VERSION)
            .fetch_optional(db)
            .await?;
    Ok(body.and_then(|body| serde_json::from_str(&body).ok()))
}
