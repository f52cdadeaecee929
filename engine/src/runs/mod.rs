//! Runs: launch, watch, stop, read.
//!
//! Each live run has an [`actor`], registered here under the run's id. Work for a run reaches its actor as a command;
//! [`Engine::advance`] finds the actor, or loads the run from its log. Both may happen twice or late: the actor
//! re-reads its state, and the store's fence refuses what was done already.
//!
//! Invariant: a live run has one task that looks after it ([`supervisor`]), from its launch or from being loaded until
//! it has ended.

mod actor;
mod answer;
mod attempt;
mod batch;
mod body;
mod branch;
mod child_templates;
mod claims;
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
mod requests;
mod shown_files;
#[cfg(test)]
mod stage;
mod steps;
mod supervisor;
mod sweep;
mod timers;
mod user_message;
mod values;
mod wait;

pub use answer::AnswerDraft;
pub use fork::Fork;
pub(crate) use launch::checked_key;
pub use preview::Expression;
pub use sweep::Pace;
pub(crate) use sweep::{OtherServers, Sweep};
pub(crate) use timers::TimeLimits;
pub use wait::Waited;

use crate::{
    Engine, Error, Result, User,
    projects::allowed,
    store::{
        self,
        runs::{self, RunRow},
        versions::RoleVersion,
    },
};
use compiled::CompiledTemplate;
use domain::{
    access::Permission,
    branch::Branch,
    event::Event,
    id::{ContentId, MessageId, OwnerId, RoleId, RunId, RunNumber, StepRunId, TaskId, TemplateId},
    key::{ProjectKey, RoleKey, TemplateKey},
    run::RunStatus,
    schema::Shelf,
    view::{Content, LaunchPreview, Launched, Page, RunDetail, RunSummary},
};
use mailbox::{Command, MailboxSender, has_ended};
use moka::sync::Cache;
use requests::{Askers, Request};
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

/// Runs per page of the list.
const PAGE: u32 = 50;
/// Events per page.
const EVENTS_PAGE: u32 = 500;
/// Bytes of role versions in the cache: their prompts, and a fixed overhead for each.
const ROLE_VERSIONS: u64 = 16 * 1024 * 1024;
const ROLE_BYTES: usize = 512;
/// Bytes of compiled template versions in the cache. A live run keeps its own.
const COMPILED_TEMPLATES: u64 = 64 * 1024 * 1024;
const REFUSED_TEMPLATES: u64 = 16 * 1024 * 1024;
/// How many runs are loaded from their logs at once: a start may find thousands, and pages need readers, too.
const TAKEN_UP_AT_ONCE: usize = 8;
/// How long a page waits for a busy actor before it reads the log itself.
const SHOW_LIMIT: Duration = Duration::from_secs(2);

/// What to launch.
#[derive(Clone, Debug)]
pub enum Subject {
    Template(TemplateKey),
    /// Free text: the built-in template `ask`.
    Ask(String),
}

/// The parameters of a launch.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Launch {
    #[serde(default)]
    pub input: Value,
    /// Step name to role key.
    #[serde(default)]
    pub role_assignments: BTreeMap<String, RoleKey>,
    /// The conversation of the run; none: a new one.
    #[serde(default)]
    pub task_id: Option<TaskId>,
    /// The branch to continue; none: the one with the newest message.
    #[serde(default)]
    pub branch: Option<Branch>,
    /// The user message that this one replaces: a new branch begins there.
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

/// By template and version.
type CompiledTemplates = Cache<(TemplateId, u32), Arc<CompiledTemplate>>;

fn compiled_templates(bytes: u64) -> CompiledTemplates {
    let size = |_: &(TemplateId, u32), compiled: &Arc<CompiledTemplate>| {
        u32::try_from(compiled.bytes).unwrap_or(u32::MAX)
    };
    Cache::builder().weigher(size).max_capacity(bytes).build()
}

