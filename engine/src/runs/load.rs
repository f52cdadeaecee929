//! Loading a run from its log: after a restart, or when the fence showed that the state in memory was stale.

use super::{
    actor::RunActor,
    batch::{Batch, derived},
    body::{self, News},
    commit::CommitError,
    compiled::CompiledTemplate,
    facts::RunFacts,
    mailbox::{Command, MailboxSender},
    plan::Queue,
    requests::Request,
    steps::open_attempts,
    values::Values,
};
use crate::{
    Engine, Error, Result, store,
    store::{
        branches,
        log::{self, ChildStop, LogAppend},
        runs::{self, CallerKey},
        snapshots,
        versions::RoleVersion,
    },
};
use domain::{
    event::{Event, EventKind, Failure},
    id::{RunId, Timestamp},
    run::{MessageMetadata, Planner, RunState},
    view::Subject,
};
use serde_json::Value;
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How many events are read from the log at once.
const BATCH: u32 = 1000;
/// How many earlier messages a prompt may use.
pub(super) const EARLIER: u32 = 200;

impl Engine {
    /// The state of a run, folded from its log.
    pub(super) async fn replay(&self, run: RunId) -> Result<RunState> {
        let mut state = snapshots::latest(self.0.store.read(), run).await?.unwrap_or_default();
        loop {
            let events = runs::events(self.0.store.read(), run, state.seq, BATCH).await?;
            events.iter().for_each(|event| state.apply(event));
            if events.len() < BATCH as usize {
                return Ok(state);
            }
        }
    }

    /// Loads everything that is needed to work on the run. Its first batch interrupts open attempts whose
    /// calls have begun.
    pub(super) async fn load(&self, run: RunId, mail: MailboxSender) -> Result<RunActor> {
        let db = self.0.store.read();
        let row = runs::by_id(db, run).await?.ok_or_else(|| Error::not_found("run", run))?;
        let summary = row.summary()?;
        let snapshot = row.snapshot.0.clone();
        let state = self.replay(run).await?;
        let compiled = self.compiled_of_run(&row, &state.plan).await?;
        let mut roles = BTreeMap::new();
        for (step, (id, version)) in snapshot.roles {
            roles.insert(step, self.role_version(id, version).await?);
        }
        let input = self.stored_text(run, snapshot.input).await?;
        let input = serde_json::from_str(&input).map_err(Error::internal)?;
        let branch = self.branch_of(summary.task, snapshot.message).await?;
        let facts = RunFacts {
            run,
            number: summary.number,
            project: row.project(),
            task: summary.task,
            message: summary.message,
            question: snapshot.message,
            user: row.user(),
            by: summary.by,
            caller: row.caller(),
            depth: snapshot.depth,
            role_assignments: snapshot.role_assignments,
            templates: Arc::new(snapshot.templates),
            path: branches::path(db, branch).await?,
        };
        let mut actor = RunActor::new(self, facts, compiled, roles, input, Planner::new(state), mail);
        // The message may lack the last second before the process ended.
        actor.metadata_stale = true;
        actor.note_writers();
        Ok(actor)
    }

