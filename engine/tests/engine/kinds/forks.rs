//! Forks: which steps run again, and which are reused without a call.

use super::{CHAIN, FAN, fork, output, template};
use crate::stage::{Stage, assign, status, warnings};
use domain::{
    comparison::Score,
    fork::RerunReason,
    id::RunNumber,
    run::{RunStatus, StepStatus},
    view::RunDetail,
};
use engine::{Error, Fork, Format, VerdictDraft};
use scripted::{Fault, Rule};
use serde_json::json;

/// E7: after a failure only the failed items run again; the others' outputs are reused without a call.
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
    // The parent is unchanged.
    assert_eq!(stage.detail(first.summary.number).await.state, first.state);
}

/// F2: rerun from a step with other roles.
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
        (Fork { reuse: vec!["X".to_owned()], ..fork("B") }, "reuse"),
        (Fork { reuse: vec!["B".to_owned()], ..fork("B") }, "reuse"),
        (Fork { role_assignments: assign(&[("B", "nobody")]), ..fork("B") }, "roleAssignments.B"),
    ] {
        let Err(Error::Invalid(problems)) = stage.fork(first.run, wrong).await else { panic!("{path}") };
        assert_eq!(problems[0].path, path);
    }
}

fn said(stage: &Stage, after: usize) -> Vec<(String, String)> {
    let ledger = stage.models.ledger();
    ledger[after..].iter().map(|entry| (entry.model.clone(), entry.last_user().to_owned())).collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(model, text)| ((*model).to_owned(), (*text).to_owned())).collect()
}

fn role_of(detail: &RunDetail, step: usize) -> &str {
    detail.state.steps[step].role.as_ref().unwrap().key.as_ref()
}

async fn second_version(stage: &Stage, source: &str) {
    let key = domain::key::TemplateKey::parse("chain").unwrap();
    let saved = stage
        .engine
        .update_template(&stage.admin, &stage.project, &key, source, Format::Yaml, None)
        .await
        .unwrap();
    assert_eq!(saved.version, 2);
}

/// F2, C7: a reused output is credited to the role that made it, in the run, its message, and the totals of verdicts.
#[tokio::test]
async fn a_reused_output_is_credited_to_the_role_that_made_it() {
    let stage = Stage::new().await;
    let first = stage.run(&template("chain", CHAIN), json!({"x": 1})).await;
    let parent = first.summary.number;
    let other = Fork { role_assignments: assign(&[("A", "senior"), ("C", "senior")]), ..fork("C") };
    let preview = stage.engine.preview_fork(&stage.admin, &stage.project, parent, &other).await.unwrap();
    let reused: Vec<_> = preview.steps.iter().map(|step| step.reused).collect();
    assert_eq!(reused, [true, true, false]);
    assert_eq!(preview.steps[0].role.as_ref().unwrap().key.as_ref(), "general_worker");
    assert!(preview.warnings[0].contains("'A' does not run again"), "{:?}", preview.warnings);
    let calls = stage.models.ledger().len();
    let launched = stage.fork(parent, other).await.unwrap();
    let second = stage.end(launched.run).await;
    assert_eq!(said(&stage, calls), pairs(&[("senior-model", "C B A 1")]));
    assert_eq!((role_of(&second, 0), role_of(&second, 2)), ("general_worker", "senior"));
    let origin = second.state.steps[0].origin.clone().unwrap();
    assert_eq!((origin.run, origin.version, origin.stale), (parent, 1, None));
    assert_eq!(origin.usage, first.state.steps[0].usage);
    assert!(origin.usage.total() > 0 && second.state.steps[0].usage.total() == 0);
    let metadata = stage.metadata(&second).await;
    assert_eq!(metadata.orchestration_status.steps[0].role.as_ref().unwrap().as_ref(), "general_worker");

    // A fork of the fork also knows the maker.
    let third = stage.fork(launched.run, fork("C")).await.unwrap();
    let third = stage.end(third.run).await;
    assert_eq!(third.state.steps[0].origin.as_ref().unwrap().run, parent);

    let runs = vec![parent, launched.run];
    for step in [Some("A".to_owned()), None] {
        let draft =
            VerdictDraft { runs: runs.clone(), step, winner: Some(launched.run), note: String::new() };
        stage.engine.judge(&stage.admin, &stage.project, draft).await.unwrap();
    }
    let scores = stage.engine.scores(&stage.admin, &stage.project, None).await.unwrap();
    let scores: Vec<_> =
        scores.roles.iter().map(|one| (one.step.as_str(), one.role.as_str(), one.score.clone())).collect();
    let won = |won, lost| Score { won, lost, same: 0 };
    assert_eq!(
        scores,
        [
            // For the step, the same role is on both sides; for the whole, the roles differed only in C.
            ("A", "general_worker", won(1, 1)),
            ("C", "senior", won(1, 0)),
            ("C", "general_worker", won(0, 1)),
        ]
    );
}

