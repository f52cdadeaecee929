//! The call of a claimed attempt, as another process makes it from what is stored.

use super::{
    super::{Launch, Subject, mailbox::Command, mailbox::Mailbox, stage::Stage},
    *,
};
use crate::models::ModelRequest;
use domain::{
    event::EventKind,
    file::FilePath,
    id::{ContentId, RunNumber, TaskId},
    run::RunStatus,
};
use scripted::{Entry, Fault, Outcome, Rule};
use serde_json::{Value, json};
use std::{collections::BTreeMap, time::Duration};

/// What a call sends, and what is needed to take its answer.
type Call = (ModelRequest, BTreeMap<FilePath, ContentId>, Duration);

fn call_of(start: &Start) -> Call {
    (start.request.clone(), start.shown.clone(), start.limit)
}

/// The claimed attempts whose requests this actor has in memory.
fn claimed_here(run: &RunActor) -> Vec<(StepRunId, u32, Call)> {
    let ready = |(step, claim): (&StepRunId, &Claim)| match &claim.call {
        ClaimedCall::Ready(start) => Some((*step, claim.attempt, call_of(start))),
        ClaimedCall::Stored | ClaimedCall::Queued => None,
    };
    run.claimed.iter().filter_map(ready).collect()
}

async fn resumed(stage: &Stage, run: RunNumber) -> (RunActor, Mailbox) {
    let (mut actor, mailbox) = stage.actor(run).await;
    assert!(actor.resume().await.is_ok());
    (actor, mailbox)
}

async fn command(mailbox: &mut Mailbox) -> Command {
    mailbox.recv().await.expect("the actor has the mailbox's other end")
}

/// The call of a claimed attempt. The provider's slot may still be on its way back from the actor that was dropped.
async fn restored(run: &mut RunActor, step: StepRunId, attempt: u32) -> Call {
    loop {
        let mut batch = Batch::new(run.state().last_at);
        if let Some(start) = prompt::restore(run, step, attempt, None, None, &mut batch).await.unwrap() {
            return call_of(&start);
        }
        tokio::task::yield_now().await;
    }
}

/// Executes the run to its end. Each attempt is claimed by one actor, and called by another one that has loaded the run.
/// Returns the calls, which are checked to be what the claiming actors would have made.
async fn handed_over(stage: &Stage, run: RunNumber) -> Vec<Call> {
    let before = stage.models.ledger().len();
    let mut calls = Vec::new();
    let (mut actor, mut mailbox) = resumed(stage, run).await;
    while !actor.state().phase.is_end() {
        let claims = claimed_here(&actor);
        if claims.is_empty() {
            let next = command(&mut mailbox).await;
            assert!(actor.batch(&mut vec![next]).await.is_ok());
            continue;
        }
        drop((actor, mailbox));
        (actor, mailbox) = resumed(stage, run).await;
        for (step, attempt, original) in claims {
            let restored = restored(&mut actor, step, attempt).await;
            assert_eq!(restored, original);
            let json = |call: &Call| serde_json::to_string(&call.0).unwrap();
            assert_eq!(json(&restored), json(&original), "in the same order, too");
            calls.push(restored);
            assert!(actor.batch(&mut vec![Command::Execute { step, attempt }]).await.is_ok());
        }
    }
    assert_eq!(stage.models.ledger().len() - before, calls.len(), "each call is made once");
    calls
}

fn completed(stage: &Stage, calls: &[Call], last: &str) {
    assert!(calls.last().unwrap().0.messages.last().unwrap().text.contains(last), "{calls:#?}");
    assert!(stage.models.ledger().iter().all(|entry| entry.outcome == Outcome::Sent));
}

