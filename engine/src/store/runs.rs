//! Runs, their logs and their texts.

use super::{
    projects::{Membership, membership},
    sqlite::json,
};
use crate::{Error, Result};
use domain::{
    event::{Event, TemplateVersion},
    id::{
        ContentId, MessageId, OwnerId, ProjectId, RoleId, RunId, RunNumber, StepRunId, TaskId, TemplateId,
        Timestamp, UserId,
    },
    key::{ProjectKey, RoleKey, TemplateKey},
    price::Money,
    run::RunStatus,
    usage::Usage,
    view::RunSummary,
};
use serde::{Deserialize, Serialize};
use sqlx::{FromRow, Row, SqliteConnection, SqliteExecutor, SqlitePool, types::Json};
use std::collections::BTreeMap;
use uuid::Uuid;

pub use json::{contents, followable, input_line};

/// The input of a run and the choices made at its launch. Versions are immutable, so their numbers are enough to keep
/// them.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Snapshot {
    pub input: ContentId,
    pub role_assignments: BTreeMap<String, RoleKey>,
    /// Per step of the plan that needs a role: the role's row and version.
    pub roles: BTreeMap<u32, (RoleId, u32)>,
    /// The user's message that started the run; the messages before it are its conversation.
    pub message: MessageId,
    /// How many runs are above it in its tree.
    #[serde(default)]
    pub depth: u32,
    /// The versions of other templates that its steps call, directly or indirectly.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub templates: BTreeMap<TemplateKey, (TemplateId, u32)>,
}

/// The attempt of the calling run that launched a child run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallerKey {
    pub run: RunId,
    pub number: RunNumber,
    pub step: StepRunId,
    pub attempt: u32,
}

pub struct NewRun {
    pub id: RunId,
    pub project: ProjectId,
    pub template_id: Option<TemplateId>,
    pub template: TemplateVersion,
    pub task: TaskId,
    pub message: MessageId,
    /// None: the user has been deleted since.
    pub user: Option<UserId>,
    pub by: String,
    pub snapshot: Snapshot,
    pub idempotency: Option<(String, Vec<u8>)>,
    pub caller: Option<CallerKey>,
    /// The branch of its messages.
    pub branch: Option<MessageId>,
    /// The message that the run's question replaces.
    pub replaces: Option<MessageId>,
    pub at: Timestamp,
    /// The server that executes it; none: any server may take it.
    pub owner: Option<OwnerId>,
}

/// The columns of a run that are folds of its log.
#[derive(Clone, Debug)]
pub struct Derived {
    pub status: RunStatus,
    pub warnings: u32,
    pub error: Option<String>,
    pub usage: Usage,
    pub finished_at: Option<Timestamp>,
    /// Time of the next time limit.
    pub wake_at: Option<Timestamp>,
    /// Start of that time limit.
    pub wake_from: Option<Timestamp>,
    /// When its newest open question was asked.
    pub asked_at: Option<Timestamp>,
}

#[derive(FromRow)]
pub struct RunRow {
    pub id: Uuid,
    project_id: Uuid,
    number: u32,
    pub template_id: Option<Uuid>,
    template_key: String,
    template_version: u32,
    template_name: String,
    task_id: Uuid,
    message_id: Uuid,
    started_by: Option<Uuid>,
    started_by_name: String,
    pub snapshot: Json<Snapshot>,
    status: String,
    warnings: u32,
    error: Option<String>,
    input_tokens: i64,
    output_tokens: i64,
    cost: Option<i64>,
    created_at: i64,
    finished_at: Option<i64>,
    caller_id: Option<Uuid>,
    caller_step: Option<String>,
    caller_attempt: Option<u32>,
    caller_number: Option<u32>,
    last_seq: i64,
    failed_for: Option<Uuid>,
}

/// Usage of the child run of an attempt, including that run's descendants.
pub struct ChildUsage {
    pub step: StepRunId,
    pub attempt: u32,
    pub usage: Usage,
}

impl RunRow {
    /// The sequence number of its last event.
    pub fn last_seq(&self) -> u64 {
        self.last_seq as u64
    }