    /// Ends a run that cannot be loaded, with nothing but its log: it should fail rather than seem to run forever.
    pub(super) async fn give_up(&self, run: RunId, error: Failure) -> Result<()> {
        let row = runs::by_id(self.0.store.read(), run).await?;
        let row = row.ok_or_else(|| Error::not_found("run", run))?;
        let summary = row.summary()?;
        let mut state = self.replay(run).await?;
        if state.phase.is_end() {
            return Ok(());
        }
        let (expected, at) = (state.seq, store::now().max(state.last_at));
        let mut events = Vec::new();
        let mut record = |state: &mut RunState, kind| {
            let event = Event { seq: state.seq + 1, at, kind };
            state.apply(&event);
            events.push(event);
        };
        for (step, attempt) in open_attempts(&state).collect::<Vec<_>>() {
            let error = error.clone();
            record(&mut state, EventKind::Interrupted { step, attempt, error, retry_at: None });
        }
        record(&mut state, EventKind::Failed { error, step: None });
        let events = Arc::new(events);
        let append = LogAppend {
            run,
            project: row.project(),
            task: summary.task,
            message: summary.message,
            expected,
            at,
            events: events.clone(),
            contents: Arc::default(),
            derived: derived(&state),
            progress: true,
            metadata: Some(Arc::new(MessageMetadata::from(&state))),
            output: None,
            subject: Some(Subject::Run {
                number: summary.number,
                task: summary.task,
                status: state.status(),
            }),
            owner: self.0.runs.owner(),
            settled: Arc::default(),
            stops: Arc::new(vec![ChildStop { of: None, request: Request::stop_of(summary.number).json()? }]),
            bases: Arc::default(),
        };
        if !self.0.store.append(log::LogRow::new(&append)?).await? {
            return Err(Error::Unavailable("the log moved on; it is read again".to_owned()));
        }
        self.0.live.channel(run).committed(&events, &state);
        if let Some(CallerKey { run, step, attempt, .. }) = row.caller() {
            self.deliver(run, Command::News { step, attempt, news: News::ChildChanged });
        }
        self.wake_children(run, None);
        self.refuse_requests(run, summary.number);
        Ok(())
    }

    pub(super) async fn stored_text(&self, run: RunId, id: domain::id::ContentId) -> Result<String> {
        let text = runs::content(self.0.store.read(), run, id).await?;
        text.ok_or_else(|| Error::internal(format!("run {run} has no content {id}")))
    }
}

impl RunActor {
    /// An actor for a run whose state is known.
    pub(super) fn new(
        engine: &Engine,
        facts: RunFacts,
        compiled: Arc<CompiledTemplate>,
        roles: BTreeMap<u32, Arc<RoleVersion>>,
        input: Value,
        planner: Planner,
        mail: MailboxSender,
    ) -> Self {
        Self {
            engine: engine.clone(),
            channel: engine.0.live.channel(facts.run),
            facts,
            compiled,
            roles,
            values: Values::new(input),
            snapshot_at: planner.state().seq,
            limit: derived(planner.state()).wake_at,
            progressed: false,
            planner,
            queue: Queue::default(),
            mail,
            claimed: HashMap::new(),
            delivered_at: Instant::now(),
            open: HashMap::new(),
            pending: 0,
            metadata_at: Instant::now(),
            metadata_stale: false,
            ended: CancellationToken::new(),
        }
    }

    /// The first batch of a loaded run: attempts that a process left open are interrupted,
    /// rejoined, delivered again, or keep waiting.
    pub(super) async fn resume(&mut self) -> Result<(), CommitError> {
        let orphaned = self.is_orphaned().await?;
        let (expected, phase) = (self.state().seq, self.state().phase);
        let mut batch = Batch::new(store::now().max(self.state().last_at));
        // Stop goes first, so that nothing starts in the batch that stops the run.
        self.take_requests(&mut batch).await;
        if let Some(caller) = orphaned
            && !self.state().phase.is_end()
        {
            self.cancel(format!("run {caller}"), &mut batch).await;
        }
        let open = open_attempts(self.state()).collect::<Vec<_>>();
        body::found_open(self, open, &mut batch).await;
        self.expire(batch.at, &mut batch).await;
        self.plan(&mut batch).await;
        self.commit_batch(expected, phase, batch).await?;
        self.deliver_claimed();
        Ok(())
    }

    /// Applies the time limits that have been reached by `now`.
    pub(super) async fn expire(&mut self, now: Timestamp, batch: &mut Batch) {
        let waiting = self.state().waiting.iter().chain(&self.state().elsewhere);
        for step in waiting.copied().collect::<Vec<_>>() {
            body::deadline(self, step, now, batch).await;
        }
    }
}