#[tokio::test]
async fn a_prompt_is_restored_with_all_that_its_role_says() {
    let stage = Stage::undelivered().await;
    let steps = "
  - {name: A, prompt: 'A \u{0} \\\"{{ context.input.word }}\\\"', timeout: 60000}
  - {name: B, prompt: B, inputMapping: {given: '{{ context.A }}', list: '{{ [1, 2.5] }}'}}
";
    let run = stage.launch(&steps.replace('\u{0}', "\u{1F600}"), json!({"word": "l\u{0}ake"})).await;
    let calls = handed_over(&stage, run).await;
    assert_eq!(stage.status(run).await, RunStatus::Completed);
    completed(&stage, &calls, "given");
    let [(first, _, limit), (_, _, default)] = &calls[..] else { panic!("{calls:?}") };
    assert_eq!((first.temperature, first.max_tokens), (Some(0.3), Some(700)));
    assert_eq!((first.model.as_str(), first.system.as_deref()), ("model", Some("You work.")));
    assert_eq!((*limit, *default), (Duration::from_secs(60), Duration::from_secs(600)));
}

async fn ask(stage: &Stage, text: &str, task_id: Option<TaskId>) -> (RunNumber, TaskId) {
    let (subject, launch) = (Subject::Ask(text.to_owned()), Launch { task_id, ..Launch::default() });
    let launched = stage.engine.execute(&stage.user, &stage.project, subject, launch).await.unwrap();
    (launched.run, launched.task_id)
}

#[tokio::test]
async fn free_text_is_restored_with_its_conversation() {
    let stage = Stage::undelivered().await;
    stage.models.script(vec![Rule::text("It is deep.").last_user("How deep?"), Rule::text("Because.")]);
    let (first, task) = ask(&stage, "How deep?", None).await;
    assert_eq!(handed_over(&stage, first).await[0].0.messages.len(), 1);
    let (second, _) = ask(&stage, "Why?", Some(task)).await;
    let calls = handed_over(&stage, second).await;
    let said: Vec<_> = calls[0].0.messages.iter().map(|message| message.text.as_str()).collect();
    assert_eq!(said, ["How deep?", "It is deep.", "Why?"]);
}

/// The messages that are written between the claim and the call are not in the call.
#[tokio::test]
async fn what_was_said_after_the_claim_is_not_sent() {
    let stage = Stage::undelivered().await;
    let (first, task) = ask(&stage, "How deep?", None).await;
    let (actor, _mailbox) = resumed(&stage, first).await;
    let [(step, attempt, original)] = &claimed_here(&actor)[..] else { panic!("one is claimed") };
    drop(actor);
    ask(&stage, "Why?", Some(task)).await;
    let (mut actor, _mailbox) = resumed(&stage, first).await;
    assert_eq!(&restored(&mut actor, *step, *attempt).await, original);
}

