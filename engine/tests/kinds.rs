//! Every kind of step beside the plain prompt: forEach, approval, aggregate, child runs, files; and forks.

mod stage;

use domain::{
    error::ErrorClass,
    event::{Decision, Event, EventKind},
    file::FilePath,
    id::StepRunId,
    run::{RunState, RunStatus, StepStatus},
    view::RunDetail,
};
use engine::{AnswerDraft, Error, Fork, Launch};
use scripted::{Entry, Fault, Rule};
use serde_json::{Value, json};
use stage::{Stage, assign, status};
use std::{collections::BTreeMap, time::Duration};

fn template(key: &str, steps: &str) -> String {
    format!("apiVersion: troupe/v1\nkey: {key}\nname: {key}\nsteps:\n{steps}")
}

/// The whole text of a run's output.
async fn output(stage: &Stage, detail: &RunDetail) -> String {
    let output = detail.state.output.as_ref().unwrap_or_else(|| panic!("{:?}", detail.state.error));
    stage.content(detail.summary.number, output.text.id).await
}

fn fork(from: &str) -> Fork {
    Fork {
        from_step: from.to_owned(),
        items: None,
        input: None,
        role_assignments: BTreeMap::new(),
        template_version: None,
        idempotency_key: None,
    }
}

/// How many answers to such questions were under way at the same time.
fn most_at_once(ledger: &[Entry], question: &str) -> usize {
    let spans: Vec<_> = ledger
        .iter()
        .filter(|entry| entry.last_user().starts_with(question))
        .map(|entry| (entry.received_at, entry.ended_at.unwrap()))
        .collect();
    let open_at = |at: u64| spans.iter().filter(|(from, to)| (*from..*to).contains(&at)).count();
    spans.iter().map(|(from, _)| open_at(*from)).max().unwrap_or(0)
}

const FAN: &str = "
  - name: List
    prompt: LIST
    outputSchema: {type: array, items: {type: string}}
  - name: Each
    forEach: context.List
    maxParallel: 2
    prompt: 'EACH {{ index }} {{ item }}'
  - name: Join
    prompt: \"JOIN {{ context.Each | join('+') }}\"
";