/// F2: a step whose prompt or input changed is not reused silently: it runs again, with a reason.
#[tokio::test]
async fn what_changed_runs_again_with_its_reason() {
    let stage = Stage::new().await;
    let steps = "
  - {name: A, prompt: 'A {{ context.input.x }}', dependsOn: []}
  - {name: B, prompt: 'B {{ context.input.y }}', dependsOn: []}
  - {name: C, prompt: 'C {{ context.A }} {{ context.B }}', dependsOn: [A, B]}
  - {name: D, prompt: 'D {{ context.C }}', dependsOn: [C]}
";
    let first = stage.run(&template("chain", steps), json!({"x": 1, "y": 1})).await;
    let parent = first.summary.number;

    // Other input: the steps that read it run again.
    let calls = stage.models.ledger().len();
    let other = Fork { input: Some(json!({"x": 1, "y": 2})), ..fork("D") };
    let second = stage.fork(parent, other).await.unwrap();
    let second = stage.end(second.run).await;
    let asked: Vec<_> = stage.asked(calls);
    assert_eq!(asked, ["B 2", "C A 1 B 2", "D C A 1 B 2"]);
    assert_eq!(second.state.steps[1].rerun, Some(RerunReason::Input { field: Some("y".to_owned()) }));
    assert_eq!(second.state.steps[0].rerun, None);

    // Another version: changed steps run again, and unchanged ones keep the version that made their output.
    second_version(&stage, &template("chain", &steps.replace("'A {{", "'AA {{"))).await;
    let newer = || Fork { template_version: Some(2), ..fork("D") };
    let preview = stage.engine.preview_fork(&stage.admin, &stage.project, parent, &fork("D")).await.unwrap();
    assert_eq!(preview.newer_version, Some(2));
    let preview = stage.engine.preview_fork(&stage.admin, &stage.project, parent, &newer()).await.unwrap();
    let why: Vec<_> = preview.steps.iter().map(|step| (step.reused, step.why.as_deref())).collect();
    assert_eq!(
        why,
        [
            (false, Some("prompt changed in version 2")),
            (true, None),
            (false, Some("depends on 'A', which runs again")),
            (false, Some("the rerun begins here")),
        ]
    );
    let calls = stage.models.ledger().len();
    let third = stage.fork(parent, newer()).await.unwrap();
    let third = stage.end(third.run).await;
    assert_eq!(stage.asked(calls), ["AA 1", "C AA 1 B 1", "D C AA 1 B 1"]);
    assert_eq!(
        (third.summary.template.version, third.state.steps[1].origin.as_ref().unwrap().version),
        (2, 1)
    );

    // If named explicitly, the step is reused anyway and marked as stale.
    let calls = stage.models.ledger().len();
    let stale = Fork { reuse: vec!["A".to_owned()], ..newer() };
    let fourth = stage.fork(parent, stale.clone()).await.unwrap();
    let fourth = stage.end(fourth.run).await;
    assert_eq!(stage.asked(calls), ["D C A 1 B 1"]);
    let origin = fourth.state.steps[0].origin.as_ref().unwrap();
    let changed = RerunReason::Definition { fields: vec!["prompt".to_owned()], version: 2 };
    assert_eq!((origin.version, origin.stale.as_ref()), (1, Some(&changed)));
    let warnings = warnings(&fourth);
    assert!(warnings.iter().any(|warning| warning.contains("stale")), "{warnings:?}");
    // It stays stale: a fork of that fork must name it again.
    let preview = stage
        .engine
        .preview_fork(&stage.admin, &stage.project, fourth.summary.number, &fork("D"))
        .await
        .unwrap();
    assert_eq!(
        preview.steps[0].why.as_deref(),
        Some("already stale in the parent run: prompt changed in version 2")
    );
    assert_eq!(stage.detail(parent).await.state, first.state, "the parent stays as it was");
}

