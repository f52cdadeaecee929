//! Tasks and messages, as pages see them. `messages` holds what runs write into them.

use super::{
    branches::{self, BranchSegment, MessagePosition},
    seen::has_news,
    sqlite::json,
};
use crate::{Error, Result, plain_line};
use domain::{
    id::{MessageId, ProjectId, RunNumber, TaskId, Timestamp, UserId},
    run::{MessageMetadata, RunStatus},
    view::{Author, Message, RunSummary, TaskStatus, TaskSummary},
};
use sqlx::{FromRow, SqliteConnection, SqlitePool, types::Json};
use std::collections::HashMap;
use uuid::Uuid;

#[derive(FromRow)]
struct TaskRow {
    id: Uuid,
    title: String,
    status: String,
    created_at: i64,
    updated_at: i64,
    messages: u32,
    live_runs: u32,
    last_run: Option<u32>,
    last_status: Option<String>,
    excerpt: Option<String>,
    unread: bool,
}

impl TaskRow {
    fn read(self) -> Result<TaskSummary> {
        let corrupt = |what: &str| Error::internal(format!("task {}: its {what} cannot be read", self.id));
        let last_status = self.last_status.as_deref();
        Ok(TaskSummary {
            id: TaskId(self.id),
            status: task_status(&self.status).ok_or_else(|| corrupt("status"))?,
            last_status: last_status
                .map(|status| RunStatus::parse(status).ok_or_else(|| corrupt("run's status")))
                .transpose()?,
            title: self.title,
            created_at: Timestamp(self.created_at),
            updated_at: Timestamp(self.updated_at),
            messages: self.messages,
            live_runs: self.live_runs,
            last_run: self.last_run.map(RunNumber),
            unread: self.unread,
            excerpt: plain_line(&self.excerpt.unwrap_or_default()),
        })
    }
}

fn task_status(text: &str) -> Option<TaskStatus> {
    match text {
        "pending" => Some(TaskStatus::Pending),
        "active" => Some(TaskStatus::Active),
        "completed" => Some(TaskStatus::Completed),
        "failed" => Some(TaskStatus::Failed),
        _ => None,
    }
}

fn author(text: &str) -> Option<Author> {
    match text {
        "user" => Some(Author::User),
        "assistant" => Some(Author::Assistant),
        "system" => Some(Author::System),
        _ => None,
    }
}

/// The columns of a summary of task `t` for user `$1`.
macro_rules! summary {
    ($where:literal) => {
        concat!(
            "SELECT t.id, t.title, t.status, t.created_at, t.updated_at, t.messages, \
             (SELECT count(*) FROM run r WHERE r.project_id = t.project_id AND r.task_id = t.id \
              AND r.status IN ('queued', 'running', 'waiting')) AS live_runs, \
             (SELECT r.number FROM run r WHERE r.task_id = t.id ORDER BY r.number DESC LIMIT 1) AS last_run, \
             (SELECT r.status FROM run r WHERE r.task_id = t.id ORDER BY r.number DESC LIMIT 1) AS last_status, \
             (SELECT substr(m.content, 1, 200) FROM message m WHERE m.task_id = t.id AND m.content <> '' \
              ORDER BY m.id DESC LIMIT 1) AS excerpt, ",
            has_news!("$1"),
            " AS unread FROM task t WHERE t.project_id = $2 AND ",
            $where
        )
    };
}

/// Tasks below `before`, most recently updated first.
pub async fn tasks(
    db: &SqlitePool,
    user: UserId,
    project: ProjectId,
    before: (i64, Uuid),
    limit: u32,
) -> Result<Vec<TaskSummary>> {
    let rows: Vec<TaskRow> = sqlx::query_as(summary!(
        "t.parent_id IS NULL AND (t.updated_at, t.id) < ($3, $4) ORDER BY t.updated_at DESC, t.id DESC LIMIT $5"
    ))
    .bind(user.0)
    .bind(project.0)
    .bind(before.0)
    .bind(before.1)
    .bind(limit)
    .fetch_all(db)
    .await?;
    rows.into_iter().map(TaskRow::read).collect()
}

pub async fn task(
    db: &SqlitePool,
    user: UserId,
    project: ProjectId,
    id: TaskId,
) -> Result<Option<TaskSummary>> {
    let row: Option<TaskRow> = sqlx::query_as(summary!("t.id = $3"))
        .bind(user.0)
        .bind(project.0)
        .bind(id.0)
        .fetch_optional(db)
        .await?;
    row.map(TaskRow::read).transpose()
}

/// Whether the project has the task.
pub async fn has_task(db: &SqlitePool, project: ProjectId, id: TaskId) -> Result<bool> {
    let found: Option<i64> = sqlx::query_scalar("SELECT 1 FROM task WHERE id = $1 AND project_id = $2")
        .bind(id.0)
        .bind(project.0)
        .fetch_optional(db)
        .await?;
    Ok(found.is_some())
}

