//! Messages that launches and live runs write into conversations.

use super::{branches::BranchSegment, sqlite::json};
use crate::Result;
use domain::id::{MessageId, ProjectId, TaskId, Timestamp};
use sqlx::{SqliteConnection, SqlitePool};
use uuid::Uuid;

/// An earlier message of a conversation, as prompts see it.
#[derive(Clone, Debug, serde::Serialize, sqlx::FromRow)]
pub struct Earlier {
    pub author: String,
    pub content: String,
}

pub async fn insert_task(
    tx: &mut SqliteConnection,
    id: TaskId,
    project: ProjectId,
    parent: Option<TaskId>,
    title: &str,
    at: Timestamp,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO task (id, project_id, parent_id, title, created_at, updated_at) VALUES ($1, $2, $5, $3, $4, $4)",
    )
    .bind(id.0)
    .bind(project.0)
    .bind(title)
    .bind(at.0)
    .bind(parent.map(|task| task.0))
    .execute(tx)
    .await?;
    Ok(())
}

/// Moves the task's place in lists to `at`. False if the project has no such task.
pub async fn touch_task(
    tx: &mut SqliteConnection,
    id: TaskId,
    project: ProjectId,
    at: Timestamp,
) -> Result<bool> {
    let done = sqlx::query(
        "UPDATE task SET updated_at = CASE WHEN updated_at < $3 THEN $3 ELSE updated_at END \
         WHERE id = $1 AND project_id = $2",
    )
    .bind(id.0)
    .bind(project.0)
    .bind(at.0)
    .execute(tx)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The newest messages of the path before `before`, oldest first: at most `limit` messages and `bytes` of text in
/// total.
pub async fn earlier(
    db: &SqlitePool,
    task: TaskId,
    path: &[BranchSegment],
    before: MessageId,
    limit: u32,
    bytes: i64,
) -> Result<Vec<Earlier>> {
    let (mut found, mut left) = (Vec::new(), bytes);
    for segment in path {
        let sizes: Vec<(Uuid, i64)> = sqlx::query_as(
            "SELECT id, octet_length(content) FROM message WHERE task_id = $1 AND branch IS NOT DISTINCT FROM $2 AND id < $3 \
             AND author <> 'system' AND content <> '' ORDER BY id DESC LIMIT $4",
        )
        .bind(task.0)
        .bind(segment.branch)
        .bind(before.0.min(segment.below))
        .bind(limit - found.len() as u32)
        .fetch_all(db)
        .await?;
        for (id, bytes) in sizes {
            left -= bytes;
            if left < 0 {
                break;
            }
            found.push(id);
        }
        if left < 0 || found.len() >= limit as usize {
            break;
        }
    }
    json::messages(db, found).await
}
