//! A simulated world around the planner: random templates, latencies, failures, crashes, duplicated and late results.
//!
//! The simulated server is a small version of the engine: it applies results that are still expected, decides, and
//! records events. Only the log survives a crash. Each world is derived from one seed.

use domain::{
    error::ErrorClass,
    event::{
        Caller, ChildQuestion, Decision, Event, EventKind, Failure, Link, Parent, PendingCall,
        TemplateVersion, TextRef,
    },
    file::FilePath,
    id::{ContentId, EventId, OwnerId, RunNumber, StepRunId, Timestamp},
    key::{ModelName, RoleKey, TemplateKey},
    plan::{Body, OnFailure, Plan, PlannedStep},
    role::{Reason, StepRole},
    run::{Effect, Planner, RunState, StepStatus, Verdict, backoff},
    usage::Usage,
};
use std::{sync::Arc, time::Duration};
use uuid::Uuid;

/// A small random generator, so that one number reproduces a whole world.
pub struct Dice(u64);

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
        body: match dice.roll(12) {
            0 | 1 => Body::Approval,
            2 => Body::Template,
            _ => Body::Prompt,
        },
        timeout_ms: dice.one_in(4).then(|| 1_000 + dice.roll(9_000)),
        ..PlannedStep::default()
    });
    Plan { steps: steps.collect() }
}

/// A pending delivery to the server: the end of an attempt, the time of a retry, a person's answer.
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
    TimedOut,
    /// The provider rate-limited the call.
    Throttled,
    Due,
    /// `None` for the time limit's decision.
    Answered(Option<Decision>),
}

pub struct World {
    dice: Dice,
    now: i64,
    pub log: Vec<Event>,
    pub planner: Planner,
    owner: OwnerId,
    on_the_way: Vec<Parcel>,
    /// Number of calls per step that a model answered successfully after an answer was already recorded; must be 0.
    pub calls_after_success: u32,
    crashes: u32,
    /// Number of world steps until the run is stopped.
    stop_in: Option<u64>,
}

impl World {
    pub fn new(seed: u64) -> Self {
        let mut dice = Dice(seed);
        let plan = random_plan(&mut dice);
        let stop_in = dice.one_in(12).then(|| dice.roll(30));
        let mut world = Self { stop_in, ..Self::empty(dice) };
        let fork = world.dice.one_in(4);
        let parent = fork.then(|| {
            Box::new(Parent { run: RunNumber(1), from_step: "Step 0".to_owned(), changed: Vec::new() })
        });
        let caller = world.dice.one_in(4).then(|| {
            let (step, name) = (StepRunId::of(2), "Call".to_owned());
            Caller { run: RunNumber(7), step, name, depth: 1 }
        });
        world.submit(plan, parent, caller);
        world.resolve_roles();
        if fork {
            world.reuse();
        }
        world.plan();
        world
    }

    /// A world with a newly started run of this plan, in which crashes are the only random events.
    pub fn of(plan: Plan) -> Self {
        let mut world = Self::empty(Dice(1));
        world.submit(plan, None, None);
        world.plan();
        world
    }

    fn empty(dice: Dice) -> Self {
        Self {
            dice,
            now: 1,
            log: Vec::new(),
            planner: Planner::new(RunState::default()),
            owner: OwnerId(Uuid::from_u128(1)),
            on_the_way: Vec::new(),
            calls_after_success: 0,
            crashes: 0,
            stop_in: None,
        }
    }

    fn submit(&mut self, plan: Plan, parent: Option<Box<Parent>>, caller: Option<Caller>) {
        let template =
            TemplateVersion { key: TemplateKey::parse("t").unwrap(), version: 1, name: "T".to_owned() };
        self.record(EventKind::Acknowledged { event_id: EventId(Uuid::nil()), queue_position: 0 });
        let (plan, input, by) = (Arc::new(plan), text("{}"), "a member".to_owned());
        self.record(EventKind::Submitted { template, plan, input, by, parent, caller });
    }