    /// The user who started it, if the user still exists.
    pub fn user(&self) -> Option<UserId> {
        self.started_by.map(UserId)
    }

    /// The user in whose inbox it is as a failure.
    pub fn waits_for(&self) -> Option<UserId> {
        self.failed_for.map(UserId)
    }

    pub fn caller(&self) -> Option<CallerKey> {
        Some(CallerKey {
            run: RunId(self.caller_id?),
            number: RunNumber(self.caller_number?),
            step: self.caller_step.as_deref()?.parse().ok()?,
            attempt: self.caller_attempt?,
        })
    }

    pub fn id(&self) -> RunId {
        RunId(self.id)
    }

    pub fn project(&self) -> ProjectId {
        ProjectId(self.project_id)
    }

    pub fn summary(&self) -> Result<RunSummary> {
        let corrupt = |what: &str| Error::internal(format!("run {}: its {what} cannot be read", self.id));
        Ok(RunSummary {
            number: RunNumber(self.number),
            template: TemplateVersion {
                key: TemplateKey::parse(&self.template_key).map_err(|_| corrupt("template key"))?,
                version: self.template_version,
                name: self.template_name.clone(),
            },
            status: RunStatus::parse(&self.status).ok_or_else(|| corrupt("status"))?,
            by: self.started_by_name.clone(),
            task: TaskId(self.task_id),
            message: MessageId(self.message_id),
            created_at: Timestamp(self.created_at),
            finished_at: self.finished_at.map(Timestamp),
            usage: usage(self.input_tokens, self.output_tokens, self.cost),
            warnings: self.warnings,
            error: self.error.clone(),
            caller: self.caller_number.map(RunNumber),
        })
    }
}

/// At most `limit` events after `after`, in order.
pub async fn events(db: &SqlitePool, run: RunId, after: u64, limit: u32) -> Result<Vec<Event>> {
    let rows =
        sqlx::query("SELECT seq, at, body FROM event WHERE run_id = $1 AND seq > $2 ORDER BY seq LIMIT $3")
            .bind(run.0)
            .bind(i64::try_from(after).unwrap_or(i64::MAX))
            .bind(limit)
            .fetch_all(db)
            .await?;
    rows.iter()
        .map(|row| {
            let body: &str = row.try_get(2)?;
            Ok(Event {
                seq: row.try_get::<i64, _>(0)? as u64,
                at: Timestamp(row.try_get(1)?),
                kind: serde_json::from_str(body).map_err(Error::internal)?,
            })
        })
        .collect()
}

pub async fn content(db: &SqlitePool, run: RunId, id: ContentId) -> Result<Option<String>> {
    Ok(sqlx::query_scalar("SELECT body FROM content WHERE id = $1 AND run_id = $2")
        .bind(id.0)
        .bind(run.0)
        .fetch_optional(db)
        .await?)
}

/// The beginning of a text, and the length of the whole text in bytes.
pub async fn content_head(
    db: &SqlitePool,
    run: RunId,
    id: ContentId,
    characters: u32,
) -> Result<Option<(String, u64)>> {
    let row: Option<(String, i64)> = sqlx::query_as(
        "SELECT substr(body, 1, $3), octet_length(body) FROM content WHERE id = $1 AND run_id = $2",
    )
    .bind(id.0)
    .bind(run.0)
    .bind(characters)
    .fetch_optional(db)
    .await?;
    Ok(row.map(|(text, bytes)| (text, bytes as u64)))
}

pub async fn by_id(db: &SqlitePool, id: RunId) -> Result<Option<RunRow>> {
    Ok(sqlx::query_as("SELECT * FROM run WHERE id = $1").bind(id.0).fetch_optional(db).await?)
}

pub async fn by_number(db: &SqlitePool, project: ProjectId, number: RunNumber) -> Result<Option<RunRow>> {
    Ok(sqlx::query_as("SELECT * FROM run WHERE project_id = $1 AND number = $2")
        .bind(project.0)
        .bind(number.0)
        .fetch_optional(db)
        .await?)
}

