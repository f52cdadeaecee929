//! The file of the full-text index, separate from the database and with its own writer connection: indexing a text
//! takes longer than writing it, and no commit should wait for it.
//!
//! Invariant: a due subject is crossed off in the database only after the index has committed it. After a crash in
//! between, the index takes the subject again, which changes nothing. An index that lacks what was crossed off (it was
//! lost, or restored from an older copy) has taken fewer batches than the database counts, and is rebuilt.

use super::search;
use crate::{Error, Result, store::Store};
use sqlx::{
    Connection, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};
use std::{fs, io::ErrorKind, path::Path};
use uuid::Uuid;

/// How many subjects become due in one commit, which other writes wait for.
const DUE_AT_ONCE: u32 = 1_000;

/// The index's file name in the data folder.
pub(in crate::store) const FILE: &str = "search.db";

/// `search_entry` maps each indexed subject to its number in the index; newer subjects have higher numbers. `scope` is
/// one term made of the kind's letter and the project's id, so that a search never reads another project's entries.
const TABLES: &str = "CREATE TABLE IF NOT EXISTS search_entry (
        id      INTEGER PRIMARY KEY NOT NULL,
        subject BLOB NOT NULL UNIQUE
    ) STRICT;
    CREATE VIRTUAL TABLE IF NOT EXISTS search USING fts5 (
        scope, text, tokenize = 'unicode61 remove_diacritics 2', prefix = '2 3'
    );
    CREATE TABLE IF NOT EXISTS indexed (
        id      INTEGER PRIMARY KEY CHECK (id = 1),
        batches INTEGER NOT NULL
    ) STRICT;
    INSERT OR IGNORE INTO indexed (id, batches) VALUES (1, 0)";

/// Opens the index. An unreadable index file is replaced by an empty one, since the index can be rebuilt.
pub(in crate::store) async fn open(
    data: &Path,
    options: &SqliteConnectOptions,
) -> Result<SqliteConnection, sqlx::Error> {
    let path = data.join(FILE);
    let options = options
        .clone()
        .filename(&path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .pragma("cache_size", "-8000");
    let opened = try_open(&options).await;
    let Err(error) = &opened else { return opened };
    if !is_unreadable(error) {
        return opened;
    }
    tracing::warn!(%error, "the search index cannot be read and is made again");
    for end in ["", "-wal", "-shm"] {
        let mut file = path.clone().into_os_string();
        file.push(end);
        match fs::remove_file(&file) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(sqlx::Error::Io(error)),
            _ => {}
        }
    }
    try_open(&options).await
}

async fn try_open(options: &SqliteConnectOptions) -> Result<SqliteConnection, sqlx::Error> {
    let mut index = SqliteConnection::connect_with(options).await?;
    sqlx::query(TABLES).execute(&mut index).await?;
    Ok(index)
}

/// SQLite's result codes for a corrupt file (11) and for a file that is not a database (26).
fn is_unreadable(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.and_then(|code| code.parse::<u32>().ok()).is_some_and(|code| [11, 26].contains(&(code & 0xff)))
}

/// Lets a reader of the database see the index.
pub(in crate::store) async fn attach(reader: &mut SqliteConnection, data: &Path) -> Result<(), sqlx::Error> {
    let path = data.join(FILE);
    sqlx::query("ATTACH DATABASE $1 AS search_file")
        .bind(path.to_string_lossy().as_ref())
        .execute(reader)
        .await?;
    Ok(())
}

impl Store {
    /// Makes every searchable subject due, if the index lacks subjects that were crossed off.
    pub async fn mend_index(&self) -> Result<()> {
        let mut index = self.index.lock().await;
        let taken: i64 =
            sqlx::query_scalar("SELECT batches FROM indexed").fetch_one(opened(&mut index)?).await?;
        let crossed_off: i64 =
            sqlx::query_scalar("SELECT batches FROM search_taken").fetch_one(self.read()).await?;
        if taken >= crossed_off {
            return Ok(());
        }
        tracing::info!("the search index is made again");
        for kind in search::Kind::ALL {
            let mut after = Uuid::nil();
            while let Some(last) =
                self.write(move |tx| Box::pin(search::make_due(tx, kind, after, DUE_AT_ONCE))).await?
            {
                after = last;
            }
        }
        // Last, so that an interrupted rebuild starts again.
        self.write(|tx| Box::pin(search::count_anew(tx))).await
    }

