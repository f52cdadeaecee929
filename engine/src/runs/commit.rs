//! How a batch becomes true: one fenced commit, then what it decided is done.

use super::{
    actor::{METADATA_EVERY, OpenCall, RunActor},
    attempt::{self, CallFailure},
    batch::{Batch, Start, Wait, derived},
    mailbox::Command,
};
use crate::{
    Error, Result,
    store::{
        log::{self, LogAppend},
        snapshots,
    },
};
use domain::{
    event::{Event, EventKind},
    run::{MessageMetadata, Phase},
    view::Subject,
};
use futures::FutureExt;
use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};
use tokio::time::{Instant, sleep};

/// How long to wait before a commit that the database does not take now is tried again.
const COMMIT_RETRY: Duration = Duration::from_secs(1);
/// A log that has grown by so many events gets its fold kept; when it ends, by so many.
const SNAPSHOT_EVERY: u64 = 2_000;
const SNAPSHOT_AT_END: u64 = 500;

/// Why a batch was not committed.
pub(super) enum CommitError {
    /// The log moved on without this process: another one works on the run.
    Fenced,
    /// The server stops.
    Stopping,
    /// The database will never take it: why, in words for the run's page.
    Never(String),
}

impl RunActor {
    /// Commits what the batch recorded since `expected`, then does what it decided.
    pub async fn commit_batch(
        &mut self,
        expected: u64,
        phase: Phase,
        mut batch: Batch,
    ) -> Result<(), CommitError> {
        if !batch.events.is_empty() || self.metadata_is_due() {
            let moved = self.state().phase != phase;
            let append = self.append(expected, moved, &mut batch);
            let events = append.events.clone();
            let (at, limit, progress) = (append.at, append.derived.wake_at, append.progress);
            self.commit(append).await?;
            self.progressed |= progress;
            if self.limit != limit {
                self.limit = limit;
                self.engine.0.runs.timers.set(self.facts.run, at, limit);
            }
            self.channel.committed(&events);
            self.keep_snapshot();
        }
        self.trim_values();
        self.carry_out(batch);
        Ok(())
    }

    /// What the batch writes. The message follows when the phase changed, else at most once a second.
    pub fn append(&mut self, expected: u64, moved: bool, batch: &mut Batch) -> LogAppend {
        let state = self.planner.state();
        let due = moved || self.metadata_at.elapsed() >= METADATA_EVERY;
        let metadata = due.then(|| Arc::new(MessageMetadata::from(state)));
        self.metadata_stale = !due;
        // A run may ask, or be answered, while its phase stays: inboxes want to know of that, too.
        let asks =
            |event: &Event| matches!(event.kind, EventKind::Waiting { .. } | EventKind::Answered { .. });
        let told = moved || batch.events.iter().any(asks);
        if due {
            self.metadata_at = Instant::now();
        }
        let progress = batch.makes_progress();
        LogAppend {
            run: self.facts.run,
            project: self.facts.project,
            task: self.facts.task,
            message: self.facts.message,
            expected,
            at: batch.at,
            events: Arc::new(std::mem::take(&mut batch.events)),
            contents: Arc::new(std::mem::take(&mut batch.contents)),
            derived: derived(state),
            progress,
            metadata,
            output: batch.output.take().map(Arc::from),
            subject: told.then(|| Subject::Run {
                number: self.facts.number,
                task: self.facts.task,
                status: state.status(),
            }),
        }
    }

    /// Off the run's way: nothing waits for it, and nothing is lost without it.
    fn keep_snapshot(&mut self) {
        let state = self.state();
        let (seq, grown) = (state.seq, state.seq - self.snapshot_at);
        let due = if state.phase.is_end() { SNAPSHOT_AT_END } else { SNAPSHOT_EVERY };
        if grown < due {
            return;
        }
        let (engine, run, state) = (self.engine.clone(), self.facts.run, state.clone());
        self.snapshot_at = seq;
        self.engine.0.runs.spawn_background(async move {
            let body = tokio::task::spawn_blocking(move || serde_json::to_string(&state)).await;
            let Ok(Ok(body)) = body else {
                return tracing::error!(%run, "its state could not be written down");
            };
            let kept = engine
                .0
                .store
                .write(move |tx| Box::pin(async move { snapshots::keep(tx, run, seq, &body).await }));
            if let Err(error) = kept.await {
                tracing::warn!(%run, %error, source = ?error, "a snapshot was not kept");
            }
        });
    }

