//! Whether another attempt follows a failed one, and when.

use super::state::RunState;
use crate::{
    error::ErrorClass,
    id::{StepRunId, Timestamp},
};
use std::time::Duration;

/// Consecutive interruptions that do not count against `maxRetries` (DESIGN section 2): a restart is not the step's
/// fault, but a step that crashes the server each time must not do so forever.
pub(super) const FREE_INTERRUPTIONS: u32 = 5;

const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// Maximum wait that a provider may ask for: an error is more useful than a run that sleeps until tomorrow.
const LONGEST_ASKED: Duration = Duration::from_secs(60 * 60);

/// How long a rate-limited call keeps returning to its provider's queue, unless the step's own time limit is shorter.
const LONGEST_THROTTLED: Duration = Duration::from_secs(60 * 60);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Try again; `nth` counts the retries from 1 and determines the wait.
    Retry { nth: u32 },
    /// No further attempt.
    Final,
}

impl RunState {
    /// Whether a call that the provider rate-limited returns to the queue without counting against `maxRetries`. It
    /// does until the step's time limit, or an hour, has passed since the first of the consecutive refusals. If the
    /// provider asks for a longer wait than that, the call does not return.
    pub fn may_requeue(&self, step: StepRunId, now: Timestamp, asked: Option<Duration>) -> bool {
        let Some(state) = self.step_run(step) else { return false };
        let Some(open) = state.open_attempt() else { return false };
        let since = state.throttled_since.unwrap_or(open.started_at);
        let own = self.plan.steps[step.index()].timeout_ms.map(Duration::from_millis);
        let limit = own.unwrap_or(LONGEST_THROTTLED).min(LONGEST_THROTTLED);
        let passed = Duration::from_millis(now.since(since)).saturating_add(asked.unwrap_or_default());
        passed < limit
    }

    /// What follows when the open attempt of `step` fails with `class`.
    pub fn verdict(&self, step: StepRunId, class: ErrorClass) -> Verdict {
        let Some(state) = self.step_run(step) else { return Verdict::Final };
        if class == ErrorClass::Interrupted && state.interruptions < FREE_INTERRUPTIONS {
            return Verdict::Retry { nth: 0 };
        }
        let may_retry = class.is_retryable() || class == ErrorClass::Interrupted;
        if may_retry && state.failures < self.plan.steps[step.index()].max_retries {
            Verdict::Retry { nth: state.failures + 1 }
        } else {
            Verdict::Final
        }
    }
}

/// The wait before retry `nth`: exponential, where `jitter` from 0 to 1 takes away up to half of it, and at least the
/// wait that the provider asked for, up to an hour.
pub fn backoff(nth: u32, jitter: f64, retry_after: Option<Duration>) -> Duration {
    let own = match nth.checked_sub(1) {
        // After an interruption, nothing indicates that waiting helps.
        None => Duration::ZERO,
        Some(before) => {
            let full = FIRST_WAIT.saturating_mul(1 << before.min(16)).min(LONGEST_WAIT);
            full.mul_f64(1.0 - jitter.clamp(0.0, 1.0) / 2.0)
        }
    };
    own.max(retry_after.unwrap_or_default().min(LONGEST_ASKED))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_obey_the_provider_and_end() {
        assert_eq!(backoff(0, 0.0, None), Duration::ZERO);
        assert_eq!(backoff(0, 0.5, Some(Duration::from_secs(1))), Duration::from_secs(1));
        assert_eq!(backoff(1, 0.0, None), Duration::from_millis(500));
        assert_eq!(backoff(3, 1.0, None), Duration::from_secs(1));
        assert_eq!(backoff(u32::MAX, 0.0, None), LONGEST_WAIT);
        assert_eq!(backoff(1, 0.0, Some(Duration::from_secs(90))), Duration::from_secs(90));
        assert_eq!(backoff(1, 0.0, Some(Duration::MAX)), LONGEST_ASKED);
    }
}
