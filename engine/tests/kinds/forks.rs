//! Forks: what runs again, and what is taken over with no call.

use crate::stage::{Stage, assign, status};
use crate::{CHAIN, FAN, fork, output, template};
use domain::run::RunStatus;
use engine::{Error, Fork};
use scripted::{Fault, Rule};
use serde_json::json;

/// E7: after a failure the failed items alone run again; what the others gave is taken over with no call.
#[tokio::test]
async fn failed_items_run_again_alone() {
    let stage = Stage::new().await;
    stage.models.script(vec![
        Rule::text(r#"["a", "b", "c"]"#).last_user("LIST"),
        Rule::fault(Fault::status(401)).last_user("EACH 1").times(1),
    ]);
    let first = stage.run(&template("fan", FAN), json!({})).await;
    assert_eq!(status(&first), RunStatus::Failed);
    let calls = stage.models.ledger().len();

    let wrong = Fork { items: Some(vec![7]), ..fork("Each") };
    let Err(Error::Invalid(problems)) = stage.fork(first.summary.number, wrong).await else { panic!() };
    assert_eq!(problems[0].path, "items");

    let again = Fork { items: Some(vec![1]), ..fork("Each") };
    let launched = stage.fork(first.summary.number, again).await.unwrap();
    let detail = stage.end(launched.run).await;
    assert_eq!(output(&stage, &detail).await, "JOIN EACH 0 a+EACH 1 b+EACH 2 c");
    assert_eq!(stage.asked(calls), ["EACH 1 b", "JOIN EACH 0 a+EACH 1 b+EACH 2 c"]);
    let reused: Vec<_> = detail.state.steps[1].item_runs().iter().map(|run| run.reused).collect();
    assert_eq!(reused, [true, false, true]);
    assert!(detail.state.steps[0].reused);
    let parent = detail.state.parent.clone().unwrap();
    assert_eq!((parent.run, parent.from_step.as_str()), (first.summary.number, "Each"));
    assert_eq!(detail.summary.task, first.summary.task);
    // The parent stays as it was.
    assert_eq!(stage.detail(first.summary.number).await.state, first.state);
}

/// F2: rerun from a step with other input and roles.
#[tokio::test]
async fn a_fork_reuses_what_came_before() {
    let stage = Stage::new().await;
    let key = stage.template(&template("chain", CHAIN)).await;
    stage.models.script(vec![Rule::text("slow").last_user("A slow").hold(0)]);
    let running = stage.launch(&key, json!({"x": "slow"})).await;
    stage.until_answering(1).await;
    let Err(Error::Conflict(_)) = stage.fork(running.run, fork("B")).await else { panic!() };
    stage.models.release();
    stage.end(running.run).await;

    let first = stage.launch(&key, json!({"x": 1})).await;
    stage.end(first.run).await;
    let calls = stage.models.ledger().len();
    let again = Fork {
        input: Some(json!({"x": 2})),
        role_assignments: assign(&[("C", "senior")]),
        idempotency_key: Some("once".to_owned()),
        ..fork("B")
    };
    let launched = stage.fork(first.run, again.clone()).await.unwrap();
    assert_eq!(stage.fork(first.run, again).await.unwrap(), launched, "the same key is the same launch");
    let detail = stage.end(launched.run).await;
    let made: Vec<_> = stage.models.ledger()[calls..]
        .iter()
        .map(|entry| (entry.model.clone(), entry.last_user().to_owned()))
        .collect();
    let expected = [("general_worker-model", "B A 1"), ("senior-model", "C B A 1")];
    assert_eq!(made, expected.map(|(model, said)| (model.to_owned(), said.to_owned())));
    assert_eq!(detail.state.steps[0].usage.total(), 0);
    assert_eq!(
        stage.kinds(launched.run).await[..5],
        ["acknowledged", "submitted", "rolesResolved", "reused", "ready"]
    );
    let messages = stage.messages(&first).await;
    assert_eq!(messages.len(), 4, "a user's and an assistant's message for each run");
    assert!(messages[2].content.starts_with(&format!("Run {} again from", first.run)));

    for (wrong, path) in [
        (fork("X"), "fromStep"),
        (Fork { template_version: Some(9), ..fork("B") }, "templateVersion"),
        (Fork { items: Some(vec![0]), ..fork("B") }, "items"),
        (Fork { role_assignments: assign(&[("B", "nobody")]), ..fork("B") }, "roleAssignments.B"),
    ] {
        let Err(Error::Invalid(problems)) = stage.fork(first.run, wrong).await else { panic!("{path}") };
        assert_eq!(problems[0].path, path);
    }
}