    fn metadata_is_due(&self) -> bool {
        self.metadata_stale && self.metadata_at.elapsed() >= METADATA_EVERY
    }

    /// Commits, again and again while the database does not take writes: what a model answered must not be lost. What it
    /// refuses for another reason than its own state it will refuse for ever.
    async fn commit(&self, append: LogAppend) -> Result<(), CommitError> {
        let (run, stopping) = (self.facts.run, self.engine.0.runs.stopping());
        loop {
            let stored = async { self.engine.0.store.append(log::LogRow::new(&append)?).await };
            match stored.await {
                Ok(true) => return Ok(()),
                Ok(false) => return Err(CommitError::Fenced),
                Err(Error::Unavailable(why)) => {
                    tracing::error!(%run, %why, "a batch could not be stored; trying again");
                    tokio::select! {
                        () = sleep(COMMIT_RETRY) => {}
                        () = stopping.cancelled() => return Err(CommitError::Stopping),
                    }
                }
                Err(error) => {
                    tracing::error!(%run, %error, source = ?error, "a batch can never be stored");
                    let why = "the database refuses what the run wants to store; the server's log says why";
                    return Err(CommitError::Never(why.to_owned()));
                }
            }
        }
    }

    /// Does what the committed batch decided: executes attempts, waits for slots and room, sets timers.
    pub fn carry_out(&mut self, batch: Batch) {
        if self.state().phase.is_end() {
            self.ended.cancel();
            if self.compiled.has_children {
                self.stop_children(None);
            }
            return;
        }
        for start in batch.starts {
            self.execute(start);
        }
        self.pending += batch.waits.len() + batch.timers.len() + batch.children.len();
        for Wait { step, attempt, limits, permit } in batch.waits {
            self.send_when_ready(async move {
                let slot = limits.acquire().await;
                Command::Slot { step, attempt, slot, permit }
            });
        }
        if let Some(bytes) = self.queue.room_to_ask_for() {
            self.pending += 1;
            let prompts = self.engine.0.prompts.clone();
            self.send_when_ready(async move { Command::Budget { permit: prompts.acquire(bytes).await } });
        }
        for (step, attempt, at) in batch.timers {
            // Not from the clock: it may have gone back since, and the wait would be as much longer.
            let wait = Duration::from_millis(at.since(batch.at));
            self.send_when_ready(async move {
                sleep(wait).await;
                Command::Due { step, attempt }
            });
        }
        for child in batch.children {
            self.launch_child(child);
        }
        for attempt in batch.stops {
            self.stop_children(Some(attempt));
        }
    }

    /// Sends the command to this actor once it is there, unless the actor has gone.
    pub(super) fn send_when_ready(&self, command: impl Future<Output = Command> + Send + 'static) {
        let (mail, ended) = (self.mail.clone(), self.ended.clone());
        tokio::spawn(async move {
            tokio::select! {
                command = command => drop(mail.send(command)),
                () = ended.cancelled() => {}
            }
        });
    }

    fn execute(&mut self, start: Start) {
        let Start { step, attempt, client, request, slot, permit, limit, shown } = start;
        self.channel.begin(step, attempt);
        let abort = self.ended.child_token();
        self.open.insert(step, OpenCall { abort: abort.clone(), shown });
        let (mail, channel) = (self.mail.clone(), self.channel.clone());
        let paths = self.compiled.outputs[step.index()].writes_files().then(|| self.mail.clone());
        tokio::spawn(async move {
            let requested = |path| {
                if let Some(mail) = &paths {
                    drop(mail.send(Command::FileRequested { step, attempt, path }));
                }
            };
            let call = attempt::call(client, request, limit, &channel, step, attempt, requested);
            let outcome = tokio::select! {
                // An attempt that never reported would keep its run waiting for ever.
                outcome = AssertUnwindSafe(call).catch_unwind() => {
                    outcome.unwrap_or_else(|_| Err(CallFailure::panicked()))
                }
                () = abort.cancelled() => return,
            };
            drop((slot, permit));
            // Nobody to hear it: the run was forgotten, and its log says what is to be done.
            drop(mail.send(Command::Ended { step, attempt, outcome }));
        });
    }
}