/// A schema is restored with the order of its fields; a retry, with what was wrong with the last answer.
#[tokio::test]
async fn a_schema_is_restored_and_so_is_the_reason_of_a_retry() {
    let stage = Stage::undelivered().await;
    stage.models.script(vec![
        Rule::text("seven").times(1),
        Rule::fault(Fault::status(500)).times(1),
        Rule::text(r#"{"zeta": 1, "alpha": 0.5}"#),
    ]);
    let steps = "
  - name: Score
    prompt: SCORE
    maxRetries: 3
    outputSchema:
      type: object
      required: [zeta, alpha]
      properties: {zeta: {type: integer, minimum: 0}, alpha: {type: number, multipleOf: 0.1, maximum: 1.5e3}}
";
    let run = stage.launch(steps, json!({})).await;
    let calls = handed_over(&stage, run).await;
    assert_eq!((calls.len(), stage.status(run).await), (3, RunStatus::Completed));
    let refused = |call: &Call| call.0.messages[0].text.contains("Your last answer was refused");
    assert_eq!(calls.iter().map(refused).collect::<Vec<_>>(), [false, true, false]);
    let fields = |call: &Call| call.0.schema.as_ref().unwrap()["properties"].as_object().unwrap().clone();
    assert!(calls.iter().all(|call| fields(call).keys().eq(["zeta", "alpha"])));
}

/// A step that is shown files can replace them: their versions are restored with its prompt.
#[tokio::test]
async fn files_are_restored_as_they_were_shown() {
    let stage = Stage::undelivered().await;
    let file = |content: &str| {
        let file = json!({"path": "a/b.txt", "content": content});
        json!({"files": [file], "summary": "Done."}).to_string()
    };
    stage.models.script(vec![Rule::text(file("```\none\n")).last_user("MAKE"), Rule::text(file("two"))]);
    let steps = "
  - {name: Make, prompt: MAKE, with: {files: true}}
  - {name: Change, prompt: CHANGE, with: {files: true}}
";
    let run = stage.launch(steps, json!({})).await;
    let calls = handed_over(&stage, run).await;
    completed(&stage, &calls, "Files that are there");
    assert_eq!(stage.status(run).await, RunStatus::Completed, "the whole file was replaced");
    assert!(calls[0].1.is_empty());
    assert_eq!(calls[1].1.keys().map(FilePath::as_str).collect::<Vec<_>>(), ["a/b.txt"]);
}

#[tokio::test]
async fn an_aggregate_and_items_are_restored() {
    let stage = Stage::undelivered().await;
    stage.limits().await.set(2, None);
    let last = json!({"function": "final", "args": {"text": "So."}}).to_string();
    stage.models.script(vec![Rule::text(last).last_user("### Results"), Rule::text("one of them")]);
    let steps = "
  - {name: Each, forEach: '[1, 2]', prompt: 'EACH {{ item }} {{ index }}'}
  - {name: Best, uses: aggregate, inputMapping: {all: '{{ context.Each }}'}}
";
    let run = stage.launch(steps, json!({})).await;
    let calls = handed_over(&stage, run).await;
    assert_eq!((calls.len(), stage.status(run).await), (3, RunStatus::Completed));
    completed(&stage, &calls, "### Results");
}

/// A run with one attempt that an actor has claimed and left.
async fn left_claimed(stage: &Stage) -> RunNumber {
    let run = stage.launch("  - {name: A, prompt: A}\n", json!({})).await;
    let (actor, _mailbox) = resumed(stage, run).await;
    assert_eq!(claimed_here(&actor).len(), 1);
    run
}

async fn kinds(stage: &Stage, run: RunNumber) -> Vec<&'static str> {
    let kinds = stage.events(run).await.into_iter().map(|(kind, _)| kind);
    kinds.skip_while(|kind| *kind != "started").collect()
}

const EXECUTE: Command = Command::Execute { step: StepRunId { step: 0, item: None }, attempt: 1 };

fn execute_attempt(attempt: u32) -> Command {
    Command::Execute { step: StepRunId { step: 0, item: None }, attempt }
}

/// Deliveries may repeat, name a later attempt, and arrive after the end: one call is made.
#[tokio::test]
async fn however_often_it_is_delivered_it_is_called_once() {
    let stage = Stage::undelivered().await;
    let run = left_claimed(&stage).await;
    let (mut actor, mut mailbox) = resumed(&stage, run).await;
    assert!(actor.batch(&mut vec![execute_attempt(2), EXECUTE, EXECUTE]).await.is_ok());
    assert!(actor.batch(&mut vec![EXECUTE]).await.is_ok());
    let answer = command(&mut mailbox).await;
    assert!(actor.batch(&mut vec![EXECUTE, answer, EXECUTE]).await.is_ok());
    let all = ["started", "prompt", "callBegan", "finished", "completed"];
    assert_eq!(kinds(&stage, run).await, all);
    assert_eq!(stage.models.ledger().len(), 1);
}

