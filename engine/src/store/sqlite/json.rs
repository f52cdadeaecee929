//! Reads by a list, which is sent as JSON, and reads of parts of stored JSON.

use crate::{
    Result,
    store::{
        messages::Earlier,
        projects::{Membership, membership},
        runs::{Followable, RunRow},
    },
};
use domain::{
    id::{ContentId, ProjectId, RunId, RunNumber, UserId},
    key::{ProjectKey, RoleKey},
    run::StepStatus,
};
use sqlx::{FromRow, Row, SqliteConnection, SqlitePool, types::Json};
use std::collections::HashMap;
use uuid::Uuid;

/// Ids in hexadecimal, which SQLite turns into blobs.
fn hex(ids: impl IntoIterator<Item = Uuid>) -> Json<Vec<String>> {
    Json(ids.into_iter().map(|id| id.as_simple().to_string()).collect())
}

/// The messages that replace others: the replaced message, the replacing one, and the branch of the replaced one; in
/// the order of their ids.
pub async fn replacing(
    db: &SqlitePool,
    replaced: impl IntoIterator<Item = Uuid>,
) -> Result<Vec<(Uuid, Uuid, Option<Uuid>)>> {
    let rows = sqlx::query_as(
        "SELECT m.replaces, m.id, o.branch FROM json_each($1) e CROSS JOIN message m ON m.replaces = unhex(e.value) \
         JOIN message o ON o.id = m.replaces ORDER BY m.id",
    );
    Ok(rows.bind(hex(replaced)).fetch_all(db).await?)
}

pub async fn runs(db: &SqlitePool, ids: impl IntoIterator<Item = Uuid>) -> Result<Vec<RunRow>> {
    let rows = sqlx::query_as("SELECT run.* FROM json_each($1) e CROSS JOIN run ON run.id = unhex(e.value)");
    Ok(rows.bind(hex(ids)).fetch_all(db).await?)
}

/// Authors and texts of messages, in the order of their ids.
pub async fn messages(db: &SqlitePool, ids: impl IntoIterator<Item = Uuid>) -> Result<Vec<Earlier>> {
    let rows = sqlx::query_as(
        "SELECT m.author, m.content FROM json_each($1) e CROSS JOIN message m ON m.id = unhex(e.value) ORDER BY m.id",
    );
    Ok(rows.bind(hex(ids)).fetch_all(db).await?)
}

/// The last sequence number of each run, and whether the run has ended.
pub async fn last_events(db: &SqlitePool, runs: &[RunId]) -> Result<Vec<(Uuid, i64, bool)>> {
    let rows = sqlx::query_as(
        "SELECT r.id, r.last_seq, r.finished_at IS NOT NULL FROM json_each($1) e \
         CROSS JOIN run r ON r.id = unhex(e.value)",
    );
    Ok(rows.bind(hex(runs.iter().map(|run| run.0))).fetch_all(db).await?)
}

/// Texts of the run, by id; missing ones are omitted.
pub async fn contents(db: &SqlitePool, run: RunId, ids: &[ContentId]) -> Result<HashMap<ContentId, String>> {
    let rows: Vec<(Uuid, String)> = sqlx::query_as(
        "SELECT c.id, c.body FROM json_each($1) e CROSS JOIN content c ON c.id = unhex(e.value) WHERE c.run_id = $2",
    )
    .bind(hex(ids.iter().map(|id| id.0)))
    .bind(run.0)
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(|(id, body)| (ContentId(id), body)).collect())
}

/// The input of a run in one line: the beginnings of its first values, each after its name.
pub async fn input_line(db: &SqlitePool, run: RunId, input: ContentId) -> Result<String> {
    let line: Option<Option<String>> = sqlx::query_scalar(
        "SELECT group_concat(concat_ws(': ', e.key, \
         CASE WHEN e.type IN ('true', 'false', 'null') THEN e.type ELSE substr(e.value, 1, 200) END), ', ') \
         FROM (SELECT e.key, e.type, e.value FROM content c CROSS JOIN json_each(c.body) e \
         WHERE c.id = $1 AND c.run_id = $2 LIMIT 20) e",
    )
    .bind(input.0)
    .bind(run.0)
    .fetch_optional(db)
    .await?;
    Ok(line.flatten().unwrap_or_default())
}

/// The user's membership in the project, and those of the runs that exist; `None` if there is no such project.
pub async fn followable(
    db: &mut SqliteConnection,
    project: &ProjectKey,
    user: UserId,
    numbers: &[RunNumber],
) -> Result<Option<(Membership, Vec<Followable>)>> {
    let rows = sqlx::query(
        "SELECT p.id AS found_in, m.permission, r.number, r.id, r.last_seq, r.finished_at IS NOT NULL AS ended \
         FROM project p LEFT JOIN member m ON m.project_id = p.id AND m.user_id = $2 \
         LEFT JOIN run r ON r.project_id = p.id AND r.number IN (SELECT value FROM json_each($3)) WHERE p.key = $1",
    )
    .bind(project.as_ref())
    .bind(user.0)
    .bind(Json(numbers))
    .fetch_all(db)
    .await?;
    let Some(first) = rows.first() else { return Ok(None) };
    let membership = membership(first.try_get("found_in")?, first.try_get("permission")?)?;
    let mut runs = Vec::with_capacity(rows.len());
    for row in &rows {
        let Some(number) = row.try_get::<Option<u32>, _>("number")? else { continue };
        runs.push(Followable {
            number: RunNumber(number),
            id: RunId(row.try_get("id")?),
            last_seq: row.try_get::<i64, _>("last_seq")? as u64,
            ended: row.try_get("ended")?,
        });
    }
    Ok(Some((membership, runs)))
}

/// A step's name, status and role, as in its run's message.
pub type LiveStep = (String, StepStatus, Option<RoleKey>);

/// The live runs of the project, newest first, with their steps.
pub async fn live_runs(
    db: &SqlitePool,
    project: ProjectId,
    limit: u32,
) -> Result<Vec<(RunRow, Vec<LiveStep>)>> {
    // The query extracts only the steps' names, statuses and roles, because the message may hold much text.
    let rows = sqlx::query(
        "SELECT r.*, (SELECT json_group_array(json_array(s.value ->> 'name', s.value ->> 'status', s.value ->> 'role')) \
         FROM json_each(m.metadata, '$.orchestrationStatus.steps') s) AS steps \
         FROM run r JOIN message m ON m.id = r.message_id \
         WHERE r.project_id = $1 AND r.status IN ('queued', 'running', 'waiting') \
         ORDER BY r.number DESC LIMIT $2",
    )
    .bind(project.0)
    .bind(limit)
    .fetch_all(db)
    .await?;
    rows.iter().map(|row| Ok((RunRow::from_row(row)?, row.try_get::<Json<_>, _>("steps")?.0))).collect()
}
