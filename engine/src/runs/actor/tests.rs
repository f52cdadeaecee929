//! Tests of commands that reach an actor in one batch; no test over HTTP can time that.

use super::{
    super::{batch::Batch, mailbox::Command, stage::Stage},
    *,
};
use crate::models::{ModelClient, ModelError, ModelRequest, ModelStream};
use domain::run::RunStatus;
use futures::future::BoxFuture;
use serde_json::json;

/// A run whose step waits for a slot of its provider, and that nothing executes.
async fn waiting_for_a_slot(steps: &str) -> (Stage, domain::id::RunNumber) {
    let stage = Stage::new().await;
    let taken = stage.limits().await.try_acquire();
    assert!(taken.is_some());
    let run = stage.launch(steps, json!({})).await;
    (stage.restart(false).await, run)
}

async fn command(mailbox: &mut Mailbox) -> Command {
    mailbox.recv().await.expect("somebody has the mailbox's other end")
}

/// If Stop and a granted slot reach the actor together, in either order, no call starts and the slot is returned.
#[tokio::test]
async fn what_is_granted_together_with_stop_starts_no_call() {
    for stop_first in [false, true] {
        let (stage, run) = waiting_for_a_slot("  - {name: A, prompt: A}\n").await;
        let limits = stage.limits().await;
        let taken = limits.try_acquire().unwrap();
        let (mut actor, mut mailbox) = stage.actor(run).await;
        assert!(actor.resume().await.is_ok());
        drop(taken);
        let granted = command(&mut mailbox).await;
        assert!(matches!(granted, Command::Slot { .. }));
        let stop = stage.stop(run).await;
        let mut commands = if stop_first { vec![stop, granted] } else { vec![granted, stop] };
        assert!(actor.batch(&mut commands).await.is_ok());
        let kinds: Vec<_> = stage.events(run).await.into_iter().map(|(kind, _)| kind).collect();
        assert!(!kinds.contains(&"started") && kinds.last() == Some(&"cancelled"), "{kinds:?}");
        assert_eq!(stage.status(run).await, RunStatus::Cancelled);
        assert!(actor.open.is_empty());
        assert_eq!((limits.in_flight(), limits.queued()), (0, 0), "the slot was given back");
        assert!(stage.models.ledger().is_empty());
    }
}

/// As above, for the room that a prompt waits for.
#[tokio::test]
async fn room_that_is_there_together_with_stop_starts_no_call() {
    let (stage, run) =
        waiting_for_a_slot(&format!("  - {{name: A, prompt: {}}}\n", "x".repeat(20_000))).await;
    let all = stage.engine.0.prompts.try_acquire(usize::MAX).unwrap();
    let (mut actor, mut mailbox) = stage.actor(run).await;
    assert!(actor.resume().await.is_ok());
    drop(all);
    let room = command(&mut mailbox).await;
    assert!(matches!(room, Command::Budget { .. }));
    let stop = stage.stop(run).await;
    assert!(actor.batch(&mut vec![room, stop]).await.is_ok());
    let kinds: Vec<_> = stage.events(run).await.into_iter().map(|(kind, _)| kind).collect();
    assert!(!kinds.contains(&"started") && kinds.last() == Some(&"cancelled"), "{kinds:?}");
    assert!(actor.open.is_empty() && stage.models.ledger().is_empty());
    assert!(stage.engine.0.prompts.try_acquire(usize::MAX).is_some(), "the room was given back");
}

/// A model client that panics.
struct Panics;

impl ModelClient for Panics {
    fn stream(&self, _: ModelRequest) -> BoxFuture<'static, Result<ModelStream, ModelError>> {
        Box::pin(async { panic!("this panic is a part of the test") })
    }

    fn list_models(&self) -> BoxFuture<'static, Result<Vec<String>, ModelError>> {
        Box::pin(async { Ok(Vec::new()) })
    }
}

/// A call that panics is retried after a delay.
#[tokio::test]
async fn a_call_that_panics_is_tried_again_after_a_wait() {
    let (stage, run) = waiting_for_a_slot("  - {name: A, prompt: A}\n").await;
    let (mut actor, mut mailbox) = stage.actor(run).await;
    let (expected, phase) = (actor.state().seq, actor.state().phase);
    let mut batch = Batch::new(store::now());
    actor.plan(&mut batch).await;
    let [start] = &mut batch.starts[..] else { panic!("one call is to start") };
    start.client = Arc::new(Panics);
    assert!(actor.commit_batch(expected, phase, batch).await.is_ok());
    let ended = command(&mut mailbox).await;
    assert!(matches!(ended, Command::News { news: News::Answer { outcome: Err(_), .. }, .. }));
    assert!(actor.batch(&mut vec![ended]).await.is_ok());
    let step = actor.state().steps[0].clone();
    let [attempt] = &step.attempts[..] else { panic!("it was tried again at once: {step:?}") };
    let failure = attempt.failure().unwrap();
    assert!(failure.message.contains("the server failed"), "{failure:?}");
    let log = stage.engine.events(&stage.user, &stage.project, run, 0).await.unwrap().items;
    let retry = log.iter().find_map(|event| match &event.kind {
        EventKind::Interrupted { retry_at, .. } => Some(retry_at.unwrap().since(event.at)),
        _ => None,
    });
    assert!(retry.unwrap() >= 1_000, "{retry:?}");
    assert!(actor.open.is_empty() && actor.pending == 1, "only a timer");
}
