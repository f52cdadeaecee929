//! Faults around the engine: a clock that is set back, another worker on the same run, answers that are too large,
//! schemas that no answer can meet.

use crate::stage::{Stage, THREE_STEPS, code, status};
use domain::{
    error::ErrorClass,
    event::{Event, EventKind, Failure},
    id::{OwnerId, StepRunId, Timestamp},
    run::{RunStatus, StepStatus},
};
use engine::{AnswerDraft, Error, Launch};
use scripted::Rule;
use serde_json::json;
use sqlx::SqlitePool;
use std::{path::Path, time::Duration};
use uuid::Uuid;

async fn database(data: &Path) -> SqlitePool {
    SqlitePool::connect(&format!("sqlite://{}", data.join("troupe.db").display())).await.unwrap()
}

/// The clock is an hour behind after a restart: the run resumes where it was, its log in order, its waits no longer.
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

/// Another worker appends to the log of a run that has an actor here: the fence rejects this actor's batch, the actor
/// reads the log again, and its own answer, for an attempt that is over, is not taken.
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
        EventKind::Started { step, attempt: 2, owner: Some(OwnerId(Uuid::nil())) },
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

/// Retry with the reason: the next prompt and an event contain it, and the number of retries is limited.
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

/// A good answer is no success if its mapping fails; a run that tolerates the failure continues with null.
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

/// A launch reads the prompts of the roles that it uses and no other; here another role's cannot even be read.
#[tokio::test]
async fn a_launch_reads_the_prompts_of_its_own_roles_alone() {
    let stage = Stage::new().await;
    let db = database(stage.data()).await;
    let damage = "UPDATE role_version SET base_prompt = CAST(x'ff' AS TEXT) \
                  WHERE role_id = (SELECT id FROM role WHERE key = 'senior')";
    assert_eq!(sqlx::query(damage).execute(&db).await.unwrap().rows_affected(), 1);
    db.close().await;
    let key = stage.template(THREE_STEPS).await;
    let launched = stage.launch(&key, code()).await;
    assert_eq!(status(&stage.end(launched.run).await), RunStatus::Completed);
    let roles = crate::stage::assign(&[("Report", "senior")]);
    let launch = Launch { input: code(), role_assignments: roles, ..Launch::default() };
    assert!(matches!(stage.try_launch(&key, launch).await, Err(Error::Internal(_))), "it is used here");
}

/// A run whose wake-up was lost resumes when its launch is repeated.
#[tokio::test]
async fn a_repeated_launch_wakes_its_run() {
    let mut stage = Stage::new().await;
    stage.models.script(vec![Rule::text("never").last_user("REPORT").hold(0).times(1)]);
    let key = stage.template(THREE_STEPS).await;
    let launch = || Launch { input: code(), idempotency_key: Some("once".to_owned()), ..Launch::default() };
    let launched = stage.try_launch(&key, launch()).await.unwrap();
    stage.until_answering(1).await;
    stage = stage
        .restart_after(async |data| {
            // A start does not load a run that waits for a person.
            let db = database(data).await;
            sqlx::query("UPDATE run SET status = 'waiting'").execute(&db).await.unwrap();
            db.close().await;
        })
        .await;
    // A delivery may be lost: then it is requested once more.
    let detail = loop {
        assert_eq!(stage.try_launch(&key, launch()).await.unwrap(), launched);
        if let Ok(detail) = tokio::time::timeout(Duration::from_secs(5), stage.end(launched.run)).await {
            break detail;
        }
    };
    assert_eq!(status(&detail), RunStatus::Completed);
}

