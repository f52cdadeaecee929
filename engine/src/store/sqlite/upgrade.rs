//! Tests: databases written by an earlier version are migrated with their data.

use super::connections::MIGRATIONS;
use crate::{
    Config, Engine, Environment, Local, Pace, StartError,
    store::{Store, mint},
};
use sqlx::{Connection, SqliteConnection, migrate::Migrator, sqlite::SqliteConnectOptions};
use std::{fs::File, io::Write, path::Path, time::Duration};

/// A database in the state that migration `last` leaves.
async fn database(data: &Path, last: i64) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(data.join("troupe.db")).create_if_missing(true);
    let mut db = SqliteConnection::connect_with(&options).await.unwrap();
    let then: Vec<_> =
        MIGRATIONS.migrations.iter().filter(|migration| migration.version <= last).cloned().collect();
    Migrator { migrations: then.into(), ..Migrator::DEFAULT }.run(&mut db).await.unwrap();
    db
}

#[tokio::test]
async fn counts_and_orders_are_made_from_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let mut db = database(folder.path(), 10).await;
    let (project, task, template) = (mint(), mint(), mint());
    for sql in [
        "INSERT INTO project (id, key, name, created_at) VALUES ($1, 'lab', 'Lab', 1)",
        "INSERT INTO task (id, project_id, title, created_at, updated_at) VALUES ($2, $1, 'T', 1, 1)",
        "INSERT INTO message (id, task_id, author, content, created_at) \
         VALUES (zeroblob(16), $2, 'user', 'a', 1), (randomblob(16), $2, 'system', '', 2)",
        "INSERT INTO template (id, project_id, key, version, created_at) VALUES ($3, $1, 'k', 2, 1)",
        "INSERT INTO template_version (template_id, version, name, steps, document, source, created_at) \
         VALUES ($3, 1, 'One', 1, '{}', 'one', 5), ($3, 2, 'Two', 1, '{}', 'two', 7)",
        "INSERT INTO template_use (template_id, version, runs) VALUES ($3, 2, 4)",
    ] {
        sqlx::query(sql).bind(project).bind(task).bind(template).execute(&mut db).await.unwrap();
    }
    db.close().await.unwrap();
    let store = Store::open(folder.path()).await.unwrap();
    let seen: (i64, i64, i64, i64, String, i64) = sqlx::query_as(
        "SELECT (SELECT messages FROM task), (SELECT updated_at FROM template), \
         (SELECT count(*) FROM template_version), (SELECT sum(runs) FROM template_use), \
         (SELECT source FROM template_version WHERE version = 2), (SELECT count(*) FROM pragma_foreign_key_check)",
    )
    .fetch_one(store.read())
    .await
    .unwrap();
    assert_eq!(seen, (2, 7, 2, 4, "two".to_owned(), 0));
    store
        .write(move |tx| {
            Box::pin(async move {
                sqlx::query("INSERT INTO message (id, task_id, author, content, created_at) VALUES (randomblob(16), $1, 'user', '', 3)")
                    .bind(task)
                    .execute(&mut *tx)
                    .await?;
                sqlx::query("DELETE FROM message WHERE id = zeroblob(16) OR content = 'a'").execute(tx).await?;
                Ok(())
            })
        })
        .await
        .unwrap();
    let counted: i64 = sqlx::query_scalar("SELECT messages FROM task").fetch_one(store.read()).await.unwrap();
    assert_eq!(counted, 2, "one came, one went");
    store.close().await;
}

/// A server that shares the database does not migrate it under another server that may be of the older version.
#[tokio::test]
async fn a_server_leaves_the_tables_of_another_running_older_server_alone() {
    let folder = tempfile::tempdir().unwrap();
    database(folder.path(), 10).await.close().await.unwrap();
    let older = File::create(folder.path().join("lock")).unwrap();
    older.lock_shared().unwrap();
    let start = || {
        let config = Config {
            data: folder.path().to_owned(),
            serve: true,
            seed_demo: false,
            environment: Environment::default(),
        };
        let pace = Pace { lease: Some(Duration::from_secs(60)), ..Pace::default() };
        Engine::open_with(config, pace, Box::new(Local))
    };
    let refused = start().await.err().unwrap();
    assert!(matches!(refused, StartError::OlderServer { process: None, .. }), "{refused}");
    drop(older);
    let first = start().await.unwrap();
    let second = start().await.unwrap();
    first.shutdown().await;
    second.shutdown().await;
}

/// A command next to a running server of an older version does not migrate that server's database.
#[tokio::test]
async fn a_command_leaves_the_tables_of_a_running_older_server_alone() {
    let folder = tempfile::tempdir().unwrap();
    let last = 10;
    database(folder.path(), last).await.close().await.unwrap();
    let mut server = File::create(folder.path().join("lock")).unwrap();
    server.lock().unwrap();
    write!(server, "4711").unwrap();
    let beside = || {
        Engine::open(Config {
            data: folder.path().to_owned(),
            serve: false,
            seed_demo: false,
            environment: Environment::default(),
        })
    };
    let refused = beside().await.err().unwrap();
    assert!(matches!(refused, StartError::OlderServer { process: Some(4711), .. }), "{refused}");
    assert!(refused.to_string().contains("(process 4711); stop that server"), "{refused}");
    let newest = async || {
        let options = SqliteConnectOptions::new().filename(folder.path().join("troupe.db"));
        let mut db = SqliteConnection::connect_with(&options).await.unwrap();
        let newest: i64 =
            sqlx::query_scalar("SELECT max(version) FROM _sqlx_migrations").fetch_one(&mut db).await.unwrap();
        db.close().await.unwrap();
        newest
    };
    assert_eq!(newest().await, last);
    // Once that server has ended, the first command migrates the database, and a server can start next to the next
    // command.
    drop(server);
    beside().await.unwrap().shutdown().await;
    assert!(newest().await > last);
    let server = File::create(folder.path().join("lock")).unwrap();
    server.lock().unwrap();
    beside().await.unwrap().shutdown().await;
}
