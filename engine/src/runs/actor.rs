//! The actor of a live run: a task per run that owns the run's state and takes commands from a mailbox.
//!
//! Commands that arrive while a commit is under way share the next one. Events are applied to the state first and shown
//! to others only after their commit; when the fence rejects a batch, the state is thrown away and read again.

use super::{
    batch::Batch,
    commit::CommitError,
    compiled::CompiledTemplate,
    facts::RunFacts,
    mailbox::{Command, Mailbox, MailboxSender, has_ended},
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
    event::{Event, EventKind, TextRef},
    file::FilePath,
    id::{ContentId, StepRunId, Timestamp},
    run::{FILE_LIMIT, Planner, RunState},
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

/// How often at most a running run's message is brought up to date while its phase stays (DESIGN section 2).
pub(super) const METADATA_EVERY: Duration = Duration::from_secs(1);
/// How many commands share a batch.
const COMMANDS: usize = 256;
/// How long a run whose child runs are under way stays in memory: they often end one soon after the other.
const LINGER: Duration = Duration::from_secs(10);

pub(super) struct RunActor {
    pub engine: Engine,
    pub facts: RunFacts,
    pub compiled: Arc<CompiledTemplate>,
    pub roles: BTreeMap<u32, Arc<RoleVersion>>,
    pub values: Values,
    pub planner: Planner,
    /// What was decided and is still to be done.
    pub queue: Queue,
    pub channel: Arc<RunChannel>,
    pub mail: MailboxSender,
    /// Calls under way.
    pub open: HashMap<StepRunId, OpenCall>,
    /// Other things that will send a command: waits for a slot or for room, timers, launches of child runs.
    pub pending: usize,
    /// When the message was last brought up to date.
    pub metadata_at: Instant,
    /// Events came since: the message follows within [`METADATA_EVERY`], also when nothing else happens.
    pub metadata_stale: bool,
    /// The log's end when its fold was last kept.
    pub snapshot_at: u64,
    /// The time limit that the server waits for.
    pub limit: Option<Timestamp>,
    /// It got further since it was taken up.
    pub progressed: bool,
    pub ended: CancellationToken,
}

/// A call under way.
pub(super) struct OpenCall {
    pub abort: CancellationToken,
    /// Which content of each file the model is shown.
    pub shown: BTreeMap<FilePath, ContentId>,
}

/// How working on a run came to its end.
pub(super) enum End {
    /// The run has ended.
    Ended,
    /// The server stops; the run goes on at the next start.
    Stopped,
    /// Only a person, a time limit or a child run can move it on: until then nothing of it is in memory.
    Parked,
    /// The log moved on without this process: another one works on the run.
    Fenced,
    /// What the run wants to store can never be stored.
    Broken(String),
}

/// Whatever ends an actor, a panic included: nothing that it began goes on without it.
impl Drop for RunActor {
    fn drop(&mut self) {
        self.ended.cancel();
    }
}

impl RunActor {
    pub fn state(&self) -> &RunState {
        self.planner.state()
    }

    /// Works until the run has ended, the server stops, or the fence says that somebody else works on it.
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
            // Who asked for something hears that nobody is here; what is in memory may not be committed.
            return end;
        }
        mailbox.close();
        while let Some(command) = mailbox.recv().await {
            match (command, &end) {
                (Command::Show { reply }, _) => drop(reply.send(Box::new(self.state().clone()))),
                // It came between the last look and the parking: the run is taken up again for it.
                (command, End::Parked) => self.engine.deliver(self.facts.run, command),
                (Command::Cancel { reply, .. } | Command::Answer { reply, .. }, _) => {
                    drop(reply.send(Err(has_ended(self.facts.number))));
                }
                _ => {}
            }
        }
        if let (End::Ended, Some(caller)) = (&end, self.facts.caller) {
            let CallerKey { run, step, attempt, .. } = caller;
            self.engine.deliver(run, Command::Child { step, attempt });
        }
        end
    }

    async fn work_on(&mut self, mailbox: &mut Mailbox) -> End {
        let stopping = self.engine.0.runs.stopping();
        let mut commands = Vec::new();
        while !self.state().phase.is_end() {
            let parks = mailbox.is_empty() && self.may_park();
            if parks && self.state().calling.is_empty() {
                return End::Parked;
            }
            commands.clear();
            if self.queue.is_empty() {
                tokio::select! {
                    biased;
                    () = stopping.cancelled() => return End::Stopped,
                    _ = mailbox.recv_many(&mut commands, COMMANDS) => {
                        // Attempts that end together share a batch, and its commit.
                        if self.open.len() > 1 {
                            tokio::task::yield_now().await;
                        }
                    }
                    () = sleep_until(self.metadata_at + METADATA_EVERY), if self.metadata_stale => {}
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
            // In a box, for a run that waits needs no room for it.
            match Box::pin(self.batch(&mut commands)).await {
                Ok(()) => {}
                Err(_) if stopping.is_cancelled() => return End::Stopped,
                Err(CommitError::Fenced | CommitError::Stopping) => return End::Fenced,
                Err(CommitError::Never(why)) => return End::Broken(why),
            }
        }
        End::Ended
    }

    /// It was taken up for nothing, and the server is well: that does not count.
    fn forget_take(&self) {
        let (engine, run) = (self.engine.clone(), self.facts.run);
        self.engine.0.runs.spawn_background(async move {
            let forgotten = engine.0.store.write(move |tx| Box::pin(runs::forget_take(tx, run))).await;
            if let Err(error) = forgotten {
                tracing::warn!(%run, %error, source = ?error, "it stays counted that a run was taken up");
            }
        });
    }

    /// Whether everything that is under way lies elsewhere: with people, time limits and child runs.
    fn may_park(&self) -> bool {
        let state = self.state();
        self.open.is_empty()
            && self.pending == 0
            && self.queue.is_empty()
            && !self.metadata_stale
            && !state.phase.is_end()
            && (!state.waiting.is_empty() || state.open > 0)
    }

    async fn batch(&mut self, commands: &mut Vec<Command>) -> Result<(), CommitError> {
        let (expected, phase) = (self.state().seq, self.state().phase);
        let mut batch = Batch::new(store::now().max(self.state().last_at));
        let (mut replies, mut shows) = (Vec::new(), Vec::new());
        // Stop goes first: nothing starts in the batch that stops the run.
        commands.sort_by_key(|command| !matches!(command, Command::Cancel { .. }));
        for command in commands.drain(..) {
            match command {
                Command::Answer { step, decided, reply } => {
                    match self.answer(step, decided, &mut batch).await {
                        Ok(()) => replies.push(reply),
                        Err(error) => drop(reply.send(Err(error))),
                    }
                }
                Command::Cancel { reply, .. } if self.state().phase.is_end() => {
                    drop(reply.send(Err(has_ended(self.facts.number))));
                }
                Command::Cancel { by, reply } => {
                    self.cancel(by, &mut batch);
                    replies.push(reply);
                }
                // Nobody waits for an old one: commits may have been long in coming.
                Command::Show { reply } if reply.is_closed() => {}
                Command::Show { reply } => shows.push(reply),
                command => self.handle(command, &mut batch).await,
            }
        }
        self.plan(&mut batch).await;
        self.commit_batch(expected, phase, batch).await?;
        for reply in replies {
            drop(reply.send(Ok(())));
        }
        for reply in shows {
            drop(reply.send(Box::new(self.state().clone())));
        }
        Ok(())
    }

    /// A command that nobody waits for.
    async fn handle(&mut self, command: Command, batch: &mut Batch) {
        match command {
            Command::Wake => self.expire(batch.at, batch).await,
            Command::LimitDue { at } => self.expire(at.max(batch.at), batch).await,
            Command::Ended { step, attempt, outcome } => self.take(step, attempt, outcome, batch).await,
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
            Command::Launched { step, attempt, result } => {
                self.pending -= 1;
                self.child_launched(step, attempt, result, batch);
            }
            Command::Child { step, attempt } => self.look_at_child(step, attempt, batch).await,
            Command::FileRequested { step, attempt, path } => {
                let known = &self.state().files_requested;
                let new = known.len() < FILE_LIMIT && !known.contains(&path);
                if new && self.is_open(step, attempt) {
                    self.record(batch, EventKind::FileRequested { step, attempt, path });
                }
            }
            Command::Answer { .. } | Command::Cancel { .. } | Command::Show { .. } => {
                debug_assert!(false, "somebody waits for an answer to it");
            }
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
