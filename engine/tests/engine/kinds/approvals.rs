//! Steps that wait for a person: answers, time limits, restarts.

use super::{APPROVAL, answer, output, template};
use crate::stage::{PATIENCE, Stage};
use domain::error::ErrorClass;
use domain::event::{Decision, Event, EventKind};
use domain::id::RunNumber;
use domain::run::RunStatus;
use engine::{AnswerDraft, Error, RunFilter};
use scripted::{Fault, Rule};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// A person approves, edits or rejects; the run waits as long as it takes, across restarts, without an actor in memory.
#[tokio::test]
async fn an_approval_waits_for_a_person() {
    let mut stage = Stage::new().await;
    let key = stage.template(&template("checked", APPROVAL)).await;
    let launched = stage.launch(&key, json!({"who": "Ada"})).await;
    let asked = stage
        .until(launched.run, |event| match &event.kind {
            EventKind::Waiting { question, proposal, until, .. } => {
                Some((question.head.clone(), proposal.head.clone(), *until))
            }
            _ => None,
        })
        .await;
    assert_eq!(asked, ("Is this good enough for Ada?".to_owned(), "\"DRAFT\"".to_owned(), None));
    assert_eq!(stage.detail(launched.run).await.summary.status, RunStatus::Waiting);

    stage = stage.restart().await;
    assert_eq!(stage.detail(launched.run).await.summary.status, RunStatus::Waiting);
    let wrong = answer(Decision::Approve, Some(json!(1)), "");
    assert!(matches!(stage.answer(launched.run, wrong).await, Err(Error::Invalid(_))));
    let nobody = AnswerDraft { step_run: "0".to_owned(), ..answer(Decision::Approve, None, "") };
    assert!(matches!(stage.answer(launched.run, nobody).await, Err(Error::Conflict(_))));
    stage.answer(launched.run, answer(Decision::Approve, None, "Fine.")).await.unwrap();
    let again = stage.answer(launched.run, answer(Decision::Reject, None, "")).await;
    let Err(Error::Conflict(why)) = again else { panic!("{again:?}") };
    assert!(why.contains("Ada") || why.contains("has ended"), "{why}");
    let detail = stage.end(launched.run).await;
    assert_eq!(output(&stage, &detail).await, "PUBLISH DRAFT");
    let given = detail.state.steps[1].question.as_ref().unwrap().answer.clone().unwrap();
    assert_eq!((given.by.as_deref(), given.note.as_str()), (Some("Ada"), "Fine."));

    let changed = stage.launch(&key, json!({"who": "Bob"})).await;
    stage.until_waiting(changed.run).await;
    stage.answer(changed.run, answer(Decision::Edit, Some(json!("BETTER")), "")).await.unwrap();
    let detail = stage.end(changed.run).await;
    assert_eq!(output(&stage, &detail).await, "PUBLISH BETTER");

    let rejected = stage.launch(&key, json!({"who": "Eve"})).await;
    stage.until_waiting(rejected.run).await;
    stage.answer(rejected.run, answer(Decision::Reject, None, "Too short.")).await.unwrap();
    let detail = stage.end(rejected.run).await;
    let error = detail.state.error.unwrap().error;
    assert_eq!(error.class, ErrorClass::Refused);
    assert_eq!(error.message, "step 'Check' failed: rejected by Ada: Too short.");

    let stopped = stage.launch(&key, json!({"who": "Eve"})).await;
    stage.until_waiting(stopped.run).await;
    stage.cancel(stopped.run).await;
    assert_eq!(stage.detail(stopped.run).await.summary.status, RunStatus::Cancelled);
    let late = stage.answer(stopped.run, answer(Decision::Approve, None, "")).await;
    assert!(matches!(late, Err(Error::Conflict(_))));
}

/// A run that waits for a person is not ignored: its step between two attempts continues after a restart, without an
/// answer.
#[tokio::test]
async fn a_step_between_attempts_goes_on_while_another_waits_for_a_person() {
    // A failure that is retried later, and a call that waits for its rate-limiting provider.
    let slow_down = Fault::Status { status: 429, retry_after: Some("1".to_owned()), message: None };
    for fault in [Fault::status(500), slow_down] {
        goes_on_between_attempts(fault).await;
    }
}

