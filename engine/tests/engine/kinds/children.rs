//! Steps that launch child runs.

use super::{APPROVAL, CHAIN, answer, fork, output, template};
use crate::stage::{Stage, assign};
use domain::{
    error::ErrorClass,
    event::{Decision, EventKind},
    id::{RunNumber, StepRunId},
    key::TemplateKey,
    problem::Problem,
    run::{AttemptOutcome, Phase, RunStatus, StepStatus},
};
use engine::{AnswerDraft, Error, Format, Launch, RunFilter};
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

/// A child run: its input, roles, output and usage; its conversation is below the caller's.
#[tokio::test]
async fn a_template_calls_another() {
    let stage = Stage::new().await;
    stage.template(&template("chain", CHAIN)).await;
    let key = stage.template(&calling("caller", "chain", "")).await;
    let launch = Launch { role_assignments: assign(&[("Call/B", "senior")]), ..Launch::default() };
    let launched = stage.try_launch(&key, launch).await.unwrap();
    let detail = stage.end(launched.run).await;
    assert_eq!(output(&stage, &detail).await, "LAST C B A FIRST");
    let child = detail.state.steps[1].attempts[0].child().unwrap();
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

/// A call in the batch that stores its run, whose number is known only then.
#[tokio::test]
async fn a_call_in_the_first_step_knows_its_caller() {
    let stage = Stage::new().await;
    stage.template(&template("callee", "  - {name: A, prompt: A}\n")).await;
    let key = stage.template(&template("caller", "  - {name: Call, uses: 'template:callee'}\n")).await;
    let run = stage.launch(&key, json!({})).await.run;
    let child = stage.end(run).await.state.steps[0].attempts[0].child().unwrap();
    let called = stage.detail(child).await;
    assert_eq!(called.state.caller.unwrap().run, run);
    assert_eq!(called.summary.caller, Some(run));
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
    let child = detail.state.steps[1].attempts[0].child().unwrap();
    assert_eq!(error.class, ErrorClass::Auth);
    assert!(error.message.contains(&format!("run {child} failed: step 'B' failed: ")), "{}", error.message);
    let spent = stage.detail(child).await.summary.usage;
    assert!(spent.total() > 0, "its first step has been paid for");
    assert_eq!(detail.state.steps[1].usage, spent);

    // Stopping the caller: the child's call is aborted.
    let stopped = stage.launch(&key, json!({})).await;
    let child = stage.child_of(stopped.run).await;
    stage.until_answering(1).await;
    stage.cancel(stopped.run).await;
    assert_eq!(stage.end(child).await.summary.status, RunStatus::Cancelled);
    stage.until_answering(0).await;

    // Stopping the child.
    let left = stage.launch(&key, json!({})).await;
    let child = stage.child_of(left.run).await;
    stage.until_answering(1).await;
    stage.cancel(child).await;
    let error = stage.end(left.run).await.state.error.unwrap().error;
    assert_eq!(error.class, ErrorClass::Cancelled);
    assert!(error.message.contains(&format!("run {child} was stopped")), "{}", error.message);
}

/// A call cycle with a condition may be launched; it ends at the latest at the depth limit.
#[tokio::test]
async fn a_template_that_calls_itself_ends() {
    let stage = Stage::new().await;
    let source = template("self", "  - {name: Again, uses: 'template:self', condition: 'true'}\n");
    let detail = stage.run(&source, json!({})).await;
    let error = detail.state.error.unwrap().error;
    assert_eq!(error.class, ErrorClass::Limit);
    assert!(error.message.contains("more than 5 deep"), "{}", error.message);
    assert!(stage.models.ledger().is_empty());
}

/// Saving, checking and the preview report what a launch would refuse, with its place, before anything costs money.
#[tokio::test]
async fn child_templates_are_settled_before_a_launch() {
    let stage = Stage::new().await;
    let Stage { engine, admin, project, .. } = &stage;
    let typed = "apiVersion: troupe/v1\nkey: typed\nname: Typed\ninput: {type: object, required: [code], \
                 additionalProperties: false, properties: {code: {type: string}, more: {type: string}}}\n\
                 steps:\n  - {name: A, prompt: 'A {{ context.input.code }}'}\n";
    stage.template(typed).await;
    stage.template(&template("middle", "  - {name: Down, uses: 'template:gone'}\n")).await;
    let circle =
        |key: &str, callee: &str| template(key, &format!("  - {{name: Round, uses: 'template:{callee}'}}\n"));
    stage.template(&circle("ping", "pong")).await;
    stage.template(&circle("pong", "ping")).await;
    for (steps, path, why) in [
        ("{name: Call, uses: 'template:nowhere'}", "steps[1].uses", "there is no template 'nowhere'"),
        (
            "{name: Call, uses: 'template:middle'}",
            "steps[1].uses",
            "template 'middle', step 'Down': there is no template 'gone'",
        ),
        (
            "{name: Call, uses: 'template:typed', with: {more: x}}",
            "steps[1].inputMapping",
            "template 'typed' requires the input 'code', which nothing maps",
        ),
        (
            "{name: Call, uses: 'template:typed', with: {code: x, cod: y}}",
            "steps[1].with.cod",
            "template 'typed' has no input 'cod'",
        ),
        (
            "{name: Call, uses: 'template:caller'}",
            "steps[1].uses",
            "template 'caller' would call itself for ever",
        ),
        (
            "{name: Call, uses: 'template:ping', condition: 'true'}",
            "steps[1].uses",
            "would call itself for ever",
        ),
    ] {
        let source = template("caller", &format!("  - {{name: First, prompt: FIRST}}\n  - {steps}\n"));
        let checked =
            engine.check_template(admin, project, source.clone(), Format::Yaml).await.unwrap().checked;
        let told = |problems: &[Problem]| {
            let found = problems.iter().find(|problem| problem.path == path && problem.message.contains(why));
            found.unwrap_or_else(|| panic!("{steps}: {problems:?}")).clone()
        };
        assert_eq!(checked.problems, [], "it may be saved");
        assert_eq!(told(&checked.hints).line, Some(6));
        let key = TemplateKey::parse("caller").unwrap();
        let saved = match engine.template(admin, project, &key, None).await {
            Ok(_) => engine.update_template(admin, project, &key, &source, Format::Yaml, None).await.unwrap(),
            Err(_) => engine.create_template(admin, project, &source, Format::Yaml).await.unwrap(),
        };
        told(&saved.hints);
        told(&engine.preview(admin, project, &key, &Launch::default()).await.unwrap().errors);
        let Err(Error::Invalid(problems)) = stage.try_launch(&key, Launch::default()).await else {
            panic!("{steps}")
        };
        told(&problems);
    }
    let fine = template(
        "caller",
        "  - {name: First, prompt: FIRST}\n  - {name: Call, uses: 'template:typed', with: {code: x}}\n",
    );
    let key = TemplateKey::parse("caller").unwrap();
    let saved = engine.update_template(admin, project, &key, &fine, Format::Yaml, None).await.unwrap();
    assert_eq!(saved.hints, []);
    let wrong = Launch { role_assignments: assign(&[("Call/Nope", "senior")]), ..Launch::default() };
    let Err(Error::Invalid(problems)) = stage.try_launch(&key, wrong).await else { panic!() };
    assert_eq!(problems[0].path, "roleAssignments.Call/Nope");
    assert!(stage.models.ledger().is_empty());
    assert!(engine.runs(admin, project, &Default::default(), None).await.unwrap().items.is_empty());
}

/// Child runs use the versions of the launch, whatever is saved while the run is live, also across a restart.
#[tokio::test]
async fn a_child_runs_in_the_version_of_the_launch() {
    let mut stage = Stage::new().await;
    let leaf = stage.template(&template("leaf", "  - {name: L, prompt: OLD}\n")).await;
    stage.template(&template("inner", "  - {name: Down, uses: 'template:leaf'}\n")).await;
    let outer = "  - {name: First, prompt: FIRST}\n  - {name: Call, uses: 'template:inner'}\n";
    let key = stage.template(&template("outer", outer)).await;
    stage.models.script(vec![Rule::text("waited").last_user("FIRST").times(1).hold(0)]);
    let launched = stage.launch(&key, json!({})).await;
    stage.until_answering(1).await;
    let newer = template("leaf", "  - {name: L, prompt: NEW}\n");
    stage
        .engine
        .update_template(&stage.admin, &stage.project, &leaf, &newer, Format::Yaml, None)
        .await
        .unwrap();
    let nested = template("inner", "  - {name: Down, uses: 'template:nowhere'}\n");
    let inner = TemplateKey::parse("inner").unwrap();
    stage
        .engine
        .update_template(&stage.admin, &stage.project, &inner, &nested, Format::Yaml, None)
        .await
        .unwrap();
    stage = stage.restart().await;
    let detail = stage.end(launched.run).await;
    assert_eq!(output(&stage, &detail).await, "OLD");
    // A fork is a launch: it notices that a called template has changed.
    let again = stage.fork(launched.run, fork("First")).await;
    assert!(matches!(again, Err(Error::Invalid(_))), "{again:?}");
    let back = template("inner", "  - {name: Down, uses: 'template:leaf'}\n");
    stage
        .engine
        .update_template(&stage.admin, &stage.project, &inner, &back, Format::Yaml, None)
        .await
        .unwrap();
    let side = "  - {name: Call, uses: 'template:leaf', dependsOn: []}\n  - {name: After, prompt: AFTER, dependsOn: [Call]}\n";
    let first = stage.run(&template("side", side), json!({})).await;
    stage
        .engine
        .update_template(
            &stage.admin,
            &stage.project,
            &leaf,
            &template("leaf", "  - {name: L, prompt: LATEST}\n"),
            Format::Yaml,
            None,
        )
        .await
        .unwrap();
    let preview = stage
        .engine
        .preview_fork(&stage.admin, &stage.project, first.summary.number, &fork("After"))
        .await
        .unwrap();
    assert_eq!(preview.steps[0].why.as_deref(), Some("calls template 'leaf', which is at version 3 now"));
}

/// A run whose child waits for a person waits, too, shows the question, and takes the answer; also across a restart.
#[tokio::test]
async fn a_caller_waits_with_its_child_and_is_answered_in_its_place() {
    let mut stage = Stage::new().await;
    let twice = "
  - {name: Draft, prompt: DRAFT}
  - {name: Check, uses: approval, prompt: 'Good?', inputMapping: {draft: '{{ context.Draft }}'}}
  - {name: Again, uses: approval, prompt: 'Really?'}
";
    stage.template(&template("checked", twice)).await;
    stage.template(&template("middle", "  - {name: Down, uses: 'template:checked'}\n")).await;
    let outer =
        "  - {name: Call, uses: 'template:middle'}\n  - {name: Last, prompt: 'LAST {{ context.Call }}'}\n";
    let key = stage.template(&template("outer", outer)).await;
    let launched = stage.launch(&key, json!({})).await;
    let waits = |name: &'static str| {
        move |event: &domain::event::Event| match &event.kind {
            EventKind::ChildWaiting { question, .. } if question.name == name => {
                Some(question.as_ref().clone())
            }
            _ => None,
        }
    };
    let asked = stage.until(launched.run, waits("Check")).await;
    let detail = stage.detail(launched.run).await;
    assert_eq!(
        (detail.summary.status, detail.state.steps[0].status),
        (RunStatus::Waiting, StepStatus::Waiting)
    );
    assert_eq!(stage.content(asked.run, asked.question.id).await, "Good?");
    let metadata = stage.metadata(&detail).await;
    assert_eq!(metadata.orchestration.phase, Phase::Waiting);
    let waiting = RunFilter { status: Some(RunStatus::Waiting), template: None };
    let runs = stage.engine.runs(&stage.admin, &stage.project, &waiting, None).await.unwrap().items;
    assert_eq!(runs.len(), 3, "the one that asks, and those above it");
    let inbox = stage.engine.inbox(&stage.admin, &stage.project, None).await.unwrap().items;
    assert_eq!(inbox.len(), 1, "one question is asked once");

    stage = stage.restart().await;
    let draft = |decision| AnswerDraft { step_run: "0".to_owned(), decision, output: None, text: None };
    stage.answer(launched.run, draft(Decision::Approve)).await.unwrap();
    stage.until(launched.run, waits("Again")).await;
    stage.answer(launched.run, draft(Decision::Approve)).await.unwrap();
    let detail = stage.end(launched.run).await;
    assert_eq!(output(&stage, &detail).await, "LAST true");
    assert_eq!(stage.kinds(launched.run).await.iter().filter(|kind| **kind == "childWaiting").count(), 2);
    let late = stage.answer(launched.run, draft(Decision::Approve)).await;
    assert!(matches!(late, Err(Error::Conflict(_))), "{late:?}");

    // The child is stopped by its caller's time limit: then there is no question any more.
    let hurried = "  - {name: Call, uses: 'template:middle', timeout: 2000}\n";
    let key = stage.template(&template("hurried", hurried)).await;
    let launched = stage.launch(&key, json!({})).await;
    stage.until(launched.run, waits("Check")).await;
    let detail = stage.end(launched.run).await;
    assert_eq!(detail.state.error.unwrap().error.class, ErrorClass::Timeout);
    assert_eq!(detail.state.steps[0].child_question, None);
    // The usage of the runs below is kept.
    let below = asked_below(&stage, launched.run).await;
    let spent = stage.end(below).await.summary.usage;
    assert!(spent.total() > 0);
    assert_eq!((detail.state.usage, detail.state.steps[0].usage), (spent, spent));
}

