//! Simulations of the planner and the fold. Each case is derived from one seed, which a failure prints.

use crate::world::World;
use domain::{
    event::{Event, EventKind},
    id::StepRunId,
    plan::{Body, OnFailure, Plan, PlannedStep},
    run::{MessageMetadata, Phase, Planner, RunState, StepState, StepStatus},
};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// Checks the invariants of every log.
fn check(log: &[Event], state: &RunState) {
    let plan = &state.plan;
    let mut settled = vec![false; plan.steps.len()];
    let mut finished: BTreeMap<StepRunId, u32> = BTreeMap::new();
    let mut under_way: BTreeMap<u32, BTreeSet<StepRunId>> = BTreeMap::new();
    let mut failed_for_good = false;
    for (index, event) in log.iter().enumerate() {
        assert_eq!(event.seq, index as u64 + 1, "the log has a gap");
        let Some(step) = event.kind.step() else { continue };
        let planned = &plan.steps[step.index()];
        match &event.kind {
            EventKind::Ready { .. } => {
                for &dependency in &planned.depends_on {
                    assert!(settled[dependency as usize], "a step started before what it depends on");
                }
                if step.item.is_some() {
                    let items = under_way.entry(step.step).or_default();
                    items.insert(step);
                    let limit = planned.max_parallel.map_or(usize::MAX, |limit| limit as usize);
                    assert!(items.len() <= limit, "more items at once than maxParallel");
                }
            }
            EventKind::Started { attempt, .. } => {
                assert!(!failed_for_good, "a step started after the run was lost");
                assert!(!finished.contains_key(&step), "a completed step was started again");
                let earlier = log[..index].iter().filter(
                    |event| matches!(&event.kind, EventKind::Started { step: other, .. } if *other == step),
                );
                assert_eq!(*attempt as usize, earlier.count() + 1);
            }
            EventKind::Finished { .. }
            | EventKind::Reused { .. }
            | EventKind::Gathered { .. }
            | EventKind::Answered { output: Some(_), .. } => {
                *finished.entry(step).or_default() += 1;
                under_way.entry(step.step).or_default().remove(&step);
                if step.item.is_none() {
                    settled[step.index()] = true;
                }
            }
            EventKind::Skipped { .. } => settled[step.index()] = true,
            EventKind::StepFailed { retry_at: None, .. }
            | EventKind::TimedOut { retry_at: None, .. }
            | EventKind::Interrupted { retry_at: None, .. }
            | EventKind::Answered { output: None, .. } => {
                under_way.entry(step.step).or_default().remove(&step);
                match planned.on_failure {
                    _ if step.item.is_some() => {}
                    OnFailure::Continue => settled[step.index()] = true,
                    OnFailure::Fail => failed_for_good = true,
                }
            }
            _ => {}
        }
    }
    assert!(finished.values().all(|&times| times == 1), "a step completed twice");
    let ends = log.iter().filter(|event| {
        matches!(
            event.kind,
            EventKind::Completed { .. } | EventKind::Failed { .. } | EventKind::Cancelled { .. }
        )
    });
    assert_eq!(ends.count(), 1, "a run ends exactly once");
    match state.phase {
        Phase::Complete => {
            assert!(state.step_runs().all(|(_, run)| run.status.is_end()) && !failed_for_good);
        }
        Phase::Failed => assert!(failed_for_good && state.error.is_some()),
        Phase::Cancelled => assert!(state.step_runs().all(|(_, run)| run.status.is_end())),
        other => panic!("ended as {other:?}"),
    }
}

