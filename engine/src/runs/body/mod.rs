//! The kinds of steps. Each kind is a file with some of the five functions below, and has an arm in each function of
//! this module.
//!
//! ```text
//! begin        claims an attempt: events, and work that is done once they are committed
//! take         a result of that work, or other news of the attempt
//! found_open   attempts that another process left open: they are interrupted, rejoined, called, or keep waiting
//! stop         the run is stopped while attempts are open
//! deadline     applies the time limit of a step that no task in memory waits for
//! ```

pub(super) mod aggregate;
pub(super) mod approval;
pub(super) mod child;
#[cfg(test)]
mod outside;
pub(super) mod prompt;

use super::{
    actor::RunActor,
    attempt::{Answer, CallFailure},
    batch::Batch,
};
use crate::models::{PromptPermit, Slot};
use domain::{
    error::ErrorClass,
    event::Failure,
    file::FilePath,
    id::{ContentId, RunNumber, StepRunId, Timestamp},
    plan::Body,
    template::{self, Template},
};
use std::collections::BTreeMap;

/// News of an open attempt. Each kind of step takes its own.
pub(super) enum News {
    /// The model's answer, or why there is none, and the content of each file that the model was shown.
    Answer { outcome: Result<Answer, CallFailure>, shown: BTreeMap<FilePath, ContentId> },
    /// The streaming answer has reached a file.
    FileRequested(FilePath),
    /// The child run is stored, or cannot be launched.
    Launched(Result<RunNumber, Failure>),
    /// The child run may have ended, or waits for a person, or no longer does.
    ChildChanged,
    #[cfg(test)]
    Outside(Result<serde_json::Value, Failure>),
}

/// The first feature of the template that no kind of step executes.
pub(super) fn unsupported(template: &Template) -> Option<String> {
    #[cfg(test)]
    let template = &outside::without(template);
    template::unsupported(template)
}

/// What executes a step.
enum Kind {
    Call,
    Person,
    Child,
    #[cfg(test)]
    Outside,
    /// Nothing. Templates with such steps are refused before a launch.
    None,
}

fn kind(run: &RunActor, step: StepRunId) -> Kind {
    match run.state().plan.steps[step.index()].body {
        Body::Prompt | Body::Aggregate => Kind::Call,
        Body::Approval => Kind::Person,
        Body::Template => Kind::Child,
        #[cfg(test)]
        Body::Tool => Kind::Outside,
        #[cfg(not(test))]
        Body::Tool => Kind::None,
        Body::Component | Body::Agent | Body::Decompose => Kind::None,
    }
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
    match kind(run, step) {
        Kind::Call => prompt::begin(run, step, attempt, slot, permit, batch).await,
        Kind::Person => approval::begin(run, step, batch).await,
        Kind::Child => child::begin(run, step, attempt, batch).await,
        #[cfg(test)]
        Kind::Outside => outside::begin(run, step, attempt, batch).await,
        Kind::None => {
            let failure = Failure::new(ErrorClass::BadRequest, "this server has no such kind of step");
            run.refuse(step, failure, batch);
        }
    }
}

/// Takes news of an attempt, which may have ended meanwhile.
pub(super) async fn take(run: &mut RunActor, step: StepRunId, attempt: u32, news: News, batch: &mut Batch) {
    match kind(run, step) {
        Kind::Call => prompt::take(run, step, attempt, news, batch).await,
        Kind::Child => child::take(run, step, attempt, news, batch).await,
        #[cfg(test)]
        Kind::Outside => outside::take(run, step, attempt, news, batch),
        Kind::Person | Kind::None => debug_assert!(false, "a step of this kind has no news"),
    }
}

/// Handles the attempts that were open when the run was loaded. Child runs are read together: there may be thousands.
pub(super) async fn found_open(run: &mut RunActor, open: Vec<(StepRunId, u32)>, batch: &mut Batch) {
    let mut children = Vec::new();
    for (step, attempt) in open {
        match kind(run, step) {
            Kind::Call => prompt::found_open(run, step, attempt, batch),
            Kind::Child => children.push((step, attempt)),
            #[cfg(test)]
            Kind::Outside => outside::found_open(run, step, attempt, batch).await,
            Kind::Person | Kind::None => {}
        }
    }
    child::found_open(run, children, batch).await;
}

/// Stops the attempts that are open when the run is stopped. A run that is given up (`RunActor` cannot load it) ends
/// without it: only its child runs are stopped.
pub(super) async fn stop(run: &mut RunActor, open: &[(StepRunId, u32)], batch: &mut Batch) {
    let mut children = Vec::new();
    for &(step, attempt) in open {
        match kind(run, step) {
            Kind::Call => prompt::stop(run, step, attempt, batch),
            Kind::Child => children.push((step, attempt)),
            #[cfg(test)]
            Kind::Outside => outside::stop(run, step, attempt),
            Kind::Person | Kind::None => {}
        }
    }
    child::stop(run, &children, batch).await;
}

/// Applies the step's time limit, if it has been reached by `now`.
pub(super) async fn deadline(run: &mut RunActor, step: StepRunId, now: Timestamp, batch: &mut Batch) {
    match kind(run, step) {
        Kind::Person => approval::deadline(run, step, now, batch).await,
        Kind::Child => child::deadline(run, step, now, batch).await,
        #[cfg(test)]
        Kind::Outside => outside::deadline(run, step, now, batch),
        // A call's time limit is a part of its task.
        Kind::Call | Kind::None => {}
    }
}
