//! What the world around the engine does to it: a clock that is set back, another worker on the same run, answers that
//! are too large, schemas that nobody can meet.

mod stage;

use domain::{
    error::ErrorClass,
    event::{Event, EventKind, Failure},
    id::{OwnerId, StepRunId, Timestamp},
    run::RunStatus,
};
use scripted::Rule;
use serde_json::json;
use sqlx::SqlitePool;
use stage::{Stage, THREE_STEPS, code, status};
use std::path::Path;
use uuid::Uuid;

async fn database(data: &Path) -> SqlitePool {
    SqlitePool::connect(&format!("sqlite://{}", data.join("troupe.db").display())).await.unwrap()
}

/// The clock is an hour behind after a restart: the run goes on where it was, its log in order, its waits no longer.
#[tokio::test]
async fn a_clock_that_is_set_back_holds_up_nothing() {
    let mut stage = Stage::new().await;
    stage.models.script(vec![Rule::text("never").last_user("REPORT").hold(0)]);
    let key = stage.template(THREE_STEPS).await;
    let launched = stage.launch(&key, code()).await;
    stage.until_answering(1).await;
    stage.models.script(Vec::new());
    stage = stage
        .restart_after(async |data| {
            let db = database(data).await;
            sqlx::query("UPDATE event SET at = at + 3600000").execute(&db).await.unwrap();
            db.close().await;
        })
        .await;
    let detail = stage.end(launched.run).await;
    assert_eq!(status(&detail), RunStatus::Completed);
    let attempts: Vec<_> = detail.state.steps.iter().map(|step| step.attempts.len()).collect();
    assert_eq!(attempts, [1, 2, 1]);
    let events = stage.events(launched.run).await;
    assert!(events.is_sorted_by_key(|event| event.at), "time does not go backwards in a log");
}

/// Another worker appends to the log of a run that this one conducts: the fence tells, this one reads again, and its own
/// answer, which came for an attempt that is over, is not taken.
#[tokio::test]
async fn two_workers_on_one_step_record_one_result() {
    let stage = Stage::new().await;
    stage.models.script(vec![Rule::text("stale").last_user("REPORT").hold(0).times(1)]);
    let key = stage.template(THREE_STEPS).await;
    let launched = stage.launch(&key, code()).await;
    stage.until_answering(1).await;
    let db = database(stage.data()).await;
    let (run, seq): (Uuid, i64) =
        sqlx::query_as("SELECT id, last_seq FROM run").fetch_one(&db).await.unwrap();
    let (step, at) = (StepRunId::of(1), Timestamp(stage.events(launched.run).await.last().unwrap().at.0));
    let error = Failure::new(ErrorClass::Interrupted, "another worker took it over");
    let kinds = [
        EventKind::Interrupted { step, attempt: 1, error, retry_at: Some(at) },
        EventKind::Started { step, attempt: 2, owner: OwnerId(Uuid::nil()) },
    ];
    let mut tx = db.begin().await.unwrap();
    for (seq, kind) in (seq + 1..).zip(kinds) {
        let event = Event { seq: seq as u64, at, kind };
        sqlx::query("INSERT INTO event (run_id, seq, at, body) VALUES ($1, $2, $3, $4)")
            .bind(run)
            .bind(seq)
            .bind(at.0)
            .bind(serde_json::to_string(&event.kind).unwrap())
            .execute(&mut *tx)
            .await
            .unwrap();
    }
    sqlx::query("UPDATE run SET last_seq = $1").bind(seq + 2).execute(&mut *tx).await.unwrap();
    tx.commit().await.unwrap();
    db.close().await;

    stage.models.release();
    let detail = stage.end(launched.run).await;
    assert_eq!(status(&detail), RunStatus::Completed);
    assert_eq!(detail.state.steps[1].attempts.len(), 3, "ours, the other's, and the one that finished");
    let output = detail.state.steps[1].output.clone().unwrap();
    assert!(output.head.starts_with("REPORT"), "the stale answer was not taken: {}", output.head);
    let seqs: Vec<_> = stage.events(launched.run).await.iter().map(|event| event.seq).collect();
    assert!(seqs.iter().copied().eq(1..=seqs.len() as u64));
}