    fn resolve_roles(&mut self) {
        let plan = self.planner.state().plan.clone();
        let steps = (0u32..).zip(&plan.steps).filter(|(_, planned)| planned.body.needs_role());
        let roles = steps.map(|(step, _)| StepRole {
            step,
            key: RoleKey::parse("worker").unwrap(),
            version: 1,
            model: ModelName::parse("p/m").unwrap(),
            reason: if self.dice.one_in(2) { Reason::Assigned } else { Reason::FirstRole },
            price: None,
        });
        let roles = roles.collect();
        self.record(EventKind::RolesResolved { roles });
    }

    /// Simulates a fork: takes over the outputs of the first steps, and of another step its list and some items.
    fn reuse(&mut self) {
        let plan = self.planner.state().plan.clone();
        let taken = self.dice.roll(plan.steps.len() as u64 + 1) as usize;
        for (index, planned) in plan.steps.iter().enumerate().take(taken) {
            let step = StepRunId::of(index);
            if planned.for_each && index + 1 == taken {
                self.record(EventKind::Ready { step });
                let count = self.dice.roll(6) as u32;
                self.record(EventKind::ItemsResolved { step, count, items: text("[]") });
                for item in (0..count).filter(|item| item % 2 == 0) {
                    let step = StepRunId { item: Some(item), ..step };
                    self.record(EventKind::Reused { step, output: text("taken over"), origin: None });
                }
            } else if planned.condition && self.dice.one_in(2) {
                self.record(EventKind::Skipped { step, reason: "it did not hold before".to_owned() });
            } else {
                self.record(EventKind::Reused { step, output: text("taken over"), origin: None });
            }
        }
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
            && run.next_attempt() == attempt;
        if !wanted {
            return;
        }
        if state.plan.steps[step.index()].body == Body::Approval {
            let until = self.dice.one_in(2).then(|| Timestamp(self.now + 4_000));
            let (question, proposal, on_timeout) = (text("?"), text("{}"), Decision::Reject);
            return self.record(EventKind::Waiting { step, question, proposal, until, on_timeout });
        }
        let child = state.plan.steps[step.index()].body == Body::Template;
        let owner = (!child).then_some(self.owner);
        self.record(EventKind::Started { step, attempt, owner });
        if child {
            let run = RunNumber(self.log.len() as u32);
            self.record(EventKind::Linked { step, attempt, to: Link::ChildRun(run) });
            if self.dice.one_in(3) {
                let question = Box::new(self.child_question(run));
                self.record(EventKind::ChildWaiting { step, attempt, question });
                // Otherwise the child run ends while it waits.
                if self.dice.one_in(2) {
                    self.record(EventKind::ChildResumed { step, attempt });
                }
            }
        } else {
            let pending = self.dice.one_in(4).then(PendingCall::default);
            let waits = pending.is_some();
            self.record(EventKind::Prompt { step, attempt, prompt: text("ask"), pending });
            if waits {
                self.record(EventKind::CallBegan { step, attempt, owner: self.owner });
            }
        }
        if self.planner.state().step_run(step).unwrap().output.is_some() {
            self.calls_after_success += 1;
        }
        let what = match self.dice.roll(9) {
            0 => What::Failed(ErrorClass::Overload),
            1 => What::Failed(ErrorClass::Truncated),
            3 => What::Throttled,
            4 if self.dice.one_in(2) => What::TimedOut,
            2 if self.dice.one_in(3) => What::Failed(ErrorClass::Auth),
            _ => What::Succeeded,
        };
        let at = self.now + 1 + self.dice.roll(5_000) as i64;
        self.send(Parcel { at, step, attempt, owner: self.owner, what });
    }

    fn child_question(&self, run: RunNumber) -> ChildQuestion {
        ChildQuestion {
            run,
            step: StepRunId::of(0),
            name: "Check".to_owned(),
            asked_at: Timestamp(self.now),
            question: text("?"),
            proposal: text("{}"),
            until: None,
            on_timeout: Decision::Reject,
        }
    }

    fn send(&mut self, parcel: Parcel) {
        if self.dice.one_in(4) {
            // Delivered twice, the second time late.
            let late = parcel.at + self.dice.roll(20_000) as i64;
            self.on_the_way.push(Parcel { at: late, ..parcel.clone() });
        }
        self.on_the_way.push(parcel);
    }