/// F2: an output is not reused where the version that is run cannot map it. The step is not rerun in silence either.
#[tokio::test]
async fn an_output_that_the_new_version_cannot_map_is_refused() {
    let stage = Stage::new().await;
    let steps = "
  - {name: A, prompt: 'A {{ context.input.x }}'}
  - {name: B, prompt: 'B {{ context.A }}'}
";
    let first = stage.run(&template("chain", steps), json!({"x": 1})).await;
    let parent = first.summary.number;
    let mapped = "'A, {{ context.input.x }}', outputMapping: {score: '{{ output.score }}'}";
    second_version(&stage, &template("chain", &steps.replace("'A {{ context.input.x }}'", mapped))).await;
    let calls = stage.models.ledger().len();
    let reuse = Fork { template_version: Some(2), reuse: vec!["A".to_owned()], ..fork("B") };
    let why = "the output of 'A' in run 1 does not fit the step's outputMapping in version 2";
    let Err(Error::Invalid(problems)) = stage.fork(parent, reuse.clone()).await else { panic!() };
    assert_eq!((problems[0].path.as_str(), problems[0].message.as_str()), ("reuse", why));
    let preview = stage.engine.preview_fork(&stage.admin, &stage.project, parent, &reuse).await.unwrap();
    assert_eq!(preview.errors[0].message, why);
    assert_eq!(stage.models.ledger().len(), calls);
}

/// E7: the items that a fork does not name are reused only if their inputs are unchanged.
#[tokio::test]
async fn items_of_a_fork_are_bounded_and_never_stale_in_silence() {
    let stage = Stage::new().await;
    let steps = "
  - name: Each
    forEach: '[1, 2]'
    prompt: 'EACH {{ item }} {{ context.input.x }}'
";
    let first = stage.run(&template("chain", steps), json!({"x": 1})).await;
    assert_eq!(status(&first), RunStatus::Completed);
    let run = first.summary.number;
    let many = Fork { items: Some(vec![0; 1_001]), ..fork("Each") };
    let Err(Error::TooLarge(why)) = stage.fork(run, many).await else { panic!() };
    assert_eq!(why, "'items' names 1001 items, and a step has at most 1000");
    let many = Fork { reuse: vec!["Each".to_owned(); 5_001], ..fork("Each") };
    let Err(Error::TooLarge(why)) = stage.engine.preview_fork(&stage.admin, &stage.project, run, &many).await
    else {
        panic!()
    };
    assert_eq!(why, "'reuse' names 5001 steps, and a template has at most 5000");

    let one = Fork { items: Some(vec![1, 1]), input: Some(json!({"x": 2})), ..fork("Each") };
    let Err(Error::Invalid(problems)) = stage.fork(run, one.clone()).await else { panic!() };
    assert_eq!(problems[0].path, "items");
    assert!(problems[0].message.contains("reads input.x, which changed"), "{}", problems[0].message);
    let calls = stage.models.ledger().len();
    let asked = Fork { reuse: vec!["Each".to_owned()], ..one };
    let launched = stage.fork(run, asked).await.unwrap();
    let detail = stage.end(launched.run).await;
    assert_eq!(stage.asked(calls), ["EACH 2 2"]);
    let items = detail.state.steps[0].item_runs();
    assert!(items[0].origin.as_ref().unwrap().stale.is_some() && items[1].origin.is_none());
    assert!(items.iter().all(|item| item.status == StepStatus::Completed));
    let unknown = stage.fork(RunNumber(99), fork("Each")).await;
    assert!(matches!(unknown, Err(Error::NotFound { .. })));
}