/// The runs that this process executes.
pub(crate) struct Runs {
    owner: OwnerId,
    live: Mutex<HashMap<RunId, MailboxSender>>,
    tasks: TaskTracker,
    stopping: CancellationToken,
    taking_up: Semaphore,
    timers: Timers,
    askers: Askers,
    pace: Pace,
    file_guards: FileGuards,
    compiled_templates: CompiledTemplates,
    /// Templates of earlier launches that today's rules refuse.
    refused_templates: CompiledTemplates,
    role_versions: Cache<(RoleId, u32), Arc<RoleVersion>>,
    /// Compiled patterns of the templates' schemas.
    pub(crate) shelf: Arc<Shelf>,
    ask: Arc<CompiledTemplate>,
}

impl Runs {
    pub fn new(pace: Pace) -> Result<Self> {
        let shelf = Arc::default();
        Ok(Self {
            owner: OwnerId(store::mint()),
            live: Mutex::default(),
            tasks: TaskTracker::new(),
            stopping: CancellationToken::new(),
            taking_up: Semaphore::new(TAKEN_UP_AT_ONCE),
            timers: Timers::default(),
            askers: Askers::default(),
            pace,
            file_guards: FileGuards::default(),
            compiled_templates: compiled_templates(COMPILED_TEMPLATES),
            refused_templates: compiled_templates(REFUSED_TEMPLATES),
            role_versions: Cache::builder()
                .weigher(|_, role: &Arc<RoleVersion>| (ROLE_BYTES + role.base_prompt.len()) as u32)
                .max_capacity(ROLE_VERSIONS)
                .build(),
            ask: Arc::new(CompiledTemplate::ask(&shelf)?),
            shelf,
        })
    }

    pub fn owner(&self) -> OwnerId {
        self.owner
    }

    pub fn pace(&self) -> Pace {
        self.pace
    }

    /// Whether other servers execute runs of the same database.
    pub fn is_shared(&self) -> bool {
        self.pace.lease.is_some()
    }

    pub fn stopping(&self) -> CancellationToken {
        self.stopping.clone()
    }

    /// Spawns background work that lasts as long as runs are executed; the work must heed [`Runs::stopping`].
    pub fn spawn_background(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(work);
    }

    /// Ends all actors at once; their runs resume at the next start.
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

    /// Like [`Runs::register`], after an actor that failed. False: a newer command has already started another actor.
    fn succeed(&self, run: RunId, mail: &MailboxSender) -> bool {
        let mut live = self.live();
        let vacant = live.get(&run).is_none_or(mpsc::UnboundedSender::is_closed);
        if vacant {
            live.insert(run, mail.clone());
        }
        vacant
    }

    /// Removes the actor's own mailbox, but not that of a later actor.
    fn forget(&self, run: RunId, mail: &MailboxSender) {
        let mut live = self.live();
        if live.get(&run).is_some_and(|registered| registered.same_channel(mail)) {
            live.remove(&run);
        }
    }

    /// Removes a closed mailbox.
    fn forget_closed(&self, run: RunId) {
        let mut live = self.live();
        if live.get(&run).is_some_and(mpsc::UnboundedSender::is_closed) {
            live.remove(&run);
        }
    }
}

impl Engine {
    /// The result that a launch would have: roles with reasons, warnings, errors. Writes nothing, calls no model.
    pub async fn preview(
        &self,
        user: &User,
        project: &ProjectKey,
        template: &TemplateKey,
        launch: &Launch,
    ) -> Result<LaunchPreview> {
        self.preview_launch(user, project, template, launch).await
    }