/// C2, E4: items that are known only at run time run side by side, within the limit, and come out in their order.
#[tokio::test]
async fn items_found_by_an_earlier_step_run_side_by_side() {
    let stage = Stage::new().await;
    stage.models.script(vec![
        Rule::text(r#"["a", "b", "c", "d", "e"]"#).last_user("LIST"),
        Rule::text("{{last_user}}").last_user("JOIN"),
        // The first item is the last to answer.
        Rule::text("{{last_user}}!").last_user("EACH 0").first_token(Duration::from_millis(300)),
        Rule::text("{{last_user}}!").last_user("EACH").first_token(Duration::from_millis(20)),
    ]);
    let detail = stage.run(&template("fan", FAN), json!({})).await;
    let joined = output(&stage, &detail).await;
    assert_eq!(joined, "JOIN EACH 0 a!+EACH 1 b!+EACH 2 c!+EACH 3 d!+EACH 4 e!");
    let items = detail.state.steps[1].item_runs();
    assert_eq!(items.len(), 5);
    assert!(items.iter().all(|run| run.status == StepStatus::Completed && run.attempts.len() == 1));
    assert_eq!(most_at_once(&stage.models.ledger(), "EACH"), 2);
    let message = stage.metadata(&detail).await;
    let counts = message.orchestration_status.steps[1].items.unwrap();
    assert_eq!((counts.total, counts.completed, counts.failed), (5, 5, 0));
}

#[tokio::test]
async fn a_list_that_is_empty_none_or_too_long_is_said_at_its_step() {
    let stage = Stage::new().await;
    let each = |items: &str| {
        let key: String = items.chars().filter(char::is_ascii_lowercase).collect();
        template(
            &format!("k{key}{}", items.len()),
            &format!("  - name: Each\n    forEach: \"{items}\"\n    prompt: x\n"),
        )
    };
    let detail = stage.run(&each("[]"), json!({})).await;
    assert_eq!(status(&detail), RunStatus::Completed);
    assert_eq!(output(&stage, &detail).await, "[]");
    for (items, part) in [
        ("'text'", "its forEach: gives a text, not a list"),
        ("range(1001) | list", "gives 1001 items; a step runs for at most 1000"),
        ("range(1000000) | list", "its forEach: "),
        ("context.input.missing", "its forEach: "),
    ] {
        let detail = stage.run(&each(items), json!({})).await;
        assert_eq!(status(&detail), RunStatus::Failed, "{items}");
        let error = detail.state.error.unwrap();
        assert_eq!(error.step.as_deref(), Some("Each"));
        assert!(error.error.message.contains(part), "{}", error.error.message);
    }
    assert!(stage.models.ledger().is_empty());
}

/// DESIGN section 5: the other items run first; then the step fails, or goes on without the failed ones.
#[tokio::test]
async fn one_failed_item_lets_the_others_run() {
    let stage = Stage::new().await;
    stage.models.script(vec![Rule::fault(Fault::status(401)).last_user("EACH 1")]);
    let source = template(
        "strict",
        "  - {name: Each, forEach: '[10, 11, 12]', maxParallel: 1, prompt: 'EACH {{ index }} {{ item }}'}\n",
    );
    let detail = stage.run(&source, json!({})).await;
    assert_eq!(status(&detail), RunStatus::Failed);
    let statuses: Vec<_> = detail.state.steps[0].item_runs().iter().map(|run| run.status).collect();
    assert_eq!(statuses, [StepStatus::Completed, StepStatus::Failed, StepStatus::Completed]);
    let error = detail.state.error.clone().unwrap().error;
    assert_eq!(error.class, ErrorClass::Auth);
    assert!(error.message.contains("1 of 3 items failed, item 1: "), "{}", error.message);

    let lenient = source.replace("strict", "lenient").replace("prompt:", "onFailure: continue, prompt:");
    let detail = stage.run(&lenient, json!({})).await;
    assert_eq!(status(&detail), RunStatus::Completed);
    let output: Value = serde_json::from_str(&output(&stage, &detail).await).unwrap();
    assert_eq!(output, json!(["EACH 0 10", null, "EACH 2 12"]));
    assert_eq!(detail.state.warnings.len(), 2, "{:?}", detail.state.warnings);
}

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

const CHAIN: &str = "
  - {name: A, prompt: 'A {{ context.input.x }}'}
  - {name: B, prompt: 'B {{ context.A }}'}
  - {name: C, prompt: 'C {{ context.B }}'}
";

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

const APPROVAL: &str = "
  - {name: Draft, prompt: DRAFT}
  - name: Check
    uses: approval
    prompt: 'Is this good enough for {{ context.input.who }}?'
    inputMapping: {draft: '{{ context.Draft }}'}
  - {name: Publish, prompt: 'PUBLISH {{ context.Check }}'}
";

fn answer(decision: Decision, output: Option<Value>, text: &str) -> AnswerDraft {
    let text = Some(text.to_owned()).filter(|text| !text.is_empty());
    AnswerDraft { step_run: "1".to_owned(), decision, output, text }
}

/// A person approves, changes or rejects; the run waits for as long as it takes, over restarts, in nobody's memory.
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

/// A run that waits for a person is not forgotten over its other steps: one that is between two attempts goes on after a
/// restart, with no answer given.
#[tokio::test]
async fn a_step_between_attempts_goes_on_while_another_waits_for_a_person() {
    let mut stage = Stage::new().await;
    let source = template(
        "both",
        "  - {name: Flaky, prompt: FLAKY, maxRetries: 1, dependsOn: []}\n  - {name: Check, uses: approval, dependsOn: []}\n",
    );
    let later = Fault::Status { status: 429, retry_after: Some("1".to_owned()), message: None };
    stage.models.script(vec![Rule::fault(later).times(1)]);
    let key = stage.template(&source).await;
    let launched = stage.launch(&key, json!({})).await;
    stage.until(launched.run, |event| matches!(event.kind, EventKind::StepFailed { .. }).then_some(())).await;
    assert_eq!(stage.detail(launched.run).await.summary.status, RunStatus::Waiting);
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

/// D3: an aggregate weighs normalised candidates and answers with one call of `final`; its error is the step's error.
#[tokio::test]
async fn an_aggregate_makes_one_final_call() {
    let stage = Stage::new().await;
    let steps = "
  - {name: One, prompt: ONE, parallelGroup: all}
  - {name: Two, prompt: TWO, parallelGroup: all, onFailure: continue}
  - {name: Best, uses: aggregate}
";
    stage.models.script(vec![
        Rule::fault(Fault::status(401)).last_user("TWO").times(1),
        Rule::text(r#"{"function": "final", "args": {"text": "One it is."}}"#)
            .last_user("### Results")
            .times(1),
        Rule::text("I would rather chat.").last_user("### Results"),
    ]);
    let detail = stage.run(&template("best", steps), json!({})).await;
    assert_eq!(output(&stage, &detail).await, "One it is.");
    let asked = stage.asked(0).pop().unwrap();
    assert!(asked.contains(r#""name": "One""#) && asked.contains(r#""withoutResult": ["#), "{asked}");
    let key = stage.template(&template("best-again", steps)).await;
    let launched = stage.launch(&key, json!({})).await;
    let detail = stage.end(launched.run).await;
    let error = detail.state.error.unwrap();
    assert_eq!((error.step.as_deref(), error.error.class), (Some("Best"), ErrorClass::InvalidOutput));
}

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

const FILES: &str = "
  - name: Build
    prompt: 'BUILD {{ context.input.wish }}'
    with: {files: true}
    maxRetries: 1
";

/// A7: a run writes a file, a follow-up in the same conversation sees it and edits it.
#[tokio::test]
async fn files_are_written_and_edited_in_a_conversation() {
    let stage = Stage::new().await;
    let made =
        json!({"files": [{"path": "calculator.html", "content": "<b>add</b>"}], "summary": "Made it."});
    let wrong = json!({"files": [{"path": "calculator.html", "edits": [{"search": "sub", "replace": "x"}]}], "summary": ""});
    let edit = json!({"search": "add", "replace": "add, multiply"});
    let edited = json!({"files": [{"path": "calculator.html", "edits": [edit]}], "summary": "Added it."});
    stage.models.script(vec![
        Rule::text(made.to_string()).last_user("BUILD a calculator").chunk_size(5),
        Rule::text(wrong.to_string()).last_user("BUILD add multiply").times(1),
        Rule::text(edited.to_string()).last_user("BUILD add multiply"),
    ]);
    let key = stage.template(&template("build", FILES)).await;
    let first = stage.launch(&key, json!({"wish": "a calculator"})).await;
    let detail = stage.end(first.run).await;
    assert_eq!(output(&stage, &detail).await, "Made it.");
    let kinds = stage.kinds(first.run).await;
    let place = |kind: &str| kinds.iter().position(|other| *other == kind).unwrap();
    assert!(
        place("fileRequested") < place("fileWritten") && place("fileWritten") < place("finished"),
        "{kinds:?}"
    );
    let message = stage.metadata(&detail).await;
    assert_eq!(message.orchestration_status.files, ["calculator.html"]);
    assert_eq!(message.orchestration.files_requested, ["calculator.html"]);
    assert_eq!(message.orchestration.bytes_generated, 10 + 8);

    let launch =
        Launch { input: json!({"wish": "add multiply"}), task_id: Some(first.task_id), ..Launch::default() };
    let second = stage.try_launch(&key, launch).await.unwrap();
    let detail = stage.end(second.run).await;
    assert_eq!(detail.state.steps[0].attempts.len(), 2);
    let refused = detail.state.steps[0].failure().unwrap();
    assert!(refused.message.contains("calculator.html, edit 1: its 'search' does not stand in the file"));
    let asked = stage.asked(0).pop().unwrap();
    assert!(asked.contains("<b>add</b>") && asked.contains("Your last answer was refused"), "{asked}");

    let path = FilePath::parse("calculator.html").unwrap();
    let file =
        async |run, version| stage.engine.file(&stage.admin, &stage.project, run, &path, version).await;
    let newest = file(second.run, None).await.unwrap();
    assert_eq!((newest.file.version, newest.text.as_str()), (2, "<b>add, multiply</b>"));
    assert_eq!(newest.before.as_deref(), Some("<b>add</b>"));
    assert_eq!(file(first.run, None).await.unwrap().text, "<b>add</b>");
    assert_eq!(file(second.run, Some(1)).await.unwrap().text, "<b>add</b>");
    assert!(matches!(file(second.run, Some(3)).await, Err(Error::NotFound { .. })));
    let listed = stage.engine.run_files(&stage.admin, &stage.project, second.run).await.unwrap();
    assert_eq!(listed.len(), 1);
    let elsewhere = stage.launch(&key, json!({"wish": "add multiply"})).await;
    let error = stage.end(elsewhere.run).await.state.error.unwrap().error;
    assert!(error.message.contains("no such file to edit"), "another conversation has other files");
}

/// B14: two runs in one conversation edit the same file: the later one edits what the earlier one left.
#[tokio::test]
async fn runs_side_by_side_edit_the_same_file() {
    let stage = Stage::new().await;
    let change = |change: Value| json!({"files": [change], "summary": "Done."}).to_string();
    let edit = |from: &str, to: &str| {
        change(json!({"path": "a.txt", "edits": [{"search": from, "replace": to}]}))
    };
    stage.models.script(vec![
        Rule::text(change(json!({"path": "a.txt", "content": "one two"}))).last_user("BUILD make"),
        Rule::text(edit("one", "1")).last_user("BUILD first").hold(0),
        Rule::text(edit("two", "2")).last_user("BUILD second"),
    ]);
    let key = stage.template(&template("build", FILES)).await;
    let made = stage.launch(&key, json!({"wish": "make"})).await;
    stage.end(made.run).await;
    let launch = async |wish: &str| {
        let input = json!({ "wish": wish });
        let launch = Launch { input, task_id: Some(made.task_id), ..Launch::default() };
        stage.try_launch(&key, launch).await.unwrap()
    };
    let first = launch("first").await;
    stage.until_answering(1).await;
    let second = launch("second").await;
    stage.end(second.run).await;
    stage.models.release();
    stage.end(first.run).await;
    let path = FilePath::parse("a.txt").unwrap();
    let file = stage.engine.file(&stage.admin, &stage.project, first.run, &path, None).await.unwrap();
    assert_eq!((file.file.version, file.text.as_str()), (3, "1 2"));
}

#[tokio::test]
async fn files_stay_within_the_runs_space() {
    let stage = Stage::new().await;
    let source = template("build", &FILES.replace("maxRetries: 1", "maxRetries: 0"));
    let key = stage.template(&source).await;
    let long = "x".repeat(300);
    for path in ["../../etc/passwd", "/etc/passwd", "a\0b", "nul.txt", &long] {
        let answer = json!({"files": [{"path": path, "content": "x"}], "summary": "s"});
        stage.models.script(vec![Rule::text(answer.to_string())]);
        let launched = stage.launch(&key, json!({"wish": "x"})).await;
        let error = stage.end(launched.run).await.state.error.unwrap();
        assert_eq!(
            (error.step.as_deref(), error.error.class),
            (Some("Build"), ErrorClass::InvalidOutput),
            "{path}"
        );
        assert!(stage.engine.run_files(&stage.admin, &stage.project, launched.run).await.unwrap().is_empty());
    }
}

/// After a kill in the middle of a fan-out no finished item is called again.
#[tokio::test]
async fn a_restart_in_the_middle_of_a_fan_out_calls_no_finished_item_again() {
    let mut stage = Stage::new().await;
    stage.models.script(vec![
        Rule::text(r#"["a", "b", "c", "d"]"#).last_user("LIST"),
        Rule::text("{{last_user}}").last_user("EACH 2").hold(0),
    ]);
    let key = stage.template(&template("fan", FAN)).await;
    let launched = stage.launch(&key, json!({})).await;
    stage
        .until(launched.run, |event| match &event.kind {
            EventKind::Finished { step, .. } => (step.item == Some(3)).then_some(()),
            _ => None,
        })
        .await;
    stage.models.script(Vec::new());
    stage = stage.restart().await;
    let detail = stage.end(launched.run).await;
    assert_eq!(output(&stage, &detail).await, "JOIN EACH 0 a+EACH 1 b+EACH 2 c+EACH 3 d");
    let attempts: Vec<_> = detail.state.steps[1].item_runs().iter().map(|run| run.attempts.len()).collect();
    assert_eq!(attempts, [1, 1, 2, 1]);
}

/// A long log is folded once: what is kept of it and what came after give the same state.
#[tokio::test]
async fn a_long_log_is_opened_from_its_snapshot() {
    let mut stage = Stage::new().await;
    let source =
        template("wide", "  - {name: Each, forEach: 'range(400) | list', prompt: 'EACH {{ index }}'}\n");
    let detail = stage.run(&source, json!({})).await;
    let run = detail.summary.number;
    let mut cursor = 0;
    let mut events = Vec::new();
    while let page = stage.engine.events(&stage.admin, &stage.project, run, cursor).await.unwrap()
        && let Some(last) = page.items.last()
    {
        cursor = last.seq;
        events.extend(page.items);
    }
    assert!(events.len() > 1_600);
    assert_eq!(RunState::replay(&events), detail.state);
    // The snapshot is written beside the run: by the time the engine has stopped it is there.
    stage = stage
        .restart_after(async |data| {
            let db = sqlx::SqlitePool::connect(&format!("sqlite://{}", data.join("troupe.db").display()))
                .await
                .unwrap();
            let kept: i64 = sqlx::query_scalar("SELECT seq FROM snapshot").fetch_one(&db).await.unwrap();
            assert_eq!(kept, events.len() as i64);
            // From here on it is the snapshot that is read, and nothing before it.
            sqlx::query("DELETE FROM event WHERE seq < $1").bind(kept).execute(&db).await.unwrap();
            db.close().await;
        })
        .await;
    assert_eq!(stage.detail(run).await.state, detail.state);
}
