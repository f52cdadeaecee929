//! The kinds of steps. Each kind is a file with some of the five functions below, and has an arm in each function of
//! this module; a run's actor knows nothing else about it.
//!
//! ```text
//! begin        claims an attempt: events, and work that is done once they are committed
//! take         a result of that work, as a command
//! found_open   attempts that another process left open: they are interrupted, rejoined, or keep waiting
//! stop         the run ends while the attempt is open
//! deadline     applies the time limit of a step that no task in memory waits for
//! ```

pub(super) mod aggregate;
pub(super) mod approval;
pub(super) mod child;
pub(super) mod prompt;

use super::{actor::RunActor, batch::Batch};
use crate::models::{PromptPermit, Slot};
use domain::{
    error::ErrorClass,
    event::Failure,
    id::{StepRunId, Timestamp},
    plan::Body,
};

fn body(run: &RunActor, step: StepRunId) -> Body {
    run.state().plan.steps[step.index()].body
}

/// Begins the attempt that is to start next.
pub(super) async fn begin(
    run: &mut RunActor,
    step: StepRunId,
    attempt: u32,
    slot: Option<Slot>,
    permit: Option<PromptPermit>,
    batch: &mut Batch,
) {
    match body(run, step) {
        Body::Prompt | Body::Aggregate => prompt::begin(run, step, attempt, slot, permit, batch).await,
        Body::Approval => approval::begin(run, step, batch).await,
        Body::Template => child::begin(run, step, attempt, batch).await,
        // Templates with these kinds are refused before a launch.
        Body::Component | Body::Tool | Body::Agent | Body::Decompose => {
            let failure = Failure::new(ErrorClass::BadRequest, "this server has no such kind of step");
            run.refuse(step, failure, batch);
        }
    }
}

/// Handles the attempts that were open when the run was loaded. Child runs are read together: there may be thousands.
pub(super) async fn found_open(run: &mut RunActor, open: Vec<(StepRunId, u32)>, batch: &mut Batch) {
    let (calling, called): (Vec<_>, Vec<_>) =
        open.into_iter().partition(|(step, _)| matches!(body(run, *step), Body::Template));
    for (step, attempt) in called {
        prompt::found_open(run, step, attempt, batch);
    }
    child::found_open(run, calling, batch).await;
}

/// Applies the step's time limit, if it has been reached by `now`.
pub(super) async fn deadline(run: &mut RunActor, step: StepRunId, now: Timestamp, batch: &mut Batch) {
    match body(run, step) {
        Body::Approval => approval::deadline(run, step, now, batch).await,
        Body::Template => child::deadline(run, step, now, batch).await,
        _ => {}
    }
}
