//! The signs and words for where a run or a step stands. One place, so that a list, a message and a run's page say the same.

use crate::ui::Status;
use domain::{
    error::ErrorClass,
    run::{Attempt, AttemptEnd, Phase, RunState, StepState, StepStatus},
};

/// Where the run stands.
pub fn run_status(state: &RunState) -> Status {
    match state.phase {
        Phase::Acknowledged => Status::Acknowledged,
        Phase::Queued => Status::Queued,
        Phase::Processing if is_retrying(state) => Status::Retrying,
        Phase::Processing => Status::Running,
        Phase::Waiting => Status::Waiting,
        Phase::Complete if !state.warnings.is_empty() => Status::CompletedWithWarnings,
        Phase::Complete => Status::Completed,
        Phase::Failed if timed_out(state) => Status::TimedOut,
        Phase::Failed => Status::Failed,
        Phase::Cancelled => Status::Cancelled,
    }
}

/// Where a step stands.
pub fn step_status(step: &StepState) -> Status {
    match step.status {
        StepStatus::Ready if step.retry_at.is_some() => Status::Retrying,
        StepStatus::Failed if matches!(last_end(step), Some(AttemptEnd::TimedOut(_))) => Status::TimedOut,
        status => status.into(),
    }
}

fn last_end(step: &StepState) -> Option<&AttemptEnd> {
    step.attempts.last()?.end.as_ref()
}

/// Nothing is open, and a failed attempt waits to be made again.
fn is_retrying(state: &RunState) -> bool {
    state.open == 0 && state.steps.iter().any(|step| step.retry_at.is_some())
}

fn timed_out(state: &RunState) -> bool {
    state.error.as_ref().is_some_and(|failure| failure.error.class == ErrorClass::Timeout)
}

/// "attempt 2 of 3"; nothing while the first one goes well.
pub fn attempt_words(step: &StepState, max_retries: u32) -> Option<String> {
    let number = step.attempts.last()?.number;
    (number > 1 || step.failures > 0).then(|| {
        // Interruptions are tried again beside the count.
        let of = (max_retries + 1).max(number);
        format!("attempt {number} of {of}")
    })
}

/// What was kept when a run ended before its time.
pub fn kept_words(state: &RunState) -> String {
    let done: Vec<_> = state
        .steps
        .iter()
        .zip(&state.plan.steps)
        .filter(|(step, _)| step.status == StepStatus::Completed)
        .map(|(_, planned)| planned.name.as_str())
        .collect();
    match done.as_slice() {
        [] => "The input and the log are kept; no step had finished.".to_owned(),
        [one] => format!("Kept: the output of {one}, the input and the log."),
        many if many.len() <= 3 => {
            format!("Kept: the outputs of {}, the input and the log.", many.join(", "))
        }
        many => format!("Kept: the outputs of {} steps, the input and the log.", many.len()),
    }
}

/// How an attempt stands or ended.
pub fn attempt_status(attempt: &Attempt) -> Status {
    match &attempt.end {
        None => Status::Running,
        Some(AttemptEnd::Finished) => Status::Completed,
        Some(AttemptEnd::Failed(_) | AttemptEnd::Interrupted(_)) => Status::Failed,
        Some(AttemptEnd::TimedOut(_)) => Status::TimedOut,
        Some(AttemptEnd::Cancelled) => Status::Cancelled,
    }
}