/// The project with this key, the user's membership in it, and the project's run with this number, if there is one.
pub async fn by_number_for(
    db: &mut SqliteConnection,
    project: &ProjectKey,
    user: UserId,
    number: RunNumber,
) -> Result<Option<(Membership, Option<RunRow>)>> {
    let row = sqlx::query(
        "SELECT p.id AS found_in, m.permission, r.* FROM project p \
         LEFT JOIN member m ON m.project_id = p.id AND m.user_id = $2 \
         LEFT JOIN run r ON r.project_id = p.id AND r.number = $3 WHERE p.key = $1",
    )
    .bind(project.as_ref())
    .bind(user.0)
    .bind(number.0)
    .fetch_optional(db)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let membership = membership(row.try_get("found_in")?, row.try_get("permission")?)?;
    let there = row.try_get::<Option<Uuid>, _>("id")?.is_some();
    let run = there.then(|| RunRow::from_row(&row)).transpose()?;
    Ok(Some((membership, run)))
}

/// What a follower needs to know about a run before it follows it.
pub struct Followable {
    pub number: RunNumber,
    pub id: RunId,
    pub last_seq: u64,
    pub ended: bool,
}

/// The earlier launch with this idempotency key, and the digest of its request body.
pub async fn by_idempotency_key<'e>(
    db: impl SqliteExecutor<'e>,
    project: ProjectId,
    key: &str,
) -> Result<Option<(RunRow, Vec<u8>)>> {
    let row = sqlx::query("SELECT * FROM run WHERE project_id = $1 AND idempotency_key = $2")
        .bind(project.0)
        .bind(key)
        .fetch_optional(db)
        .await?;
    row.map(|row| Ok((RunRow::from_row(&row)?, row.try_get("request_digest")?))).transpose()
}

/// Live runs that need work, oldest first: a restart resumes these. A run that waits for a person is left alone unless
/// it has a pending request, the run that called it has ended, or it has live child runs to look after.
///
/// The first condition is redundant: it matches the partial index of live runs.
pub async fn unfinished(db: &SqlitePool) -> Result<Vec<RunId>> {
    let ids: Vec<Uuid> = sqlx::query_scalar(
        "SELECT r.id FROM run r WHERE r.status IN ('queued', 'running', 'waiting') AND (r.status <> 'waiting' \
         OR EXISTS (SELECT 1 FROM run c WHERE c.id = r.caller_id AND c.finished_at IS NOT NULL) \
         OR EXISTS (SELECT 1 FROM run c WHERE c.caller_id = r.id AND c.finished_at IS NULL) \
         OR EXISTS (SELECT 1 FROM run_request q WHERE q.run_id = r.id AND q.outcome IS NULL)) \
         ORDER BY r.created_at, r.id",
    )
    .fetch_all(db)
    .await?;
    Ok(ids.into_iter().map(RunId).collect())
}

/// The run that this attempt launched.
pub async fn child<'e>(
    db: impl SqliteExecutor<'e>,
    caller: RunId,
    step: StepRunId,
    attempt: u32,
) -> Result<Option<RunRow>> {
    Ok(sqlx::query_as("SELECT * FROM run WHERE caller_id = $1 AND caller_step = $2 AND caller_attempt = $3")
        .bind(caller.0)
        .bind(step.to_string())
        .bind(attempt)
        .fetch_optional(db)
        .await?)
}

/// Child runs that have not ended, each with the attempt that launched it; of one attempt or of all.
pub async fn live_children(
    db: &SqlitePool,
    caller: RunId,
    of: Option<(StepRunId, u32)>,
) -> Result<Vec<(RunId, StepRunId, u32)>> {
    let rows: Vec<(Uuid, String, u32)> = sqlx::query_as(
        "SELECT id, caller_step, caller_attempt FROM run \
         WHERE caller_id = $1 AND status IN ('queued', 'running', 'waiting') \
         AND ($2 IS NULL OR (caller_step = $2 AND caller_attempt = $3))",
    )
    .bind(caller.0)
    .bind(of.map(|(step, _)| step.to_string()))
    .bind(of.map(|(_, attempt)| attempt))
    .fetch_all(db)
    .await?;
    let read = |(id, step, attempt): (Uuid, String, u32)| Ok((RunId(id), step_run(id, &step)?, attempt));
    rows.into_iter().map(read).collect()
}