/// The run two levels below.
async fn asked_below(stage: &Stage, run: RunNumber) -> RunNumber {
    let child = stage.child_of(run).await;
    stage.child_of(child).await
}

/// The usage of the child of a stopped run is counted.
#[tokio::test]
async fn stopping_a_run_keeps_what_its_child_has_cost() {
    let stage = Stage::new().await;
    stage.template(&template("chain", CHAIN)).await;
    let key = stage.template(&calling("caller", "chain", "")).await;
    stage.models.script(vec![Rule::text("never").last_user("B A FIRST").hold(0)]);
    let launched = stage.launch(&key, json!({})).await;
    let child = stage.child_of(launched.run).await;
    stage.until_answering(1).await;
    stage.cancel(launched.run).await;
    let (child, detail) = (stage.end(child).await, stage.detail(launched.run).await);
    assert!(child.summary.usage.total() > 0);
    assert_eq!(detail.state.steps[1].usage, child.summary.usage);
}

/// A child without a role, or that cannot be stored or read, fails its caller's step with the reason, once.
#[tokio::test]
async fn a_child_that_cannot_be_launched_ends_the_step_with_its_reason() {
    let mut stage = Stage::new().await;
    stage.template(&template("leaf", "  - {name: L, prompt: LEAF}\n")).await;
    let asking = "  - {name: Ask, uses: approval, prompt: 'Go?'}\n  - {name: Call, uses: 'template:leaf'}\n";
    let key = stage.template(&template("outer", asking)).await;
    let approve =
        || AnswerDraft { step_run: "0".to_owned(), decision: Decision::Approve, output: None, text: None };
    let launched = stage.launch(&key, json!({})).await;
    stage.until_waiting(launched.run).await;
    for role in ["general_worker", "senior"] {
        let role = domain::key::RoleKey::parse(role).unwrap();
        stage.engine.delete_role(&stage.admin, &stage.project, &role).await.unwrap();
    }
    let Err(Error::Invalid(problems)) = stage.try_launch(&key, Launch::default()).await else { panic!() };
    assert!(problems[0].message.contains("the project has no roles"), "{problems:?}");
    stage.answer(launched.run, approve()).await.unwrap();
    let error = stage.end(launched.run).await.state.error.unwrap().error;
    assert_eq!(error.class, ErrorClass::NoRoles);

    stage.role("general_worker").await;
    let damage = async |stage: Stage, sql: &'static str| {
        stage
            .restart_after(async |data| {
                let options = sqlx::sqlite::SqliteConnectOptions::new().filename(data.join("troupe.db"));
                let mut database = sqlx::ConnectOptions::connect(&options).await.unwrap();
                sqlx::raw_sql(sql).execute(&mut database).await.unwrap();
                sqlx::Connection::close(database).await.unwrap();
            })
            .await
    };
    let launched = stage.launch(&key, json!({})).await;
    stage.until_waiting(launched.run).await;
    let refuse = "CREATE TRIGGER refused BEFORE INSERT ON run WHEN new.caller_id IS NOT NULL \
                  BEGIN SELECT RAISE(ABORT, 'refused'); END";
    stage = damage(stage, refuse).await;
    stage.answer(launched.run, approve()).await.unwrap();
    let detail = stage.end(launched.run).await;
    assert!(detail.state.error.unwrap().error.message.contains("template 'leaf' cannot be launched"));
    assert_eq!(detail.state.steps[1].attempts.len(), 1);

    stage = damage(stage, "DROP TRIGGER refused").await;
    stage.template(&template("checked", APPROVAL)).await;
    let outer = "  - {name: Call, uses: 'template:checked', inputMapping: {who: Ada}}\n";
    let key = stage.template(&template("caller", outer)).await;
    let launched = stage.launch(&key, json!({})).await;
    let child = stage.child_of(launched.run).await;
    stage.until_waiting(child).await;
    let unreadable =
        "UPDATE run SET template_key = 'NO KEY' WHERE caller_id IS NOT NULL AND finished_at IS NULL";
    stage = damage(stage, unreadable).await;
    let detail = stage.end(launched.run).await;
    let error = detail.state.error.unwrap().error;
    assert!(error.message.contains("its run cannot be read"), "{}", error.message);
    assert_eq!(detail.state.steps[0].attempts.len(), 1);
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