async fn goes_on_between_attempts(fault: Fault) {
    let mut stage = Stage::new().await;
    let source = template(
        "both",
        "  - {name: Flaky, prompt: FLAKY, maxRetries: 1, dependsOn: []}\n  - {name: Check, uses: approval, dependsOn: []}\n",
    );
    stage.models.script(vec![Rule::fault(fault).times(1)]);
    let key = stage.template(&source).await;
    let launched = stage.launch(&key, json!({})).await;
    let between = |event: &Event| {
        matches!(event.kind, EventKind::StepFailed { .. } | EventKind::Throttled { .. }).then_some(())
    };
    stage.until(launched.run, between).await;
    assert_eq!(stage.detail(launched.run).await.summary.status, RunStatus::Running, "it has something to do");
    stage = stage.restart().await;
    let finished = |event: &Event| matches!(event.kind, EventKind::Finished { .. }).then_some(());
    stage.until(launched.run, finished).await;
    assert_eq!(stage.detail(launched.run).await.summary.status, RunStatus::Waiting);
    stage.answer(launched.run, answer(Decision::Approve, None, "")).await.unwrap();
    assert_eq!(stage.end(launched.run).await.summary.status, RunStatus::Completed);
}

#[tokio::test]
async fn a_time_limit_decides_as_it_says_also_after_a_restart() {
    let mut stage = Stage::new().await;
    let limited = |key: &str, more: &str| {
        template(key, &APPROVAL.replace("    prompt: 'Is", &format!("{more}    prompt: 'Is")))
    };
    let source = limited("approves", "    timeout: 400\n    with: {onTimeout: approve}\n");
    let detail = stage.run(&source, json!({"who": "x"})).await;
    assert_eq!(output(&stage, &detail).await, "PUBLISH DRAFT");
    let key = stage.template(&limited("rejects", "    timeout: 1500\n")).await;
    let launched = stage.launch(&key, json!({"who": "x"})).await;
    stage.until_waiting(launched.run).await;
    stage = stage.restart().await;
    let detail = stage.end(launched.run).await;
    let error = detail.state.error.unwrap().error;
    assert_eq!(
        (error.class, error.message.as_str()),
        (ErrorClass::Timeout, "step 'Check' failed: rejected by the time limit")
    );
}

/// A text output under an `outputSchema` keeps its type across a restart.
#[tokio::test]
async fn a_text_that_a_schema_asks_for_is_read_back_as_one() {
    let mut stage = Stage::new().await;
    let source = template(
        "words",
        "
  - {name: First, uses: approval, outputSchema: {type: string, enum: ['yes', 'no']}}
  - {name: Second, uses: approval, inputMapping: {first: '{{ context.First }}'}}
",
    );
    let key = stage.template(&source).await;
    let launched = stage.launch(&key, json!({})).await;
    let answer = |step: &str, decision, output: Option<Value>| AnswerDraft {
        step_run: step.to_owned(),
        decision,
        output,
        text: None,
    };
    stage.until_waiting(launched.run).await;
    let wrong = stage.answer(launched.run, answer("0", Decision::Edit, Some(json!("perhaps")))).await;
    assert!(matches!(wrong, Err(Error::Invalid(_))));
    stage.answer(launched.run, answer("0", Decision::Edit, Some(json!("yes")))).await.unwrap();
    stage = stage.restart().await;
    stage.answer(launched.run, answer("1", Decision::Approve, None)).await.unwrap();
    let detail = stage.end(launched.run).await;
    assert_eq!(output(&stage, &detail).await, "yes");
}

/// After a restart a step's mapping is evaluated again, even if its output is null.
#[tokio::test]
async fn what_is_mapped_of_null_is_mapped_again() {
    let mut stage = Stage::new().await;
    let source = template(
        "nothing",
        "
  - {name: First, uses: approval, inputMapping: {it: '{{ context.input.it }}'}, outputMapping: {said: '{{ output is none }}'}}
  - {name: Second, uses: approval}
  - {name: Third, uses: approval, inputMapping: {said: '{{ context.said }}'}}
",
    );
    let key = stage.template(&source).await;
    let launched = stage.launch(&key, json!({"it": null})).await;
    let answer = |step: &str| AnswerDraft {
        step_run: step.to_owned(),
        decision: Decision::Approve,
        output: None,
        text: None,
    };
    stage.until_waiting(launched.run).await;
    stage.answer(launched.run, answer("0")).await.unwrap();
    stage = stage.restart().await;
    stage.answer(launched.run, answer("1")).await.unwrap();
    stage.until_waiting(launched.run).await;
    stage.answer(launched.run, answer("2")).await.unwrap();
    let detail = stage.end(launched.run).await;
    assert_eq!(output(&stage, &detail).await, "true");
}

