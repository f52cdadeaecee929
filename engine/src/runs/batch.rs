//! What one batch adds to a run's log, and the work to start after its commit.

use super::{actor::RunActor, body::News, mailbox::Command, requests::Settled};
use crate::{
    models::{ModelClient, ModelRequest, Priority, PromptPermit, ProviderLimits, Slot},
    store::runs::Derived,
};
use domain::{
    event::{Event, EventKind},
    file::FilePath,
    id::{ContentId, StepRunId, Timestamp},
    run::RunState,
};
use futures::{FutureExt, future::BoxFuture};
use std::{
    collections::BTreeMap,
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::OwnedMutexGuard;

/// A batch is committed before more is planned once it has started this many calls,
const MOST_STARTS: usize = 64;
/// rendered this much text (bytes),
const MOST_TEXT: usize = 8 * 1024 * 1024;
/// or been planned for this long: other runs wait for their commits, and people for Stop.
const LONGEST: Duration = Duration::from_millis(50);

/// Everything that happens to a run between two commits.
pub(super) struct Batch {
    pub at: Timestamp,
    began: Instant,
    /// Total bytes of the contents.
    text: usize,
    pub events: Vec<Event>,
    pub contents: Vec<(ContentId, String)>,
    /// Calls that begin after the commit.
    pub starts: Vec<Start>,
    /// Claimed attempts whose calls wait for a delivery.
    pub claims: Vec<Start>,
    pub waits: Vec<Wait>,
    pub timers: Vec<(StepRunId, u32, Timestamp)>,
    pub work: Vec<Work>,
    /// Requests to the run that this batch carries out or refuses.
    pub settled: Vec<Settled>,
    /// Attempts whose child runs are to stop.
    pub stops: Vec<(StepRunId, u32)>,
    /// Contents of the files that the batch writes, which are not stored yet.
    pub written: BTreeMap<FilePath, ContentId>,
    /// The stored content of each file that the batch changes, as it was read; none if the file did not exist.
    pub bases: BTreeMap<FilePath, Option<ContentId>>,
    /// Held from reading the conversation's files until the commit of the changes based on them.
    pub files_guard: Option<OwnedMutexGuard<()>>,
    /// The run's complete output, if this batch ends the run.
    pub output: Option<String>,
}

/// A claimed attempt with what its model call needs.
pub(super) struct Start {
    pub step: StepRunId,
    pub attempt: u32,
    pub client: Arc<dyn ModelClient>,
    pub request: ModelRequest,
    pub slot: Slot,
    pub permit: PromptPermit,
    pub limit: Duration,
    /// The content of each file that the model is shown.
    pub shown: BTreeMap<FilePath, ContentId>,
}

type StartWork = Box<dyn FnOnce(&RunActor) -> BoxFuture<'static, News> + Send + Sync>;

/// Work for a claimed attempt that is executed elsewhere. It starts after the commit, and is started again if the process
/// ends before its news is recorded: doing it twice must be the same as doing it once.
pub(super) struct Work {
    pub step: StepRunId,
    pub attempt: u32,
    start: StartWork,
}

impl Work {
    /// `start` gets the run as it is after the commit: only then does a new run have its number.
    pub fn new<F>(
        step: StepRunId,
        attempt: u32,
        start: impl FnOnce(&RunActor) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = News> + Send + 'static,
    {
        Self { step, attempt, start: Box::new(|run| Box::pin(start(run))) }
    }

    /// Does the work. A panic ends the attempt; otherwise the run would wait for it forever.
    pub fn done(self, run: &RunActor) -> impl Future<Output = Command> + Send + 'static {
        let Self { step, attempt, start } = self;
        let work = AssertUnwindSafe(start(run)).catch_unwind();
        work.map(move |news| Command::Done { step, attempt, news: news.ok() })
    }
}

/// An attempt that waits for a slot of its provider.
pub(super) struct Wait {
    pub step: StepRunId,
    pub attempt: u32,
    pub limits: Arc<ProviderLimits>,
    pub priority: Priority,
    pub permit: Option<PromptPermit>,
}

impl Batch {
    pub fn new(at: Timestamp) -> Self {
        Self {
            at,
            began: Instant::now(),
            text: 0,
            events: Vec::new(),
            contents: Vec::new(),
            starts: Vec::new(),
            claims: Vec::new(),
            waits: Vec::new(),
            timers: Vec::new(),
            work: Vec::new(),
            settled: Vec::new(),
            stops: Vec::new(),
            written: BTreeMap::new(),
            bases: BTreeMap::new(),
            files_guard: None,
            output: None,
        }
    }

    /// Whether the batch must be committed before more is planned.
    pub fn is_full(&self) -> bool {
        self.starts.len() + self.claims.len() + self.work.len() >= MOST_STARTS
            || self.text >= MOST_TEXT
            || self.began.elapsed() >= LONGEST
    }

    pub fn add_content(&mut self, id: ContentId, text: String) {
        self.text += text.len();
        self.contents.push((id, text));
    }

    /// A text of this batch, which is not stored yet.
    pub fn content(&self, id: ContentId) -> Option<&str> {
        self.contents.iter().rev().find(|(content, _)| *content == id).map(|(_, text)| text.as_str())
    }

    /// Whether the run advances. Claims and interruptions alone do not count: they may lead to the same crash again.
    pub fn makes_progress(&self) -> bool {
        self.events.iter().any(|event| {
            matches!(
                event.kind,
                EventKind::Finished { .. }
                    | EventKind::Answered { .. }
                    | EventKind::Gathered { .. }
                    | EventKind::Skipped { .. }
                    | EventKind::Waiting { .. }
                    | EventKind::Linked { .. }
                    | EventKind::StepFailed { .. }
                    | EventKind::TimedOut { .. }
                    | EventKind::Completed { .. }
                    | EventKind::Failed { .. }
                    | EventKind::Cancelled { .. }
            )
        })
    }
}

pub(super) fn derived(state: &RunState) -> Derived {
    let limit = next_limit(state);
    Derived {
        status: state.status(),
        warnings: state.warnings.len() as u32,
        error: state.error.as_ref().map(|failure| failure.error.message.clone()),
        usage: state.usage,
        finished_at: state.finished_at,
        wake_at: limit.map(|(at, _)| at),
        wake_from: limit.map(|(_, from)| from),
        asked_at: newest_question(state),
    }
}

/// When the newest open question was asked; it places the run in people's inboxes.
fn newest_question(state: &RunState) -> Option<Timestamp> {
    let asked = state.waiting.iter().filter_map(|id| state.step_run(*id)?.question.as_ref());
    asked.map(|question| question.asked_at).max()
}

/// The next time limit that no task in memory waits for, of a question or of an attempt that is executed elsewhere, and the
/// time when it started.
fn next_limit(state: &RunState) -> Option<(Timestamp, Timestamp)> {
    let asked = state.waiting.iter().filter_map(|id| {
        let question = state.step_run(*id)?.question.as_ref()?;
        Some((question.until?, question.asked_at))
    });
    let elsewhere = state.elsewhere.iter().filter_map(|id| {
        let limit = state.plan.steps.get(id.index())?.timeout_ms?;
        let began = state.step_run(*id)?.open_attempt()?.started_at;
        Some((Timestamp(began.0.saturating_add_unsigned(limit)), began))
    });
    asked.chain(elsewhere).min()
}