/// F1: the log of an earlier version, in which `started` names the process that launched the child run. The run goes on;
/// an attempt that had not launched its child run is interrupted, and the step is tried again.
#[tokio::test]
async fn a_caller_of_an_earlier_version_goes_on() {
    let mut stage = Stage::new().await;
    stage.template(&template("checked", APPROVAL)).await;
    let key = stage.template(&calling("caller", "checked", "    inputMapping: {who: Ada}")).await;
    let launched = stage.launch(&key, json!({})).await;
    let cut_off = stage.launch(&key, json!({})).await;
    let child = stage.child_of(launched.run).await;
    stage.until_waiting(child).await;
    stage.until_waiting(stage.child_of(cut_off.run).await).await;
    stage = stage
        .restart_after(async |data| {
            let options = sqlx::sqlite::SqliteConnectOptions::new().filename(data.join("troupe.db"));
            let mut database = sqlx::ConnectOptions::connect(&options).await.unwrap();
            let as_then = format!(
                "DELETE FROM snapshot;
                 UPDATE event SET body = json_set(body, '$.owner', '00000000-0000-0000-0000-000000000007')
                     WHERE body ->> 'kind' = 'started' AND body ->> 'owner' IS NULL;
                 UPDATE event SET body = json_set(body, '$.kind', 'childLaunched') WHERE body ->> 'kind' = 'linked';
                 CREATE TEMP TABLE cut_off AS SELECT id FROM run WHERE number = {};
                 DELETE FROM event WHERE run_id = (SELECT id FROM cut_off) AND seq >=
                     (SELECT seq FROM event WHERE run_id = (SELECT id FROM cut_off) AND body ->> 'kind' = 'childLaunched');
                 UPDATE run SET caller_id = NULL WHERE caller_id = (SELECT id FROM cut_off);
                 UPDATE run SET status = 'running', last_seq = (SELECT max(seq) FROM event WHERE run_id = id)
                     WHERE id = (SELECT id FROM cut_off);",
                cut_off.run
            );
            sqlx::raw_sql(sqlx::AssertSqlSafe(as_then)).execute(&mut database).await.unwrap();
            sqlx::Connection::close(database).await.unwrap();
        })
        .await;
    stage.answer(child, answer(Decision::Approve, None, "")).await.unwrap();
    let detail = stage.end(launched.run).await;
    assert_eq!(output(&stage, &detail).await, "LAST PUBLISH DRAFT");
    assert_eq!(detail.state.steps[1].attempts.len(), 1, "it was not launched again");
    assert!(stage.kinds(launched.run).await.contains(&"linked"), "under its new name");

    let again = stage.child_of(cut_off.run).await;
    stage.until_waiting(again).await;
    stage.answer(again, answer(Decision::Approve, None, "")).await.unwrap();
    let attempts = stage.end(cut_off.run).await.state.steps[1].attempts.clone();
    let ends: Vec<_> = attempts.iter().map(|attempt| &attempt.end.as_ref().unwrap().outcome).collect();
    assert!(matches!(ends[..], [AttemptOutcome::Interrupted(_), AttemptOutcome::Finished]), "{ends:?}");
}

