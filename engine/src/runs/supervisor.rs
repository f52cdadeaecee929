//! Looking after a live run: one task sees its actor through.
//!
//! An actor that panics, or that cannot be made, is followed by another one, and after some the run ends as failed:
//! truthfully, and without the rest of the server noticing.

use super::actor::{Command, End, Mailbox};
use crate::{Engine, Error, Result};
use domain::{error::ErrorClass, event::Failure, id::RunId};
use futures::FutureExt;
use std::{panic::AssertUnwindSafe, time::Duration};
use tokio::sync::mpsc;

/// How many actors of a run may panic before it is given up.
const PANICS: u32 = 3;
/// How often in all a run is taken up again by one process; with [`pause_after`], over about three minutes.
const SETBACKS: u32 = 8;

impl Engine {
    /// Sees `first` through, and if it breaks down takes the run up again, until it has ended or the server stops.
    pub(super) fn supervise(&self, run: RunId, first: impl Future<Output = Result<End>> + Send + 'static) {
        let engine = self.clone();
        // In a box: the task would have room for it twice.
        let first = Box::pin(first);
        self.0.runs.tasks.spawn(async move {
            let mut result = AssertUnwindSafe(first).catch_unwind().await;
            let (mut setbacks, mut panics) = (0, 0);
            loop {
                setbacks += 1;
                match result {
                    Ok(Ok(End::Ended | End::Stopped | End::Parked)) => return,
                    Ok(Ok(End::Fenced)) => {
                        tracing::warn!(%run, "the log moved on without this process; reading it again");
                        if setbacks >= SETBACKS {
                            return engine.0.runs.forget_closed(run);
                        }
                    }
                    // Deleted, with its project or its conversation.
                    Ok(Err(Error::NotFound { .. })) => return engine.0.runs.forget_closed(run),
                    Ok(Err(error)) => {
                        tracing::error!(%run, %error, source = ?error, "a run could not be taken up");
                        if setbacks >= SETBACKS {
                            let why =
                                "the server could not read what the run needs to go on; its log says why";
                            return Box::pin(engine.end_as_failed(run, why)).await;
                        }
                    }
                    Err(_) => {
                        tracing::error!(%run, "a run's actor panicked");
                        panics += 1;
                        if panics >= PANICS || setbacks >= SETBACKS {
                            let why = "the server failed at this run again and again; its log says why";
                            return Box::pin(engine.end_as_failed(run, why)).await;
                        }
                    }
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
        match AssertUnwindSafe(self.give_up(run, failure)).catch_unwind().await {
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
    mail: mpsc::UnboundedSender<Command>,
    mailbox: Mailbox,
) -> Result<End> {
    let batch = engine.0.runs.taking_up.acquire().await;
    let stopping = engine.0.runs.stopping();
    // Nothing begins when the server is about to stop: it would only be interrupted.
    if stopping.is_cancelled() {
        engine.0.runs.forget_closed(run);
        return Ok(End::Stopped);
    }
    let mut actor = engine.load(run, mail).await?;
    drop(batch);
    actor.stop_if_orphaned().await?;
    if !stopping.is_cancelled() && actor.resume().await.is_err() && !stopping.is_cancelled() {
        return Ok(End::Fenced);
    }
    Ok(actor.work(mailbox).await)
}

/// 0.1 s, four times as long with each setback, at most a minute.
fn pause_after(setbacks: u32) -> Duration {
    Duration::from_millis(100 << (2 * setbacks.saturating_sub(1)).min(10)).min(Duration::from_secs(60))
}