/// After an upgrade to a stricter compiler, earlier runs still reach their end: a run keeps the plan with which it
/// began, and so do the child runs that it has yet to launch. New launches are refused.
#[tokio::test]
async fn runs_outlive_a_compiler_that_refuses_their_documents() {
    let mut stage = Stage::new().await;
    stage.models.script(vec![
        Rule::text("never").last_user("REPORT").hold(0).times(1),
        Rule::text(r#"{"a": 1}"#).last_user("SUGGEST"),
    ]);
    let key = stage.template(THREE_STEPS).await;
    let leaf = "apiVersion: troupe/v1\nkey: leaf\nname: Leaf\nsteps:\n  - {name: L, prompt: LEAF}\n";
    stage.template(leaf).await;
    let outer = "apiVersion: troupe/v1\nkey: outer\nname: Outer\nsteps:\n  \
                 - {name: Ask, uses: approval, prompt: 'Go?'}\n  - {name: Call, uses: 'template:leaf'}\n";
    let outer = stage.template(outer).await;
    let open = stage.launch(&key, code()).await;
    stage.until_answering(1).await;
    let calling = stage.launch(&outer, json!({})).await;
    stage.until_waiting(calling.run).await;
    stage = stage
        .restart_after(async |data| {
            let db = database(data).await;
            // As if earlier compilers had accepted these.
            for (key, path, value) in [
                ("review", "$.steps[2].outputSchema", r#"{"$ref": "https://example.org/schema"}"#),
                ("leaf", "$.steps[0].outputMapping", r#"{"conversation": "{{ output }}"}"#),
            ] {
                let update = "UPDATE template_version SET document = json_set(document, $1, json($2)) \
                              WHERE template_id = (SELECT id FROM template WHERE key = $3)";
                let done = sqlx::query(update).bind(path).bind(value).bind(key).execute(&db).await.unwrap();
                assert_eq!(done.rows_affected(), 1);
            }
            db.close().await;
        })
        .await;
    let detail = stage.end(open.run).await;
    assert_eq!(status(&detail), RunStatus::Completed, "{:?}", detail.state.error);
    assert!(detail.state.steps[2].output.as_ref().unwrap().json, "it asks for the same as before");
    let approve = AnswerDraft {
        step_run: "0".to_owned(),
        decision: domain::event::Decision::Approve,
        output: None,
        text: None,
    };
    stage.answer(calling.run, approve).await.unwrap();
    let detail = stage.end(calling.run).await;
    assert_eq!(status(&detail), RunStatus::Completed, "{:?}", detail.state.error);
    assert_eq!(detail.state.output.unwrap().shown, "LEAF");
    for (key, input) in [(&key, code()), (&outer, json!({}))] {
        let launch = Launch { input, ..Launch::default() };
        assert!(matches!(stage.try_launch(key, launch).await, Err(Error::Invalid(_))));
    }
}

/// The outputs of a step's items are stored as one text, whose size the database limits: the step reports the error
/// before the write.
#[tokio::test]
async fn more_than_64_mb_of_gathered_outputs_are_the_steps_error() {
    let stage = Stage::new().await;
    let answer = "x".repeat(13 * 1024 * 1024);
    stage.models.script(vec![Rule::text(answer).last_user("LARGE").chunk_size(4 * 1024 * 1024)]);
    let each = "
apiVersion: troupe/v1
key: each
name: Each
steps:
  - {name: Each, forEach: '[1, 2, 3, 4, 5]', prompt: LARGE}
  - {name: After, prompt: AFTER}
";
    let detail = stage.run(each, json!({})).await;
    let error = detail.state.error.clone().unwrap();
    assert_eq!((error.step.as_deref(), error.error.class), (Some("Each"), ErrorClass::Limit));
    let said = "the outputs of its 5 items are 65 MB in all, and a step's output has at most 64";
    assert!(error.error.message.contains(said), "{}", error.error.message);
    assert_eq!(detail.state.steps[0].item_runs().len(), 5);
    assert!(detail.state.steps[0].item_runs().iter().all(|item| item.status == StepStatus::Completed));
    assert!(!stage.asked(0).iter().any(|asked| asked == "AFTER"));
}

/// A batch that the database will never accept is not retried forever: the run ends with a reason, and runs that share
/// its commits continue. A run between two such commits can be stopped.
#[tokio::test]
async fn a_run_whose_commits_are_refused_for_good_ends_with_a_reason() {
    let stage = Stage::new().await;
    let steps = "
apiVersion: troupe/v1
key: steps
name: Steps
input: {type: object}
steps:
  - {name: One, prompt: 'ONE {{ context.input.text }}'}
  - {name: Two, prompt: 'TWO {{ context.input.text }}'}
";
    stage.models.script(vec![
        Rule::text("poison").last_user("ONE bad").hold(0),
        Rule::text("good").last_user("ONE").hold(0),
        Rule::text("held").last_user("TWO stopped").hold(0),
    ]);
    let db = database(stage.data()).await;
    let refuse = "CREATE TRIGGER refuses BEFORE INSERT ON content WHEN new.body = 'poison' \
                  BEGIN SELECT raise(ABORT, 'not this one'); END";
    sqlx::query(refuse).execute(&db).await.unwrap();
    db.close().await;
    let key = stage.template(steps).await;
    let mut runs = Vec::new();
    for text in ["bad", "beside", "also beside", "stopped"] {
        runs.push(stage.launch(&key, json!({ "text": text })).await.run);
    }
    stage.until_answering(4).await;
    stage.models.release();

    let bad = stage.end(runs[0]).await;
    let error = bad.state.error.clone().unwrap();
    assert_eq!((status(&bad), error.error.class), (RunStatus::Failed, ErrorClass::Interrupted));
    assert!(error.error.message.contains("the database refuses what the run wants to store"), "{error:?}");
    assert!(bad.state.steps.iter().all(|step| step.open_attempt().is_none()));
    stage.metadata(&bad).await;
    for run in &runs[1..3] {
        assert_eq!(status(&stage.end(*run).await), RunStatus::Completed);
    }
    stage.models.wait_for(|ledger| ledger.iter().any(|entry| entry.last_user() == "TWO stopped")).await;
    let stopped = tokio::time::timeout(Duration::from_secs(5), stage.cancel(runs[3])).await;
    assert!(stopped.is_ok(), "nothing stands in the way of Stop");
    let asked = stage.asked(0);
    assert!(!asked.iter().any(|asked| asked == "TWO bad"), "{asked:?}");
    // The run's end survives the next start, too.
    let stage = stage.restart().await;
    assert_eq!(stage.detail(runs[0]).await.state, bad.state);
}
