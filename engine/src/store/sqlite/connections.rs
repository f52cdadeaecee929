//! SQLite's file, its connections, and what its errors mean.

use super::{beginnings, log_rows, search_index};
use crate::{Result, StartError};
use sqlx::{
    Connection, SqliteConnection, SqlitePool,
    migrate::Migrator,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use std::{path::Path, time::Duration};

/// Size of the reader pool: pages need few readers, and each costs a thread.
const READERS: u32 = 4;
/// The database's file name in the data folder.
const FILE: &str = "troupe.db";
/// How long a command of another process (the command line next to a server) may hold the database.
const BUSY: Duration = Duration::from_secs(10);

pub(super) static MIGRATIONS: Migrator = sqlx::migrate!("../migrations/sqlite");

/// Writes and rolls back. `BEGIN` alone is no test: where SQLite may not write, it opens the database read-only.
const TRY_TO_WRITE: &str = "BEGIN; PRAGMA user_version = 0; ROLLBACK";

/// Whether [`open`] would create or migrate the tables of the database.
pub(crate) async fn is_behind(data: &Path) -> Result<bool, StartError> {
    let path = data.join(FILE);
    if !path.exists() {
        return Ok(true);
    }
    let options = SqliteConnectOptions::new().filename(path).busy_timeout(BUSY);
    let mut db = SqliteConnection::connect_with(&options).await?;
    let begun: bool = sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = '_sqlx_migrations')",
    )
    .fetch_one(&mut db)
    .await?;
    let newest: Option<i64> = match begun {
        true => sqlx::query_scalar("SELECT max(version) FROM _sqlx_migrations").fetch_one(&mut db).await?,
        false => None,
    };
    db.close().await?;
    Ok(newest < MIGRATIONS.iter().map(|migration| migration.version).max())
}

/// The connections of a [`Store`](crate::store::Store).
pub(in crate::store) struct Connections {
    pub writer: SqliteConnection,
    /// Writes the file of the full-text index.
    pub index: SqliteConnection,
    pub read: SqlitePool,
    /// A reader outside of the pool.
    pub quick: SqliteConnection,
}

pub(in crate::store) fn options(data: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(data.join(FILE))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(BUSY)
        .pragma("temp_store", "memory")
}

/// Opens `troupe.db` in the data folder and migrates it.
pub(in crate::store) async fn open(
    data: &Path,
    options: &SqliteConnectOptions,
) -> Result<Connections, StartError> {
    let writer = options
        .clone()
        // Kibibytes. The ends of the tables, where runs write, stay cached.
        .pragma("cache_size", "-8000")
        // Pages. Every commit writes the same few pages, so rare checkpoints save most of that work.
        .pragma("wal_autocheckpoint", "4000");
    let mut writer = SqliteConnection::connect_with(&writer).await?;
    // A read-only database opens without an error.
    if let Err(error) = sqlx::query(TRY_TO_WRITE).execute(&mut writer).await {
        let path = data.join(FILE).display().to_string();
        return Err(match why_no_write(&error) {
            Some(why) => StartError::NoWrites { path, why },
            None => error.into(),
        });
    }
    MIGRATIONS.run(&mut writer).await?;
    log_rows::prepare(&mut writer).await?;
    beginnings::prepare(&mut writer).await?;
    let index = search_index::open(data, options).await?;
    let reader = options.clone().pragma("query_only", "on");
    let folder = data.to_owned();
    let read = SqlitePoolOptions::new()
        .max_connections(READERS)
        // A file does not disconnect, and each test is a round trip to the connection's thread.
        .test_before_acquire(false)
        .after_connect(move |reader, _| {
            let folder = folder.clone();
            Box::pin(async move { search_index::attach(reader, &folder).await })
        })
        .connect_with(reader.clone())
        .await?;
    let quick = SqliteConnection::connect_with(&reader).await?;
    Ok(Connections { writer, index, read, quick })
}

/// A number that changes with each commit of another connection.
pub(crate) async fn data_version(db: &mut SqliteConnection) -> Result<i64> {
    Ok(sqlx::query_scalar("PRAGMA data_version").fetch_one(db).await?)
}

/// The reason why the database takes no writes, if that is the error.
pub(crate) fn why_no_write(error: &sqlx::Error) -> Option<&'static str> {
    let code: u32 = error.as_database_error()?.code()?.parse().ok()?;
    // SQLite's result codes: the low byte is the primary code.
    match code & 0xff {
        8 => Some("its file is read-only"),
        10 => Some("its disk does not work as it should"),
        13 => Some("its disk is full"),
        _ => None,
    }
}

/// Whether the error is about the database's state, which may recover, and not about the request.
pub(crate) fn is_passing(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Database(error) => {
            let code = error.code().and_then(|code| code.parse::<u32>().ok());
            // Busy, locked, no memory, read-only, interrupted, I/O, corrupt, full, cannot open, protocol, not a database.
            code.is_some_and(|code| matches!(code & 0xff, 5..=11 | 13..=15 | 26))
        }
        _ => false,
    }
}
