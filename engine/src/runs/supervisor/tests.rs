//! Outages that last minutes are not a fault of the run. Tokio's paused clock advances the minutes when all tasks are
//! idle.

use super::{super::stage::Stage, TAKES};
use crate::Error;
use domain::{event::Decision, id::RunNumber, run::RunStatus};
use serde_json::json;
use sqlx::SqliteConnection;
use std::time::Duration;
use tokio::time::{Instant, pause, resume, sleep};

/// More often than a run may crash the server.
const OFTEN: i64 = 2 * TAKES as i64;

/// Counts how often runs are taken: each take updates the run's row.
const COUNT: &str = "CREATE TABLE taken (run_id BLOB NOT NULL); \
     CREATE TRIGGER counts AFTER UPDATE OF takes ON run BEGIN INSERT INTO taken (run_id) VALUES (new.id); END";

async fn until_taken(often: i64, db: &mut SqliteConnection) {
    let (count, began) = ("SELECT count(*) FROM taken", std::time::Instant::now());
    loop {
        let taken: i64 = sqlx::query_scalar(count).fetch_one(&mut *db).await.unwrap();
        if taken >= often {
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "it was taken up {taken} times and no more");
        sleep(Duration::from_millis(500)).await;
    }
}

async fn until_ended(stage: &Stage, run: RunNumber) -> RunStatus {
    loop {
        match stage.try_status(run).await {
            Ok(status) if status.is_end() => return status,
            // While all tasks wait for the database, the paused clock ends the readers' waits at once.
            Ok(_) | Err(Error::Unavailable(_)) => sleep(Duration::from_millis(500)).await,
            Err(error) => panic!("{error}"),
        }
    }
}

/// The database takes writes but cannot be read, for minutes: a run that is to continue meanwhile does so afterwards.
#[tokio::test]
async fn a_database_that_cannot_be_read_for_minutes_fails_no_run() {
    let stage = Stage::new().await;
    let run = stage.launch("  - {name: Check, uses: approval}\n", json!({})).await;
    stage.until_parked().await;
    let id = stage.id(run).await;
    let mut db = stage.database().await;
    sqlx::query(COUNT).execute(&mut db).await.unwrap();
    stage.engine.0.store.outage.set(true);
    pause();
    let began = Instant::now();
    stage.engine.advance(id);
    until_taken(OFTEN, &mut db).await;
    assert!(began.elapsed() > Duration::from_secs(180), "{:?}", began.elapsed());
    stage.engine.0.store.outage.set(false);
    let draft = || crate::AnswerDraft {
        step_run: "0".to_owned(),
        decision: Decision::Approve,
        output: None,
        text: None,
    };
    loop {
        match stage.engine.answer(&stage.user, &stage.project, run, draft()).await {
            // An answer that took too long to be stored may have been stored anyway.
            Ok(_) | Err(Error::Conflict(_)) => break,
            Err(Error::Unavailable(_)) => sleep(Duration::from_millis(500)).await,
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(until_ended(&stage, run).await, RunStatus::Completed);
}

/// Before each write of this process, another process has written: as long as that continues, the run is loaded again,
/// and is neither failed nor forgotten.
#[tokio::test]
async fn a_run_that_is_fenced_out_again_and_again_is_not_dropped() {
    let stage = Stage::new().await;
    stage.models.script(vec![scripted::Rule::text("never").hold(0).times(1)]);
    let run = stage.launch("  - {name: A, prompt: A}\n", json!({})).await;
    stage.models.wait_for(|ledger| ledger.len() == 1).await;
    let stage = stage.restart(false).await;
    let mut db = stage.database().await;
    sqlx::query(COUNT).execute(&mut db).await.unwrap();
    // The error message with which the fence refuses a stale batch.
    let fence = "CREATE TRIGGER fences BEFORE INSERT ON event BEGIN SELECT raise(FAIL, 'fenced'); END";
    sqlx::query(fence).execute(&mut db).await.unwrap();
    let stage = stage.restart(true).await;
    pause();
    let began = Instant::now();
    until_taken(OFTEN, &mut db).await;
    assert!(began.elapsed() > Duration::from_secs(180), "{:?}", began.elapsed());
    assert!(!stage.engine.0.runs.live().is_empty(), "somebody looks after it");
    resume();
    assert_eq!(stage.status(run).await, RunStatus::Running);
    sqlx::query("DROP TRIGGER fences").execute(&mut db).await.unwrap();
    // The restart skips the rest of the pause.
    let stage = stage.restart(true).await;
    assert_eq!(until_ended(&stage, run).await, RunStatus::Completed);
}
