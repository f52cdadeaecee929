//! Supervision of a live run: one task runs its actors.
//!
//! When an actor panics or cannot be created, the supervisor starts another one. After several failures it ends the run
//! as failed; the rest of the server is not affected.

use super::{
    actor::End,
    commit::CommitError,
    mailbox::{Mailbox, MailboxSender},
    requests::Request,
};
use crate::{
    Engine, Error, Result,
    store::{
        self, runs,
        servers::{self, Take},
    },
};
use domain::{error::ErrorClass, event::Failure, id::RunId};
use futures::FutureExt;
use std::{panic::AssertUnwindSafe, time::Duration};
use tokio::sync::mpsc;

/// How many actors of a run may panic or find damaged data before the run fails.
const FAILURES: u32 = 3;
/// How often a run is taken without advancing before it fails (DESIGN section 2).
const TAKES: u32 = 5;

impl Engine {
    /// Runs `first`; if it fails, loads the run again, until the run has ended or the server stops.
    pub(super) fn supervise(&self, run: RunId, first: impl Future<Output = Result<End>> + Send + 'static) {
        let engine = self.clone();
        // Boxed, because the task would reserve its size twice.
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
                    // The run was deleted, with its project or its conversation.
                    Ok(Err(Error::NotFound { .. })) => return engine.0.runs.forget_closed(run),
                    // Not a fault of the run, however long it takes.
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
                // Registered before the pause, so that no other actor is started; commands wait in the mailbox.
                let (mail, mailbox) = mpsc::unbounded_channel();
                if !engine.0.runs.succeed(run, &mail) {
                    return;
                }
                let stopping = engine.0.runs.stopping();
                tokio::select! {
                    () = tokio::time::sleep(pause_after(setbacks)) => {}
                    () = stopping.cancelled() => return engine.0.runs.forget_closed(run),
                }
                let next = Box::pin(take_up(engine.clone(), run, mail, mailbox, Taking::Again));
                result = AssertUnwindSafe(next).catch_unwind().await;
            }
        });
    }

    async fn end_as_failed(&self, run: RunId, why: &str) {
        let failure = Failure::new(ErrorClass::Interrupted, why);
        let give_up = self.persist(run, || self.give_up(run, failure.clone()));
        let damaged = match AssertUnwindSafe(give_up).catch_unwind().await {
            Ok(Ok(())) => false,
            Ok(Err(error)) => {
                tracing::error!(%run, %error, source = ?error, "a run could not be given up");
                // An unavailable database, a log that another server continues and a deleted run say nothing about its
                // child runs.
                matches!(error, Error::Internal(_))
            }
            Err(_) => {
                tracing::error!(%run, "giving up a run panicked: its log cannot be read");
                true
            }
        };
        if damaged {
            self.stop_children_of_damaged(run).await;
        }
        self.0.runs.forget_closed(run);
    }

    /// Stops the child runs of a run whose log cannot be read: nothing takes their results.
    async fn stop_children_of_damaged(&self, run: RunId) {
        let number = self.persist(run, || async {
            let row = runs::by_id(self.0.store.read(), run).await?;
            row.map(|row| row.summary()).transpose()
        });
        match number.await {
            Ok(Some(summary)) => self.stop_children(run, summary.number, None),
            Ok(None) => {}
            Err(error) => {
                tracing::error!(%run, %error, source = ?error, "the child runs of a damaged run could not be stopped");
            }
        }
    }
}

/// Why a run is loaded from its log.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Taking {
    /// The run has work to do. It may crash the server, so the take is counted.
    First,
    /// The previous actor ended early and the server is alive, so the take is not counted.
    Again,
}

/// Works on a run from the end of its log.
pub(super) async fn take_up(
    engine: Engine,
    run: RunId,
    mail: MailboxSender,
    mailbox: Mailbox,
    taking: Taking,
) -> Result<End> {
    let place = engine.0.runs.taking_up.acquire().await;
    let stopping = engine.0.runs.stopping();
    // Nothing begins when the server is about to stop, because it would be interrupted.
    if stopping.is_cancelled() {
        engine.0.runs.forget_closed(run);
        return Ok(End::Stopped);
    }
    // Counted before anything is planned, so that a run that crashes the server at each start eventually fails.
    let more = u32::from(taking == Taking::First);
    let (owner, now) = (engine.0.runs.owner(), store::now());
    match engine.0.store.write(move |tx| Box::pin(servers::take(tx, run, owner, now, more))).await? {
        Take::Ended => {
            drop(mailbox);
            engine.0.runs.forget_closed(run);
            engine.refuse_requests_of(run).await?;
            return Ok(End::Ended);
        }
        Take::Elsewhere => {
            drop(mailbox);
            engine.0.runs.forget_closed(run);
            // The server that executes the run is told through the database.
            engine.ask_later(run, Request::Look);
            return Ok(End::Ended);
        }
        Take::Taken(takes) if taking == Taking::First && takes > TAKES => {
            return Ok(End::Broken(format!(
                "the server stopped {TAKES} times while it worked on this run, each time before the run got any further"
            )));
        }
        Take::Taken(_) => {}
    }
    let mut actor = engine.load(run, mail).await?;
    drop(place);
    match actor.resume().await {
        Ok(()) => Ok(actor.work(mailbox).await),
        Err(_) if stopping.is_cancelled() => Ok(End::Stopped),
        Err(CommitError::Never(why)) => Ok(End::Broken(why)),
        Err(_) => Ok(End::Fenced),
    }
}

/// 0.1 s, times four with each setback, at most a minute.
fn pause_after(setbacks: u32) -> Duration {
    Duration::from_millis(100 << (2 * setbacks.saturating_sub(1)).min(10)).min(Duration::from_secs(60))
}

#[cfg(test)]
mod tests;
