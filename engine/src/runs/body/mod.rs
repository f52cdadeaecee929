//! What runs when a step runs. Each kind of step is a file of its own with the same five functions, and an arm in each of
//! those here; a step's actor knows nothing else of it.
//!
//! ```text
//! begin        claims an attempt: events, and work that is done once they are committed
//! take         a result of that work, as a command
//! found_open   an attempt that another process left open: it is interrupted, joined again, or left to whom it waits for
//! stop         the run ends while it is open
//! deadline     what the time limit of a step decides that nothing in memory waits for
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
        // Templates with these are refused before they are launched.
        Body::Component | Body::Tool | Body::Agent | Body::Decompose => {
            let failure = Failure::new(ErrorClass::BadRequest, "this server has no such kind of step");
            run.refuse(step, failure, batch);
        }
    }
}

/// An attempt that was open when the run was taken up.
pub(super) async fn found_open(run: &mut RunActor, step: StepRunId, attempt: u32, batch: &mut Batch) {
    match body(run, step) {
        Body::Template => child::found_open(run, step, attempt, batch).await,
        _ => prompt::found_open(run, step, attempt, batch),
    }
}

/// What the time limits decide that have come by `now`, of the steps that wait elsewhere.
pub(super) async fn deadline(run: &mut RunActor, step: StepRunId, now: Timestamp, batch: &mut Batch) {
    match body(run, step) {
        Body::Approval => approval::deadline(run, step, now, batch).await,
        Body::Template => child::deadline(run, step, now, batch),
        _ => {}
    }
}
