//! The shape of a stored state. Servers store the folds of long logs: when the shape changes, `STATE_VERSION` must be
//! raised, so that older states are folded again from their logs.

use domain::{
    error::ErrorClass,
    event::{
        Caller, ChangedStep, ChildQuestion, Decision, Event, EventKind, Failure, Link, Parent, PendingCall,
        TemplateVersion, TextRef,
    },
    file::FilePath,
    fork::{Origin, RerunReason},
    id::{ContentId, EventId, OwnerId, RunNumber, StepRunId, Timestamp},
    key::{ModelName, RoleKey, TemplateKey},
    plan::{Body, OnFailure, Plan, PlannedStep},
    role::{Reason, StepRole},
    run::{RunState, STATE_VERSION},
    usage::Usage,
};
use std::sync::Arc;
use uuid::Uuid;

fn text(body: &str) -> TextRef {
    TextRef::new(ContentId(Uuid::nil()), body)
}

/// A log with every kind of event, except ends that exclude each other.
fn log() -> Vec<EventKind> {
    let step = |name: &str, body| PlannedStep { name: name.to_owned(), body, ..PlannedStep::default() };
    let plan = Plan {
        steps: vec![
            PlannedStep { for_each: true, on_failure: OnFailure::Continue, ..step("Each", Body::Prompt) },
            step("Check", Body::Approval),
            step("Call", Body::Template),
            PlannedStep { condition: true, ..step("Never", Body::Prompt) },
            step("Build", Body::Prompt),
            step("Kept", Body::Prompt),
            step("Late", Body::Prompt),
        ],
    };
    let template =
        TemplateVersion { key: TemplateKey::parse("t").unwrap(), version: 2, name: "T".to_owned() };
    let role = StepRole {
        step: 0,
        key: RoleKey::parse("r").unwrap(),
        version: 1,
        model: ModelName::parse("p/m").unwrap(),
        reason: Reason::GeneralWorker,
        price: None,
    };
    let origin = Origin {
        run: RunNumber(1),
        version: 1,
        role: Some(StepRole { step: 5, key: RoleKey::parse("maker").unwrap(), ..role.clone() }),
        usage: Usage::new(1, 2),
        stale: Some(RerunReason::Definition { fields: vec!["prompt".to_owned()], version: 2 }),
    };
    let id = StepRunId::of;
    let asked = ChildQuestion {
        run: RunNumber(8),
        step: id(0),
        name: "Check".to_owned(),
        asked_at: Timestamp(20),
        question: text("?"),
        proposal: text("1"),
        until: None,
        on_timeout: Decision::Reject,
    };
    let item = |item| StepRunId { step: 0, item: Some(item) };
    let owner = OwnerId(Uuid::nil());
    let usage = Usage::new(3, 4);
    let path = FilePath::parse("a.txt").unwrap();
    let pending = PendingCall { shown: [(path.clone(), ContentId(Uuid::nil()))].into() };
    let error = |class| Failure::new(class, "no");
    let retry_at = Some(Timestamp(99));
    let ended = |step, cut, unknown_finish| {
        let output = text("out");
        EventKind::Finished { step, attempt: 1, output, usage, cut, unknown_finish }
    };
    let finished = |step, cut| ended(step, cut, None);
    let started = |step, attempt| EventKind::Started { step, attempt, owner: Some(owner) };
    vec![
        EventKind::Acknowledged { event_id: EventId(Uuid::nil()), queue_position: 2 },
        EventKind::Submitted {
            template,
            plan: Arc::new(plan),
            input: text("{}"),
            by: "Ada".to_owned(),
            parent: Some(Box::new(Parent {
                run: RunNumber(1),
                from_step: "Each".to_owned(),
                changed: vec![ChangedStep {
                    step: 6,
                    reason: RerunReason::Input { field: Some("q".to_owned()) },
                }],
            })),
            caller: Some(Caller { run: RunNumber(7), step: id(2), name: "Call".to_owned(), depth: 1 }),
        },
        EventKind::RolesResolved { roles: vec![role] },
        EventKind::Reused { step: id(5), output: text("kept"), origin: Some(Box::new(origin)) },
        EventKind::Ready { step: id(0) },
        EventKind::ItemsResolved { step: id(0), count: 2, items: text("[1,2]") },
        EventKind::Ready { step: item(0) },
        started(item(0), 1),
        EventKind::Prompt { step: item(0), attempt: 1, prompt: text("ask"), pending: None },
        finished(item(0), true),
        EventKind::Ready { step: item(1) },
        started(item(1), 1),
        EventKind::TimedOut { step: item(1), attempt: 1, error: error(ErrorClass::Timeout), retry_at },
        started(item(1), 2),
        EventKind::Interrupted { step: item(1), attempt: 2, error: error(ErrorClass::Interrupted), retry_at },
        started(item(1), 3),
        EventKind::PartialOutput { step: item(1), attempt: 3, text: text("no"), usage: Usage::new(2, 1) },
        EventKind::Throttled { step: item(1), attempt: 3, error: error(ErrorClass::RateLimit) },
        started(item(1), 4),
        EventKind::StepFailed { step: item(1), attempt: 4, error: error(ErrorClass::Auth), retry_at: None },
        EventKind::Gathered { step: id(0), output: text("[null]"), failed: 1 },
        EventKind::ConditionEvaluated { step: id(3), holds: false },
        EventKind::Skipped { step: id(3), reason: "no".to_owned() },
        EventKind::Ready { step: id(1) },
        EventKind::Waiting {
            step: id(1),
            question: text("?"),
            proposal: text("1"),
            until: retry_at,
            on_timeout: Decision::Reject,
        },
        EventKind::Ready { step: id(2) },
        EventKind::Started { step: id(2), attempt: 1, owner: None },
        EventKind::Linked { step: id(2), attempt: 1, to: Link::ChildRun(RunNumber(8)) },
        EventKind::ChildWaiting { step: id(2), attempt: 1, question: Box::new(asked) },
        EventKind::ChildResumed { step: id(2), attempt: 1 },
        finished(id(2), false),
        EventKind::Answered {
            step: id(1),
            decision: Decision::Edit,
            by: Some("Bob".to_owned()),
            note: "fine".to_owned(),
            output: Some(text("2")),
        },
        EventKind::Ready { step: id(4) },
        started(id(4), 1),
        EventKind::Prompt { step: id(4), attempt: 1, prompt: text("ask"), pending: Some(pending) },
        EventKind::CallBegan { step: id(4), attempt: 1, owner: OwnerId(Uuid::max()) },
        EventKind::FileRequested { step: id(4), attempt: 1, path: path.clone() },
        EventKind::FileWritten { step: id(4), attempt: 1, path, content: text("x"), edited: false },
        ended(id(4), false, Some("load".to_owned())),
        EventKind::Ready { step: id(6) },
        started(id(6), 1),
        EventKind::PartialOutput {
            step: id(6),
            attempt: 1,
            text: text("Once upon"),
            usage: Usage::default(),
        },
        EventKind::StepCancelled { step: id(6) },
        EventKind::Cancelled { by: "Ada".to_owned() },
    ]
}

