//! Runs: launch, watch, stop, read.
//!
//! Each live run has a [`actor`], registered here under its id. What is to be done for a run reaches it as a command;
//! [`Engine::advance`] finds the actor, or takes the run up from its log. Both may happen twice or late: the
//! actor re-reads its state, and the store's fence refuses what was done already.
//!
//! Always true: a live run has one task that looks after it ([`supervisor`]), from its launch or from being taken up until it
//! has ended.

mod actor;
mod answer;
mod attempt;
mod batch;
mod body;
mod branch;
mod commit;
mod compiled;
mod facts;
mod files;
mod fork;
mod items;
mod launch;
mod load;
mod mailbox;
mod mapped;
mod output;
mod paths;
mod plan;
mod prepare;
mod preview;
mod request;
mod shown_files;
mod steps;
mod supervisor;
mod timers;
mod user_message;
mod values;

pub use answer::AnswerDraft;
pub use fork::Fork;
pub(crate) use launch::checked_key;
pub use preview::Expression;

use crate::{
    Engine, Error, Result, User,
    projects::allowed,
    store::{
        self,
        runs::{self, RunRow},
    },
};
use compiled::CompiledTemplate;
use domain::{
    access::Permission,
    branch::Branch,
    event::Event,
    id::{ContentId, MessageId, OwnerId, RunId, RunNumber, TaskId, TemplateId},
    key::{ProjectKey, RoleKey, TemplateKey},
    run::RunStatus,
    view::{Content, LaunchPreview, Launched, Page, RunDetail, RunSummary},
};
use mailbox::{Command, MailboxSender, has_ended};
use moka::sync::Cache;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use shown_files::FileGuards;
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use timers::Timers;
use tokio::{
    sync::{Semaphore, mpsc, oneshot},
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// How many runs a page of the list has.
const PAGE: u32 = 50;
/// How many events a page has.
const EVENTS_PAGE: u32 = 500;
/// How many compiled template versions are kept at hand.
const COMPILED_TEMPLATES: u64 = 500;
/// How many runs are read from their logs at once: a start may find thousands, and pages need readers, too.
const TAKEN_UP_AT_ONCE: usize = 8;
/// How long a page waits for an actor that is busy, before it reads the log itself.
const SHOW_LIMIT: Duration = Duration::from_secs(2);
/// How long Stop waits until it is stored.
const CANCEL_LIMIT: Duration = Duration::from_secs(20);

/// What to launch.
#[derive(Clone, Debug)]
pub enum Subject {
    Template(TemplateKey),
    /// Free text: the built-in template `ask`.
    Ask(String),
}

/// What a launch is given besides its subject.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Launch {
    #[serde(default)]
    pub input: Value,
    /// Step name to role key.
    #[serde(default)]
    pub role_assignments: BTreeMap<String, RoleKey>,
    /// The conversation it belongs to; none: a new one.
    #[serde(default)]
    pub task_id: Option<TaskId>,
    /// The branch of the conversation to go on with; none: the one that moved last.
    #[serde(default)]
    pub branch: Option<Branch>,
    /// A person's message in the conversation, in whose place this one is to stand: it begins a branch there.
    #[serde(default)]
    pub replaces: Option<MessageId>,
    #[serde(default)]
    pub idempotency_key: Option<String>,
}

#[derive(Clone, Debug, Default)]
pub struct RunFilter {
    pub status: Option<RunStatus>,
    pub template: Option<TemplateKey>,
}

/// The runs that this process works on.
pub(crate) struct Runs {
    owner: OwnerId,
    live: Mutex<HashMap<RunId, MailboxSender>>,
    tasks: TaskTracker,
    stopping: CancellationToken,
    taking_up: Semaphore,
    timers: Timers,
    file_guards: FileGuards,
    compiled_templates: Cache<(TemplateId, u32), Arc<CompiledTemplate>>,
    ask: Arc<CompiledTemplate>,
}

impl Runs {
    pub fn new() -> Result<Self> {
        Ok(Self {
            owner: OwnerId(store::mint()),
            live: Mutex::default(),
            tasks: TaskTracker::new(),
            stopping: CancellationToken::new(),
            taking_up: Semaphore::new(TAKEN_UP_AT_ONCE),
            timers: Timers::default(),
            file_guards: FileGuards::default(),
            compiled_templates: Cache::new(COMPILED_TEMPLATES),
            ask: Arc::new(CompiledTemplate::ask()?),
        })
    }

    pub fn owner(&self) -> OwnerId {
        self.owner
    }