    /// Indexes at most `limit` due subjects, about `most` characters. Returns whether there were any.
    pub async fn index_some(&self, limit: u32, most: usize) -> Result<bool> {
        let due = search::due(self.read(), limit, most).await?;
        let Some(last) = due.last().map(search::Due::id) else { return Ok(false) };
        let mut index = self.index.lock().await;
        let mut tx = opened(&mut index)?.begin_with("BEGIN IMMEDIATE").await?;
        search::index(&mut tx, &due).await?;
        let batches: i64 = sqlx::query_scalar("UPDATE indexed SET batches = batches + 1 RETURNING batches")
            .fetch_one(&mut *tx)
            .await?;
        tx.commit().await?;
        self.write(move |tx| Box::pin(search::cross_off(tx, last, batches))).await?;
        Ok(true)
    }

    pub(in crate::store) async fn close_index(&self) {
        let index = self.index.lock().await.take();
        if let Some(Err(error)) =
            futures::future::OptionFuture::from(index.map(SqliteConnection::close)).await
        {
            tracing::warn!(%error, "the search index did not close cleanly");
        }
    }
}

fn opened(index: &mut Option<SqliteConnection>) -> Result<&mut SqliteConnection> {
    index.as_mut().ok_or_else(|| Error::Unavailable("the server is shutting down".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{conversations, messages, mint, now, projects};
    use domain::{
        id::{MessageId, ProjectId, TaskId},
        key::ProjectKey,
    };

    /// How many messages of the conversation the words match.
    async fn found(store: &Store, task: TaskId, words: &str) -> usize {
        let words = search::Words::of(words).unwrap();
        search::messages_in(store.read(), task, &words, 100).await.unwrap().len()
    }

    async fn follow(store: &Store) {
        store.mend_index().await.unwrap();
        while store.index_some(2, 1_000).await.unwrap() {}
    }

    async fn say(store: &Store, task: TaskId, text: &'static str) {
        let say = store.write(move |tx| {
            Box::pin(
                async move { conversations::insert_system(tx, MessageId(mint()), task, text, now()).await },
            )
        });
        say.await.unwrap();
    }

    async fn conversation(store: &Store) -> TaskId {
        let (project, task) = (ProjectId(mint()), TaskId(mint()));
        let make = store.write(move |tx| {
            Box::pin(async move {
                let key = ProjectKey::parse("lab").unwrap();
                projects::insert(tx, project, &key, "Lab", now()).await?;
                messages::insert_task(tx, task, project, None, "T", now()).await
            })
        });
        make.await.unwrap();
        task
    }

    fn copy(data: &Path, to: &Path) {
        for end in ["", "-wal"] {
            let name = format!("{FILE}{end}");
            drop(fs::remove_file(to.join(&name)));
            if data.join(&name).exists() {
                fs::copy(data.join(&name), to.join(&name)).unwrap();
            }
        }
    }

    #[tokio::test]
    async fn an_index_that_is_lost_broken_or_older_is_made_again() {
        let (folder, old) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let store = Store::open(folder.path()).await.unwrap();
        let task = conversation(&store).await;
        say(&store, task, "viaduct").await;
        follow(&store).await;
        store.close().await;
        copy(folder.path(), old.path());
        let store = Store::open(folder.path()).await.unwrap();
        for text in ["girder one", "girder two", "girder three"] {
            say(&store, task, text).await;
        }
        follow(&store).await;
        assert_eq!((found(&store, task, "viaduct").await, found(&store, task, "girder").await), (1, 3));
        store.close().await;
        for fate in ["lost", "broken", "older"] {
            match fate {
                "lost" => fs::remove_file(folder.path().join(FILE)).unwrap(),
                "broken" => fs::write(folder.path().join(FILE), [b'x'; 5_000]).unwrap(),
                _ => copy(old.path(), folder.path()),
            }
            let store = Store::open(folder.path()).await.unwrap();
            follow(&store).await;
            assert_eq!(
                (found(&store, task, "viaduct").await, found(&store, task, "girder").await),
                (1, 3),
                "{fate}"
            );
            store.close().await;
        }
    }

    #[tokio::test]
    async fn what_was_indexed_and_not_crossed_off_is_indexed_again() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).await.unwrap();
        let task = conversation(&store).await;
        follow(&store).await;
        say(&store, task, "girder").await;
        // The process stops between the two commits.
        let due = search::due(store.read(), 10, 1_000).await.unwrap();
        search::index(store.index.lock().await.as_mut().unwrap(), &due).await.unwrap();
        store.close().await;
        let store = Store::open(folder.path()).await.unwrap();
        assert_eq!(found(&store, task, "girder").await, 1);
        follow(&store).await;
        assert_eq!(found(&store, task, "girder").await, 1);
        let left: i64 =
            sqlx::query_scalar("SELECT count(*) FROM search_due").fetch_one(store.read()).await.unwrap();
        assert_eq!(left, 0);
        store.close().await;
    }
}
