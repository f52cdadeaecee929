//! Looking after a live run: one task sees its actor through.
//!
//! An actor that panics, or that cannot be made, is followed by another one, and after some the run ends as failed:
//! truthfully, and without the rest of the server noticing.

use super::{
    actor::End,
    commit::CommitError,
    mailbox::{Mailbox, MailboxSender},
};
use crate::{Engine, Error, Result, store::runs};
use domain::{error::ErrorClass, event::Failure, id::RunId};
use futures::FutureExt;
use std::{panic::AssertUnwindSafe, time::Duration};
use tokio::sync::mpsc;

/// How many actors of a run may panic, or find what they need damaged, before the run is given up.
const FAILURES: u32 = 3;
/// How often a run is taken up without getting any further before it is given up (DESIGN section 2).
const TAKES: u32 = 5;

impl Engine {
    /// Sees `first` through, and if it breaks down takes the run up again, until it has ended or the server stops.
    pub(super) fn supervise(&self, run: RunId, first: impl Future<Output = Result<End>> + Send + 'static) {
        let engine = self.clone();
        // In a box: the task would have room for it twice.
        let first = Box::pin(first);
        self.0.runs.tasks.spawn(async move {
            let mut result = AssertUnwindSafe(first).catch_unwind().await;
            let (mut setbacks, mut failures) = (0_u32, 0);
            loop {
                setbacks += 1;
                let why = match result {
                    Ok(Ok(End::Ended | End::Stopped | End::Parked)) => return,
                    Ok(Ok(End::Fenced)) => {
                        tracing::warn!(%run, "the log moved on without this process; reading it again");
                        None
                    }
                    Ok(Ok(End::Broken(why))) => Some(why),
                    // Deleted, with its project or its conversation.
                    Ok(Err(Error::NotFound { .. })) => return engine.0.runs.forget_closed(run),
                    // That is no fault of the run, however long it takes.
                    Ok(Err(Error::Unavailable(why))) => {
                        tracing::error!(%run, %why, "a run cannot be taken up now; trying again");
                        None
                    }
                    Ok(Err(error)) => {
                        tracing::error!(%run, %error, source = ?error, "a run could not be taken up");
                        failures += 1;
                        let why = "the server could not read what the run needs to go on; its log says why";
                        (failures >= FAILURES).then(|| why.to_owned())
                    }
                    Err(_) => {
                        tracing::error!(%run, "a run's actor panicked");
                        failures += 1;
                        let why = "the server failed at this run again and again; its log says why";
                        (failures >= FAILURES).then(|| why.to_owned())
                    }
                };
                if let Some(why) = why {
                    return Box::pin(engine.end_as_failed(run, &why)).await;
                }
                // Registered before the pause, so that nobody else takes it up; commands wait in the mailbox.
                let (mail, mailbox) = mpsc::unbounded_channel();
                if !engine.0.runs.succeed(run, &mail) {
                    return;
                }
                let stopping = engine.0.runs.stopping();
                tokio::select! {
                    () = tokio::time::sleep(pause_after(setbacks)) => {}
                    () = stopping.cancelled() => return engine.0.runs.forget_closed(run),
                }
                let next = Box::pin(take_up(engine.clone(), run, mail, mailbox));
                result = AssertUnwindSafe(next).catch_unwind().await;
            }
        });
    }

    async fn end_as_failed(&self, run: RunId, why: &str) {
        let failure = Failure::new(ErrorClass::Interrupted, why);
        let give_up = self.persist(run, || self.give_up(run, failure.clone()));
        match AssertUnwindSafe(give_up).catch_unwind().await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%run, %error, source = ?error, "a run could not be given up"),
            Err(_) => tracing::error!(%run, "giving up a run panicked: its log cannot be read"),
        }
        self.0.runs.forget_closed(run);
    }
}

/// Works on a run from where its log ends.
pub(super) async fn take_up(
    engine: Engine,
    run: RunId,
    mail: MailboxSender,
    mailbox: Mailbox,
) -> Result<End> {
    let place = engine.0.runs.taking_up.acquire().await;
    let stopping = engine.0.runs.stopping();
    // Nothing begins when the server is about to stop: it would only be interrupted.
    if stopping.is_cancelled() {
        engine.0.runs.forget_closed(run);
        return Ok(End::Stopped);
    }
    // Before anything is planned: a run that takes the server down at each start is given up at last.
    match engine.0.store.write(move |tx| Box::pin(runs::count_take(tx, run))).await? {
        None => {
            drop(mailbox);
            engine.0.runs.forget_closed(run);
            return Ok(End::Ended);
        }
        Some(takes) if takes > TAKES => {
            return Ok(End::Broken(format!(
                "the server stopped {TAKES} times while it worked on this run, each time before the run got any further"
            )));
        }
        Some(_) => {}
    }
    let mut actor = engine.load(run, mail).await?;
    drop(place);
    actor.stop_if_orphaned().await?;
    match actor.resume().await {
        Ok(()) => Ok(actor.work(mailbox).await),
        Err(_) if stopping.is_cancelled() => Ok(End::Stopped),
        Err(CommitError::Never(why)) => Ok(End::Broken(why)),
        Err(_) => Ok(End::Fenced),
    }
}

/// 0.1 s, four times as long with each setback, at most a minute.
fn pause_after(setbacks: u32) -> Duration {
    Duration::from_millis(100 << (2 * setbacks.saturating_sub(1)).min(10)).min(Duration::from_secs(60))
}