    pub fn stopping(&self) -> CancellationToken {
        self.stopping.clone()
    }

    /// Runs something for as long as runs are worked on; it heeds [`Runs::stopping`].
    pub fn spawn_background(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(work);
    }

    /// Ends all actors where they stand; their runs go on at the next start.
    pub async fn stop(&self) {
        self.stopping.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    fn live(&self) -> MutexGuard<'_, HashMap<RunId, MailboxSender>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn register(&self, run: RunId, mail: MailboxSender) {
        self.live().insert(run, mail);
    }

    /// As [`Runs::register`], after an actor that broke down. False: a command that came since has called up another one.
    fn succeed(&self, run: RunId, mail: &MailboxSender) -> bool {
        let mut live = self.live();
        let vacant = live.get(&run).is_none_or(mpsc::UnboundedSender::is_closed);
        if vacant {
            live.insert(run, mail.clone());
        }
        vacant
    }

    /// Takes the actor's own mailbox away, and never that of one who came after it.
    fn forget(&self, run: RunId, mail: &MailboxSender) {
        let mut live = self.live();
        if live.get(&run).is_some_and(|registered| registered.same_channel(mail)) {
            live.remove(&run);
        }
    }

    /// Takes a mailbox away that nobody reads any more.
    fn forget_closed(&self, run: RunId) {
        let mut live = self.live();
        if live.get(&run).is_some_and(mpsc::UnboundedSender::is_closed) {
            live.remove(&run);
        }
    }
}

impl Engine {
    /// What a launch would do: roles with reasons, warnings, errors. Writes nothing, calls no model.
    pub async fn preview(
        &self,
        user: &User,
        project: &ProjectKey,
        template: &TemplateKey,
        launch: &Launch,
    ) -> Result<LaunchPreview> {
        self.preview_launch(user, project, template, launch).await
    }

    /// Stores the user's message, the assistant's message and the run in one transaction, and acknowledges. Editors.
    ///
    /// # Errors
    /// `Invalid` for a bad input, an unknown step or role, no roles, or a feature not supported yet: nothing is written.
    /// `Conflict` when the idempotency key was used with another body; the same body gives the first answer again.
    pub async fn execute(
        &self,
        user: &User,
        project: &ProjectKey,
        subject: Subject,
        launch: Launch,
    ) -> Result<Launched> {
        launch.idempotency_key.as_deref().map(checked_key).transpose()?;
        self.launch(user, project, subject, launch, None).await
    }

    /// The run, for one who may do `need` in its project.
    pub(crate) async fn run_row(
        &self,
        user: &User,
        project: &ProjectKey,
        run: RunNumber,
        need: Permission,
    ) -> Result<RunRow> {
        let found = runs::by_number_for(&mut *self.0.store.quick().await?, project, user.id, run).await?;
        let (membership, row) = found.unzip();
        allowed(user, project, need, membership)?;
        row.flatten().ok_or_else(|| Error::not_found("run", run))
    }

    /// Stops it: open model calls are dropped, open attempts end as cancelled. `Conflict` when it has ended.
    pub async fn cancel(&self, user: &User, project: &ProjectKey, run: RunNumber) -> Result<RunDetail> {
        let row = self.run_row(user, project, run, Permission::Editor).await?;
        if row.summary()?.status.is_end() {
            return Err(has_ended(run));
        }
        let (reply, answer) = oneshot::channel();
        self.deliver(row.id(), Command::Cancel { by: user.name.clone(), reply });
        match timeout(CANCEL_LIMIT, answer).await {
            Ok(Ok(cancelled)) => cancelled?,
            Err(_) => {
                let why = "the run will stop, but that could not be stored yet; look again in a while";
                return Err(Error::Unavailable(why.to_owned()));
            }
            // Its actor ended between the two: either the run has, or the server is about to.
            Ok(Err(_)) => {
                return Err(Error::Unavailable("the run could not be reached; try again".to_owned()));
            }
        }
        self.run(user, project, run).await
    }

    /// Newest first, 50 a page.
    pub async fn runs(
        &self,
        user: &User,
        project: &ProjectKey,
        filter: &RunFilter,
        cursor: Option<&str>,
    ) -> Result<Page<RunSummary>> {
        let project = self.authorise(user, project, Permission::Viewer).await?;
        let before = match cursor {
            Some(cursor) => cursor
                .parse()
                .map_err(|_| Error::invalid("cursor", "not a cursor of this list; begin without one"))?,
            None => u32::MAX,
        };
        let template = filter.template.as_ref();
        let rows =
            runs::list(self.0.store.read(), project, filter.status, template, before, PAGE + 1).await?;
        let more = rows.len() > PAGE as usize;
        let items: Vec<_> =
            rows.iter().take(PAGE as usize).map(runs::RunRow::summary).collect::<Result<_>>()?;
        let next = items.last().filter(|_| more).map(|last: &RunSummary| last.number.to_string());
        Ok(Page { items, next })
    }

