//! Tests of the planner's decisions, and of the state's queries about steps.

use crate::world::text;
use domain::{
    error::ErrorClass,
    event::{Event, EventKind, Failure, TemplateVersion},
    id::{EventId, OwnerId, StepRunId, Timestamp},
    key::TemplateKey,
    plan::{OnFailure, Plan, PlannedStep},
    run::{Effect, ItemCounts, LOG_LIMIT, LogKind, MessageMetadata, Planner, RunState, StepStatus, Verdict},
    usage::Usage,
};
use std::sync::Arc;
use uuid::Uuid;

struct Run {
    planner: Planner,
    now: i64,
}

impl Run {
    fn of(steps: Vec<PlannedStep>) -> Self {
        let mut run = Self { planner: Planner::new(RunState::default()), now: 0 };
        run.record(EventKind::Acknowledged { event_id: EventId(Uuid::nil()), queue_position: 0 });
        let template =
            TemplateVersion { key: TemplateKey::parse("t").unwrap(), version: 1, name: "T".to_owned() };
        let (plan, input, by) = (Arc::new(Plan { steps }), text("{}"), "Ada".to_owned());
        run.record(EventKind::Submitted { template, plan, input, by, parent: None, caller: None });
        run
    }

    fn record(&mut self, kind: EventKind) {
        self.now += 1_000;
        let seq = self.planner.state().seq + 1;
        self.planner.apply(&Event { seq, at: Timestamp(self.now), kind });
    }

    fn decide(&mut self) -> Vec<Effect> {
        self.planner.decide()
    }

    fn start(&mut self, step: StepRunId, attempt: u32) {
        self.record(EventKind::Started { step, attempt, owner: Some(OwnerId(Uuid::nil())) });
    }

    fn finish(&mut self, step: StepRunId) {
        let (output, usage) = (text("out"), Usage::new(1, 2));
        let kind = EventKind::Finished { step, attempt: 1, output, usage, cut: false, unknown_finish: None };
        self.record(kind);
    }

    fn fail(&mut self, step: StepRunId) {
        let error = Failure::new(ErrorClass::Auth, "no key");
        self.record(EventKind::StepFailed { step, attempt: 1, error, retry_at: None });
    }
}

fn step(name: &str, depends_on: &[u32]) -> PlannedStep {
    PlannedStep { name: name.to_owned(), depends_on: depends_on.into(), ..PlannedStep::default() }
}

fn item(item: u32) -> StepRunId {
    StepRunId { step: 0, item: Some(item) }
}

fn start(step: StepRunId) -> Effect {
    Effect::Start { step, attempt: 1, not_before: None }
}

