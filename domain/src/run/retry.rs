//! Whether a failed attempt is followed by another, and when.

use super::state::RunState;
use crate::{error::ErrorClass, id::StepRunId};
use std::time::Duration;

/// Interruptions in a row that don't count against `maxRetries` (DESIGN section 2): a restart is nobody's fault, but a
/// step that takes the server down each time must not do so for ever.
pub(super) const FREE_INTERRUPTIONS: u32 = 5;

const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// However long a provider asks us to wait, a person would rather hear of it than find the run asleep tomorrow.
const LONGEST_ASKED: Duration = Duration::from_secs(60 * 60);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Try again; `nth` counts the retries from 1 and sets the wait.
    Retry { nth: u32 },
    /// Failed for good.
    Final,
}

impl RunState {
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

/// How long to wait before retry `nth`: exponential, with `jitter` from 0 to 1 taking away up to half of it, and never
/// less than what the provider asked for, up to an hour.
pub fn backoff(nth: u32, jitter: f64, retry_after: Option<Duration>) -> Duration {
    let own = match nth.checked_sub(1) {
        // An interruption: nothing has shown that waiting helps.
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