    /// Delivers the next pending delivery. Returns false if there is none.
    fn step(&mut self) -> bool {
        match &mut self.stop_in {
            Some(0) if !self.planner.state().phase.is_end() => {
                self.stop();
                return true;
            }
            Some(left) => *left = left.saturating_sub(1),
            None => {}
        }
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
        if !open
            .is_some_and(|open| open.number == attempt && open.owner.is_none_or(|claimed| claimed == owner))
        {
            return;
        }
        match parcel.what {
            What::Failed(class) => self.fail(step, attempt, class),
            What::TimedOut => {
                let retry_at = self.retry_at(step, ErrorClass::Timeout);
                let error = Failure::new(ErrorClass::Timeout, "it took too long");
                self.record(EventKind::TimedOut { step, attempt, error, retry_at });
            }
            What::Throttled => {
                let asked = Some(Duration::from_secs(1));
                if self.planner.state().may_requeue(step, Timestamp(self.now), asked) {
                    let error = Failure::new(ErrorClass::RateLimit, "slow down");
                    self.record(EventKind::Throttled { step, attempt, error });
                } else {
                    self.fail(step, attempt, ErrorClass::RateLimit);
                }
            }
            _ => self.finish(step, attempt),
        }
    }

    fn finish(&mut self, step: StepRunId, attempt: u32) {
        if self.dice.one_in(6) {
            let path = FilePath::parse(["a.txt", "b.txt"][self.dice.roll(2) as usize]).unwrap();
            self.record(EventKind::FileRequested { step, attempt, path: path.clone() });
            let edited = self.dice.one_in(2);
            self.record(EventKind::FileWritten { step, attempt, path, content: text("file"), edited });
        }
        let cut = self.dice.one_in(9);
        let unknown_finish = self.dice.one_in(9).then(|| "weather".to_owned());
        let (output, usage) = (text("output"), Usage::new(2, 3));
        self.record(EventKind::Finished { step, attempt, output, usage, cut, unknown_finish });
    }

    fn retry_at(&self, step: StepRunId, class: ErrorClass) -> Option<Timestamp> {
        match self.planner.state().verdict(step, class) {
            Verdict::Retry { nth } => Some(Timestamp(self.now + backoff(nth, 0.5, None).as_millis() as i64)),
            Verdict::Final => None,
        }
    }

    fn fail(&mut self, step: StepRunId, attempt: u32, class: ErrorClass) {
        let retry_at = self.retry_at(step, class);
        let error = Failure::new(class, "it failed");
        if class == ErrorClass::Truncated {
            let (text, usage) = (text("half"), Usage::new(1, 1));
            self.record(EventKind::PartialOutput { step, attempt, text, usage });
        }
        self.record(match class {
            ErrorClass::Interrupted => EventKind::Interrupted { step, attempt, error, retry_at },
            _ => EventKind::StepFailed { step, attempt, error, retry_at },
        });
    }

    /// A person stops the run.
    fn stop(&mut self) {
        let open = self.planner.state().step_runs().filter(|(_, run)| run.open_attempt().is_some());
        for step in open.map(|(step, _)| step).collect::<Vec<_>>() {
            self.record(EventKind::StepCancelled { step });
        }
        self.record(EventKind::Cancelled { by: "a member".to_owned() });
    }

    /// Simulates a crash: memory and timers are lost; answers still arrive, at the next process. Attempts that are
    /// executed elsewhere go on.
    pub fn crash(&mut self) {
        self.crashes += 1;
        self.on_the_way.retain(|parcel| !matches!(parcel.what, What::Due));
        self.owner = OwnerId(Uuid::from_u128(1 + u128::from(self.crashes)));
        self.planner = Planner::new(RunState::replay(&self.log));
        let open = self.planner.state().step_runs().filter_map(|(id, run)| Some((id, run.open_attempt()?)));
        let lost = open.filter(|(_, open)| open.owner.is_some()).map(|(id, open)| (id, open.number));
        for (step, attempt) in lost.collect::<Vec<_>>() {
            self.fail(step, attempt, ErrorClass::Interrupted);
        }
        self.plan();
    }

    pub fn run(&mut self) {
        for _ in 0..100_000 {
            if !self.step() && self.planner.state().phase.is_end() {
                return;
            }
        }
        panic!("the run never ended: {:#?}", self.planner.state());
    }
}

pub fn text(body: &str) -> TextRef {
    TextRef::new(ContentId(Uuid::nil()), body)
}
