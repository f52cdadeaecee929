//! The planner against a simulated world: random templates, latencies, failures, crashes, duplicated and late reports.
//!
//! The simulated server does what the engine does, in miniature: it applies reports that are still wanted, decides,
//! records. The log is all that survives a crash. Each case comes from one seed, which a failure prints.

use domain::{
    error::ErrorClass,
    event::{Decision, Event, EventKind, Failure, TemplateVersion, TextRef},
    id::{ContentId, EventId, OwnerId, StepRunId, Timestamp},
    key::TemplateKey,
    plan::{Body, Plan, PlannedStep},
    run::{Effect, MessageMetadata, Phase, Planner, RunState, StepState, StepStatus, Verdict, backoff},
    template::OnFailure,
    usage::Usage,
};
use proptest::prelude::*;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use uuid::Uuid;

/// A small generator, so that one number reproduces a whole world.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % sides
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.roll(n) == 0
    }
}

fn random_plan(dice: &mut Dice) -> Plan {
    let count = 1 + dice.roll(12);
    let steps = (0..count).map(|index| PlannedStep {
        name: format!("Step {index}"),
        depends_on: (0..index as u32).filter(|_| dice.one_in(3)).collect(),
        condition: dice.one_in(5),
        max_retries: dice.roll(3) as u32,
        on_failure: if dice.one_in(3) { OnFailure::Continue } else { OnFailure::Fail },
        for_each: dice.one_in(4),
        max_parallel: dice.one_in(2).then(|| 1 + dice.roll(3) as u32),
        body: if dice.one_in(6) { Body::Approval } else { Body::Prompt },
        ..PlannedStep::default()
    });
    Plan { steps: steps.collect() }
}

/// What is on its way to the server: the end of an attempt, the time of a retry, a person's answer.
#[derive(Clone, Debug)]
struct Parcel {
    at: i64,
    step: StepRunId,
    attempt: u32,
    owner: OwnerId,
    what: What,
}

#[derive(Clone, Debug)]
enum What {
    Succeeded,
    Failed(ErrorClass),
    Due,
    /// None: the time limit's.
    Answered(Option<Decision>),
}