    pub async fn run(&self, user: &User, project: &ProjectKey, run: RunNumber) -> Result<RunDetail> {
        let row = self.run_row(user, project, run, Permission::Viewer).await?;
        let state = self.state_of(row.id()).await?;
        let mut summary = row.summary()?;
        // The row was read first, so the state may be ahead of it.
        summary.status = state.status();
        summary.finished_at = state.finished_at;
        summary.usage = state.usage;
        summary.error = state.error.as_ref().map(|failure| failure.error.message.clone());
        Ok(RunDetail { summary, state })
    }

    /// Events after `after`, at most 500; the page's `next` is the last one's number when there are more.
    pub async fn events(
        &self,
        user: &User,
        project: &ProjectKey,
        run: RunNumber,
        after: u64,
    ) -> Result<Page<Event>> {
        let row = self.run_row(user, project, run, Permission::Viewer).await?;
        let mut items = runs::events(self.0.store.read(), row.id(), after, EVENTS_PAGE + 1).await?;
        let more = items.len() > EVENTS_PAGE as usize;
        items.truncate(EVENTS_PAGE as usize);
        let next = items.last().filter(|_| more).map(|last| last.seq.to_string());
        Ok(Page { items, next })
    }

    /// A stored text of this run: a prompt, an output, the input. `limit` in characters; none: all of it.
    pub async fn content(
        &self,
        user: &User,
        project: &ProjectKey,
        run: RunNumber,
        content: ContentId,
        limit: Option<u32>,
    ) -> Result<Content> {
        let row = self.run_row(user, project, run, Permission::Viewer).await?;
        let db = self.0.store.read();
        let limit = limit.unwrap_or(i32::MAX as u32);
        let found = runs::content_head(db, row.id(), content, limit).await?;
        let (text, bytes) = found.ok_or_else(|| Error::not_found("content", content))?;
        Ok(Content { text, bytes })
    }

    /// Sees to it that the run goes on: its actor looks again, or the run is taken up from its log.
    pub(crate) fn advance(&self, run: RunId) {
        self.deliver(run, Command::Wake);
    }

    /// Brings a command to the run's actor, whether that is here already or has to be called up.
    fn deliver(&self, run: RunId, mut command: Command) {
        // One that is closed is not found again.
        while let Err(mpsc::error::SendError(back)) = self.mailbox(run).send(command) {
            command = back;
        }
    }

    /// Takes up every run that has not ended.
    pub(crate) async fn take_up_unfinished(&self) -> Result<()> {
        let unfinished = runs::unfinished(self.0.store.read()).await?;
        if !unfinished.is_empty() {
            tracing::info!(runs = unfinished.len(), "taking up unfinished runs");
        }
        unfinished.into_iter().for_each(|run| self.advance(run));
        self.0.runs.tasks.spawn(self.clone().watch_time_limits());
        Ok(())
    }

    /// At the end of a server that executed runs, in good order.
    pub(crate) async fn forget_takes(&self) {
        if let Err(error) = self.0.store.write(|tx| Box::pin(runs::forget_takes(tx))).await {
            tracing::warn!(%error, source = ?error, "it stays counted which runs were taken up");
        }
    }

    /// The live state if the run is worked on here, else what its log says.
    async fn state_of(&self, run: RunId) -> Result<domain::run::RunState> {
        let mail = self.0.runs.live().get(&run).cloned();
        if let Some(mail) = mail {
            let (reply, answer) = oneshot::channel();
            if mail.send(Command::Show { reply }).is_ok()
                && let Ok(Ok(state)) = timeout(SHOW_LIMIT, answer).await
            {
                return Ok(*state);
            }
        }
        self.replay(run).await
    }

    fn mailbox(&self, run: RunId) -> MailboxSender {
        let mut live = self.0.runs.live();
        // Its actor may have broken down without tidying up.
        if let Some(mail) = live.get(&run).filter(|mail| !mail.is_closed()) {
            return mail.clone();
        }
        let (mail, mailbox) = mpsc::unbounded_channel();
        live.insert(run, mail.clone());
        drop(live);
        self.supervise(run, supervisor::take_up(self.clone(), run, mail.clone(), mailbox));
        mail
    }
}
