//! Tasks and messages, as pages see them. What runs write into them is in `messages`.

use super::runs::RunRow;
use crate::{Error, Result};
use domain::{
    id::{MessageId, ProjectId, TaskId, Timestamp},
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
    last_status: Option<String>,
    excerpt: Option<String>,
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
            excerpt: self.excerpt.unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" "),
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

/// The tasks that moved last first, from below `before`.
pub async fn tasks(
    db: &SqlitePool,
    project: ProjectId,
    before: (i64, Uuid),
    limit: u32,
) -> Result<Vec<TaskSummary>> {
    let rows: Vec<TaskRow> = sqlx::query_as(
        "SELECT t.id, t.title, t.status, t.created_at, t.updated_at, \
         (SELECT count(*) FROM message m WHERE m.task_id = t.id) AS messages, \
         (SELECT count(*) FROM run r WHERE r.task_id = t.id AND r.status IN ('queued', 'running', 'waiting')) \
          AS live_runs, \
         (SELECT r.status FROM run r WHERE r.task_id = t.id ORDER BY r.number DESC LIMIT 1) AS last_status, \
         (SELECT substr(m.content, 1, 200) FROM message m WHERE m.task_id = t.id AND m.content <> '' \
          ORDER BY m.id DESC LIMIT 1) AS excerpt \
         FROM task t WHERE t.project_id = $1 AND t.parent_id IS NULL AND (t.updated_at, t.id) < ($2, $3) \
         ORDER BY t.updated_at DESC, t.id DESC LIMIT $4",
    )
    .bind(project.0)
    .bind(before.0)
    .bind(before.1)
    .bind(limit)
    .fetch_all(db)
    .await?;
    rows.into_iter().map(TaskRow::read).collect()
}

pub async fn task(db: &SqlitePool, project: ProjectId, id: TaskId) -> Result<Option<TaskSummary>> {
    let row: Option<TaskRow> = sqlx::query_as(
        "SELECT t.id, t.title, t.status, t.created_at, t.updated_at, \
         (SELECT count(*) FROM message m WHERE m.task_id = t.id) AS messages, \
         (SELECT count(*) FROM run r WHERE r.task_id = t.id AND r.status IN ('queued', 'running', 'waiting')) \
          AS live_runs, \
         (SELECT r.status FROM run r WHERE r.task_id = t.id ORDER BY r.number DESC LIMIT 1) AS last_status, \
         (SELECT substr(m.content, 1, 200) FROM message m WHERE m.task_id = t.id AND m.content <> '' \
          ORDER BY m.id DESC LIMIT 1) AS excerpt \
         FROM task t WHERE t.project_id = $1 AND t.id = $2",
    )
    .bind(project.0)
    .bind(id.0)
    .fetch_optional(db)
    .await?;
    row.map(TaskRow::read).transpose()
}

/// Whether there was one.
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

/// What the product itself says in a conversation.
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
    content: String,
    metadata: Option<Json<MessageMetadata>>,
    created_at: i64,
}

/// Newest first, from below `before`; without HTML.
pub async fn messages(db: &SqlitePool, task: TaskId, before: MessageId, limit: u32) -> Result<Vec<Message>> {
    let rows: Vec<MessageRow> = sqlx::query_as(
        "SELECT m.id, m.author, u.name AS by, m.content, m.metadata, m.created_at \
         FROM message m LEFT JOIN user u ON u.id = m.user_id \
         WHERE m.task_id = $1 AND m.id < $2 ORDER BY m.id DESC LIMIT $3",
    )
    .bind(task.0)
    .bind(before.0)
    .bind(limit)
    .fetch_all(db)
    .await?;
    let (Some(newest), Some(oldest)) = (rows.first(), rows.last()) else { return Ok(Vec::new()) };
    let mut runs = runs_between(db, task, MessageId(oldest.id), MessageId(newest.id)).await?;
    rows.into_iter()
        .map(|row| {
            let id = MessageId(row.id);
            let unknown = || Error::internal(format!("message {id}: its author cannot be read"));
            Ok(Message {
                id,
                author: author(&row.author).ok_or_else(unknown)?,
                by: row.by,
                content: row.content,
                html: None,
                created_at: Timestamp(row.created_at),
                metadata: row.metadata.map(|metadata| metadata.0),
                run: runs.remove(&id),
            })
        })
        .collect()
}

/// The runs that messages of the task stand for, by message.
async fn runs_between(
    db: &SqlitePool,
    task: TaskId,
    oldest: MessageId,
    newest: MessageId,
) -> Result<HashMap<MessageId, RunSummary>> {
    let rows: Vec<RunRow> =
        sqlx::query_as("SELECT * FROM run WHERE task_id = $1 AND message_id BETWEEN $2 AND $3")
            .bind(task.0)
            .bind(oldest.0)
            .bind(newest.0)
            .fetch_all(db)
            .await?;
    rows.iter().map(|row| row.summary().map(|summary| (summary.message, summary))).collect()
}