struct World {
    dice: Dice,
    now: i64,
    log: Vec<Event>,
    planner: Planner,
    owner: OwnerId,
    on_the_way: Vec<Parcel>,
    /// Calls that reached a model and were answered with success, per step: what must never be more than one once the
    /// answer was recorded.
    calls_after_success: u32,
    crashes: u32,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut dice = Dice(seed);
        let plan = Arc::new(random_plan(&mut dice));
        let mut world = Self {
            dice,
            now: 1,
            log: Vec::new(),
            planner: Planner::new(RunState::default()),
            owner: OwnerId(Uuid::from_u128(1)),
            on_the_way: Vec::new(),
            calls_after_success: 0,
            crashes: 0,
        };
        let template =
            TemplateVersion { key: TemplateKey::parse("t").unwrap(), version: 1, name: "T".to_owned() };
        world.record(EventKind::Acknowledged { event_id: EventId(Uuid::nil()), queue_position: 0 });
        let (input, by) = (text("{}"), "a member".to_owned());
        world.record(EventKind::Submitted { template, plan, input, by, parent: None, caller: None });
        world.record(EventKind::RolesResolved { roles: Vec::new() });
        world.plan();
        world
    }

    fn record(&mut self, kind: EventKind) {
        let event = Event { seq: self.log.len() as u64 + 1, at: Timestamp(self.now), kind };
        self.planner.apply(&event);
        self.log.push(event);
    }

    fn plan(&mut self) {
        loop {
            let effects = self.planner.decide();
            if effects.is_empty() {
                return;
            }
            for effect in effects {
                match effect {
                    Effect::Evaluate { step } => {
                        let holds = self.dice.one_in(2);
                        self.record(EventKind::ConditionEvaluated { step, holds });
                    }
                    Effect::Skip { step } => {
                        self.record(EventKind::Skipped { step, reason: "no".to_owned() });
                    }
                    Effect::MakeReady { step } => self.record(EventKind::Ready { step }),
                    Effect::Start { step, attempt, not_before } => match not_before {
                        Some(at) if at.0 > self.now => {
                            self.send(Parcel { at: at.0, step, attempt, owner: self.owner, what: What::Due });
                        }
                        _ => self.start(step, attempt),
                    },
                    Effect::ResolveItems { step } if self.dice.one_in(8) => {
                        let error = Failure::new(ErrorClass::Expression, "not a list");
                        self.record(EventKind::StepFailed { step, attempt: 0, error, retry_at: None });
                    }
                    Effect::ResolveItems { step } => {
                        let count = self.dice.roll(6) as u32;
                        self.record(EventKind::ItemsResolved { step, count, items: text("[]") });
                    }
                    Effect::AwaitAnswer { step, until } => {
                        // A person may answer before or after the time limit, or never.
                        if self.dice.one_in(2) || until.is_none() {
                            let decision = [Decision::Approve, Decision::Reject, Decision::Edit];
                            let decision = decision[self.dice.roll(3) as usize];
                            let at = self.now + 1 + self.dice.roll(9_000) as i64;
                            let what = What::Answered(Some(decision));
                            self.send(Parcel { at, step, attempt: 1, owner: self.owner, what });
                        }
                        if let Some(until) = until {
                            let what = What::Answered(None);
                            self.send(Parcel { at: until.0, step, attempt: 1, owner: self.owner, what });
                        }
                    }
                    Effect::Gather { step, failed } => {
                        self.record(EventKind::Gathered { step, output: text("[]"), failed });
                    }
                    Effect::FailItems { step, error } => {
                        self.record(EventKind::StepFailed { step, attempt: 0, error, retry_at: None });
                    }
                    Effect::Complete => {
                        self.record(EventKind::Completed { output: text("done"), shown: "done".to_owned() });
                    }
                    Effect::Fail { error, step } => {
                        self.record(EventKind::Failed { error, step: Some(step) });
                    }
                }
            }
        }
    }

    fn start(&mut self, step: StepRunId, attempt: u32) {
        let state = self.planner.state();
        let run = state.step_run(step).unwrap();
        let wanted = !state.phase.is_end()
            && !self.planner.is_winding_down()
            && run.status == StepStatus::Ready
            && run.attempts.len() as u32 + 1 == attempt;
        if !wanted {
            return;
        }
        if state.plan.steps[step.index()].body == Body::Approval {
            let until = self.dice.one_in(2).then(|| Timestamp(self.now + 4_000));
            let (question, proposal, on_timeout) = (text("?"), text("{}"), Decision::Reject);
            return self.record(EventKind::Waiting { step, question, proposal, until, on_timeout });
        }
        let owner = self.owner;
        self.record(EventKind::Started { step, attempt, owner });
        if self.planner.state().step_run(step).unwrap().output.is_some() {
            self.calls_after_success += 1;
        }
        let what = match self.dice.roll(6) {
            0 => What::Failed(ErrorClass::RateLimit),
            1 => What::Failed(ErrorClass::Truncated),
            2 if self.dice.one_in(3) => What::Failed(ErrorClass::Auth),
            _ => What::Succeeded,
        };
        let at = self.now + 1 + self.dice.roll(5_000) as i64;
        self.send(Parcel { at, step, attempt, owner, what });
    }

    fn send(&mut self, parcel: Parcel) {
        if self.dice.one_in(4) {
            // Delivered twice, the second time late.
            let late = parcel.at + self.dice.roll(20_000) as i64;
            self.on_the_way.push(Parcel { at: late, ..parcel.clone() });
        }
        self.on_the_way.push(parcel);
    }

    /// Delivers what is due next. False: nothing is on its way any more.
    fn step(&mut self) -> bool {
        if self.crashes < 8 && self.dice.one_in(12) {
            self.crash();
            return true;
        }
        let Some(next) = (0..self.on_the_way.len()).min_by_key(|&index| self.on_the_way[index].at) else {
            return false;
        };
        let parcel = self.on_the_way.swap_remove(next);
        self.now = self.now.max(parcel.at);
        self.deliver(&parcel);
        self.plan();
        true
    }

    fn deliver(&mut self, parcel: &Parcel) {
        let &Parcel { step, attempt, owner, .. } = parcel;
        if let What::Due = parcel.what {
            return self.start(step, attempt);
        }
        let run = self.planner.state().step_run(step).unwrap();
        if let What::Answered(decision) = &parcel.what {
            if run.status == StepStatus::Waiting {
                let by = decision.map(|_| "a member".to_owned());
                let decision = decision.unwrap_or(Decision::Reject);
                let output = (decision != Decision::Reject).then(|| text("yes"));
                self.record(EventKind::Answered { step, decision, by, note: String::new(), output });
            }
            return;
        }
        let open = run.open_attempt();
        if !open.is_some_and(|open| open.number == attempt && open.owner == owner) {
            return;
        }
        match parcel.what {
            What::Failed(class) => self.fail(step, attempt, class),
            _ => self.record(EventKind::Finished {
                step,
                attempt,
                output: text("output"),
                usage: Usage::default(),
                cut: false,
            }),
        }
    }

    fn fail(&mut self, step: StepRunId, attempt: u32, class: ErrorClass) {
        let retry_at = match self.planner.state().verdict(step, class) {
            Verdict::Retry { nth } => Some(Timestamp(self.now + backoff(nth, 0.5, None).as_millis() as i64)),
            Verdict::Final => None,
        };
        let error = Failure::new(class, "it failed");
        if class == ErrorClass::Truncated {
            self.record(EventKind::Said { step, attempt, text: text("half"), usage: Usage::new(1, 1) });
        }
        self.record(match class {
            ErrorClass::Interrupted => EventKind::Interrupted { step, attempt, error, retry_at },
            _ => EventKind::StepFailed { step, attempt, error, retry_at },
        });
    }

    /// The process dies: what is in memory is gone, and timers with it; answers still arrive, to a stranger.
    fn crash(&mut self) {
        self.crashes += 1;
        self.on_the_way.retain(|parcel| !matches!(parcel.what, What::Due));
        self.owner = OwnerId(Uuid::from_u128(1 + u128::from(self.crashes)));
        self.planner = Planner::new(RunState::replay(&self.log));
        let open =
            self.planner.state().step_runs().filter_map(|(id, run)| Some((id, run.open_attempt()?.number)));
        for (step, attempt) in open.collect::<Vec<_>>() {
            self.fail(step, attempt, ErrorClass::Interrupted);
        }
        self.plan();
    }

    fn run(&mut self) {
        for _ in 0..100_000 {
            if !self.step() && self.planner.state().phase.is_end() {
                return;
            }
        }
        panic!("the run never ended: {:#?}", self.planner.state());
    }
}