/// The call may have been made: the attempt is interrupted, and the next one is a call of its own.
#[tokio::test]
async fn an_attempt_whose_call_began_is_interrupted() {
    let stage = Stage::undelivered().await;
    let run = left_claimed(&stage).await;
    let (mut actor, mailbox) = resumed(&stage, run).await;
    assert!(actor.batch(&mut vec![EXECUTE]).await.is_ok());
    drop((actor, mailbox));
    let (mut actor, mut mailbox) = resumed(&stage, run).await;
    let all = ["started", "prompt", "callBegan", "interrupted", "started", "prompt"];
    assert_eq!(kinds(&stage, run).await, all);
    assert!(actor.batch(&mut vec![EXECUTE]).await.is_ok());
    assert_eq!(kinds(&stage, run).await, all, "the delivery of the first attempt is late");
    assert!(actor.batch(&mut vec![execute_attempt(2)]).await.is_ok());
    let answer = command(&mut mailbox).await;
    assert!(actor.batch(&mut vec![answer]).await.is_ok());
    assert_eq!(stage.status(run).await, RunStatus::Completed);
}

/// Two servers have loaded the run with its claimed attempt, as after a lease that ended unnoticed. The commit that the
/// call begins is fenced, so only one of them makes it.
#[tokio::test]
async fn of_two_servers_that_both_get_the_delivery_one_makes_the_call() {
    let stage = Stage::undelivered().await;
    let run = left_claimed(&stage).await;
    let (mut first, mut mailbox) = resumed(&stage, run).await;
    let (mut second, _other) = resumed(&stage, run).await;
    assert!(first.batch(&mut vec![EXECUTE]).await.is_ok());
    let answer = command(&mut mailbox).await;
    assert!(second.batch(&mut vec![EXECUTE]).await.is_err(), "it is fenced");
    drop(second);
    assert!(first.batch(&mut vec![answer]).await.is_ok());
    assert_eq!(stage.status(run).await, RunStatus::Completed);
    assert_eq!(stage.models.ledger().len(), 1);
}

/// Stop ends a claimed attempt without a call, also if a delivery arrives together with it.
#[tokio::test]
async fn a_stopped_attempt_is_not_called() {
    for stop_first in [false, true] {
        let stage = Stage::undelivered().await;
        let run = left_claimed(&stage).await;
        let (mut actor, _mailbox) = resumed(&stage, run).await;
        let stop = stage.stop(run).await;
        let mut commands = if stop_first { vec![stop, EXECUTE] } else { vec![EXECUTE, stop] };
        assert!(actor.batch(&mut commands).await.is_ok());
        assert_eq!(kinds(&stage, run).await, ["started", "prompt", "stepCancelled", "cancelled"]);
        assert!(actor.claimed.is_empty() && stage.models.ledger().is_empty());
        let limits = stage.limits().await;
        assert_eq!((limits.in_flight(), limits.queued()), (0, 0));
    }
}

/// The provider has no free slot, and then there is no room: the delivered attempt waits for both, and further
/// deliveries change nothing.
#[tokio::test]
async fn a_restored_call_waits_for_its_slot_and_its_room() {
    let stage = Stage::undelivered().await;
    let run = stage.launch(&format!("  - {{name: A, prompt: {}}}\n", "x".repeat(20_000)), json!({})).await;
    drop(resumed(&stage, run).await);
    let (mut actor, mut mailbox) = resumed(&stage, run).await;
    let taken = stage.limits().await.try_acquire().unwrap();
    assert!(actor.batch(&mut vec![EXECUTE, EXECUTE]).await.is_ok());
    assert!(actor.batch(&mut vec![EXECUTE]).await.is_ok());
    assert_eq!((actor.pending, stage.models.ledger().len()), (1, 0), "it waits once");
    let all = stage.engine.0.prompts.try_acquire(usize::MAX).unwrap();
    drop(taken);
    let slot = command(&mut mailbox).await;
    assert!(matches!(slot, Command::Slot { .. }));
    assert!(actor.batch(&mut vec![slot, EXECUTE]).await.is_ok());
    assert_eq!((actor.pending, stage.models.ledger().len()), (1, 0));
    drop(all);
    let room = command(&mut mailbox).await;
    assert!(matches!(room, Command::Budget { .. }));
    assert!(actor.batch(&mut vec![room]).await.is_ok());
    let answer = command(&mut mailbox).await;
    assert!(actor.batch(&mut vec![answer]).await.is_ok());
    assert_eq!(kinds(&stage, run).await, ["started", "prompt", "callBegan", "finished", "completed"]);
}

