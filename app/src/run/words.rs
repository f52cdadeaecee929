//! The words for where a run or a step stands. One place, so that a list, a message and a run's page say the same.

use domain::run::{Attempt, Phase, RunState, RunStatus, StepState, StepStatus};

/// Where the run stands, in one or two words.
pub fn phase_word(state: &RunState) -> &'static str {
    match state.phase {
        Phase::Acknowledged => "Acknowledged",
        Phase::Queued => "Queued",
        Phase::Processing if is_retrying(state) => "Retrying",
        Phase::Processing => "Running",
        Phase::Waiting => "Waiting for a person",
        Phase::Complete if !state.warnings.is_empty() => "Completed with warnings",
        Phase::Complete => "Completed",
        Phase::Failed if timed_out(state) => "Timed out",
        Phase::Failed => "Failed",
        Phase::Cancelled => "Cancelled",
    }
}

pub fn status_word(status: RunStatus) -> &'static str {
    match status {
        RunStatus::Queued => "Queued",
        RunStatus::Running => "Running",
        RunStatus::Waiting => "Waiting",
        RunStatus::Completed => "Completed",
        RunStatus::Failed => "Failed",
        RunStatus::Cancelled => "Cancelled",
    }
}

/// Nothing is open, and a failed attempt waits to be made again.
fn is_retrying(state: &RunState) -> bool {
    state.open == 0 && state.steps.iter().any(|step| step.retry_at.is_some())
}

fn timed_out(state: &RunState) -> bool {
    state.error.as_ref().is_some_and(|failure| failure.error.class == domain::error::ErrorClass::Timeout)
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
        many if many.len() <= 3 => format!("Kept: the outputs of {}, the input and the log.", many.join(", ")),
        many => format!("Kept: the outputs of {} steps, the input and the log.", many.len()),
    }
}

/// How an attempt ended, in a word.
pub fn attempt_end_word(attempt: &Attempt) -> &'static str {
    use domain::run::AttemptEnd;
    match &attempt.end {
        None => "Running",
        Some(AttemptEnd::Finished) => "Completed",
        Some(AttemptEnd::Failed(_)) => "Failed",
        Some(AttemptEnd::TimedOut(_)) => "Timed out",
        Some(AttemptEnd::Interrupted(_)) => "Interrupted",
        Some(AttemptEnd::Cancelled) => "Cancelled",
    }
}
