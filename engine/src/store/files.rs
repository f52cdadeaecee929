//! Files of conversations. Every write adds a row, numbered per path in the conversation. A file's state depends on the
//! branch: writes on other branches are not visible.

use super::{branches::BranchSegment, sqlite::files_on_path};
use crate::{Error, Result};
use domain::{
    file::FilePath,
    id::{ContentId, RunId, RunNumber, TaskId, Timestamp},
    view::FileVersion,
};
use sqlx::{FromRow, SqliteConnection, SqlitePool};
use uuid::Uuid;

pub use files_on_path::{newest, newest_of, versions};

pub struct NewFile {
    pub task: TaskId,
    pub path: FilePath,
    pub run: RunId,
    pub seq: u64,
    pub content: ContentId,
    pub bytes: u64,
    pub at: Timestamp,
}

/// The state of a file, present or absent, on which a later write was based.
#[derive(Clone)]
pub struct FileBase {
    pub task: TaskId,
    /// The path to the end of the branch on which the file was read.
    pub on: Vec<BranchSegment>,
    pub path: FilePath,
    pub content: Option<ContentId>,
}

impl FileBase {
    /// Whether the file is unchanged.
    pub async fn is_newest(&self, tx: &mut SqliteConnection) -> Result<bool> {
        Ok(files_on_path::newest_of(tx, self.task, &self.on, &self.path).await? == self.content)
    }
}

pub async fn insert(tx: &mut SqliteConnection, file: &NewFile) -> Result<()> {
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
pub(super) struct FileRow {
    path: String,
    version: u32,
    number: u32,
    content_id: Uuid,
    bytes: i64,
    created_at: i64,
}

impl FileRow {
    pub(super) fn read(self) -> Result<FileVersion> {
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

/// The last version of each file that the run wrote, by path: among its first `writes` writes, or among all.
pub async fn of_run(db: &SqlitePool, run: RunId, writes: Option<u32>) -> Result<Vec<FileVersion>> {
    let rows: Vec<FileRow> = sqlx::query_as(versions_where!(
        "f.run_id = $1 AND f.version = (SELECT max(g.version) FROM file g WHERE g.run_id = f.run_id \
         AND g.path = f.path AND g.seq IN \
         (SELECT h.seq FROM file h WHERE h.run_id = $1 ORDER BY h.seq LIMIT $2)) ORDER BY f.path"
    ))
    .bind(run.0)
    .bind(writes.map_or(i64::MAX, i64::from))
    .fetch_all(db)
    .await?;
    rows.into_iter().map(FileRow::read).collect()
}

/// One version of a file in the run's conversation; without `version`, the last one that the run itself wrote.
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

/// A file's text, regardless of the run that wrote it.
pub async fn body(db: &SqlitePool, content: ContentId) -> Result<String> {
    let body: Option<String> = sqlx::query_scalar("SELECT body FROM content WHERE id = $1")
        .bind(content.0)
        .fetch_optional(db)
        .await?;
    body.ok_or_else(|| Error::internal(format!("there is no content {content}")))
}