/// The state of the run that an attempt launched.
pub struct ChildRow {
    pub id: RunId,
    pub number: RunNumber,
    pub step: StepRunId,
    pub attempt: u32,
    /// `None` if the row is damaged.
    pub status: Option<RunStatus>,
    /// When the newest of its own open questions was asked.
    pub asked_at: Option<Timestamp>,
}

/// The columns of the statement below, in order.
type ChildColumns = (Uuid, u32, String, u32, String, String, Option<i64>);

fn step_run(run: Uuid, text: &str) -> Result<StepRunId> {
    text.parse().map_err(|_| Error::internal(format!("run {run}: '{text}' is no step run")))
}

/// The runs that the attempts of `caller` launched.
pub async fn children(db: &SqlitePool, caller: RunId) -> Result<Vec<ChildRow>> {
    let rows: Vec<ChildColumns> = sqlx::query_as(
        "SELECT id, number, caller_step, caller_attempt, status, template_key, asked_at FROM run WHERE caller_id = $1",
    )
    .bind(caller.0)
    .fetch_all(db)
    .await?;
    let read = |(id, number, step, attempt, status, template, asked_at): ChildColumns| {
        let step = step_run(id, &step)?;
        let status = RunStatus::parse(&status).filter(|_| TemplateKey::parse(&template).is_ok());
        let (id, number, asked_at) = (RunId(id), RunNumber(number), asked_at.map(Timestamp));
        Ok(ChildRow { id, number, step, attempt, status, asked_at })
    };
    rows.into_iter().map(read).collect()
}

/// Usage so far of the runs that the attempts of `caller` launched; of one attempt or of all. The row of an ended run
/// includes its descendants; below a live run, its live descendants are added separately.
pub async fn usage_of_children(
    db: &SqlitePool,
    caller: RunId,
    of: Option<(StepRunId, u32)>,
) -> Result<Vec<ChildUsage>> {
    let rows: Vec<(String, u32, i64, i64, Option<i64>)> = sqlx::query_as(
        "WITH RECURSIVE below (id, step, attempt, live) AS (\
         SELECT id, caller_step, caller_attempt, finished_at IS NULL FROM run \
         WHERE caller_id = $1 AND ($2 IS NULL OR (caller_step = $2 AND caller_attempt = $3)) \
         UNION ALL SELECT r.id, b.step, b.attempt, TRUE FROM below b \
         CROSS JOIN run r WHERE r.caller_id = b.id AND b.live AND r.finished_at IS NULL) \
         SELECT b.step, b.attempt, r.input_tokens, r.output_tokens, r.cost FROM below b \
         CROSS JOIN run r WHERE r.id = b.id",
    )
    .bind(caller.0)
    .bind(of.map(|(step, _)| step.to_string()))
    .bind(of.map(|(_, attempt)| attempt))
    .fetch_all(db)
    .await?;
    let mut used: BTreeMap<(StepRunId, u32), Usage> = BTreeMap::new();
    for (step, attempt, input, output, cost) in rows {
        let step = step.parse().map_err(|_| Error::internal(format!("'{step}' is no step run")))?;
        *used.entry((step, attempt)).or_default() += usage(input, output, cost);
    }
    Ok(used.into_iter().map(|((step, attempt), usage)| ChildUsage { step, attempt, usage }).collect())
}

fn usage(input_tokens: i64, output_tokens: i64, cost: Option<i64>) -> Usage {
    Usage {
        input_tokens: input_tokens as u64,
        output_tokens: output_tokens as u64,
        cost: cost.map(|cost| Money(cost as u64)),
    }
}

/// Whether the run has ended; `None` if it does not exist.
pub async fn has_ended<'e>(db: impl SqliteExecutor<'e>, run: RunId) -> Result<Option<bool>> {
    Ok(sqlx::query_scalar("SELECT finished_at IS NOT NULL FROM run WHERE id = $1")
        .bind(run.0)
        .fetch_optional(db)
        .await?)
}