/// Another step has failed for good meanwhile: the claimed attempt is in flight, so it is called before the run fails,
/// also if it has to wait for room.
#[tokio::test]
async fn a_claimed_attempt_is_called_although_the_run_is_failing() {
    let stage = Stage::undelivered().await;
    let large = "x".repeat(20_000);
    let steps = format!(
        "  - {{name: A, prompt: {large}, dependsOn: []}}\n  - {{name: B, dependsOn: [], uses: approval}}\n"
    );
    let run = stage.launch(&steps, json!({})).await;
    drop(resumed(&stage, run).await);
    let (mut actor, mut mailbox) = resumed(&stage, run).await;
    let all = stage.engine.0.prompts.try_acquire(usize::MAX).unwrap();
    assert!(actor.batch(&mut vec![EXECUTE]).await.is_ok());
    let decided = super::super::mailbox::Decided {
        decision: domain::event::Decision::Reject,
        by: "Ada".to_owned(),
        note: String::new(),
        output: None,
    };
    let (expected, phase) = (actor.state().seq, actor.state().phase);
    let mut batch = Batch::new(actor.state().last_at);
    actor.answer(StepRunId::of(1), decided, &mut batch).await.unwrap();
    actor.plan(&mut batch).await;
    assert!(actor.commit_batch(expected, phase, batch).await.is_ok());
    assert!(!actor.state().phase.is_end());
    drop(all);
    while !actor.state().phase.is_end() {
        let next = command(&mut mailbox).await;
        assert!(actor.batch(&mut vec![next]).await.is_ok());
    }
    assert_eq!(stage.status(run).await, RunStatus::Failed);
    assert_eq!(stage.models.ledger().len(), 1);
}

/// A stored prompt that cannot be read any more ends its attempt; the next one is rendered anew.
#[tokio::test]
async fn a_damaged_prompt_is_rendered_again_by_the_next_attempt() {
    let stage = Stage::undelivered().await;
    let run = left_claimed(&stage).await;
    let prompt = "UPDATE content SET body = '{' WHERE body LIKE '%turns%'";
    sqlx::query(prompt).execute(&mut stage.database().await).await.unwrap();
    let (mut actor, mut mailbox) = resumed(&stage, run).await;
    assert!(actor.batch(&mut vec![EXECUTE]).await.is_ok());
    assert_eq!(kinds(&stage, run).await, ["started", "prompt", "interrupted", "started", "prompt"]);
    assert!(actor.batch(&mut vec![execute_attempt(2)]).await.is_ok());
    let answer = command(&mut mailbox).await;
    assert!(actor.batch(&mut vec![answer]).await.is_ok());
    assert_eq!((stage.models.ledger().len(), stage.status(run).await), (1, RunStatus::Completed));
}

/// Where a claim and its call are one commit, nothing more is stored.
#[tokio::test]
async fn a_delivery_that_keeps_its_work_stores_nothing_more() {
    let stage = Stage::new().await;
    let run = stage.launch("  - {name: A, prompt: A}\n", json!({})).await;
    let ended = |ledger: &[Entry]| ledger.iter().any(|entry| entry.outcome == Outcome::Sent);
    stage.models.wait_for(ended).await;
    stage.until_parked().await;
    assert_eq!(kinds(&stage, run).await, ["started", "prompt", "finished", "completed"]);
    let log = stage.engine.events(&stage.user, &stage.project, run, 0).await.unwrap().items;
    let prompt = log.iter().find(|event| matches!(event.kind, EventKind::Prompt { .. })).unwrap();
    let stored: Value = serde_json::to_value(&prompt.kind).unwrap();
    assert_eq!(stored.get("pending"), None);
}