    /// Stores the user's message, the assistant's message and the run in one transaction, and acknowledges. Requires
    /// editor permission.
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
        self.check_key(user, project, &subject, &launch).await?;
        Ok(self.launch(user, project, subject, launch, None, false).await?.launched)
    }

    /// Rejects an idempotency key that is empty or too long, after the check that the user may launch.
    async fn check_key(
        &self,
        user: &User,
        project: &ProjectKey,
        subject: &Subject,
        launch: &Launch,
    ) -> Result<()> {
        let Some(Err(refused)) = launch.idempotency_key.as_deref().map(checked_key) else { return Ok(()) };
        match subject {
            Subject::Template(key) => self.permits_template(user, project, key, Permission::Editor).await?,
            Subject::Ask(_) => self.permits(user, project, Permission::Editor).await?,
        }
        Err(refused)
    }

    /// Checks the permission on the run, for callers that check it before they read a request's body.
    pub async fn permits_run(
        &self,
        user: &User,
        project: &ProjectKey,
        run: RunNumber,
        need: Permission,
    ) -> Result<()> {
        self.run_row(user, project, run, need).await.map(drop)
    }

    /// The run, if the user has permission `need` in its project.
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

    /// Stops the run: model calls are dropped, open attempts end as cancelled. `Conflict` if it has ended.
    pub async fn cancel(&self, user: &User, project: &ProjectKey, run: RunNumber) -> Result<RunDetail> {
        let row = self.run_row(user, project, run, Permission::Editor).await?;
        if row.summary()?.status.is_end() {
            return Err(has_ended(run));
        }
        let late = "the run will stop, but that could not be stored yet; look again in a while";
        self.ask(row.id(), run, &Request::Cancel { by: user.name.clone() }, late).await?;
        self.run(user, project, run).await
    }

    /// The runs, newest first, 50 per page.
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
        let state = self.state_of(&row).await?;
        let mut summary = row.summary()?;
        // The row was read first, so the state may be newer.
        summary.status = state.status();
        summary.finished_at = state.finished_at;
        summary.usage = state.usage;
        summary.error = state.error.as_ref().map(|failure| failure.error.message.clone());
        Ok(RunDetail { summary, state })
    }

    /// Events after `after`, at most 500; `next` is the number of the page's last event if there are more.
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

    /// A stored text of this run: a prompt, an output or the input. `limit` is in characters; none: the whole text.
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

    /// Makes the run continue: its actor checks for work, or the run is loaded from its log.
    pub(crate) fn advance(&self, run: RunId) {
        self.0.delivery.advance(self, run);
    }

    /// Makes the run's actor check for work.
    pub(crate) fn wake(&self, run: RunId) {
        self.deliver(run, Command::Wake);
    }

    /// Makes the run's actor start the call that it has claimed.
    pub(crate) fn execute_attempt(&self, run: RunId, step: StepRunId, attempt: u32) {
        self.deliver(run, Command::Execute { step, attempt });
    }

    /// Sends a command to the run's actor, which is started if the run has none here.
    fn deliver(&self, run: RunId, mut command: Command) {
        // A closed mailbox is replaced, so the retry gets an open one.
        while let Err(mpsc::error::SendError(back)) = self.mailbox(run).send(command) {
            command = back;
        }
    }

    /// Loads every run that needs work.
    pub(crate) async fn take_up_unfinished(&self) -> Result<()> {
        self.join_servers().await?;
        let unfinished = runs::unfinished(self.0.store.read()).await?;
        if !unfinished.is_empty() {
            tracing::info!(runs = unfinished.len(), "taking up unfinished runs");
        }
        unfinished.into_iter().for_each(|run| self.advance(run));
        Ok(())
    }

    /// Called when a server that executed runs shuts down cleanly.
    pub(crate) async fn forget_takes(&self) {
        let server = self.0.runs.owner();
        if let Err(error) = self.0.store.write(move |tx| Box::pin(runs::forget_takes(tx, server))).await {
            tracing::warn!(%error, source = ?error, "it stays counted which runs were taken up");
        }
    }

    /// The live state if this process executes the run, otherwise the state from its log.
    async fn state_of(&self, row: &RunRow) -> Result<domain::run::RunState> {
        let run = row.id();
        let mail = self.0.runs.live().get(&run).cloned();
        if let Some(mail) = mail {
            let (reply, answer) = oneshot::channel();
            if mail.send(Command::Show { reply }).is_ok()
                && let Ok(Ok(state)) = timeout(SHOW_LIMIT, answer).await
                // Another server may have continued the run.
                && state.seq >= row.last_seq()
            {
                return Ok(*state);
            }
        }
        self.replay(run).await
    }

    fn mailbox(&self, run: RunId) -> MailboxSender {
        let mut live = self.0.runs.live();
        // The run's actor may have failed without removing its mailbox.
        if let Some(mail) = live.get(&run).filter(|mail| !mail.is_closed()) {
            return mail.clone();
        }
        let (mail, mailbox) = mpsc::unbounded_channel();
        live.insert(run, mail.clone());
        drop(live);
        self.supervise(
            run,
            supervisor::take_up(self.clone(), run, mail.clone(), mailbox, supervisor::Taking::First),
        );
        mail
    }
}
