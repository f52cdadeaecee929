//! The sentences for log lines, warnings and reasons. Stored states hold only the kinds, so that changing a sentence
//! does not require folding states again.

use super::{
    log::{LogKind, LogLine, Warning},
    state::RunState,
    step::{Answer, SkipReason},
};
use crate::{
    event::{ChildQuestion, Decision},
    id::RunNumber,
    role::fallback_warning,
};
use std::fmt;

/// What becomes of an attempt that the provider rejected because of its rate limit.
pub const THROTTLED: &str = "rate limited by the provider, queued again";

impl LogLine {
    /// The line as a sentence; `state` is the run state that holds the line.
    pub fn text(&self, state: &RunState) -> String {
        self.kind.text(state)
    }
}

impl LogKind {
    fn text(&self, state: &RunState) -> String {
        let label = |step| state.label(step);
        match self {
            Self::Submitted => submitted(state),
            Self::ItemsResolved { step, count } => format!("{} runs for {count} items", label(*step)),
            Self::StepStarted { step, attempt: 1 } => format!("{} started", label(*step)),
            Self::StepStarted { step, attempt } => format!("{} started, attempt {attempt}", label(*step)),
            Self::ChildLaunched { step, run } => format!("{} is run {run}", label(*step)),
            Self::ChildWaiting { step, run, name } => {
                format!("{} {}", label(*step), waits_for_child(name, *run))
            }
            Self::FileWritten { step, path, edited } => {
                let done = if *edited { "edited" } else { "wrote" };
                format!("{} {done} {path}", label(*step))
            }
            Self::Waiting { step } => format!("{} waits for a decision", label(*step)),
            Self::Answered { step, answer } => format!("{} {answer}", label(*step)),
            Self::StepCompleted { step } => format!("{} completed", label(*step)),
            Self::StepReused { step, run } => format!("{} reused the output{}", label(*step), of_run(*run)),
            Self::StepSkipped { step, reason } => format!("{} skipped: {reason}", label(*step)),
            Self::StepFailed { step, attempt, error, retried } => {
                let attempt = attempt.map(|attempt| format!(", attempt {attempt}")).unwrap_or_default();
                let then = if *retried { "; it will be tried again" } else { "" };
                format!("{}{attempt}: {error}{then}", label(*step))
            }
            Self::Throttled { step, attempt, error } => {
                let label = label(*step);
                format!("{label}, attempt {attempt}: {error}; {THROTTLED}")
            }
            Self::Warned { warning } => warning.text(state),
            Self::Completed { warnings: 0 } => "Completed".to_owned(),
            Self::Completed { warnings: 1 } => "Completed with 1 warning".to_owned(),
            Self::Completed { warnings } => format!("Completed with {warnings} warnings"),
            Self::Failed { error } => format!("Failed: {error}"),
            Self::Cancelled { by } => format!("Stopped by {by}"),
        }
    }
}

impl ChildQuestion {
    /// What the step of the child run does: "waits for a decision on Check in run 9".
    pub fn waits(&self) -> String {
        waits_for_child(&self.name, self.run)
    }
}

fn waits_for_child(name: &str, run: RunNumber) -> String {
    format!("waits for a decision on {name} in run {run}")
}

fn of_run(run: Option<RunNumber>) -> String {
    run.map(|run| format!(" of run {run}")).unwrap_or_default()
}

fn submitted(state: &RunState) -> String {
    let by = &state.by;
    let template = state.template.as_ref();
    let version = template.map(|template| format!("{} version {}", template.name, template.version));
    let version = version.unwrap_or_default();
    match (&state.parent, &state.caller) {
        (Some(parent), _) => {
            format!("{version}, run {} again from {}, started by {by}", parent.run, parent.from_step)
        }
        (None, Some(caller)) => format!("{version}, launched by {} of run {}", caller.name, caller.run),
        (None, None) => format!("{version}, started by {by}"),
    }
}

impl Warning {
    /// The warning as a sentence; `state` is the run state that holds the warning.
    pub fn text(&self, state: &RunState) -> String {
        let label = |step| state.label(step);
        match self {
            Self::RoleFallback { step, role, reason } => {
                fallback_warning(state.name(*step), role, *reason).unwrap_or_default()
            }
            Self::ItemsFailed { step, failed } => {
                let items = if *failed == 1 { "item" } else { "items" };
                let label = label(*step);
                format!("'{label}': {failed} {items} failed and the run went on without their outputs")
            }
            Self::StepFailed { step, error } => {
                format!("'{}' failed and the run went on without its output: {error}", label(*step))
            }
            Self::Rejected { step, answer } => {
                format!("'{}' was {answer}; the run went on without its output", label(*step))
            }
            Self::StaleOutput { step, run, reason } => {
                format!("'{}' reused a stale output{}: {reason}", label(*step), of_run(*run))
            }
            Self::CutOff { step } => {
                format!("'{}' stopped at its token limit: its output may be cut off", label(*step))
            }
            Self::UnknownFinish { step, word } => {
                let label = label(*step);
                format!(
                    "'{label}' ended with the unknown finish reason '{word}': its output was taken as complete"
                )
            }
        }
    }
}

/// For example "approved by Ada: fine".
impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.decision {
            Decision::Approve => "approved",
            Decision::Edit => "changed and approved",
            Decision::Reject => "rejected",
        })?;
        write!(f, " by {}", self.by.as_deref().unwrap_or("the time limit"))?;
        if self.note.is_empty() { Ok(()) } else { write!(f, ": {}", self.note) }
    }
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Given { reason } => f.write_str(reason),
            Self::RunFailed { step: Some(step) } => write!(f, "not started: {step} failed"),
            Self::RunFailed { step: None } => f.write_str("not started: the run failed"),
        }
    }
}