#[test]
fn the_shape_of_a_stored_state() {
    let events = log().into_iter().zip(1..).map(|(kind, seq)| Event { seq, at: Timestamp(seq as i64), kind });
    let events: Vec<Event> = events.collect();
    for event in &events {
        let stored = serde_json::to_string(event).unwrap();
        assert_eq!(&serde_json::from_str::<Event>(&stored).unwrap(), event, "{stored}");
    }
    let state = RunState::replay(&events);
    let json = serde_json::to_string_pretty(&state).unwrap();
    assert_eq!(serde_json::from_str::<RunState>(&json).unwrap(), state);
    insta::assert_snapshot!(format!("version {STATE_VERSION}\n{json}"));
}

/// Questions of child runs count as open like the run's own, until they are answered.
#[test]
fn open_questions_are_the_runs_own_and_those_of_its_children() {
    let mut state = RunState::default();
    let mut open = Vec::new();
    for (kind, seq) in log().into_iter().zip(1..) {
        state.apply(&Event { seq, at: Timestamp(seq as i64), kind });
        let now = (state.waiting.len(), state.asking.len());
        assert_eq!(state.has_open_questions(), now != (0, 0), "event {seq}");
        open.push(now);
    }
    open.dedup();
    assert_eq!(open, [(0, 0), (1, 0), (1, 1), (1, 0), (0, 0)]);
}