/// The server ended after an attempt had ended and before the attempt's child was stopped.
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
            // As if the open attempt were a later one.
            let update = sqlx::query("UPDATE run SET caller_attempt = 7 WHERE caller_attempt = 1");
            assert_eq!(update.execute(&mut database).await.unwrap().rows_affected(), 1);
            sqlx::Connection::close(database).await.unwrap();
        })
        .await;
    assert_eq!(stage.end(left_over).await.summary.status, RunStatus::Cancelled);
    // The open attempt gets its own child.
    let child = RunNumber(left_over.0 + 1);
    while stage.engine.run(&stage.admin, &stage.project, child).await.is_err() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    stage.until_waiting(child).await;
    stage.answer(child, answer(Decision::Approve, None, "")).await.unwrap();
    assert_eq!(stage.end(launched.run).await.summary.status, RunStatus::Completed);
}

async fn database(stage: &Stage) -> sqlx::SqlitePool {
    sqlx::SqlitePool::connect(&format!("sqlite://{}", stage.data().join("troupe.db").display()))
        .await
        .unwrap()
}

/// A caller whose child runs end one after the other does not reload its whole log for each of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_of_a_thousand_is_not_read_a_thousand_times() {
    const CHILDREN: u32 = 1_000;
    let stage = Stage::new().await;
    // Loading a run's log to work on it increments the run's take counter first.
    let db = database(&stage).await;
    for statement in [
        "CREATE TABLE taken (run_id BLOB NOT NULL)",
        "CREATE TRIGGER counts AFTER UPDATE OF takes ON run WHEN new.takes > old.takes \
         BEGIN INSERT INTO taken (run_id) VALUES (new.id); END",
    ] {
        sqlx::query(statement).execute(&db).await.unwrap();
    }
    stage.template(&template("one", "  - {name: A, prompt: 'A {{ context.input.x }}'}\n")).await;
    let items: Vec<_> = (0..CHILDREN).collect();
    // One after the other: between two of them the caller has nothing to do.
    let each = "
  - {name: Each, forEach: context.input.items, maxParallel: 1, uses: 'template:one', with: {x: '{{ item }}'}}