/// Counts one more run in the tree of `caller`, and returns the tree's new number of runs.
pub async fn count_in_tree(tx: &mut SqliteConnection, caller: RunId) -> Result<u32> {
    Ok(sqlx::query_scalar(
        "UPDATE run SET tree_runs = tree_runs + 1 \
         WHERE id = (SELECT CASE WHEN root_id IS NULL THEN id ELSE root_id END FROM run WHERE id = $1) \
         RETURNING tree_runs",
    )
    .bind(caller.0)
    .fetch_one(tx)
    .await?)
}

/// Resets the run's take counter, because the take did not lead to work.
pub async fn forget_take(tx: &mut SqliteConnection, run: RunId) -> Result<()> {
    sqlx::query("UPDATE run SET takes = 0 WHERE id = $1").bind(run.0).execute(tx).await?;
    Ok(())
}

/// Resets the take counters of a server's runs: a server that shuts down cleanly was not crashed by any of them.
pub async fn forget_takes(tx: &mut SqliteConnection, server: OwnerId) -> Result<()> {
    sqlx::query("UPDATE run SET takes = 0 WHERE takes > 0 AND finished_at IS NULL AND owner = $1")
        .bind(server.0)
        .execute(tx)
        .await?;
    Ok(())
}

/// A run's next time limit.
pub struct Limit {
    pub run: RunId,
    pub at: Timestamp,
    /// Start of the time limit.
    pub from: Option<Timestamp>,
}

/// Time limits by time, after the position `after`.
pub async fn limits(db: &SqlitePool, after: Option<(Timestamp, RunId)>, limit: u32) -> Result<Vec<Limit>> {
    let (at, run) = after.map_or((i64::MIN, Uuid::nil()), |(at, run)| (at.0, run.0));
    let rows: Vec<(Uuid, i64, Option<i64>)> = sqlx::query_as(
        "SELECT id, wake_at, wake_from FROM run WHERE wake_at IS NOT NULL AND (wake_at, id) > ($1, $2) \
         ORDER BY wake_at, id LIMIT $3",
    )
    .bind(at)
    .bind(run)
    .bind(limit)
    .fetch_all(db)
    .await?;
    let read = |(id, at, from): (Uuid, i64, Option<i64>)| Limit {
        run: RunId(id),
        at: Timestamp(at),
        from: from.map(Timestamp),
    };
    Ok(rows.into_iter().map(read).collect())
}

/// Runs below `before`, newest first.
pub async fn list(
    db: &SqlitePool,
    project: ProjectId,
    status: Option<RunStatus>,
    template: Option<&TemplateKey>,
    before: u32,
    limit: u32,
) -> Result<Vec<RunRow>> {
    // One statement per combination, so that each uses its index.
    let rows = match (status, template) {
        (None, None) => {
            sqlx::query_as(
                "SELECT * FROM run WHERE project_id = $1 AND number < $2 ORDER BY number DESC LIMIT $3",
            )
            .bind(project.0)
            .bind(before)
            .bind(limit)
            .fetch_all(db)
            .await?
        }
        (Some(status), None) => {
            sqlx::query_as(
                "SELECT * FROM run WHERE project_id = $1 AND status = $4 AND number < $2 \
                 ORDER BY number DESC LIMIT $3",
            )
            .bind(project.0)
            .bind(before)
            .bind(limit)
            .bind(status.as_str())
            .fetch_all(db)
            .await?
        }
        (None, Some(template)) => {
            sqlx::query_as(
                "SELECT * FROM run WHERE project_id = $1 AND template_key = $4 AND number < $2 \
                 ORDER BY number DESC LIMIT $3",
            )
            .bind(project.0)
            .bind(before)
            .bind(limit)
            .bind(template.as_ref())
            .fetch_all(db)
            .await?
        }
        (Some(status), Some(template)) => sqlx::query_as(
            "SELECT * FROM run WHERE project_id = $1 AND template_key = $4 AND status = $5 AND number < $2 \
                 ORDER BY number DESC LIMIT $3",
        )
        .bind(project.0)
        .bind(before)
        .bind(limit)
        .bind(template.as_ref())
        .bind(status.as_str())
        .fetch_all(db)
        .await?,
    };
    Ok(rows)
}