/// Smart retry: the reason goes into the next prompt, as an event one can read; and there is an end to it.
#[tokio::test]
async fn a_schema_that_no_model_can_meet_fails_its_step_with_the_reason() {
    let stage = Stage::new().await;
    let source = "
apiVersion: troupe/v1
key: never
name: Never
steps:
  - name: Never
    prompt: NEVER
    maxRetries: 2
    outputSchema: {type: object, required: [a], properties: {a: false}}
";
    stage.models.script(vec![Rule::text(r#"{"a": 1}"#)]);
    let detail = stage.run(source, json!({})).await;
    let error = detail.state.error.clone().unwrap();
    assert_eq!((error.step.as_deref(), error.error.class), (Some("Never"), ErrorClass::InvalidOutput));
    assert!(error.error.message.contains("output.a"), "{}", error.error.message);
    assert_eq!(detail.state.steps[0].attempts.len(), 3);
    let prompts = detail.state.steps[0].attempts.iter().map(|attempt| attempt.prompt.clone().unwrap());
    let mut told = Vec::new();
    for prompt in prompts {
        told.push(
            stage.content(detail.summary.number, prompt.id).await.contains("Your last answer was refused"),
        );
    }
    assert_eq!(told, [false, true, true]);
}

#[tokio::test]
async fn an_answer_of_more_than_50_mb_is_refused_and_one_below_is_kept() {
    let stage = Stage::new().await;
    let megabyte = "x".repeat(1024 * 1024);
    stage.models.script(vec![
        Rule::text(megabyte.repeat(51)).last_user("LARGE").chunk_size(1024 * 1024),
        Rule::text(megabyte.repeat(20)).last_user("FITS").chunk_size(1024 * 1024),
    ]);
    let steps = |key: &str, prompt: &str| {
        format!("apiVersion: troupe/v1\nkey: {key}\nname: {key}\nsteps:\n  - {{name: A, prompt: {prompt}}}\n")
    };
    let error = stage.run(&steps("large", "LARGE"), json!({})).await.state.error.unwrap();
    assert_eq!((error.step.as_deref(), error.error.class), (Some("A"), ErrorClass::Limit));
    assert!(error.error.message.contains("longer than 50 MB"), "{}", error.error.message);
    let detail = stage.run(&steps("fits", "FITS"), json!({})).await;
    assert_eq!(detail.state.output.as_ref().unwrap().text.bytes, 20 * 1024 * 1024);
    let metadata = serde_json::to_string(&stage.metadata(&detail).await).unwrap();
    assert!(metadata.len() < 64 * 1024, "a message's metadata is bounded: {} bytes", metadata.len());
}

/// An answer that was good is no success while its mapping fails; whoever tolerates it goes on with null.
#[tokio::test]
async fn a_mapping_that_fails_at_run_time_is_its_steps_error() {
    let stage = Stage::new().await;
    let steps = |key: &str, more: &str| {
        format!(
            "apiVersion: troupe/v1\nkey: {key}\nname: {key}\nsteps:\n  - name: A\n    prompt: A\n    maxRetries: 3\n    \
             outputMapping: {{score: '{{{{ output.score }}}}'}}\n{more}  - {{name: B, prompt: 'B {{{{ context.A }}}}'}}\n"
        )
    };
    let detail = stage.run(&steps("strict", ""), json!({})).await;
    let error = detail.state.error.clone().unwrap();
    assert_eq!((error.step.as_deref(), error.error.class), (Some("A"), ErrorClass::Expression));
    assert!(error.error.message.contains("outputMapping.score"), "{}", error.error.message);
    assert_eq!(detail.state.steps[0].attempts.len(), 1, "the same answer would fail again");
    let detail = stage.run(&steps("lenient", "    onFailure: continue\n"), json!({})).await;
    assert_eq!(status(&detail), RunStatus::Completed);
    assert_eq!(detail.state.output.unwrap().shown, "B null");
}
