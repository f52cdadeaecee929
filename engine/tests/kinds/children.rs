//! Steps that are runs of their own.

use crate::stage::{Stage, assign};
use crate::{APPROVAL, CHAIN, answer, output, template};
use domain::error::ErrorClass;
use domain::event::Decision;
use domain::id::{RunNumber, StepRunId};
use domain::run::RunStatus;
use engine::Launch;
use scripted::{Fault, Rule};
use serde_json::json;
use std::time::Duration;

fn calling(key: &str, callee: &str, more: &str) -> String {
    template(
        key,
        &format!(
            "
  - {{name: First, prompt: FIRST}}
  - name: Call
    uses: template:{callee}
    with: {{x: '{{{{ context.First }}}}'}}
{more}
  - {{name: Last, prompt: 'LAST {{{{ context.Call }}}}'}}
"
        ),
    )
}

/// A step that is a run of its own: its input, roles, output and usage; shown in a conversation below the caller's.
#[tokio::test]
async fn a_template_calls_another() {
    let stage = Stage::new().await;
    stage.template(&template("chain", CHAIN)).await;
    let key = stage.template(&calling("caller", "chain", "")).await;
    let launch = Launch { role_assignments: assign(&[("Call/B", "senior")]), ..Launch::default() };
    let launched = stage.try_launch(&key, launch).await.unwrap();
    let detail = stage.end(launched.run).await;
    assert_eq!(output(&stage, &detail).await, "LAST C B A FIRST");
    let child = detail.state.steps[1].attempts[0].child.unwrap();
    let called = stage.detail(child).await;
    let caller = called.state.caller.clone().unwrap();
    assert_eq!((caller.run, caller.step, caller.depth), (launched.run, StepRunId::of(1), 1));
    assert_eq!(called.summary.caller, Some(launched.run));
    assert_eq!(called.state.steps[1].role.as_ref().unwrap().key.as_ref(), "senior");
    assert_eq!(detail.state.steps[1].usage, called.state.usage);
    assert_ne!(called.summary.task, detail.summary.task);
    let roots = stage.engine.tasks(&stage.admin, &stage.project, None).await.unwrap().items;
    assert_eq!(roots.len(), 1, "a child's conversation is no root");
    assert_eq!(stage.assistant_messages(&launched).await.len(), 1);
}

#[tokio::test]
async fn failure_and_cancel_flow_between_caller_and_child() {
    let stage = Stage::new().await;
    stage.template(&template("chain", CHAIN)).await;
    let key = stage.template(&calling("caller", "chain", "")).await;
    stage.models.script(vec![
        Rule::fault(Fault::status(401)).last_user("B A FIRST").times(1),
        Rule::text("never").last_user("B A FIRST").hold(0),
    ]);
    let failed = stage.launch(&key, json!({})).await;
    let detail = stage.end(failed.run).await;
    let error = detail.state.error.clone().unwrap().error;
    let child = detail.state.steps[1].attempts[0].child.unwrap();
    assert_eq!(error.class, ErrorClass::Auth);
    assert!(error.message.contains(&format!("run {child} failed: step 'B' failed: ")), "{}", error.message);
    let spent = stage.detail(child).await.summary.usage;
    assert!(spent.total() > 0, "its first step has been paid for");
    assert_eq!(detail.state.steps[1].usage, spent);

    // From above: the child's call is hung up on.
    let stopped = stage.launch(&key, json!({})).await;
    let child = stage.child_of(stopped.run).await;
    stage.until_answering(1).await;
    stage.cancel(stopped.run).await;
    assert_eq!(stage.end(child).await.summary.status, RunStatus::Cancelled);
    stage.until_answering(0).await;

    // From below.
    let left = stage.launch(&key, json!({})).await;
    let child = stage.child_of(left.run).await;
    stage.until_answering(1).await;
    stage.cancel(child).await;
    let error = stage.end(left.run).await.state.error.unwrap().error;
    assert_eq!(error.class, ErrorClass::Cancelled);
    assert!(error.message.contains(&format!("run {child} was stopped")), "{}", error.message);
}

#[tokio::test]
async fn a_template_that_calls_itself_ends() {
    let stage = Stage::new().await;
    let source = template("self", "  - {name: Again, uses: 'template:self'}\n");
    let detail = stage.run(&source, json!({})).await;
    let error = detail.state.error.unwrap().error;
    assert_eq!(error.class, ErrorClass::Limit);
    assert!(error.message.contains("more than 5 deep"), "{}", error.message);
    let missing = template("lost", "  - {name: Call, uses: 'template:nowhere'}\n");
    let error = stage.run(&missing, json!({})).await.state.error.unwrap().error;
    assert!(error.message.contains("there is no template 'nowhere'"), "{}", error.message);
    assert!(stage.models.ledger().is_empty());
}

#[tokio::test]
async fn a_child_run_outlives_a_restart_and_obeys_the_steps_time_limit() {
    let mut stage = Stage::new().await;
    stage.template(&template("checked", APPROVAL)).await;
    let key = stage.template(&calling("caller", "checked", "    inputMapping: {who: Ada}")).await;
    let launched = stage.launch(&key, json!({})).await;
    let child = stage.child_of(launched.run).await;
    stage.until_waiting(child).await;
    stage = stage.restart().await;
    stage.answer(child, answer(Decision::Approve, None, "")).await.unwrap();
    let detail = stage.end(launched.run).await;
    assert_eq!(output(&stage, &detail).await, "LAST PUBLISH DRAFT");
    assert_eq!(detail.state.steps[1].attempts.len(), 1, "it was not launched again");

    let more = "    inputMapping: {who: Ada}\n    timeout: 600";
    let key = stage.template(&calling("hurried", "checked", more)).await;
    let launched = stage.launch(&key, json!({})).await;
    let error = stage.end(launched.run).await.state.error.unwrap().error;
    assert_eq!(error.class, ErrorClass::Timeout);
    let child = stage.child_of(launched.run).await;
    assert_eq!(stage.end(child).await.summary.status, RunStatus::Cancelled);
}

/// The server ended after an attempt did and before its child was stopped.
#[tokio::test]
async fn a_restart_stops_the_child_of_an_attempt_that_has_ended() {
    let mut stage = Stage::new().await;
    stage.template(&template("checked", APPROVAL)).await;
    let key = stage.template(&calling("caller", "checked", "    inputMapping: {who: Ada}")).await;
    let launched = stage.launch(&key, json!({})).await;
    let left_over = stage.child_of(launched.run).await;
    stage.until_waiting(left_over).await;
    stage = stage
        .restart_after(async |data| {
            let options = sqlx::sqlite::SqliteConnectOptions::new().filename(data.join("troupe.db"));
            let mut database = sqlx::ConnectOptions::connect(&options).await.unwrap();
            // As if the attempt that is open now were the one after it.
            let update = sqlx::query("UPDATE run SET caller_attempt = 7 WHERE caller_attempt = 1");
            assert_eq!(update.execute(&mut database).await.unwrap().rows_affected(), 1);
            sqlx::Connection::close(database).await.unwrap();
        })
        .await;
    assert_eq!(stage.end(left_over).await.summary.status, RunStatus::Cancelled);
    // The open attempt gets a child of its own.
    let child = RunNumber(left_over.0 + 1);
    while stage.engine.run(&stage.admin, &stage.project, child).await.is_err() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    stage.until_waiting(child).await;
    stage.answer(child, answer(Decision::Approve, None, "")).await.unwrap();
    assert_eq!(stage.end(launched.run).await.summary.status, RunStatus::Completed);
}