#[test]
fn items_start_as_others_end_and_never_more_than_max_parallel_at_once() {
    let each = PlannedStep { for_each: true, max_parallel: Some(2), ..step("Each", &[]) };
    let mut run = Run::of(vec![each]);
    let whole = StepRunId::of(0);
    assert_eq!(run.decide(), [Effect::MakeReady { step: whole }]);
    run.record(EventKind::Ready { step: whole });
    assert_eq!(run.decide(), [Effect::ResolveItems { step: whole }]);
    run.record(EventKind::ItemsResolved { step: whole, count: 4, items: text("[]") });
    assert_eq!(run.decide(), [item(0), item(1)].map(|step| Effect::MakeReady { step }));
    for step in [item(0), item(1)] {
        run.record(EventKind::Ready { step });
    }
    assert_eq!(run.decide(), [start(item(0)), start(item(1))]);
    assert!(run.decide().is_empty(), "each effect is given once");
    // After a restart, open effects are returned again.
    assert_eq!(Planner::new(run.planner.state().clone()).decide(), [start(item(0)), start(item(1))]);
    run.start(item(0), 1);
    run.start(item(1), 1);
    run.finish(item(1));
    assert_eq!(run.decide(), [Effect::MakeReady { step: item(2) }]);
    assert_eq!(
        Planner::new(run.planner.state().clone()).decide(),
        [Effect::MakeReady { step: item(2) }],
        "a planner that has just begun counts the items under way, too"
    );
    run.record(EventKind::Ready { step: item(2) });
    run.start(item(2), 1);
    run.fail(item(2));
    run.fail(item(0));
    assert!(run.decide().contains(&Effect::MakeReady { step: item(3) }), "a failed item lets the others run");
    run.record(EventKind::Ready { step: item(3) });
    run.start(item(3), 1);
    let counts = ItemCounts { total: 4, running: 1, completed: 1, failed: 2 };
    assert_eq!(ItemCounts::of(run.planner.state().steps[0].item_runs()), counts);
    run.finish(item(3));
    let error = Failure::new(ErrorClass::Auth, "2 of 4 items failed, the first of them item 0: no key");
    assert_eq!(run.decide(), [Effect::FailItems { step: whole, error: error.clone() }]);
    assert!(!run.planner.is_winding_down());
    run.record(EventKind::StepFailed { step: whole, attempt: 0, error, retry_at: None });
    assert!(run.planner.is_winding_down());
    let error = Failure::new(
        ErrorClass::Auth,
        "step 'Each' failed: 2 of 4 items failed, the first of them item 0: no key",
    );
    assert_eq!(run.decide(), [Effect::Fail { error, step: "Each".to_owned() }]);
    assert!(run.decide().is_empty());
    let usage = run.planner.state().usage;
    assert_eq!((usage, run.planner.state().steps[0].usage), (Usage::new(2, 4), usage));
}

#[test]
fn tolerated_items_are_gathered_and_an_empty_list_is_too() {
    let each = PlannedStep { for_each: true, on_failure: OnFailure::Continue, ..step("Each", &[]) };
    let mut run = Run::of(vec![each.clone(), step("After", &[0])]);
    let whole = StepRunId::of(0);
    run.record(EventKind::Ready { step: whole });
    run.record(EventKind::ItemsResolved { step: whole, count: 1, items: text("[1]") });
    run.record(EventKind::Ready { step: item(0) });
    run.start(item(0), 1);
    run.fail(item(0));
    assert_eq!(run.decide(), [Effect::Gather { step: whole, failed: 1 }]);
    run.record(EventKind::Gathered { step: whole, output: text("[null]"), failed: 1 });
    assert_eq!(run.decide(), [Effect::MakeReady { step: StepRunId::of(1) }]);

    let mut run = Run::of(vec![each]);
    run.record(EventKind::Ready { step: whole });
    run.record(EventKind::ItemsResolved { step: whole, count: 0, items: text("[]") });
    assert_eq!(run.decide(), [Effect::Gather { step: whole, failed: 0 }]);
    run.record(EventKind::Gathered { step: whole, output: text("[]"), failed: 0 });
    assert_eq!(run.decide(), [Effect::Complete]);
    assert!(run.planner.is_winding_down(), "it has come to its end");
    assert!(run.decide().is_empty());
}

#[test]
fn what_is_under_way_finishes_before_a_lost_run_fails() {
    let mut run = Run::of(vec![step("A", &[]), step("B", &[]), step("C", &[1])]);
    let (a, b) = (StepRunId::of(0), StepRunId::of(1));
    for step in [a, b] {
        run.record(EventKind::Ready { step });
        run.start(step, 1);
    }
    run.fail(a);
    assert!(run.decide().is_empty(), "B is still under way");
    run.finish(b);
    let error = Failure::new(ErrorClass::Auth, "step 'A' failed: no key");
    assert_eq!(run.decide(), [Effect::Fail { error, step: "A".to_owned() }], "and C does not start");
}

