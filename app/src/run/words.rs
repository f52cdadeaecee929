//! The signs and words for where a run or a step stands. One place, so that a list, a message and a run's page say the same.

use crate::ui::Status;
use domain::{
    error::ErrorClass,
    event::Decision,
    run::{Answer, Attempt, AttemptEnd, ItemCounts, Phase, RunState, StepState, StepStatus},
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
    state.open == 0 && state.step_runs().any(|(_, run)| run.retry_at.is_some())
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

/// "3 of 12 items, 1 failed"; "12 items" once all are settled.
pub fn item_words(counts: ItemCounts) -> String {
    let ItemCounts { total, completed, failed, .. } = counts;
    let settled = completed + failed;
    let of = if settled < total { format!("{settled} of ") } else { String::new() };
    let items = if total == 1 { "item" } else { "items" };
    let lost = if failed > 0 { format!(", {failed} failed") } else { String::new() };
    format!("{of}{total} {items}{lost}")
}

/// "Approved by Ada: fine".
pub fn answer_words(answer: &Answer) -> String {
    let done = match answer.decision {
        Decision::Approve => "Approved",
        Decision::Edit => "Changed and approved",
        Decision::Reject => "Rejected",
    };
    let by = answer.by.as_deref().unwrap_or("the time limit");
    let note = if answer.note.is_empty() { String::new() } else { format!(": {}", answer.note) };
    format!("{done} by {by}{note}")
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

    #[test]
    fn answers_name_who_gave_them() {
        let answer = |decision, by: Option<&str>, note: &str| {
            let at = domain::id::Timestamp(0);
            answer_words(&Answer { at, decision, by: by.map(str::to_owned), note: note.to_owned() })
        };
        assert_eq!(answer(Decision::Approve, Some("Ada"), "fine"), "Approved by Ada: fine");
        assert_eq!(answer(Decision::Edit, Some("Ada"), ""), "Changed and approved by Ada");
        assert_eq!(answer(Decision::Reject, None, ""), "Rejected by the time limit");
    }
}
