//! The files on a path of a conversation. The path is sent as JSON.

use crate::{
    Error, Result,
    store::{branches::BranchSegment, files::FileRow},
};
use domain::{
    file::FilePath,
    id::{ContentId, TaskId},
    view::FileVersion,
};
use sqlx::{SqliteExecutor, SqlitePool};
use uuid::Uuid;

/// Files that the runs on a path wrote in the conversation `$1`. `$2` is the path in the form of [`segments`].
macro_rules! on_path {
    ($columns:literal, $rest:literal) => {
        concat!(
            // Materialized, so SQLite evaluates it once, not per row.
            "WITH segment AS MATERIALIZED \
             (SELECT unhex(value ->> 0) AS branch, unhex(value ->> 1) AS below FROM json_each($2)) SELECT ",
            $columns,
            " FROM file f JOIN run r ON r.id = f.run_id JOIN message m ON m.id = r.message_id \
             JOIN segment s ON m.branch IS s.branch AND m.id < s.below WHERE f.task_id = $1 ",
            $rest
        )
    };
}

/// The path as JSON `[[branch, below], …]`, with ids in hexadecimal; the trunk is null.
fn segments(path: &[BranchSegment]) -> Result<String> {
    let hex = |id: Uuid| id.as_simple().to_string();
    let path: Vec<_> = path.iter().map(|segment| (segment.branch.map(hex), hex(segment.below))).collect();
    serde_json::to_string(&path).map_err(Error::internal)
}

/// The newest version of each file on the path, sorted by file path.
pub async fn newest(db: &SqlitePool, task: TaskId, path: &[BranchSegment]) -> Result<Vec<FileVersion>> {
    // With max(), SQLite takes the other columns from the row that has the maximum.
    let rows: Vec<FileRow> = sqlx::query_as(on_path!(
        "f.path, max(f.version) AS version, r.number, f.content_id, f.bytes, f.created_at",
        "GROUP BY f.path ORDER BY f.path"
    ))
    .bind(task.0)
    .bind(segments(path)?)
    .fetch_all(db)
    .await?;
    rows.into_iter().map(FileRow::read).collect()
}

/// The file's versions on the path, ascending.
pub async fn versions(
    db: &SqlitePool,
    task: TaskId,
    path: &[BranchSegment],
    file: &FilePath,
) -> Result<Vec<u32>> {
    let rows = sqlx::query_scalar(on_path!("f.version", "AND f.path = $3 ORDER BY f.version"));
    Ok(rows.bind(task.0).bind(segments(path)?).bind(file.as_str()).fetch_all(db).await?)
}

/// The content of the file at the end of the path, if the file exists there.
pub async fn newest_of<'e>(
    db: impl SqliteExecutor<'e>,
    task: TaskId,
    path: &[BranchSegment],
    file: &FilePath,
) -> Result<Option<ContentId>> {
    let content =
        sqlx::query_scalar(on_path!("f.content_id", "AND f.path = $3 ORDER BY f.version DESC LIMIT 1"));
    let content: Option<Uuid> =
        content.bind(task.0).bind(segments(path)?).bind(file.as_str()).fetch_optional(db).await?;
    Ok(content.map(ContentId))
}