fn text(body: &str) -> TextRef {
    TextRef::new(ContentId(Uuid::nil()), body)
}

/// What must be true of any log.
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
        other => panic!("ended as {other:?}"),
    }
}

/// What the state keeps at hand is what one finds by looking at every step run.
fn check_indexes(state: &RunState) {
    let all = |is: &dyn Fn(StepRunId, &StepState) -> bool| -> BTreeSet<_> {
        state.step_runs().filter(|(id, run)| is(*id, run)).map(|(id, _)| id).collect()
    };
    if !state.phase.is_end() {
        assert_eq!(state.waiting, all(&|_, run| run.status == StepStatus::Waiting));
        let is_child = |id: StepRunId| state.plan.steps[id.index()].body == Body::Template;
        assert_eq!(state.calling, all(&|id, run| is_child(id) && run.open_attempt().is_some()));
    }
    let started =
        |id| state.step_run(id).and_then(|run| run.attempts.last()).map(|attempt| attempt.started_at);
    let last = state.step_runs().filter_map(|(id, _)| started(id)).max();
    assert_eq!(state.newest.and_then(started), last);
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

        // The browser gets the same events as JSON, each twice, and folds them to the same state and metadata.
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

/// A step that takes the server down each time must not do so for ever: five interruptions are free, the sixth counts.
#[test]
fn a_poisoned_step_is_given_up() {
    let plan =
        Arc::new(Plan { steps: vec![PlannedStep { name: "Poison".to_owned(), ..PlannedStep::default() }] });
    let mut world = World::new(1);
    world.log.clear();
    world.planner = Planner::new(RunState::default());
    let template =
        TemplateVersion { key: TemplateKey::parse("t").unwrap(), version: 1, name: "T".to_owned() };
    world.record(EventKind::Acknowledged { event_id: EventId(Uuid::nil()), queue_position: 0 });
    let (input, by) = (text("{}"), "a member".to_owned());
    world.record(EventKind::Submitted { template, plan, input, by, parent: None, caller: None });
    world.plan();
    let mut crashes = 0;
    while !world.planner.state().phase.is_end() {
        world.crash();
        crashes += 1;
        assert!(crashes < 10, "it goes on for ever");
    }
    assert_eq!(crashes, 6);
    let error = &world.planner.state().error.as_ref().unwrap().error;
    assert_eq!(error.class, ErrorClass::Interrupted);
}
