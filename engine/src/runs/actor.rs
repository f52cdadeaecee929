//! The actor of a live run: a task per run that owns the run's state and takes commands from a mailbox.
//!
//! Commands that arrive during a commit share the next one. Events are applied to the state first and shown to others
//! only after their commit; when the fence rejects a batch, the in-memory state is dropped and read again.

use super::{
    batch::Batch,
    body::{self, News},
    claims::Claim,
    commit::CommitError,
    compiled::CompiledTemplate,
    facts::RunFacts,
    mailbox::{Command, Mailbox, MailboxSender},
    plan::Queue,
    values::Values,
};
use crate::{
    Engine,
    live::RunChannel,
    store::{
        self,
        runs::{self, CallerKey},
        versions::RoleVersion,
    },
};
use domain::{
    error::ErrorClass,
    event::{Event, EventKind, Failure, TextRef},
    id::{ContentId, StepRunId, Timestamp},
    run::{Planner, RunState},
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

/// The shortest interval between updates of a running run's message while its phase stays the same (DESIGN section 2).
pub(super) const METADATA_EVERY: Duration = Duration::from_secs(1);
/// The most commands in one batch.
const COMMANDS: usize = 256;
/// How long a run that only waits for child runs stays in memory: child runs often end in quick succession.
const LINGER: Duration = Duration::from_secs(10);

pub(super) struct RunActor {
    pub engine: Engine,
    pub facts: RunFacts,
    pub compiled: Arc<CompiledTemplate>,
    pub roles: BTreeMap<u32, Arc<RoleVersion>>,
    pub values: Values,
    pub planner: Planner,
    /// Decided effects that are still to be carried out.
    pub queue: Queue,
    pub channel: Arc<RunChannel>,
    pub mail: MailboxSender,
    /// Claimed attempts whose model calls begin when their delivery arrives.
    pub claimed: HashMap<StepRunId, Claim>,
    /// When the delivery of all claimed attempts was last requested.
    pub delivered_at: Instant,
    /// Model calls in progress, each with the token that aborts it.
    pub open: HashMap<StepRunId, CancellationToken>,
    /// Number of other tasks that will send a command: waits for a slot or for prompt room, timers, work of attempts
    /// that are executed elsewhere.
    pub pending: usize,
    /// When the message was last updated.
    pub metadata_at: Instant,
    /// Events have occurred since the last update; the message is updated within [`METADATA_EVERY`], even if nothing
    /// else happens.
    pub metadata_stale: bool,
    /// The sequence number at which the state was last stored as a snapshot.
    pub snapshot_at: u64,
    /// The time limit that is set in the server's timers.
    pub limit: Option<Timestamp>,
    /// Whether the run has advanced since this actor took it.
    pub progressed: bool,
    pub ended: CancellationToken,
}

/// Why an actor stopped working on its run.
pub(super) enum End {
    /// The run has ended.
    Ended,
    /// The server stops; the run resumes at the next start.
    Stopped,
    /// Only a person, a time limit or a child run can advance the run; until then it is not kept in memory.
    Parked,
    /// The log was extended by another process, which works on the run.
    Fenced,
    /// A batch of the run can never be stored.
    Broken(String),
}

/// Whatever ends an actor, a panic included, cancels everything that it started.
impl Drop for RunActor {
    fn drop(&mut self) {
        self.ended.cancel();
    }
}

impl RunActor {
    pub fn state(&self) -> &RunState {
        self.planner.state()
    }

    /// Works until the run has ended or is parked, the server stops, or the fence shows that another process works on
    /// the run.
    pub async fn work(mut self, mut mailbox: Mailbox) -> End {
        let end = self.work_on(&mut mailbox).await;
        if let End::Parked = end
            && !self.progressed
        {
            self.forget_take();
        }
        self.ended.cancel();
        self.engine.0.runs.forget(self.facts.run, &self.mail);
        if !matches!(end, End::Ended | End::Parked) {
            // Unanswered commands are dropped, which their senders notice. The in-memory state may contain uncommitted
            // events.
            return end;
        }
        mailbox.close();
        while let Some(command) = mailbox.recv().await {
            match (command, &end) {
                (Command::Show { reply }, _) => drop(reply.send(Box::new(self.state().clone()))),
                // The command arrived after the last look at the mailbox: deliver it again, which resumes the run.
                (command, End::Parked) => self.engine.deliver(self.facts.run, command),
                // The run may have requests that no batch has taken.
                (Command::Wake, End::Ended) => self.engine.refuse_requests(self.facts.run, self.facts.number),
                _ => {}
            }
        }
        if let (End::Ended, Some(caller)) = (&end, self.facts.caller) {
            let CallerKey { run, step, attempt, .. } = caller;
            self.engine.deliver(run, Command::News { step, attempt, news: News::ChildChanged });
        }
        end
    }

    async fn work_on(&mut self, mailbox: &mut Mailbox) -> End {
        let (stopping, again) = (self.engine.0.runs.stopping(), self.engine.0.runs.pace().sweep);
        let mut commands = Vec::new();
        while !self.state().phase.is_end() {
            let parks = mailbox.is_empty() && self.may_park();
            if parks && self.state().elsewhere.is_empty() {
                return End::Parked;
            }
            commands.clear();
            if self.queue.is_empty() {
                tokio::select! {
                    biased;
                    () = stopping.cancelled() => return End::Stopped,
                    _ = mailbox.recv_many(&mut commands, COMMANDS) => {
                        // Attempts that end at the same time share a batch and its commit.
                        if self.open.len() > 1 {
                            tokio::task::yield_now().await;
                        }
                    }
                    () = sleep_until(self.metadata_at + METADATA_EVERY), if self.metadata_stale => {}
                    // The delivery may have been lost.
                    () = sleep_until(self.delivered_at + again), if !self.claimed.is_empty() => self.deliver_claimed(),
                    () = sleep(LINGER), if parks => return End::Parked,
                }
            } else if stopping.is_cancelled() {
                return End::Stopped;
            }
            while commands.len() < COMMANDS
                && let Ok(command) = mailbox.try_recv()
            {
                commands.push(command);
            }
            // Boxed, so that a waiting run does not reserve memory for the batch's future.
            match Box::pin(self.batch(&mut commands)).await {
                Ok(()) => {}
                Err(_) if stopping.is_cancelled() => return End::Stopped,
                Err(CommitError::Fenced | CommitError::Stopping) => return End::Fenced,
                Err(CommitError::Never(why)) => return End::Broken(why),
            }
        }
        End::Ended
    }

    /// Resets the run's take counter: this take did no work and the server is well.
    fn forget_take(&self) {
        let (engine, run) = (self.engine.clone(), self.facts.run);
        self.engine.0.runs.spawn_background(async move {
            let forgotten = engine.0.store.write(move |tx| Box::pin(runs::forget_take(tx, run))).await;
            if let Err(error) = forgotten {
                tracing::warn!(%run, %error, source = ?error, "it stays counted that a run was taken up");
            }
        });
    }

    /// Whether the run waits only for people, time limits and child runs.
    fn may_park(&self) -> bool {
        let state = self.state();
        self.open.is_empty()
            && self.claimed.is_empty()
            && self.pending == 0
            && self.queue.is_empty()
            && !self.metadata_stale
            && !state.phase.is_end()
            && (!state.waiting.is_empty() || state.open > 0)
    }

    pub(super) async fn batch(&mut self, commands: &mut Vec<Command>) -> Result<(), CommitError> {
        let (expected, phase) = (self.state().seq, self.state().phase);
        let mut batch = Batch::new(store::now().max(self.state().last_at));
        let mut shows = Vec::new();
        // Requests go first, so that nothing starts in the batch that stops the run. One look replaces several
        // wake-ups.
        if commands.iter().any(|command| matches!(command, Command::Wake)) {
            commands.retain(|command| !matches!(command, Command::Wake));
            self.look(&mut batch).await;
        }
        for command in commands.drain(..) {
            match command {
                // Commits may have taken so long that the reader has given up.
                Command::Show { reply } if reply.is_closed() => {}
                Command::Show { reply } => shows.push(reply),
                command => self.handle(command, &mut batch).await,
            }
        }
        self.plan(&mut batch).await;
        self.commit_batch(expected, phase, batch).await?;
        for reply in shows {
            drop(reply.send(Box::new(self.state().clone())));
        }
        Ok(())
    }

    /// Handles a wake-up. It carries no data, so the actor checks everything that may have changed.
    async fn look(&mut self, batch: &mut Batch) {
        self.take_requests(batch).await;
        self.expire(batch.at, batch).await;
        self.look_at_children(batch).await;
        self.deliver_claimed();
    }

    /// Handles a command that needs no reply.
    async fn handle(&mut self, command: Command, batch: &mut Batch) {
        match command {
            Command::LimitDue { at } => self.expire(at.max(batch.at), batch).await,
            Command::Execute { step, attempt } => self.execute_claimed(step, attempt, batch).await,
            Command::News { step, attempt, news } => body::take(self, step, attempt, news, batch).await,
            Command::Done { step, attempt, news } => {
                self.pending -= 1;
                match news {
                    Some(news) => body::take(self, step, attempt, news, batch).await,
                    None if self.is_open(step, attempt) => {
                        let why = "the server failed while it began this attempt";
                        self.fail(step, attempt, Failure::new(ErrorClass::Interrupted, why), batch);
                    }
                    None => {}
                }
            }
            Command::Slot { step, attempt, slot, permit } => {
                self.pending -= 1;
                self.start(step, attempt, Some(slot), permit, batch).await;
            }
            Command::Budget { permit } => {
                self.pending -= 1;
                self.room_is_there(permit, batch).await;
            }
            Command::Due { step, attempt } => {
                self.pending -= 1;
                self.start(step, attempt, None, None, batch).await;
            }
            Command::Wake | Command::Show { .. } => debug_assert!(false, "the batch has taken it"),
        }
    }

    pub fn record(&mut self, batch: &mut Batch, kind: EventKind) {
        let event = Event { seq: self.state().seq + 1, at: batch.at, kind };
        self.planner.apply(&event);
        batch.events.push(event);
    }

    /// Stores a text with the batch.
    pub fn keep(&self, batch: &mut Batch, text: String) -> TextRef {
        let id = ContentId(store::mint());
        let reference = TextRef::new(id, &text);
        batch.add_content(id, text);
        reference
    }

    /// Stores JSON with the batch.
    pub fn keep_json(&self, batch: &mut Batch, json: String) -> TextRef {
        TextRef { json: true, ..self.keep(batch, json) }
    }
}

#[cfg(test)]
mod tests;
