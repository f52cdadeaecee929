//! Delivery within this process: the actors' mailboxes and a queue of timers.

use super::Delivery;
use crate::Engine;
use domain::id::{RunId, StepRunId, Timestamp};

/// Delivers to this process, immediately and exactly once.
#[derive(Clone, Copy, Debug, Default)]
pub struct Local;

impl Delivery for Local {
    fn keeps(&self) -> bool {
        true
    }

    fn advance(&self, engine: &Engine, run: RunId) {
        engine.wake(run);
    }

    fn execute(&self, engine: &Engine, run: RunId, step: StepRunId, attempt: u32) {
        engine.execute_attempt(run, step, attempt);
    }

    fn wake_at(&self, engine: &Engine, run: RunId, now: Timestamp, at: Option<Timestamp>) {
        engine.set_timer(run, now, at);
    }
}