/// Shifts all times in the database by this many milliseconds, as if the server's clock had been ahead, or the server
/// had ended that long ago.
async fn set_times_by(data: &std::path::Path, milliseconds: i64) {
    let db =
        sqlx::SqlitePool::connect(&format!("sqlite://{}", data.join("troupe.db").display())).await.unwrap();
    for statement in [
        "UPDATE event SET at = at + $1, body = CASE WHEN body ->> 'until' IS NULL THEN body \
         ELSE json_set(body, '$.until', (body ->> 'until') + $1) END",
        "UPDATE run SET wake_at = wake_at + $1, wake_from = wake_from + $1, asked_at = asked_at + $1, \
         created_at = created_at + $1",
        "DELETE FROM snapshot WHERE $1 <> 0",
    ] {
        sqlx::query(statement).bind(milliseconds).execute(&db).await.unwrap();
    }
    db.close().await;
}

const DAY: i64 = 24 * 60 * 60 * 1000;

async fn limited(stage: &Stage, key: &str, timeout: i64) -> domain::key::TemplateKey {
    let step =
        format!("  - {{name: Check, uses: approval, timeout: {timeout}, with: {{onTimeout: approve}}}}\n");
    stage.template(&template(key, &step)).await
}

/// After a downtime in which many time limits have expired, all of them are applied at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_that_came_during_a_downtime_are_decided_at_once() {
    const RUNS: usize = 400;
    let mut stage = Stage::new().await;
    let key = limited(&stage, "long", DAY).await;
    let mut runs = Vec::new();
    for _ in 0..RUNS {
        runs.push(stage.launch(&key, json!({})).await.run);
    }
    for run in runs {
        stage.until_waiting(run).await;
    }
    stage = stage.restart_after(async |data| set_times_by(data, -2 * DAY).await).await;
    let began = Instant::now();
    let waiting = RunFilter { status: Some(RunStatus::Waiting), ..RunFilter::default() };
    while !stage.engine.runs(&stage.admin, &stage.project, &waiting, None).await.unwrap().items.is_empty() {
        assert!(began.elapsed() < PATIENCE, "they are not decided");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    println!("{RUNS} overdue limits decided in {:?}", began.elapsed());
    let last = stage.end(RunNumber(RUNS as u32)).await;
    assert_eq!((last.summary.status, output(&stage, &last).await.as_str()), (RunStatus::Completed, "true"));
}

/// Correcting a clock that was an hour ahead or behind delays no limit: a limit of two seconds takes two seconds.
#[tokio::test]
async fn a_clock_that_was_wrong_by_an_hour_delays_no_limit() {
    for ahead in [60 * 60 * 1000, -60 * 60 * 1000] {
        let mut stage = Stage::new().await;
        let key = limited(&stage, "short", 2_000).await;
        let launched = stage.launch(&key, json!({})).await;
        stage.until_waiting(launched.run).await;
        stage = stage.restart_after(async |data| set_times_by(data, ahead).await).await;
        let began = Instant::now();
        assert_eq!(stage.end(launched.run).await.summary.status, RunStatus::Completed);
        assert!(began.elapsed() < Duration::from_secs(30), "{ahead}: {:?}", began.elapsed());
    }
}

/// A time limit that a run's first batch sets is kept, too.
#[tokio::test]
async fn a_time_limit_of_the_first_step_comes_in_time() {
    let stage = Stage::new().await;
    let source =
        template("first", "  - {name: Check, uses: approval, timeout: 300, with: {onTimeout: approve}}\n");
    let detail = stage.run(&source, json!({})).await;
    assert_eq!(output(&stage, &detail).await, "true");
}
