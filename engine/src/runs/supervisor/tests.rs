//! Outages that last minutes are not a fault of the run: Tokio's paused clock advances the minutes when all tasks are
//! idle. And a run that is given up stops the runs below it.

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

/// A template that runs may use.
async fn template(stage: &Stage, key: &str, steps: &str) {
    let source = format!("apiVersion: troupe/v1\nkey: {key}\nname: {key}\nsteps:\n{steps}");
    stage.engine.create_template(&stage.user, &stage.project, &source, crate::Format::Yaml).await.unwrap();
}

async fn until_stopped(stage: &Stage, run: RunNumber) {
    let ended = tokio::time::timeout(Duration::from_secs(30), until_ended(stage, run)).await;
    assert_eq!(ended.expect("it is stopped"), RunStatus::Cancelled);
}

/// The server gives a run up that it has loaded too often. The child run waits for a person, so it is not in memory.
#[tokio::test]
async fn a_run_that_is_given_up_stops_a_child_run_that_is_not_in_memory() {
    let stage = Stage::new().await;
    stage.models.script(vec![scripted::Rule::text("never").hold(0)]);
    template(&stage, "asks", "  - {name: A, uses: approval}\n").await;
    let steps =
        "  - {name: B, uses: 'template:asks', dependsOn: []}\n  - {name: C, prompt: C, dependsOn: []}\n";
    let run = stage.launch(steps, json!({})).await;
    let child = RunNumber(run.0 + 1);
    while !matches!(stage.try_status(child).await, Ok(RunStatus::Waiting)) {
        sleep(Duration::from_millis(5)).await;
    }
    stage.models.wait_for(|ledger| ledger.len() == 1).await;
    let stage = stage.restart(false).await;
    let often = sqlx::query("UPDATE run SET takes = $1 WHERE number = $2").bind(TAKES).bind(run.0);
    often.execute(&mut stage.database().await).await.unwrap();
    let stage = stage.restart(true).await;
    until_stopped(&stage, child).await;
    assert_eq!(until_ended(&stage, run).await, RunStatus::Failed);
}

/// A run is given up although its log cannot be read: the runs below it stop, because nothing will take their results.
#[tokio::test]
async fn the_runs_below_one_that_cannot_be_read_are_stopped() {
    let stage = Stage::new().await;
    stage.models.script(vec![scripted::Rule::text("never").hold(0)]);
    template(&stage, "lowest", "  - {name: A, prompt: A}\n").await;
    template(&stage, "middle", "  - {name: B, uses: 'template:lowest'}\n").await;
    let run = stage.launch("  - {name: C, uses: 'template:middle'}\n", json!({})).await;
    stage.models.wait_for(|ledger| ledger.len() == 1).await;
    let stage = stage.restart(false).await;
    let mut db = stage.database().await;
    let damage = "UPDATE event SET body = '{' WHERE run_id = (SELECT id FROM run WHERE number = $1)";
    sqlx::query(damage).bind(run.0).execute(&mut db).await.unwrap();
    let stage = stage.restart(true).await;
    until_stopped(&stage, RunNumber(run.0 + 1)).await;
    until_stopped(&stage, RunNumber(run.0 + 2)).await;
    assert!(stage.try_status(run).await.is_err(), "its log cannot be read");
}
