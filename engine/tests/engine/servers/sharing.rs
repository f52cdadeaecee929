//! A caller hears of the end of a run that another server executes; and which servers share a data folder.

use super::{Gate, LONG_LEASE, SWEEP, Shared, Way, open};
use crate::stage::{PATIENCE, config};
use domain::{
    id::{RunId, StepRunId, Timestamp},
    run::RunStatus,
};
use engine::{Delivery, Engine, Launch, Local, Pace, StartError, Subject, Waited};
use scripted::Rule;

/// Gives all work to another server.
struct To(Engine);

impl Delivery for To {
    fn keeps(&self) -> bool {
        false
    }

    fn advance(&self, _: &Engine, run: RunId) {
        Local.advance(&self.0, run);
    }

    fn execute(&self, _: &Engine, run: RunId, step: StepRunId, attempt: u32) {
        Local.execute(&self.0, run, step, attempt);
    }

    fn wake_at(&self, _: &Engine, run: RunId, now: Timestamp, at: Option<Timestamp>) {
        Local.wake_at(&self.0, run, now, at);
    }
}

/// The caller need not wait until its patience ends, nor need one that repeats the launch while the run is executed or
/// after it has ended.
#[tokio::test]
async fn a_caller_hears_of_the_end_of_a_run_that_another_server_executes() {
    let shared = Shared::new().await;
    shared.models.script(vec![Rule::text("Very.").hold(0)]);
    let second = open(shared.data.path(), Some(LONG_LEASE), Gate::new(Way::Soon)).await;
    let pace = Pace { sweep: SWEEP, lease: Some(LONG_LEASE) };
    let first = Engine::open_with(config(shared.data.path().into()), pace, Box::new(To(second.clone())));
    let first = first.await.unwrap();
    let hears = async || {
        let launch = Launch { idempotency_key: Some("once".to_owned()), ..Launch::default() };
        let subject = Subject::Ask("How deep?".to_owned());
        let patience = tokio::time::sleep(PATIENCE);
        let waited = first.execute_and_wait(&shared.user, &shared.project, subject, launch, patience);
        let waited = tokio::time::timeout(PATIENCE / 3, waited).await.expect("it hears of the end").unwrap();
        let Waited::Ended(detail) = waited else { panic!("it has ended") };
        assert_eq!(detail.summary.status, RunStatus::Completed, "{:?}", detail.state.error);
    };
    let repeats = async {
        shared.models.wait_for(|ledger| ledger.len() == 1).await;
        let release = async {
            tokio::time::sleep(4 * SWEEP).await;
            shared.models.release();
        };
        tokio::join!(hears(), release);
    };
    tokio::join!(hears(), repeats);
    hears().await;
    assert_eq!(shared.wire.take().len(), 1);
    first.shutdown().await;
    second.shutdown().await;
}

/// A server that shares its data folder and one that does not keep each other out; servers that share it do not.
#[tokio::test]
async fn a_server_that_shares_its_folder_and_one_that_does_not_exclude_each_other() {
    let shared = Shared::new().await;
    let data = shared.data.path();
    let start = async |lease| {
        let pace = Pace { sweep: SWEEP, lease };
        Engine::open_with(config(data.into()), pace, Box::new(Gate::new(Way::Soon))).await
    };
    let sharing = open(data, Some(LONG_LEASE), Gate::new(Way::Soon)).await;
    let another = start(Some(LONG_LEASE)).await.unwrap();
    assert!(
        matches!(start(None).await, Err(StartError::Locked { .. })),
        "it would take their runs from them"
    );
    for engine in [sharing, another] {
        engine.shutdown().await;
    }
    let alone = open(data, None, Gate::new(Way::Soon)).await;
    assert!(matches!(start(Some(LONG_LEASE)).await, Err(StartError::Locked { .. })));
    alone.shutdown().await;
}