";
    let key = stage.template(&template("many", each)).await;
    let launched = stage.launch(&key, json!({ "items": items })).await;
    let detail = stage.end(launched.run).await;
    assert_eq!(detail.summary.status, RunStatus::Completed, "{:?}", detail.state.error);
    assert_eq!(detail.state.steps[0].item_runs().len(), CHILDREN as usize);
    let mut taken: Vec<i64> = sqlx::query_scalar(
        "SELECT count(t.run_id) FROM run r LEFT JOIN taken t ON t.run_id = r.id GROUP BY r.id",
    )
    .fetch_all(&db)
    .await
    .unwrap();
    taken.sort_unstable();
    println!("most reads of a log: {:?} of {} runs", taken.last(), taken.len());
    assert!(taken.len() == 1 + CHILDREN as usize && *taken.last().unwrap() <= 3, "{taken:?}");
    db.close().await;
}

/// A run and all runs below it are counted at the top run, at any depth, and the step that would launch one too many
/// fails with that reason.
#[tokio::test]
async fn a_tree_of_runs_has_a_limit() {
    let stage = Stage::new().await;
    stage.template(&template("leaf", "  - {name: A, prompt: LEAF}\n")).await;
    stage.template(&template("middle", "  - {name: Below, uses: 'template:leaf'}\n")).await;
    let steps = "
  - {name: Wait, uses: approval}
  - {name: Fits, uses: 'template:middle'}
  - {name: Exceeds, uses: 'template:leaf', maxRetries: 3}
";
    let key = stage.template(&template("root", steps)).await;
    let launched = stage.launch(&key, json!({})).await;
    stage.until_waiting(launched.run).await;
    let db = database(&stage).await;
    let there: i64 = sqlx::query_scalar("SELECT tree_runs FROM run").fetch_one(&db).await.unwrap();
    assert_eq!(there, 1);
    sqlx::query("UPDATE run SET tree_runs = 9998").execute(&db).await.unwrap();
    let approve =
        AnswerDraft { step_run: "0".to_owned(), decision: Decision::Approve, output: None, text: None };
    stage.answer(launched.run, approve).await.unwrap();
    let detail = stage.end(launched.run).await;
    let statuses: Vec<_> = detail.state.steps.iter().map(|step| step.status).collect();
    assert_eq!(statuses, [StepStatus::Completed, StepStatus::Completed, StepStatus::Failed]);
    let error = detail.state.error.clone().unwrap();
    assert_eq!((error.step.as_deref(), error.error.class), (Some("Exceeds"), ErrorClass::Limit));
    let said = "a run and the runs below it are at most 10000, and this would be one more";
    assert!(error.error.message.contains(said), "{}", error.error.message);
    assert_eq!(detail.state.steps[2].attempts.len(), 1, "more attempts would not help");
    let there: Vec<i64> =
        sqlx::query_scalar("SELECT tree_runs FROM run ORDER BY number").fetch_all(&db).await.unwrap();
    assert_eq!(there[0], 10_000, "with the run in the middle and the leaf below it, and no other");
    assert_eq!(there.len(), 3);
    db.close().await;
}

/// If step names contain slashes, a name can have many readings; each is checked once.
#[tokio::test]
async fn a_name_that_can_be_read_in_many_ways_is_refused_at_once() {
    let stage = Stage::new().await;
    let steps = "  - {name: a, uses: 'template:looped', condition: 'false'}\n  \
                 - {name: a/a, uses: 'template:looped', condition: 'false'}\n";
    let key = stage.template(&template("looped", steps)).await;
    let name = format!("{}z", "a/".repeat(60));
    let role_assignments = crate::stage::assign(&[(&name, "senior")]);
    let launch = Launch { input: json!({}), role_assignments, ..Launch::default() };
    let refused = stage.try_launch(&key, launch).await;
    assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?}");
}