/// Renames the task. False if the project has no such task.
pub async fn rename_task(
    tx: &mut SqliteConnection,
    project: ProjectId,
    id: TaskId,
    title: &str,
) -> Result<bool> {
    let done = sqlx::query("UPDATE task SET title = $3 WHERE id = $2 AND project_id = $1")
        .bind(project.0)
        .bind(id.0)
        .bind(title)
        .execute(tx)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Inserts a message whose author is the product itself.
pub async fn insert_system(
    tx: &mut SqliteConnection,
    id: MessageId,
    task: TaskId,
    content: &str,
    at: Timestamp,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO message (id, task_id, author, content, created_at) VALUES ($1, $2, 'system', $3, $4)",
    )
    .bind(id.0)
    .bind(task.0)
    .bind(content)
    .bind(at.0)
    .execute(tx)
    .await?;
    Ok(())
}

#[derive(FromRow)]
struct MessageRow {
    id: Uuid,
    author: String,
    by: Option<String>,
    user_id: Option<Uuid>,
    content: String,
    metadata: Option<Json<MessageMetadata>>,
    run_id: Option<Uuid>,
    created_at: i64,
    branch: Option<Uuid>,
    replaces: Option<Uuid>,
}

macro_rules! messages {
    ($rest:literal) => {
        concat!(
            "SELECT m.id, m.author, u.name AS by, m.user_id, m.content, m.metadata, m.run_id, m.created_at, m.branch, \
             m.replaces FROM message m LEFT JOIN \"user\" u ON u.id = m.user_id WHERE m.task_id = $1 AND ",
            $rest
        )
    };
}

/// All messages of the task, on every branch, below `before`, newest first; without HTML.
pub async fn messages(db: &SqlitePool, task: TaskId, before: MessageId, limit: u32) -> Result<Vec<Message>> {
    let rows = sqlx::query_as(messages!("m.id < $2 ORDER BY m.id DESC LIMIT $3"))
        .bind(task.0)
        .bind(before.0)
        .bind(limit)
        .fetch_all(db)
        .await?;
    read(db, rows).await
}

/// The messages of a path below `before`, newest first; without HTML.
pub async fn before(
    db: &SqlitePool,
    task: TaskId,
    path: &[BranchSegment],
    before: Uuid,
    limit: u32,
) -> Result<Vec<Message>> {
    let mut found: Vec<MessageRow> = Vec::new();
    for segment in path {
        let left = limit - found.len() as u32;
        if left == 0 {
            break;
        }
        let rows = sqlx::query_as(messages!(
            "m.branch IS NOT DISTINCT FROM $2 AND m.id < $3 ORDER BY m.id DESC LIMIT $4"
        ));
        let rows = rows.bind(task.0).bind(segment.branch).bind(before.min(segment.below)).bind(left);
        found.extend(rows.fetch_all(db).await?);
    }
    read(db, found).await
}

/// The messages of a path above `after`, oldest first; without HTML.
pub async fn after(
    db: &SqlitePool,
    task: TaskId,
    path: &[BranchSegment],
    after: Uuid,
    limit: u32,
) -> Result<Vec<Message>> {
    let mut found: Vec<MessageRow> = Vec::new();
    for segment in path.iter().rev() {
        let left = limit - found.len() as u32;
        if left == 0 {
            break;
        }
        let rows = sqlx::query_as(messages!(
            "m.branch IS NOT DISTINCT FROM $2 AND m.id > $3 AND m.id < $4 ORDER BY m.id LIMIT $5"
        ));
        let rows = rows.bind(task.0).bind(segment.branch).bind(after).bind(segment.below).bind(left);
        found.extend(rows.fetch_all(db).await?);
    }
    read(db, found).await
}

/// Builds messages from the rows, and loads their runs and versions.
async fn read(db: &SqlitePool, rows: Vec<MessageRow>) -> Result<Vec<Message>> {
    let positions = rows.iter().map(|row| {
        let (id, author) = (row.id, row.author.clone());
        MessagePosition { id, author, branch: row.branch, replaces: row.replaces }
    });
    let mut versions = branches::versions(db, &positions.collect::<Vec<_>>()).await?;
    let mut runs = runs_of(db, rows.iter().filter_map(|row| row.run_id)).await?;
    rows.into_iter()
        .map(|row| {
            let id = MessageId(row.id);
            let unknown = || Error::internal(format!("message {id}: its author cannot be read"));
            Ok(Message {
                id,
                author: author(&row.author).ok_or_else(unknown)?,
                by: row.by,
                user: row.user_id.map(UserId),
                content: row.content,
                html: None,
                created_at: Timestamp(row.created_at),
                metadata: row.metadata.map(|metadata| metadata.0),
                run: runs.remove(&id),
                branch: row.branch.map(MessageId),
                replaces: row.replaces.map(MessageId),
                versions: versions.remove(&row.id),
            })
        })
        .collect()
}

/// Runs, keyed by the message that shows them.
async fn runs_of(db: &SqlitePool, ids: impl Iterator<Item = Uuid>) -> Result<HashMap<MessageId, RunSummary>> {
    let rows = json::runs(db, ids).await?;
    rows.iter().map(|row| row.summary().map(|summary| (summary.message, summary))).collect()
}
