//! Files of conversations: every writing of one is a row, numbered per path.

use crate::{Error, Result};
use domain::{
    file::FilePath,
    id::{ContentId, RunId, RunNumber, TaskId, Timestamp},
    view::FileVersion,
};
use sqlx::{FromRow, SqliteConnection, SqliteExecutor, SqlitePool};
use uuid::Uuid;

pub struct NewFile<'a> {
    pub task: TaskId,
    pub path: &'a FilePath,
    pub run: RunId,
    pub seq: u64,
    pub content: ContentId,
    pub bytes: u64,
    pub at: Timestamp,
}

pub async fn insert(tx: &mut SqliteConnection, file: &NewFile<'_>) -> Result<()> {
    sqlx::query(
        "INSERT INTO file (task_id, path, version, run_id, seq, content_id, bytes, created_at) \
         SELECT $1, $2, 1 + coalesce(max(version), 0), $3, $4, $5, $6, $7 FROM file WHERE task_id = $1 AND path = $2",
    )
    .bind(file.task.0)
    .bind(file.path.as_str())
    .bind(file.run.0)
    .bind(file.seq as i64)
    .bind(file.content.0)
    .bind(file.bytes as i64)
    .bind(file.at.0)
    .execute(tx)
    .await?;
    Ok(())
}

#[derive(FromRow)]
struct FileRow {
    path: String,
    version: u32,
    number: u32,
    content_id: Uuid,
    bytes: i64,
    created_at: i64,
}

impl FileRow {
    fn read(self) -> Result<FileVersion> {
        Ok(FileVersion {
            path: FilePath::parse(&self.path).map_err(Error::internal)?,
            version: self.version,
            run: RunNumber(self.number),
            content: ContentId(self.content_id),
            bytes: self.bytes as u64,
            created_at: Timestamp(self.created_at),
        })
    }
}

macro_rules! versions_where {
    ($condition:literal) => {
        concat!(
            "SELECT f.path, f.version, r.number, f.content_id, f.bytes, f.created_at \
             FROM file f JOIN run r ON r.id = f.run_id WHERE ",
            $condition
        )
    };
}

/// The newest version of each file in the conversation, by path.
pub async fn newest<'e>(db: impl SqliteExecutor<'e>, task: TaskId) -> Result<Vec<FileVersion>> {
    let rows: Vec<FileRow> = sqlx::query_as(versions_where!(
        "f.task_id = $1 AND f.version = \
         (SELECT max(g.version) FROM file g WHERE g.task_id = f.task_id AND g.path = f.path) ORDER BY f.path"
    ))
    .bind(task.0)
    .fetch_all(db)
    .await?;
    rows.into_iter().map(FileRow::read).collect()
}

/// The last version of each file that the run wrote, by path: of its first `writes`, or of all.
pub async fn of_run(db: &SqlitePool, run: RunId, writes: Option<u32>) -> Result<Vec<FileVersion>> {
    let rows: Vec<FileRow> = sqlx::query_as(versions_where!(
        "f.run_id = $1 AND f.version = (SELECT max(g.version) FROM file g WHERE g.run_id = f.run_id \
         AND g.path = f.path AND ($2 < 0 OR g.seq IN \
         (SELECT h.seq FROM file h WHERE h.run_id = $1 ORDER BY h.seq LIMIT $2))) ORDER BY f.path"
    ))
    .bind(run.0)
    // A limit below nothing is none.
    .bind(writes.map_or(-1, i64::from))
    .fetch_all(db)
    .await?;
    rows.into_iter().map(FileRow::read).collect()
}

/// One version of a file in the run's conversation; none given: the last one that the run itself wrote.
pub async fn one(
    db: &SqlitePool,
    run: RunId,
    path: &FilePath,
    version: Option<u32>,
) -> Result<Option<FileVersion>> {
    let row: Option<FileRow> = sqlx::query_as(versions_where!(
        "f.task_id = (SELECT task_id FROM run WHERE id = $1) AND f.path = $2 \
         AND CASE WHEN $3 IS NULL THEN f.run_id = $1 ELSE f.version = $3 END \
         ORDER BY f.version DESC LIMIT 1"
    ))
    .bind(run.0)
    .bind(path.as_str())
    .bind(version)
    .fetch_optional(db)
    .await?;
    row.map(FileRow::read).transpose()
}

/// The text of a file of the conversation as it stands, if there is one.
pub async fn newest_of(db: &SqlitePool, task: TaskId, path: &FilePath) -> Result<Option<String>> {
    let body = sqlx::query_scalar(
        "SELECT c.body FROM file f JOIN content c ON c.id = f.content_id \
         WHERE f.task_id = $1 AND f.path = $2 ORDER BY f.version DESC LIMIT 1",
    );
    Ok(body.bind(task.0).bind(path.as_str()).fetch_optional(db).await?)
}

/// A file's text, whichever run wrote it.
pub async fn body(db: &SqlitePool, content: ContentId) -> Result<String> {
    let body: Option<String> = sqlx::query_scalar("SELECT body FROM content WHERE id = $1")
        .bind(content.0)
        .fetch_optional(db)
        .await?;
    body.ok_or_else(|| Error::internal(format!("there is no content {content}")))
}
