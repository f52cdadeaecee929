//! The icons and texts for the status of runs and steps, in one place, so that lists, messages and run pages agree.

use crate::ui::{Status, format_count};
use domain::{
    error::ErrorClass,
    run::{Attempt, AttemptOutcome, ItemCounts, Phase, RunState, StepState, StepStatus},
};

/// The status of the run.
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

/// The status of a step.
pub fn step_status(step: &StepState) -> Status {
    match step.status {
        StepStatus::Ready if step.retry_at.is_some() => Status::Retrying,
        StepStatus::Failed if matches!(last_end(step), Some(AttemptOutcome::TimedOut(_))) => Status::TimedOut,
        status => status.into(),
    }
}

fn last_end(step: &StepState) -> Option<&AttemptOutcome> {
    Some(&step.attempts.last()?.end.as_ref()?.outcome)
}

/// Whether no attempt is open and a failed one waits for its retry.
fn is_retrying(state: &RunState) -> bool {
    state.open == 0 && state.step_runs().any(|(_, run)| run.retry_at.is_some())
}

fn timed_out(state: &RunState) -> bool {
    state.error.as_ref().is_some_and(|failure| failure.error.class == ErrorClass::Timeout)
}

/// "attempt 2 of 3"; `None` during an undisturbed first attempt.
pub fn attempt_words(step: &StepState, max_retries: u32) -> Option<String> {
    let number = step.current_try();
    (number > 1 || step.failures > 0).then(|| {
        // Retries after interruptions do not count against the maximum.
        let of = (max_retries + 1).max(number);
        format!("attempt {number} of {of}")
    })
}

/// "3 of 12 items, 1 failed"; "12 items" once all have ended.
pub fn item_words(counts: ItemCounts) -> String {
    let ItemCounts { total, completed, failed, .. } = counts;
    let settled = completed + failed;
    let of = if settled < total { format!("{settled} of ") } else { String::new() };
    let items = if total == 1 { "item" } else { "items" };
    let lost = if failed > 0 { format!(", {failed} failed") } else { String::new() };
    format!("{of}{total} {items}{lost}")
}

/// "Reused from run 3 (version 2), 1,204 tokens there"; `None` for a step with an output of its own.
pub fn reused_words(step: &StepState) -> Option<String> {
    if !step.reused {
        return None;
    }
    let Some(origin) = &step.origin else {
        return Some(
            "Reused from the run that this one was forked from; nothing was called for it.".to_owned(),
        );
    };
    let cost = origin.usage.cost.map(|cost| format!(", {}", cost.short())).unwrap_or_default();
    let spent = match origin.usage.total() {
        0 => String::new(),
        tokens => format!(": {} tokens{cost}", format_count(tokens)),
    };
    let stale = origin.stale.as_ref().map(|reason| format!(" Stale: {reason}.")).unwrap_or_default();
    Some(format!("Reused from run {} (version {}){spent}.{stale}", origin.run, origin.version))
}

/// The completed work of a run that ended early.
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

/// "Attempt 2"; "Attempts 2 to 5" of calls that the provider refused in a row.
pub fn attempt_name(attempt: &Attempt) -> String {
    match attempt.refusals {
        0 | 1 => format!("Attempt {}", attempt.number),
        refusals => format!("Attempts {} to {}", attempt.number + 1 - refusals, attempt.number),
    }
}

/// The status of an attempt.
pub fn attempt_status(attempt: &Attempt) -> Status {
    match attempt.end.as_ref().map(|end| &end.outcome) {
        None => Status::Running,
        Some(AttemptOutcome::Finished) => Status::Completed,
        Some(AttemptOutcome::Throttled(_)) => Status::Queued,
        Some(AttemptOutcome::Failed(_) | AttemptOutcome::Interrupted(_)) => Status::Failed,
        Some(AttemptOutcome::TimedOut(_)) => Status::TimedOut,
        Some(AttemptOutcome::Cancelled) => Status::Cancelled,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_read_well() {
        let counts = |total, completed, failed| ItemCounts { total, running: 0, completed, failed };
        for (counts, text) in [
            (counts(12, 2, 1), "3 of 12 items, 1 failed"),
            (counts(12, 12, 0), "12 items"),
            (counts(1, 0, 1), "1 item, 1 failed"),
            (counts(0, 0, 0), "0 items"),
        ] {
            assert_eq!(item_words(counts), text);
        }
    }
}
