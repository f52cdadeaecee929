//! The sentences of log lines and warnings, and the names of the statuses of runs and steps.

use domain::{
    error::ErrorClass,
    event::{Caller, Decision, Failure, Parent, TemplateVersion},
    file::FilePath,
    fork::RerunReason,
    id::{RunNumber, StepRunId, Timestamp},
    key::{RoleKey, TemplateKey},
    plan::{Plan, PlannedStep},
    role::Reason,
    run::{Answer, Level, LogKind, LogLine, Phase, RunState, RunStatus, SkipReason, StepStatus, Warning},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::json;
use std::{collections::BTreeSet, sync::Arc};

fn state() -> RunState {
    let named = |name: &str| PlannedStep { name: name.to_owned(), ..PlannedStep::default() };
    RunState {
        plan: Arc::new(Plan { steps: vec![named("One"), named("Two")] }),
        template: Some(TemplateVersion {
            key: TemplateKey::parse("t").unwrap(),
            version: 3,
            name: "Review".to_owned(),
        }),
        by: "Ada".to_owned(),
        ..RunState::default()
    }
}

fn tag(value: &impl Serialize, field: &str) -> String {
    serde_json::to_value(value).unwrap()[field].as_str().unwrap().to_owned()
}

/// The tags of all variants, as serde names them where it does not know one.
fn variants<T: DeserializeOwned>(field: &str) -> BTreeSet<String> {
    let unknown = serde_json::from_value::<T>(json!({ field: "?" })).err().unwrap().to_string();
    let (_, known) = unknown.split_once("expected one of ").unwrap();
    known.split(", ").map(|name| name.trim_matches('`').to_owned()).collect()
}

fn answer(decision: Decision, by: Option<&str>, note: &str) -> Answer {
    Answer { at: Timestamp(1), decision, by: by.map(str::to_owned), note: note.to_owned() }
}

#[test]
fn each_line_of_the_log_is_a_sentence_with_a_level() {
    use Level::{Error, Info, Warning as Warn};
    let (state, step) = (state(), StepRunId::of(1));
    let item = StepRunId { step: 0, item: Some(4) };
    let error = || Failure::new(ErrorClass::Overload, "no luck");
    let path = FilePath::parse("a.txt").unwrap();
    let table = [
        (LogKind::Submitted, Info, "Review version 3, started by Ada"),
        (LogKind::ItemsResolved { step, count: 3 }, Info, "Two runs for 3 items"),
        (LogKind::StepStarted { step: item, attempt: 1 }, Info, "One [4] started"),
        (LogKind::StepStarted { step, attempt: 2 }, Info, "Two started, attempt 2"),
        (LogKind::ChildLaunched { step, run: RunNumber(9) }, Info, "Two is run 9"),
        (
            LogKind::ChildWaiting { step, run: RunNumber(9), name: "Sign".to_owned() },
            Info,
            "Two waits for a decision on Sign in run 9",
        ),
        (LogKind::FileWritten { step, path: path.clone(), edited: false }, Info, "Two wrote a.txt"),
        (LogKind::FileWritten { step, path, edited: true }, Info, "Two edited a.txt"),
        (LogKind::Waiting { step }, Info, "Two waits for a decision"),
        (
            LogKind::Answered { step, answer: answer(Decision::Approve, Some("Bob"), "fine") },
            Info,
            "Two approved by Bob: fine",
        ),
        (
            LogKind::Answered { step, answer: answer(Decision::Edit, Some("Bob"), "") },
            Info,
            "Two changed and approved by Bob",
        ),
        (
            LogKind::Answered { step, answer: answer(Decision::Reject, None, "") },
            Error,
            "Two rejected by the time limit",
        ),
        (LogKind::StepCompleted { step: item }, Info, "One [4] completed"),
        (LogKind::StepReused { step, run: None }, Info, "Two reused the output"),
        (
            LogKind::StepSkipped { step, reason: SkipReason::Given { reason: "no need".to_owned() } },
            Info,
            "Two skipped: no need",
        ),
        (
            LogKind::StepFailed { step, attempt: Some(2), error: error(), retried: true },
            Warn,
            "Two, attempt 2: no luck; it will be tried again",
        ),
        (
            LogKind::StepFailed { step, attempt: Some(2), error: error(), retried: false },
            Error,
            "Two, attempt 2: no luck",
        ),
        (LogKind::StepFailed { step, attempt: None, error: error(), retried: false }, Error, "Two: no luck"),
        (
            LogKind::Throttled { step, attempt: 1, error: error() },
            Warn,
            "Two, attempt 1: no luck; rate limited by the provider, queued again",
        ),
        (
            LogKind::Warned { warning: Warning::CutOff { step } },
            Warn,
            "'Two' stopped at its token limit: its output may be cut off",
        ),
        (LogKind::Completed { warnings: 0 }, Info, "Completed"),
        (LogKind::Completed { warnings: 1 }, Info, "Completed with 1 warning"),
        (LogKind::Completed { warnings: 2 }, Info, "Completed with 2 warnings"),
        (LogKind::Failed { error: error() }, Error, "Failed: no luck"),
        (LogKind::Cancelled { by: "Bob".to_owned() }, Warn, "Stopped by Bob"),
    ];
    let tags: BTreeSet<_> = table.iter().map(|(kind, ..)| tag(kind, "kind")).collect();
    assert_eq!(tags, variants::<LogKind>("kind"), "every kind has its sentence here");
    for (kind, level, text) in table {
        let line = LogLine { at: Timestamp(1), kind };
        assert_eq!((line.kind.level(), line.text(&state).as_str()), (level, text));
        let stored = serde_json::to_string(&line).unwrap();
        assert_eq!(serde_json::from_str::<LogLine>(&stored).unwrap(), line);
    }
}

#[test]
fn a_run_says_what_it_was_launched_by() {
    let line = LogLine { at: Timestamp(1), kind: LogKind::Submitted };
    let caller = Caller { run: RunNumber(7), step: StepRunId::of(0), name: "Call".to_owned(), depth: 1 };
    let mut state = RunState { caller: Some(caller), ..state() };
    assert_eq!(line.text(&state), "Review version 3, launched by Call of run 7");
    state.parent = Some(Parent { run: RunNumber(5), from_step: "Two".to_owned(), changed: Vec::new() });
    assert_eq!(line.text(&state), "Review version 3, run 5 again from Two, started by Ada");
    let reused =
        LogLine { kind: LogKind::StepReused { step: StepRunId::of(1), run: Some(RunNumber(5)) }, ..line };
    assert_eq!(reused.text(&state), "Two reused the output of run 5");
}

#[test]
fn each_warning_is_a_sentence() {
    let (state, step) = (state(), StepRunId::of(1));
    let role = RoleKey::parse("first").unwrap();
    let table = [
        (
            Warning::RoleFallback { step, role: role.clone(), reason: Reason::GeneralWorker },
            "'Two' has no role assigned: general_worker stands in",
        ),
        (
            Warning::RoleFallback { step, role, reason: Reason::FirstRole },
            "'Two' has no role assigned and the project has no general_worker: its first role, first, stands in",
        ),
        (
            Warning::ItemsFailed { step, failed: 1 },
            "'Two': 1 item failed and the run went on without their outputs",
        ),
        (
            Warning::ItemsFailed { step, failed: 2 },
            "'Two': 2 items failed and the run went on without their outputs",
        ),
        (
            Warning::StepFailed { step, error: Failure::new(ErrorClass::Auth, "no key") },
            "'Two' failed and the run went on without its output: no key",
        ),
        (
            Warning::Rejected { step, answer: answer(Decision::Reject, Some("Bob"), "too short") },
            "'Two' was rejected by Bob: too short; the run went on without its output",
        ),
        (
            Warning::StaleOutput {
                step,
                run: Some(RunNumber(5)),
                reason: RerunReason::Definition { fields: vec!["prompt".to_owned()], version: 2 },
            },
            "'Two' reused a stale output of run 5: prompt changed in version 2",
        ),
        (Warning::CutOff { step }, "'Two' stopped at its token limit: its output may be cut off"),
        (
            Warning::UnknownFinish { step, word: "weather".to_owned() },
            "'Two' ended with the unknown finish reason 'weather': its output was taken as complete",
        ),
    ];
    let tags: BTreeSet<_> = table.iter().map(|(warning, _)| tag(warning, "warning")).collect();
    assert_eq!(tags, variants::<Warning>("warning"), "every warning has its sentence here");
    for (warning, text) in table {
        assert_eq!(warning.text(&state), text);
    }
    let skipped = |step: Option<&str>| SkipReason::RunFailed { step: step.map(str::to_owned) }.to_string();
    assert_eq!(skipped(Some("One")), "not started: One failed");
    assert_eq!(skipped(None), "not started: the run failed");
}

#[test]
fn words_for_where_a_run_or_a_step_stands_are_those_of_the_wire() {
    let phases = [
        (Phase::Acknowledged, "acknowledged", RunStatus::Queued, false),
        (Phase::Queued, "queued", RunStatus::Queued, false),
        (Phase::Processing, "processing", RunStatus::Running, false),
        (Phase::Waiting, "waiting", RunStatus::Waiting, false),
        (Phase::Complete, "complete", RunStatus::Completed, true),
        (Phase::Failed, "failed", RunStatus::Failed, true),
        (Phase::Cancelled, "cancelled", RunStatus::Cancelled, true),
    ];
    for (phase, word, status, ended) in phases {
        assert_eq!((json!(phase), phase.as_str()), (json!(word), word));
        assert_eq!((RunStatus::from(phase), phase.is_end(), status.is_end()), (status, ended, ended));
        assert_eq!(RunState { phase, ..RunState::default() }.status(), status);
    }
    let words = ["queued", "running", "waiting", "completed", "failed", "cancelled"];
    for (status, word) in RunStatus::ALL.into_iter().zip(words) {
        assert_eq!((json!(status), status.as_str()), (json!(word), word));
        assert_eq!(RunStatus::parse(word), Some(status));
    }
    assert_eq!(RunStatus::parse("done"), None);
    let steps = [
        (StepStatus::Pending, "pending", false),
        (StepStatus::Ready, "ready", false),
        (StepStatus::Running, "running", false),
        (StepStatus::Waiting, "waiting", false),
        (StepStatus::Completed, "completed", true),
        (StepStatus::Failed, "failed", true),
        (StepStatus::Skipped, "skipped", true),
        (StepStatus::Cancelled, "cancelled", true),
    ];
    for (status, word, ended) in steps {
        assert_eq!((json!(status), status.as_str(), status.is_end()), (json!(word), word, ended));
    }
    for (decision, word) in
        [(Decision::Approve, "approve"), (Decision::Reject, "reject"), (Decision::Edit, "edit")]
    {
        assert_eq!((json!(decision), decision.as_str()), (json!(word), word));
    }
}
