//! The shape of a stored state. Servers keep folds of long logs and read them back: when this changes, `STATE_VERSION`
//! has to be raised, so that a state of another shape or meaning is folded again from its log.

use domain::{
    error::ErrorClass,
    event::{Caller, Decision, Event, EventKind, Failure, Parent, TemplateVersion, TextRef},
    file::FilePath,
    id::{ContentId, EventId, OwnerId, RunNumber, StepRunId, Timestamp},
    key::{ModelName, RoleKey, TemplateKey},
    plan::{Body, Plan, PlannedStep},
    role::{Reason, StepRole},
    run::{RunState, STATE_VERSION},
    template::OnFailure,
    usage::Usage,
};
use std::sync::Arc;
use uuid::Uuid;

fn text(body: &str) -> TextRef {
    TextRef::new(ContentId(Uuid::nil()), body)
}

/// A log with every kind of event but the ends that exclude each other.
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
    let id = StepRunId::of;
    let item = |item| StepRunId { step: 0, item: Some(item) };
    let owner = OwnerId(Uuid::nil());
    let usage = Usage::new(3, 4);
    let path = FilePath::parse("a.txt").unwrap();
    let error = |class| Failure::new(class, "no");
    let retry_at = Some(Timestamp(99));
    let finished = |step, cut| EventKind::Finished { step, attempt: 1, output: text("out"), usage, cut };
    let started = |step, attempt| EventKind::Started { step, attempt, owner };
    vec![
        EventKind::Acknowledged { event_id: EventId(Uuid::nil()), queue_position: 2 },
        EventKind::Submitted {
            template,
            plan: Arc::new(plan),
            input: text("{}"),
            by: "Ada".to_owned(),
            parent: Some(Parent { run: RunNumber(1), from_step: "Each".to_owned() }),
            caller: Some(Caller { run: RunNumber(7), step: id(2), name: "Call".to_owned(), depth: 1 }),
        },
        EventKind::RolesResolved { roles: vec![role] },
        EventKind::Reused { step: id(5), output: text("kept") },
        EventKind::Ready { step: id(0) },
        EventKind::ItemsResolved { step: id(0), count: 2, items: text("[1,2]") },
        EventKind::Ready { step: item(0) },
        started(item(0), 1),
        EventKind::Prompt { step: item(0), attempt: 1, prompt: text("ask") },
        finished(item(0), true),
        EventKind::Ready { step: item(1) },
        started(item(1), 1),
        EventKind::TimedOut { step: item(1), attempt: 1, error: error(ErrorClass::Timeout), retry_at },
        started(item(1), 2),
        EventKind::Interrupted { step: item(1), attempt: 2, error: error(ErrorClass::Interrupted), retry_at },
        started(item(1), 3),
        EventKind::Said { step: item(1), attempt: 3, text: text("no"), usage: Usage::new(2, 1) },
        EventKind::StepFailed { step: item(1), attempt: 3, error: error(ErrorClass::Auth), retry_at: None },
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
        started(id(2), 1),
        EventKind::ChildLaunched { step: id(2), attempt: 1, run: RunNumber(8) },
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
        EventKind::FileRequested { step: id(4), attempt: 1, path: path.clone() },
        EventKind::FileWritten { step: id(4), attempt: 1, path, content: text("x"), edited: false },
        finished(id(4), false),
        EventKind::Ready { step: id(6) },
        started(id(6), 1),
        EventKind::Said { step: id(6), attempt: 1, text: text("Once upon"), usage: Usage::default() },
        EventKind::StepCancelled { step: id(6) },
        EventKind::Cancelled { by: "Ada".to_owned() },
    ]
}

#[test]
fn the_shape_of_a_stored_state() {
    let events = log().into_iter().zip(1..).map(|(kind, seq)| Event { seq, at: Timestamp(seq as i64), kind });
    let state = RunState::replay(&events.collect::<Vec<_>>());
    let json = serde_json::to_string_pretty(&state).unwrap();
    assert_eq!(serde_json::from_str::<RunState>(&json).unwrap(), state);
    insta::assert_snapshot!(format!("version {STATE_VERSION}\n{json}"));
}