#[test]
fn a_retry_waits_for_its_time_and_a_condition_is_asked_once() {
    let asked = PlannedStep { condition: true, max_retries: 1, ..step("A", &[]) };
    let mut run = Run::of(vec![asked.clone()]);
    let a = StepRunId::of(0);
    assert_eq!(run.decide(), [Effect::Evaluate { step: a }]);
    run.record(EventKind::ConditionEvaluated { step: a, holds: true });
    assert_eq!(run.decide(), [Effect::MakeReady { step: a }]);
    run.record(EventKind::Ready { step: a });
    run.start(a, 1);
    assert_eq!(run.planner.state().verdict(a, ErrorClass::Auth), Verdict::Final);
    assert_eq!(run.planner.state().verdict(a, ErrorClass::Overload), Verdict::Retry { nth: 1 });
    let (error, at) = (Failure::new(ErrorClass::Overload, "no"), Some(Timestamp(99_000)));
    run.record(EventKind::StepFailed { step: a, attempt: 1, error, retry_at: at });
    assert_eq!(run.decide(), [Effect::Start { step: a, attempt: 2, not_before: at }]);
    run.start(a, 2);
    assert_eq!(run.planner.state().verdict(a, ErrorClass::Overload), Verdict::Final);
    assert_eq!(run.planner.state().verdict(StepRunId::of(9), ErrorClass::Overload), Verdict::Final);

    let mut run = Run::of(vec![asked]);
    run.record(EventKind::ConditionEvaluated { step: a, holds: false });
    assert_eq!(run.decide(), [Effect::Skip { step: a }]);
}

#[test]
fn a_step_says_when_it_began_and_ended_and_what_it_failed_of() {
    let mut run = Run::of(vec![step("A", &[])]);
    let a = StepRunId::of(0);
    run.record(EventKind::Ready { step: a });
    let state = |run: &Run| run.planner.state().steps[0].clone();
    assert_eq!((state(&run).started_at(), state(&run).finished_at()), (None, None));
    run.start(a, 1);
    assert_eq!(state(&run).started_at(), Some(Timestamp(4_000)));
    let (partial, usage) = (text("half"), Usage::new(1, 1));
    run.record(EventKind::PartialOutput { step: a, attempt: 1, text: partial.clone(), usage });
    assert_eq!(state(&run).partial_output(), None, "it may yet come to its output");
    assert_eq!(state(&run).attempts[0].partial_output, Some(partial.clone()));
    run.fail(a);
    assert_eq!(state(&run).finished_at(), Some(Timestamp(6_000)));
    assert_eq!(state(&run).partial_output(), Some(&partial));
    assert_eq!(state(&run).failure().unwrap().message, "no key");
    assert_eq!(state(&run).attempts[0].failure().unwrap().message, "no key");
    assert_eq!(state(&run).attempts[0].finished_at(), Some(Timestamp(6_000)));
    assert_eq!(run.planner.state().elapsed_ms(), 5_000);
    let entry = &MessageMetadata::from(run.planner.state()).orchestration_status.steps[0];
    assert_eq!((entry.attempt, entry.duration, entry.status), (1, Some(2.0), StepStatus::Failed));
    assert_eq!(entry.error.as_deref(), Some("no key"));
}

/// The log and the warnings of a message are bounded, whatever the run does.
#[test]
fn the_log_keeps_its_last_lines() {
    let steps = (0..300).map(|n| step(&format!("S{n}"), &[])).collect();
    let mut run = Run::of(steps);
    for n in 0..300 {
        let a = StepRunId::of(n);
        run.record(EventKind::Ready { step: a });
        run.start(a, 1);
        let (output, usage) = (text("out"), Usage::default());
        let kind =
            EventKind::Finished { step: a, attempt: 1, output, usage, cut: true, unknown_finish: None };
        run.record(kind);
    }
    let state = run.planner.state();
    assert_eq!((state.log.len(), state.warnings.len()), (LOG_LIMIT, LOG_LIMIT));
    let last = &state.log[LOG_LIMIT - 1];
    assert!(matches!(&last.kind, LogKind::Warned { .. }), "{last:?}");
    assert_eq!(last.text(state), "'S299' stopped at its token limit: its output may be cut off");
}