/// Two steps failed while a third was open: the run's failure is the first by time, for a planner that applied both
/// events and for one that replayed them from the log.
#[test]
fn the_first_failure_by_time_is_the_runs() {
    use domain::run::{Effect, Planner};
    let step = |name: &str| PlannedStep { name: name.to_owned(), ..PlannedStep::default() };
    let template =
        TemplateVersion { key: TemplateKey::parse("t").unwrap(), version: 1, name: "T".to_owned() };
    let submitted = EventKind::Submitted {
        template,
        plan: Arc::new(Plan { steps: vec![step("Slow"), step("Fast"), step("Open")] }),
        input: text("{}"),
        by: "Ada".to_owned(),
        parent: None,
        caller: None,
    };
    let id = StepRunId::of;
    let owner = OwnerId(Uuid::nil());
    let failed = |step| {
        let error = Failure::new(ErrorClass::Auth, "no");
        EventKind::StepFailed { step, attempt: 1, error, retry_at: None }
    };
    let mut kinds = vec![submitted];
    kinds.extend((0..3).map(|step| EventKind::Ready { step: id(step) }));
    kinds.extend((0..3).map(|step| EventKind::Started { step: id(step), attempt: 1, owner: Some(owner) }));
    kinds.extend([failed(id(1)), failed(id(0))]);
    let events: Vec<_> = kinds
        .into_iter()
        .zip(1..)
        .map(|(kind, seq)| Event { seq, at: Timestamp(seq as i64), kind })
        .collect();
    let mut live = Planner::new(RunState::default());
    events.iter().for_each(|event| live.apply(event));
    let mut read_again = Planner::new(RunState::replay(&events));
    let kind = EventKind::Finished {
        step: id(2),
        attempt: 1,
        output: text("out"),
        usage: Usage::default(),
        cut: false,
        unknown_finish: None,
    };
    let last = Event { seq: events.len() as u64 + 1, at: Timestamp(50), kind };
    for planner in [&mut live, &mut read_again] {
        planner.apply(&last);
        let effects = planner.decide();
        let [Effect::Fail { step, .. }] = effects.as_slice() else { panic!("{effects:?}") };
        assert_eq!(step, "Fast");
    }
}

/// A rate-limited call does not count as a failed attempt, until the step's time limit has passed.
#[test]
fn a_throttled_call_goes_back_to_the_queue_for_so_long() {
    use domain::run::{StepStatus, Verdict};
    use std::time::Duration;
    let planned = |timeout_ms| PlannedStep { name: "A".to_owned(), timeout_ms, ..PlannedStep::default() };
    let step = StepRunId::of(0);
    for (timeout_ms, limit) in [(None, 3_600_000), (Some(10_000), 10_000), (Some(86_400_000), 3_600_000)] {
        let mut state = RunState::default();
        let apply = |state: &mut RunState, at: i64, kind| {
            state.apply(&Event { seq: state.seq + 1, at: Timestamp(at), kind });
        };
        let template =
            TemplateVersion { key: TemplateKey::parse("t").unwrap(), version: 1, name: "T".to_owned() };
        let submitted = EventKind::Submitted {
            template,
            plan: Arc::new(Plan { steps: vec![planned(timeout_ms)] }),
            input: text("{}"),
            by: "Ada".to_owned(),
            parent: None,
            caller: None,
        };
        apply(&mut state, 1, submitted);
        apply(&mut state, 1, EventKind::Ready { step });
        for attempt in 1..=2 {
            let at = 1_000 * i64::from(attempt);
            apply(&mut state, at, EventKind::Started { step, attempt, owner: Some(OwnerId(Uuid::nil())) });
            let asked = |ms| Some(Duration::from_millis(ms));
            assert!(state.may_requeue(step, Timestamp(1_000 + limit - 1), None));
            assert!(!state.may_requeue(step, Timestamp(1_000 + limit), None));
            assert!(
                !state.may_requeue(step, Timestamp(1_000), asked(limit as u64)),
                "it would wait too long"
            );
            let error = Failure::new(ErrorClass::RateLimit, "slow down");
            apply(&mut state, at + 1, EventKind::Throttled { step, attempt, error });
            let run = state.step_run(step).unwrap();
            assert_eq!((run.status, run.failures, run.retry_at), (StepStatus::Ready, 0, None));
            assert_eq!((run.throttled_since, state.ready, state.open), (Some(Timestamp(1_000)), 1, 0));
        }
        apply(&mut state, 5_000, EventKind::Started { step, attempt: 3, owner: Some(OwnerId(Uuid::nil())) });
        assert_eq!(state.verdict(step, ErrorClass::RateLimit), Verdict::Final, "there are no retries to use");
        let error = Failure::new(ErrorClass::RateLimit, "slow down");
        apply(
            &mut state,
            5_001,
            EventKind::StepFailed { step, attempt: 3, error, retry_at: Some(Timestamp(6_000)) },
        );
        assert_eq!(state.step_run(step).unwrap().throttled_since, None);
    }
}
