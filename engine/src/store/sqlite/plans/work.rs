//! A guard: the work of a page's statements does not grow with the size of the project. A plan can look good and still
//! read a whole project, for example by walking the newest runs to find the live ones.

use crate::store::{Store, accounts, changes, conversations, dashboard, inbox, runs, templates};
use domain::id::{ProjectId, TaskId, Timestamp, UserId};
use sqlx::{Connection, SqliteConnection, SqlitePool, sqlite::SqliteConnectOptions};
use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use uuid::Uuid;

const PROJECT: ProjectId = ProjectId(Uuid::from_u128(1 << 64));
const USER: UserId = UserId(Uuid::from_u128(2 << 64));
const TASK: TaskId = TaskId(Uuid::from_u128(3 << 64));

/// A project with `$4` ended runs and as many messages in one conversation, sessions and template versions, and a few
/// live runs that are older than all others.
const PROJECT_OF: &str = "\
    INSERT INTO user (id, email, name, password_hash, admin, created_at) VALUES ($2, 'a@b.c', 'Ada', '', 1, 0);
    INSERT INTO project (id, key, name, last_run, created_at) VALUES ($1, 'lab', 'Lab', $4, 0);
    INSERT INTO session (digest, user_id, created_at, expires_at)
    WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < $4)
    SELECT randomblob(32), $2, 0, 1000000 FROM n;
    INSERT INTO task (id, project_id, title, created_at, updated_at)
    WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 99)
    SELECT unhex(printf('%032x', 1000 + n)), $1, 'T', 0, n FROM n UNION ALL SELECT $3, $1, 'long', 0, 100;
    INSERT INTO message (id, task_id, author, content, metadata, created_at)
    WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < $4)
    SELECT unhex(printf('%032x', n)), $3, 'user', 'text', '{\"orchestrationStatus\":{\"steps\":[]}}', n FROM n;
    INSERT INTO run (id, project_id, number, template_key, template_version, template_name, task_id, message_id,
    started_by_name, snapshot, status, last_seq, created_at, finished_at)
    WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < $4)
    SELECT unhex(printf('%032x', n)), $1, n, 'ask', 1, 'Ask', unhex(printf('%032x', 1000 + n % 99)),
    unhex(printf('%032x', n)), 'Ada', json_object('input', '01890a5d-ac96-774b-bcce-b302099a8057', 'roleAssignments',
    json_object(), 'roles', json_object(), 'message', '01890a5d-ac96-774b-bcce-b302099a8057'),
    CASE WHEN n <= 20 THEN 'running' ELSE 'completed' END, 3, n,
    CASE WHEN n > 20 THEN n END FROM n;
    INSERT INTO change (project_id, body)
    WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < $4) SELECT $1, '{}' FROM n;
    INSERT INTO template (id, project_id, key, version, created_at, updated_at)
    WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < $4 / 100)
    SELECT unhex(printf('%032x', n)), $1, 'k' || n, 1, n, n FROM n;
    INSERT INTO template_version (template_id, version, name, steps, document, source, created_at)
    WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < $4 / 100)
    SELECT unhex(printf('%032x', n)), 1, 'T', 1, printf('%.*c', 20000, 'x'), printf('%.*c', 20000, 'x'), n FROM n;";

struct Measured {
    db: SqlitePool,
    steps: Arc<AtomicU64>,
    _folder: tempfile::TempDir,
}

impl Measured {
    async fn of(rows: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Store::open(folder.path()).await.unwrap().close().await;
        let options = options(folder.path());
        let mut db = SqliteConnection::connect_with(&options).await.unwrap();
        sqlx::query(PROJECT_OF)
            .bind(PROJECT.0)
            .bind(USER.0)
            .bind(TASK.0)
            .bind(rows)
            .execute(&mut db)
            .await
            .unwrap();
        db.close().await.unwrap();
        let steps = Arc::new(AtomicU64::new(0));
        let counted = steps.clone();
        let db = sqlx::sqlite::SqlitePoolOptions::new()
            .max_connections(1)
            .after_connect(move |db, _| {
                let counted = counted.clone();
                Box::pin(async move {
                    db.lock_handle().await?.set_progress_handler(1, move || {
                        counted.fetch_add(1, Ordering::Relaxed);
                        true
                    });
                    Ok(())
                })
            })
            .connect_with(options)
            .await
            .unwrap();
        Self { db, steps, _folder: folder }
    }

    /// How many steps SQLite's virtual machine takes for a query, and how long.
    async fn work(&self, of: &str) -> (u64, Duration) {
        let mut tx = self.db.begin().await.unwrap();
        let (before, from) = (self.steps.load(Ordering::Relaxed), Instant::now());
        match of {
            "sessions" => accounts::end_sessions_expired_by(&mut tx, Timestamp(10)).await.unwrap(),
            _ => drop(tx),
        }
        let db = &self.db;
        match of {
            "dashboard" => assert_eq!(dashboard::live(db, PROJECT, 200).await.unwrap().len(), 20),
            "outcomes" => drop(dashboard::outcomes(db, PROJECT, Timestamp(1_000_000)).await.unwrap()),
            "counts" => assert_eq!(inbox::counts(db, PROJECT, USER).await.unwrap().live_runs, 20),
            "start" => assert_eq!(runs::unfinished(db).await.unwrap().len(), 20),
            "conversations" => {
                let tasks =
                    conversations::tasks(db, USER, PROJECT, (i64::MAX, Uuid::max()), 50).await.unwrap();
                assert!(tasks[0].messages > 100);
            }
            "runs" => drop(runs::list(db, PROJECT, None, None, u32::MAX, 50).await.unwrap()),
            "templates" => {
                let list = templates::list(db, PROJECT, (i64::MAX, Uuid::max()), 5).await.unwrap();
                assert_eq!(list.len(), 5);
            }
            "changes" => drop(changes::newest(db, PROJECT).await.unwrap()),
            "sessions" => {}
            other => panic!("{other}"),
        }
        (self.steps.load(Ordering::Relaxed) - before, from.elapsed())
    }
}

fn options(data: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new().filename(data.join("troupe.db")).foreign_keys(false)
}

const PAGES: [&str; 9] =
    ["dashboard", "outcomes", "counts", "start", "conversations", "runs", "templates", "changes", "sessions"];

#[tokio::test]
async fn the_work_of_a_page_does_not_grow_with_the_project() {
    let rows = std::env::var("ROWS").map_or(6_000, |rows| rows.parse().unwrap());
    let (small, large) = (Measured::of(600).await, Measured::of(rows).await);
    let mut grown = Vec::new();
    for page in PAGES {
        let (few, many) = (small.work(page).await, large.work(page).await);
        println!("{page}: {few:?} {many:?}");
        if many.0 > 2 * few.0 + 200 {
            grown.push(page);
        }
    }
    assert_eq!(grown, [""; 0]);
}
