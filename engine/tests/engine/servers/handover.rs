//! A claimed attempt is carried out by another server than the one that claimed it: after that server has ended, with
//! the same request on the wire, and once.

use super::{Gate, Killable, LEASE, LONG_LEASE, SWEEP, Shared, Way, open, open_at};
use domain::{event::EventKind, id::StepRunId};
use engine::{Delivery, Local, Pace};
use scripted::Rule;
use serde_json::json;
use std::time::Duration;

/// The server that claimed the attempt is killed. Its lease ends, and the other one makes the call, although its
/// deliveries come twice and late.
#[tokio::test(flavor = "multi_thread")]
async fn another_server_makes_the_call_that_a_killed_one_has_claimed() {
    let shared = Shared::new().await;
    let gate = Gate::new(Way::Soon);
    let first = Killable::open(&shared, gate.clone());
    let wanted = first.does(shared.reference(&first.engine));
    gate.set(Way::Never);
    let second = open(shared.data.path(), Some(LONG_LEASE), Gate::new(Way::Twice)).await;
    let run = first.does(shared.claimed(&first.engine));
    tokio::time::sleep(2 * SWEEP).await;
    assert!(shared.wire.take().is_empty(), "the first server has called nothing");
    first.kill();
    shared.was_handed_over(&second, run, &wanted).await;
    second.shutdown().await;
}

/// As above, for a server that ends in an orderly way: the other one need not wait for its lease.
#[tokio::test]
async fn another_server_makes_the_call_that_one_has_claimed_before_it_stopped() {
    let shared = Shared::new().await;
    let gate = Gate::new(Way::Soon);
    let first = open(shared.data.path(), Some(LONG_LEASE), gate.clone()).await;
    let wanted = shared.reference(&first).await;
    gate.set(Way::Never);
    let second = open(shared.data.path(), Some(LONG_LEASE), Gate::new(Way::Twice)).await;
    let run = shared.claimed(&first).await;
    first.shutdown().await;
    shared.was_handed_over(&second, run, &wanted).await;
    second.shutdown().await;
}

/// A restart of the only server: it makes the call that it claimed before.
#[tokio::test]
async fn a_restarted_server_makes_the_call_that_it_has_claimed() {
    let shared = Shared::new().await;
    let gate = Gate::new(Way::Soon);
    let first = open(shared.data.path(), None, gate.clone()).await;
    let wanted = shared.reference(&first).await;
    gate.set(Way::Never);
    let run = shared.claimed(&first).await;
    first.shutdown().await;
    drop(first);
    let second = open(shared.data.path(), None, Gate::new(Way::Twice)).await;
    shared.was_handed_over(&second, run, &wanted).await;
    second.shutdown().await;
}

/// The first server has lost its lease without noticing. Its deliveries arrive when the other one has made the call:
/// it makes none.
#[tokio::test]
async fn a_delivery_to_a_server_that_has_lost_its_lease_makes_no_call() {
    let shared = Shared::new().await;
    let gate = Gate::new(Way::Soon);
    // It renews no lease.
    let pace = Pace { sweep: Duration::from_secs(3600), lease: Some(LEASE) };
    let first = open_at(shared.data.path(), pace, gate.clone()).await;
    let wanted = shared.reference(&first).await;
    gate.set(Way::Never);
    let run = shared.claimed(&first).await;
    let hold = Rule::text(r#"{"score": 1.5}"#).last_user("SCORE").hold(0);
    let file = json!({"path": "a.html", "content": "<b>"});
    shared.models.script(vec![
        Rule::text(json!({"files": [file], "summary": "Built."}).to_string()).last_user("BUILD"),
        hold,
        Rule::text(r#"{"function": "final", "args": {"text": "Good."}}"#),
    ]);
    let second = open(shared.data.path(), Some(LONG_LEASE), Gate::new(Way::Twice)).await;
    shared.until(&second, run, |kind| matches!(kind, EventKind::Finished { .. })).await;
    let kept = gate.kept();
    assert!(!kept.is_empty());
    for (run, step, attempt) in kept {
        Local.execute(&first, run, step, attempt);
    }
    // Its actor has found out that the log moved on when it has asked the server that executes the run to look.
    tokio::time::sleep(4 * SWEEP).await;
    shared.models.release();
    shared.was_handed_over(&second, run, &wanted).await;
    first.shutdown().await;
    second.shutdown().await;
}

/// The call had begun when the server was killed: the attempt is interrupted, and the next one is a call of its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_had_begun_is_not_made_again_silently() {
    let shared = Shared::new().await;
    shared.models.script(vec![
        Rule::text("never").last_user("BUILD").hold(0).times(1),
        Rule::text(json!({"files": [{"path": "a", "content": "x"}], "summary": "Built."}).to_string())
            .last_user("BUILD"),
        Rule::text(r#"{"score": 1.5}"#).last_user("SCORE"),
        Rule::text(r#"{"function": "final", "args": {"text": "Good."}}"#),
    ]);
    let first = Killable::open(&shared, Gate::new(Way::Soon));
    let second = open(shared.data.path(), Some(LONG_LEASE), Gate::new(Way::Twice)).await;
    let run = first.does(shared.launch(&first.engine));
    shared.models.wait_for(|ledger| ledger.len() == 1).await;
    first.kill();
    shared.completed(&second, run).await;
    let log = shared.log(&second, run).await;
    let build = log.iter().filter(|event| event.kind.step() == Some(StepRunId::of(0)));
    let kinds: Vec<_> = build.map(|event| event.kind.name()).collect();
    let call = ["started", "prompt", "callBegan"];
    let (first, rest) = kinds[1..].split_at(4);
    assert_eq!((&first[..3], first[3]), (&call[..], "interrupted"), "{kinds:?}");
    assert_eq!(rest[..3], call, "{kinds:?}");
    assert_eq!(shared.wire.take().len(), 4);
    second.shutdown().await;
}
