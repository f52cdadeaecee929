//! Launching a run and waiting for its end, in one command.
//!
//! The caller subscribes to the run's channel before any part of the run can end, is woken only by its end, and gets
//! the state from the run's actor. So nothing is polled, and for a run that ends soon nothing is read from the
//! database. On a shared database, the task that follows the commits of other servers wakes the caller if one of them
//! ends the run; the state is then read.

use super::{Launch, Subject, batch::derived, launch::OpenedRun};
use crate::{
    Engine, Result, User,
    live::{Ended, RECHECK, RunEnd},
};
use domain::{
    access::Permission,
    key::ProjectKey,
    run::RunState,
    view::{Launched, RunDetail, RunSummary},
};
use tokio::time::Instant;

/// The result of a launch whose caller waited.
#[derive(Debug)]
pub enum Waited {
    Ended(Box<RunDetail>),
    /// The run has not ended yet.
    Launched(Launched),
}

impl Engine {
    /// Like [`Engine::execute`], and waits for the run's end, until `patience` has passed or the server stops. Requires
    /// editor permission.
    ///
    /// If the caller disconnects, the run continues.
    ///
    /// # Errors
    /// As [`Engine::execute`]; also if the caller may no longer read the project when the run ends.
    pub async fn execute_and_wait(
        &self,
        user: &User,
        project: &ProjectKey,
        subject: Subject,
        launch: Launch,
        patience: impl Future<Output = ()>,
    ) -> Result<Waited> {
        self.check_key(user, project, &subject, &launch).await?;
        let began = Instant::now();
        let OpenedRun { launched, end } = self.launch(user, project, subject, launch, None, true).await?;
        let mut end = match end {
            Some(end) => end,
            // The run was launched earlier and may have ended.
            None => {
                let row = self.run_row(user, project, launched.run, Permission::Viewer).await?;
                let end = RunEnd::of(self.0.live.channel(row.id()));
                let detail = self.run(user, project, launched.run).await?;
                if detail.summary.status.is_end() {
                    return Ok(Waited::Ended(Box::new(detail)));
                }
                end
            }
        };
        let stopping = self.0.runs.stopping();
        let ended = tokio::select! {
            biased;
            ended = end.reached() => Some(ended),
            () = patience => None,
            () = stopping.cancelled() => return Ok(Waited::Launched(launched)),
        };
        let has_ended = ended.is_some();
        if let Some(Ended::Here(state)) = ended
            && began.elapsed() < RECHECK
            && let Some(detail) = detail(&launched, *state)
        {
            return Ok(Waited::Ended(Box::new(detail)));
        }
        // Rechecks the permission as often as a live stream does.
        let row = self.run_row(user, project, launched.run, Permission::Viewer).await?;
        if !has_ended && !row.summary()?.status.is_end() {
            return Ok(Waited::Launched(launched));
        }
        Ok(Waited::Ended(Box::new(self.run(user, project, launched.run).await?)))
    }
}

/// The run's detail, built from its launch and its end without reading the database.
fn detail(launched: &Launched, state: RunState) -> Option<RunDetail> {
    let derived = derived(&state);
    let summary = RunSummary {
        number: launched.run,
        template: state.template.clone()?,
        status: derived.status,
        by: state.by.clone(),
        task: launched.task_id,
        message: launched.message_id,
        created_at: state.acknowledged_at,
        finished_at: derived.finished_at,
        usage: derived.usage,
        warnings: derived.warnings,
        error: derived.error,
        caller: state.caller.as_ref().map(|caller| caller.run),
    };
    Some(RunDetail { summary, state })
}