/// Checks the state's counters and sets against a scan of all step runs.
fn check_indexes(state: &RunState) {
    let all = |is: &dyn Fn(StepRunId, &StepState) -> bool| -> BTreeSet<_> {
        state.step_runs().filter(|(id, run)| is(*id, run)).map(|(id, _)| id).collect()
    };
    if !state.phase.is_end() {
        let asks = |run: &StepState| run.child_question.is_some();
        assert_eq!(state.waiting, all(&|_, run| run.status == StepStatus::Waiting && !asks(run)));
        assert_eq!(state.asking, all(&|_, run| run.status == StepStatus::Waiting && asks(run)));
        let is_child = |id: StepRunId| state.plan.steps[id.index()].body == Body::Template;
        assert_eq!(state.elsewhere, all(&|id, run| is_child(id) && run.open_attempt().is_some()));
    }
    // Attempts of refused calls are merged, and start with the first of them.
    let started = |id| {
        let last = state.step_run(id).and_then(|run| run.attempts.last());
        last.filter(|attempt| !attempt.is_throttled()).map(|attempt| attempt.started_at)
    };
    let last = state.step_runs().filter_map(|(id, _)| started(id)).max();
    if let Some(newest) = state.newest.and_then(started) {
        assert_eq!(Some(newest), last);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    /// F1, F4: no step completes twice, dependencies hold, every run ends, a replay equals the live state.
    #[test]
    fn a_run_survives_any_world(seed: u64) {
        let mut world = World::new(seed);
        world.run();
        let state = world.planner.state();
        check(&world.log, state);
        prop_assert_eq!(world.calls_after_success, 0);
        prop_assert_eq!(&RunState::replay(&world.log), state);

        // The browser receives the same events as JSON, each twice, and must fold them to the same state and metadata.
        let mut elsewhere = RunState::default();
        for event in &world.log {
            let json = serde_json::to_string(event).unwrap();
            let event: Event = serde_json::from_str(&json).unwrap();
            elsewhere.apply(&event);
            elsewhere.apply(&event);
            check_indexes(&elsewhere);
        }
        prop_assert_eq!(&elsewhere, state);
        prop_assert_eq!(MessageMetadata::from(&elsewhere), MessageMetadata::from(state));
        let sent: RunState = serde_json::from_str(&serde_json::to_string(state).unwrap()).unwrap();
        prop_assert_eq!(&sent, state);
    }
}

/// A step that crashes the server each time must not be retried forever: five interruptions are free, the sixth
/// counts.
#[test]
fn a_poisoned_step_is_given_up() {
    let poison = PlannedStep { name: "Poison".to_owned(), ..PlannedStep::default() };
    let mut world = World::of(Plan { steps: vec![poison] });
    let mut crashes = 0;
    while !world.planner.state().phase.is_end() {
        world.crash();
        crashes += 1;
        assert!(crashes < 10, "it goes on for ever");
    }
    assert_eq!(crashes, 6);
    let error = &world.planner.state().error.as_ref().unwrap().error;
    assert_eq!(error.class, domain::error::ErrorClass::Interrupted);
}

/// The simulations must cover every kind of event.
#[test]
fn every_kind_of_event_happens_in_some_world() {
    let mut kinds = BTreeSet::new();
    for seed in 0..300 {
        let mut world = World::new(seed);
        world.run();
        kinds.extend(world.log.iter().map(|event| event.kind.name()));
    }
    assert_eq!(kinds, EventKind::NAMES.iter().copied().collect());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// F1: a state stored at any point of the log, read back and updated with the remaining events, equals the state
    /// of the whole log, for the fold and for the planner. Opening a run and resuming one both start from a stored
    /// state.
    #[test]
    fn a_stored_state_and_the_rest_of_the_log_are_the_whole_log(seed: u64) {
        let mut world = World::new(seed);
        world.run();
        let whole = world.planner.state();
        let mut state = RunState::default();
        for cut in 0..=world.log.len() {
            let stored = serde_json::to_string(&state).unwrap();
            let mut read: RunState = serde_json::from_str(&stored).unwrap();
            prop_assert_eq!(&read, &state, "at {}", cut);
            world.log[cut..].iter().for_each(|event| read.apply(event));
            prop_assert_eq!(&read, whole, "from {}", cut);
            if let Some(event) = world.log.get(cut) {
                let mut taken_up = Planner::new(serde_json::from_str(&stored).unwrap());
                let mut replayed = Planner::new(RunState::replay(&world.log[..cut]));
                prop_assert_eq!(taken_up.decide(), replayed.decide());
                taken_up.apply(event);
                replayed.apply(event);
                prop_assert_eq!(taken_up.decide(), replayed.decide());
                state.apply(event);
            }
        }
    }
}
