//! Delivery of work on runs: the port between stored state and the process that works on it.
//!
//! A delivery carries only ids. The data is in the store, so a delivery may arrive twice, late or in another order, and
//! the sweep (`runs/sweep.rs`) finds lost ones: a loss costs time only.

mod local;

pub use local::Local;

use crate::Engine;
use domain::id::{RunId, StepRunId, Timestamp};

/// Brings runs and claimed attempts to a process that works on them.
pub trait Delivery: Send + Sync + 'static {
    /// Whether this process continues at once with what it has in memory: a run that it has just stored, or an attempt
    /// that it has just claimed. If not, it waits for a delivery like any other process, and the log says when the call
    /// of a claimed attempt begins.
    fn keeps(&self) -> bool;

    /// Requests a look at the run: it was launched, has a pending request, or one of its child runs has ended.
    fn advance(&self, engine: &Engine, run: RunId);

    /// Requests the model call of an attempt that is claimed in the run's log. Whichever server executes the run makes
    /// the call: the claim stored all that it needs.
    fn execute(&self, engine: &Engine, run: RunId, step: StepRunId, attempt: u32);

    /// Announces the run's next time limit, as committed at `now`; none: the run has no limit any more.
    fn wake_at(&self, engine: &Engine, run: RunId, now: Timestamp, at: Option<Timestamp>);
}
