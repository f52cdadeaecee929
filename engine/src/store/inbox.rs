//! Items that wait for people: runs with open questions, and failed runs that the user who started them has not seen.
//! Each kind has its own index, in reading order.

use super::{runs::RunRow, seen::has_news};
use crate::{Result, store::changes};
use domain::{
    id::{ProjectId, RunNumber, Timestamp, UserId},
    view::{ProjectCounts, Subject},
};
use sqlx::{FromRow, Row, SqliteConnection, SqlitePool, sqlite::SqliteRow};

/// The position of an item: its time, then its run's number.
pub type InboxCursor = (i64, u32);

/// Runs with open questions below `before`, most recently asked first.
pub async fn asking(
    db: &SqlitePool,
    project: ProjectId,
    before: InboxCursor,
    limit: u32,
) -> Result<Vec<(Timestamp, RunRow)>> {
    let rows = sqlx::query(
        "SELECT *, asked_at AS waits_since FROM run WHERE project_id = $1 AND asked_at IS NOT NULL \
         AND (asked_at, number) < ($2, $3) ORDER BY asked_at DESC, number DESC LIMIT $4",
    )
    .bind(project.0)
    .bind(before.0)
    .bind(before.1)
    .bind(limit)
    .fetch_all(db)
    .await?;
    rows.iter().map(read).collect()
}

/// Failed runs in the user's inbox below `before`, most recently failed first.
pub async fn failed(
    db: &SqlitePool,
    project: ProjectId,
    user: UserId,
    before: InboxCursor,
    limit: u32,
) -> Result<Vec<(Timestamp, RunRow)>> {
    let rows = sqlx::query(
        "SELECT *, finished_at AS waits_since FROM run WHERE failed_for = $5 AND project_id = $1 \
         AND (finished_at, number) < ($2, $3) ORDER BY finished_at DESC, number DESC LIMIT $4",
    )
    .bind(project.0)
    .bind(before.0)
    .bind(before.1)
    .bind(limit)
    .bind(user.0)
    .fetch_all(db)
    .await?;
    rows.iter().map(read).collect()
}

fn read(row: &SqliteRow) -> Result<(Timestamp, RunRow)> {
    Ok((Timestamp(row.try_get("waits_since")?), RunRow::from_row(row)?))
}

/// The counts that every page shows.
pub async fn counts(db: &SqlitePool, project: ProjectId, user: UserId) -> Result<ProjectCounts> {
    let (live_runs, asking, failed, unread): (u32, u32, u32, u32) = sqlx::query_as(concat!(
        "SELECT (SELECT count(*) FROM run WHERE project_id = $1 AND status IN ('queued', 'running', 'waiting')), \
         (SELECT count(*) FROM (SELECT 1 FROM run WHERE project_id = $1 AND asked_at IS NOT NULL LIMIT $3)), \
         (SELECT count(*) FROM (SELECT 1 FROM run WHERE failed_for = $2 AND project_id = $1 LIMIT $3)), \
         (SELECT count(*) FROM (SELECT id FROM task WHERE project_id = $1 AND parent_id IS NULL \
         ORDER BY updated_at DESC, id DESC LIMIT 50) t WHERE ",
        has_news!("$2"),
        ")"
    ))
    .bind(project.0)
    .bind(user.0)
    .bind(ProjectCounts::MOST)
    .fetch_one(db)
    .await?;
    Ok(ProjectCounts { live_runs, inbox: (asking + failed).min(ProjectCounts::MOST), unread })
}

/// Removes a failure from the user's inbox or, with `waits`, puts it back. Returns whether that changed anything.
pub async fn mark_failure(
    tx: &mut SqliteConnection,
    project: ProjectId,
    user: UserId,
    number: RunNumber,
    waits: bool,
) -> Result<bool> {
    let done = sqlx::query(
        "UPDATE run SET failed_for = CASE WHEN $4 THEN $3 END WHERE project_id = $1 AND number = $2 \
         AND status = 'failed' AND started_by = $3 AND caller_id IS NULL AND (failed_for IS NULL) = $4",
    )
    .bind(project.0)
    .bind(number.0)
    .bind(user.0)
    .bind(waits)
    .execute(tx)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Records a change for the project's lists: the run's place in an inbox changed.
pub async fn tell(
    tx: &mut SqliteConnection,
    project: ProjectId,
    run: &domain::view::RunSummary,
) -> Result<()> {
    let subject = Subject::Run { number: run.number, task: run.task, status: run.status };
    changes::insert(tx, project, &subject).await
}
