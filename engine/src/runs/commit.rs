//! The end of a batch: one fenced commit, then the work that the batch decided.

use super::{
    actor::{METADATA_EVERY, RunActor},
    batch::{Batch, Wait, derived},
    body::prompt,
    mailbox::Command,
    requests::{Request, Settled},
};
use crate::{
    Error, Result,
    store::{
        files::FileBase,
        log::{self, ChildStop, LogAppend},
        snapshots,
    },
};
use domain::{
    event::{Event, EventKind},
    run::{MessageMetadata, Phase},
    view::Subject,
};
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, sleep};

/// Delay before a commit that the database refused for the moment is retried.
const COMMIT_RETRY: Duration = Duration::from_secs(1);
/// How many new events a log needs before its state is stored as a snapshot: while the run is live, and at its end.
const SNAPSHOT_EVERY: u64 = 2_000;
const SNAPSHOT_AT_END: u64 = 500;

/// Why a batch was not committed.
pub(super) enum CommitError {
    /// The log was extended by another process, which works on the run.
    Fenced,
    /// The server stops.
    Stopping,
    /// The database will never accept the batch. The reason is shown on the run's page.
    Never(String),
}

impl From<Error> for CommitError {
    fn from(error: Error) -> Self {
        match error {
            // Reads are retried until the server stops, so this error means that it stops.
            Error::Unavailable(_) => Self::Stopping,
            error => {
                tracing::error!(%error, source = ?error, "a batch cannot be made");
                let why = "the server could not write down what the run wants to store; its log says why";
                Self::Never(why.to_owned())
            }
        }
    }
}

impl RunActor {
    /// Commits the events that the batch recorded after `expected`, then starts the work that it decided.
    pub async fn commit_batch(
        &mut self,
        expected: u64,
        phase: Phase,
        mut batch: Batch,
    ) -> Result<(), CommitError> {
        if !batch.events.is_empty() || !batch.settled.is_empty() || self.metadata_is_due() {
            let moved = self.state().phase != phase;
            let append = self.append(expected, moved, &mut batch)?;
            let events = append.events.clone();
            let (at, limit, progress) = (append.at, append.derived.wake_at, append.progress);
            self.commit(append).await?;
            self.progressed |= progress;
            if self.limit != limit {
                self.limit = limit;
                self.engine.0.delivery.wake_at(&self.engine, self.facts.run, at, limit);
            }
            self.engine.0.runs.askers.tell(std::mem::take(&mut batch.settled));
            self.channel.committed(&events, self.state());
            self.tell_caller(phase, &events);
            self.keep_snapshot();
        }
        self.trim_values();
        self.carry_out(batch);
        Ok(())
    }

    /// The rows that the batch writes. The message's metadata is included if the phase changed, otherwise at most once
    /// a second.
    pub fn append(&mut self, expected: u64, moved: bool, batch: &mut Batch) -> Result<LogAppend> {
        let state = self.planner.state();
        let due = moved || self.metadata_at.elapsed() >= METADATA_EVERY;
        let metadata = due.then(|| Arc::new(MessageMetadata::from(state)));
        self.metadata_stale = !due;
        // A question can be asked or answered without a change of the phase; inboxes must be updated then, too.
        let asks =
            |event: &Event| matches!(event.kind, EventKind::Waiting { .. } | EventKind::Answered { .. });
        let told = moved || batch.events.iter().any(asks);
        if due {
            self.metadata_at = Instant::now();
        }
        let progress = batch.makes_progress();
        let base =
            |(path, content)| FileBase { task: self.facts.task, on: self.facts.path.clone(), path, content };
        let bases = std::mem::take(&mut batch.bases).into_iter().map(base).collect();
        let settled: Result<Vec<_>> = batch.settled.iter().map(Settled::row).collect();
        Ok(LogAppend {
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
            owner: self.engine.0.runs.owner(),
            settled: Arc::new(settled?),
            stops: Arc::new(self.child_stops(batch)?),
            bases: Arc::new(bases),
        })
    }

    /// The child runs that stop with the batch: all of them if the run ends, otherwise those of attempts that are over.
    fn child_stops(&self, batch: &Batch) -> Result<Vec<ChildStop>> {
        if !self.compiled.has_children {
            return Ok(Vec::new());
        }
        let ends = self.state().phase.is_end();
        let all = ends.then_some(None).into_iter();
        let some = batch.stops.iter().filter(|_| !ends).map(|attempt| Some(*attempt));
        let request = Request::stop_of(self.facts.number);
        all.chain(some).map(|of| Ok(ChildStop { of, request: request.json()? })).collect()
    }

    /// Stores a snapshot in the background. Nothing waits for it or depends on it.
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

    /// Commits, and retries while the database takes no writes, because a model's answer must not be lost. Any other
    /// refusal is permanent.
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

    /// Starts what the committed batch decided: calls, waits for slots and prompt room, timers, work elsewhere.
    pub fn carry_out(&mut self, batch: Batch) {
        if self.state().phase.is_end() {
            self.ended.cancel();
            self.claimed.clear();
            if self.compiled.has_children {
                self.engine.wake_children(self.facts.run, None);
            }
            return;
        }
        batch.starts.into_iter().for_each(|start| prompt::call(self, start));
        self.hold_claims(batch.claims);
        self.pending += batch.waits.len() + batch.timers.len() + batch.work.len();
        for Wait { step, attempt, limits, priority, permit } in batch.waits {
            self.send_when_ready(async move {
                let slot = limits.acquire_as(priority).await;
                Command::Slot { step, attempt, slot, permit }
            });
        }
        if let Some(bytes) = self.queue.room_to_ask_for() {
            self.pending += 1;
            let prompts = self.engine.0.prompts.clone();
            self.send_when_ready(async move { Command::Budget { permit: prompts.acquire(bytes).await } });
        }
        for (step, attempt, at) in batch.timers {
            // Computed from the batch's time, not the clock: if the clock was set back since, the wait would be longer.
            let wait = Duration::from_millis(at.since(batch.at));
            self.send_when_ready(async move {
                sleep(wait).await;
                Command::Due { step, attempt }
            });
        }
        for work in batch.work {
            self.send_when_ready(work.done(self));
        }
        for attempt in batch.stops {
            self.engine.wake_children(self.facts.run, Some(attempt));
        }
    }

    /// Sends the command to this actor when it is ready, unless the actor has ended.
    pub(super) fn send_when_ready(&self, command: impl Future<Output = Command> + Send + 'static) {
        let (mail, ended) = (self.mail.clone(), self.ended.clone());
        tokio::spawn(async move {
            tokio::select! {
                command = command => drop(mail.send(command)),
                () = ended.cancelled() => {}
            }
        });
    }
}
