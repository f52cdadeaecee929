//! The actor of a live run: a task per run that owns the run's state and takes commands from a mailbox.
//!
//! Commands that arrive while a commit is under way share the next one. Events are applied to the state first and shown
//! to others only after their commit; when the fence refuses a batch, the state is thrown away and read again.

use super::{
    attempt::{self, Answer, CallFailure},
    batch::{Batch, Start, Wait, derived},
    compiled::CompiledTemplate,
    items::ItemValues,
    mapped::Mapped,
};
use crate::{
    Engine, Error, Result,
    live::RunChannel,
    models::Slot,
    store::{
        self,
        branches::BranchSegment,
        log::{self, LogAppend},
        messages::Earlier,
        runs::CallerKey,
        snapshots,
        versions::RoleVersion,
    },
};
use domain::{
    event::{Decision, Event, EventKind, Failure, TextRef},
    file::FilePath,
    id::{ContentId, MessageId, ProjectId, RunId, RunNumber, StepRunId, TaskId, UserId},
    key::RoleKey,
    run::{Effect, FILE_LIMIT, MessageMetadata, Phase, Planner, RunState, StepStatus},
    view::Subject,
};
use futures::FutureExt;
use serde_json::Value;
use std::{
    collections::{BTreeMap, HashMap},
    panic::AssertUnwindSafe,
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

/// How often at most a running run's message is brought up to date while its phase stays (DESIGN section 2).
const METADATA_EVERY: Duration = Duration::from_secs(1);
/// How long to wait before a commit that failed is tried again.
const COMMIT_RETRY: Duration = Duration::from_secs(1);
/// A log that has grown by so many events gets its fold kept; when it ends, by so many.
const SNAPSHOT_EVERY: u64 = 2_000;
const SNAPSHOT_AT_END: u64 = 500;
/// How many commands share a batch.
const COMMANDS: usize = 256;

/// What reaches a run from outside of its task.
pub(super) enum Command {
    /// Look again: a delivery may come twice or late.
    Wake,
    /// An attempt has ended.
    Ended {
        step: StepRunId,
        attempt: u32,
        outcome: Result<Answer, CallFailure>,
    },
    /// A slot of the provider is free for this attempt.
    Slot {
        step: StepRunId,
        attempt: u32,
        slot: Slot,
    },
    /// The time of a retry has come.
    Due {
        step: StepRunId,
        attempt: u32,
    },
    /// The attempt's child run is stored, or cannot be launched.
    Launched {
        step: StepRunId,
        attempt: u32,
        result: Result<RunNumber, Failure>,
    },
    /// The attempt's child run may have ended.
    Child {
        step: StepRunId,
        attempt: u32,
    },
    /// The answer that streams has come to a file.
    FileRequested {
        step: StepRunId,
        attempt: u32,
        path: FilePath,
    },
    /// A person has decided.
    Answer {
        step: StepRunId,
        decided: Decided,
        reply: oneshot::Sender<Result<()>>,
    },
    Cancel {
        by: String,
        reply: oneshot::Sender<Result<()>>,
    },
    /// The committed state, for a page.
    Show {
        reply: oneshot::Sender<Box<RunState>>,
    },
}

/// What a person decides about a step that waits for them.
#[derive(Clone, Debug)]
pub(super) struct Decided {
    pub decision: Decision,
    pub by: String,
    pub note: String,
    pub output: Option<Value>,
}

pub(super) type Mailbox = mpsc::UnboundedReceiver<Command>;

pub(super) struct RunActor {
    pub engine: Engine,
    pub run: RunId,
    pub number: RunNumber,
    pub project: ProjectId,
    pub task: TaskId,
    pub message: MessageId,
    /// Who started it: child runs are started in their name.
    pub user: Option<UserId>,
    pub by: String,
    /// The attempt that this run is.
    pub caller: Option<CallerKey>,
    /// How many runs stand above it.
    pub depth: u32,
    pub role_assignments: BTreeMap<String, RoleKey>,
    pub compiled: Arc<CompiledTemplate>,
    pub roles: BTreeMap<u32, Arc<RoleVersion>>,
    pub input: Value,
    pub earlier: Vec<Earlier>,
    /// Outputs by step name; null for a step that was skipped, or failed where the run goes on.
    pub outputs: BTreeMap<String, Value>,
    /// What output mappings put into the context.
    pub mapped: Mapped,
    /// Per step under forEach whose list is known.
    pub items: HashMap<u32, ItemValues>,
    /// The files as they stand on the run's branch, where the template writes any.
    pub files: BTreeMap<FilePath, String>,
    /// To the end of the branch on which the run's messages stand.
    pub path: Vec<BranchSegment>,
    pub conversation: Value,
    pub planner: Planner,
    pub channel: Arc<RunChannel>,
    pub mail: mpsc::UnboundedSender<Command>,
    /// Calls under way.
    pub open: HashMap<StepRunId, CancellationToken>,
    /// Other things that will send a command: waits for a slot, timers, launches of child runs.
    pub pending: usize,
    /// When the message was last brought up to date.
    pub metadata_at: Instant,
    /// Events came since: the message follows within [`METADATA_EVERY`], also when nothing else happens.
    pub metadata_stale: bool,
    /// The log's end when its fold was last kept.
    pub snapshot_at: u64,
    pub ended: CancellationToken,
}

/// How working on a run came to its end.
pub(super) enum End {
    /// The run has ended.
    Ended,
    /// The server stops; the run goes on at the next start.
    Stopped,
    /// Only a person, a time limit or a child run can move it on: until then nothing of it is in memory.
    Parked,
    /// See [`Fenced`].
    Fenced,
}

/// The log moved on without us: another process works on the run.
pub(super) struct Fenced;

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
        let stopping = self.engine.0.runs.stopping();
        let mut commands = Vec::new();
        let mut end = End::Ended;
        while !self.state().phase.is_end() {
            if mailbox.is_empty() && self.may_park() {
                end = End::Parked;
                break;
            }
            commands.clear();
            tokio::select! {
                biased;
                () = stopping.cancelled() => {
                    end = End::Stopped;
                    break;
                }
                _ = mailbox.recv_many(&mut commands, COMMANDS) => {
                    // Attempts that end together share a batch, and its commit.
                    if self.open.len() > 1 {
                        tokio::task::yield_now().await;
                        while commands.len() < COMMANDS
                            && let Ok(command) = mailbox.try_recv()
                        {
                            commands.push(command);
                        }
                    }
                }
                () = tokio::time::sleep_until(self.metadata_at + METADATA_EVERY), if self.metadata_stale => {}
            }
            // In a box, for a run that waits needs no room for it.
            if Box::pin(self.batch(commands.drain(..))).await.is_err() {
                if !stopping.is_cancelled() {
                    return End::Fenced;
                }
                end = End::Stopped;
                break;
            }
        }
        self.ended.cancel();
        self.engine.0.runs.forget(self.run, &self.mail);
        if let End::Stopped = end {
            // Who asked for something hears that nobody is here; what is in memory may not be committed.
            return end;
        }
        mailbox.close();
        while let Some(command) = mailbox.recv().await {
            match (command, &end) {
                (Command::Show { reply }, _) => drop(reply.send(Box::new(self.state().clone()))),
                // It came between the last look and the parking: the run is taken up again for it.
                (command, End::Parked) => self.engine.deliver(self.run, command),
                (Command::Cancel { reply, .. } | Command::Answer { reply, .. }, _) => {
                    drop(reply.send(Err(has_ended(self.number))));
                }
                _ => {}
            }
        }
        if let (End::Ended, Some(caller)) = (&end, self.caller) {
            let CallerKey { run, step, attempt, .. } = caller;
            self.engine.deliver(run, Command::Child { step, attempt });
        }
        end
    }

    /// Whether everything that is under way lies elsewhere: with people, time limits and child runs.
    fn may_park(&self) -> bool {
        let state = self.state();
        self.open.is_empty()
            && self.pending == 0
            && !self.metadata_stale
            && !state.phase.is_end()
            && (!state.waiting.is_empty() || state.open > 0)
    }

    async fn batch(&mut self, commands: impl Iterator<Item = Command>) -> Result<(), Fenced> {
        let (expected, phase) = (self.state().seq, self.state().phase);
        let mut batch = Batch::new(store::now().max(self.state().last_at));
        let mut replies = Vec::new();
        let mut shows = Vec::new();
        for command in commands {
            match command {
                Command::Wake => self.expire(&mut batch).await,
                Command::Ended { step, attempt, outcome } => {
                    self.take(step, attempt, outcome, &mut batch).await
                }
                Command::Slot { step, attempt, slot } => {
                    self.pending -= 1;
                    self.start(step, attempt, Some(slot), &mut batch).await
                }
                Command::Due { step, attempt } => {
                    self.pending -= 1;
                    self.start(step, attempt, None, &mut batch).await
                }
                Command::Launched { step, attempt, result } => {
                    self.pending -= 1;
                    self.child_launched(step, attempt, result, &mut batch);
                }
                Command::Child { step, attempt } => self.look_at_child(step, attempt, &mut batch).await,
                Command::FileRequested { step, attempt, path } => {
                    let known = &self.state().files_requested;
                    let fresh = known.len() < FILE_LIMIT && !known.contains(&path);
                    if fresh && self.is_open(step, attempt) {
                        self.record(&mut batch, EventKind::FileRequested { step, attempt, path });
                    }
                }
                Command::Answer { step, decided, reply } => {
                    match self.answer(step, decided, &mut batch).await {
                        Ok(()) => replies.push(reply),
                        Err(error) => drop(reply.send(Err(error))),
                    }
                }
                Command::Cancel { by, reply } => {
                    if self.state().phase.is_end() {
                        drop(reply.send(Err(has_ended(self.number))));
                    } else {
                        self.cancel(by, &mut batch);
                        replies.push(reply);
                    }
                }
                // Nobody waits for an old one: commits may have been long in coming.
                Command::Show { reply } if reply.is_closed() => {}
                Command::Show { reply } => shows.push(reply),
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

    /// Commits what the batch recorded since `expected`, then does what it decided.
    pub async fn commit_batch(
        &mut self,
        expected: u64,
        phase: Phase,
        mut batch: Batch,
    ) -> Result<(), Fenced> {
        if !batch.events.is_empty() || self.metadata_is_due() {
            let moved = self.state().phase != phase;
            let append = self.append(expected, moved, &mut batch);
            let events = append.events.clone();
            self.commit(append).await?;
            self.channel.committed(&events);
            self.keep_snapshot();
        }
        self.carry_out(batch);
        Ok(())
    }

    /// Decides until nothing more follows; what it decides is recorded, what it starts is claimed.
    pub async fn plan(&mut self, batch: &mut Batch) {
        loop {
            let effects = self.planner.decide();
            if effects.is_empty() {
                return;
            }
            for effect in effects {
                match effect {
                    Effect::Evaluate { step } => self.evaluate(step, batch),
                    Effect::Skip { step } => {
                        let reason = "its condition does not hold".to_owned();
                        self.record(batch, EventKind::Skipped { step, reason });
                    }
                    Effect::MakeReady { step } => self.record(batch, EventKind::Ready { step }),
                    Effect::ResolveItems { step } => self.resolve_items(step, batch),
                    Effect::Gather { step, failed } => self.gather(step, failed, batch),
                    Effect::FailItems { step, error } => self.fail_whole(step, error, batch),
                    // Its time limit stands in the run's row, and wakes the run.
                    Effect::AwaitAnswer { .. } => {}
                    Effect::Start { step, attempt, not_before } => match not_before {
                        Some(at) if at > batch.at => batch.timers.push((step, attempt, at)),
                        _ => self.start(step, attempt, None, batch).await,
                    },
                    Effect::Complete => self.complete(batch),
                    Effect::Fail { error, step } => {
                        self.record(batch, EventKind::Failed { error, step: Some(step) });
                    }
                }
            }
        }
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
        LogAppend {
            run: self.run,
            project: self.project,
            task: self.task,
            message: self.message,
            expected,
            at: batch.at,
            events: Arc::new(std::mem::take(&mut batch.events)),
            contents: Arc::new(std::mem::take(&mut batch.contents)),
            derived: derived(state),
            metadata,
            output: batch.output.take().map(Arc::from),
            subject: told.then(|| Subject::Run {
                number: self.number,
                task: self.task,
                status: state.status(),
            }),
        }
    }

    /// Beside the run: nothing waits for it, and nothing is lost without it.
    fn keep_snapshot(&mut self) {
        let state = self.state();
        let (seq, grown) = (state.seq, state.seq - self.snapshot_at);
        let due = if state.phase.is_end() { SNAPSHOT_AT_END } else { SNAPSHOT_EVERY };
        if grown < due {
            return;
        }
        let (engine, run, state) = (self.engine.clone(), self.run, state.clone());
        self.snapshot_at = seq;
        self.engine.0.runs.tasks.spawn(async move {
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

    /// Commits, again and again while the database does not take writes: what a model answered must not be lost.
    async fn commit(&self, append: LogAppend) -> Result<(), Fenced> {
        let stopping = self.engine.0.runs.stopping();
        loop {
            let stored = async { self.engine.0.store.append(log::LogRow::new(&append)?).await };
            match stored.await {
                Ok(true) => {
                    if append.derived.wake_at.is_some() {
                        self.engine.0.runs.alarm.notify_one();
                    }
                    return Ok(());
                }
                Ok(false) => return Err(Fenced),
                Err(error) => {
                    tracing::error!(run = %self.run, %error, source = ?error, "a batch could not be stored; trying again");
                    tokio::select! {
                        () = tokio::time::sleep(COMMIT_RETRY) => {}
                        () = stopping.cancelled() => return Err(Fenced),
                    }
                }
            }
        }
    }

    /// Does what the committed batch decided: executes attempts, waits for slots, sets timers.
    pub fn carry_out(&mut self, batch: Batch) {
        for Start { step, attempt, client, request, slot, limit } in batch.starts {
            self.channel.begin(step, attempt);
            let abort = self.ended.child_token();
            self.open.insert(step, abort.clone());
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
                drop(slot);
                // Nobody to hear it: the run was forgotten, and its log says what is to be done.
                drop(mail.send(Command::Ended { step, attempt, outcome }));
            });
        }
        self.pending += batch.waits.len() + batch.timers.len() + batch.children.len();
        for Wait { step, attempt, limits } in batch.waits {
            let (mail, ended) = (self.mail.clone(), self.ended.clone());
            tokio::spawn(async move {
                tokio::select! {
                    slot = limits.acquire() => drop(mail.send(Command::Slot { step, attempt, slot })),
                    () = ended.cancelled() => {}
                }
            });
        }
        for (step, attempt, at) in batch.timers {
            let (mail, ended) = (self.mail.clone(), self.ended.clone());
            // Not from the clock: it may have gone back since, and the wait would be as much longer.
            let wait = Duration::from_millis(at.since(batch.at));
            tokio::spawn(async move {
                tokio::select! {
                    () = tokio::time::sleep(wait) => drop(mail.send(Command::Due { step, attempt })),
                    () = ended.cancelled() => {}
                }
            });
        }
        for child in batch.children {
            self.launch_child(child);
        }
        for attempt in batch.stops {
            self.stop_children(Some(attempt));
        }
        if self.state().phase.is_end() {
            self.ended.cancel();
            if self.compiled.has_children {
                self.stop_children(None);
            }
        }
    }

    pub fn record(&mut self, batch: &mut Batch, kind: EventKind) {
        let event = Event { seq: self.state().seq + 1, at: batch.at, kind };
        self.planner.apply(&event);
        if let Some(step) = event.kind.step().filter(|step| step.item.is_none()) {
            let status = self.state().steps[step.index()].status;
            if matches!(status, StepStatus::Skipped | StepStatus::Failed) {
                self.outputs.insert(self.state().name(step).to_owned(), Value::Null);
            }
        }
        batch.events.push(event);
    }

    /// Stores a text with the batch.
    pub fn keep(&self, batch: &mut Batch, text: String) -> TextRef {
        let id = ContentId(store::mint());
        let reference = TextRef::new(id, &text);
        batch.contents.push((id, text));
        reference
    }

    /// Stores the JSON of a value with the batch.
    pub fn keep_json(&self, batch: &mut Batch, value: &Value) -> TextRef {
        TextRef { json: true, ..self.keep(batch, value.to_string()) }
    }
}

pub(super) fn has_ended(number: RunNumber) -> Error {
    Error::Conflict(format!("run {number} has ended"))
}
