//! When members last looked at conversations.

use crate::Result;
use domain::id::{TaskId, Timestamp, UserId};
use sqlx::{SqliteConnection, SqlitePool};

/// SQL expression over task `t`: whether the task has something that user `$user` has not seen, that is, another user
/// started one of its newest eight runs, or one of these ended. For a user who never opened the task, everything before
/// the creation of the user's account counts as seen.
macro_rules! has_news {
    ($user:literal) => {
        concat!(
            "EXISTS (SELECT 1 FROM (SELECT r.started_by, r.created_at, r.finished_at FROM run r \
             WHERE r.task_id = t.id ORDER BY r.number DESC LIMIT 8) n, \
             (SELECT coalesce((SELECT s.at FROM seen s WHERE s.user_id = ",
            $user,
            " AND s.task_id = t.id), (SELECT u.created_at FROM \"user\" u WHERE u.id = ",
            $user,
            ")) AS at) l \
             WHERE n.finished_at > l.at OR (n.started_by IS DISTINCT FROM ",
            $user,
            " AND n.created_at > l.at))"
        )
    };
}
pub(super) use has_news;

/// When the user last looked at the task.
pub async fn at(db: &SqlitePool, user: UserId, task: TaskId) -> Result<Option<Timestamp>> {
    let at: Option<i64> = sqlx::query_scalar("SELECT at FROM seen WHERE user_id = $1 AND task_id = $2")
        .bind(user.0)
        .bind(task.0)
        .fetch_optional(db)
        .await?;
    Ok(at.map(Timestamp))
}

pub async fn mark(tx: &mut SqliteConnection, user: UserId, task: TaskId, at: Timestamp) -> Result<()> {
    sqlx::query(
        "INSERT INTO seen (user_id, task_id, at) VALUES ($1, $2, $3) \
         ON CONFLICT (user_id, task_id) DO UPDATE SET at = excluded.at WHERE excluded.at > seen.at",
    )
    .bind(user.0)
    .bind(task.0)
    .bind(at.0)
    .execute(tx)
    .await?;
    Ok(())
}
