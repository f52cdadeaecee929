//! Taking up a run from its log: after a restart, or when the fence said that memory was stale.

use super::{
    actor::RunActor,
    batch::{Batch, derived},
    body,
    commit::CommitError,
    compiled::CompiledTemplate,
    facts::RunFacts,
    mailbox::{Command, MailboxSender},
    plan::Queue,
    values::Values,
};
use crate::{
    Engine, Error, Result, store,
    store::{
        branches,
        log::{self, LogAppend},
        runs::{self, CallerKey},
        snapshots,
        versions::{self, RoleVersion},
    },
};
use domain::{
    event::{Event, EventKind, Failure},
    id::{RunId, StepRunId, TemplateId, Timestamp},
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
/// How many earlier messages a prompt may draw on.
pub(super) const EARLIER: u32 = 200;

impl Engine {
    /// The state that a run's log leaves.
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

    /// Everything that working on the run takes. Attempts that were open are recorded as interrupted in its first batch.
    pub(super) async fn load(&self, run: RunId, mail: MailboxSender) -> Result<RunActor> {
        let db = self.0.store.read();
        let row = runs::by_id(db, run).await?.ok_or_else(|| Error::not_found("run", run))?;
        let summary = row.summary()?;
        let snapshot = row.snapshot.0.clone();
        let state = self.replay(run).await?;
        let compiled = match self.compiled(row.template_id.map(TemplateId), summary.template.version).await {
            // Today's compiler may refuse what an earlier one took: the run goes on by the plan that it began with.
            Err(Error::Invalid(problems)) => {
                tracing::warn!(%run, ?problems, "a live run's template is not valid any more");
                self.compiled_as_planned(
                    row.template_id.map(TemplateId),
                    summary.template.version,
                    &state.plan,
                )
                .await?
            }
            compiled => compiled?,
        };
        let mut roles = BTreeMap::new();
        for (step, (id, version)) in snapshot.roles {
            let role = versions::role(db, id, version).await?;
            let role = role.ok_or_else(|| Error::internal(format!("role {id} has no version {version}")))?;
            roles.insert(step, Arc::new(role));
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
            path: branches::path(db, branch).await?,
        };
        let mut actor = RunActor::new(self, facts, compiled, roles, input, Planner::new(state), mail);
        // The last second before the process ended may be missing in it.
        actor.metadata_stale = true;
        actor.note_writers();
        Ok(actor)
    }

    /// Ends a run that cannot be worked on, with nothing but its log: better failed than running for ever.
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
        };
        if self.0.store.append(log::LogRow::new(&append)?).await? {
            self.0.live.channel(run).committed(&events);
            if let Some(CallerKey { run, step, attempt, .. }) = row.caller() {
                self.deliver(run, Command::Child { step, attempt });
            }
            for (child, ..) in runs::live_children(self.0.store.read(), run, None).await? {
                self.stop_child(child, format!("run {}", summary.number));
            }
        }
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
            open: HashMap::new(),
            pending: 0,
            metadata_at: Instant::now(),
            metadata_stale: false,
            ended: CancellationToken::new(),
        }
    }

    /// The first batch of a run that was taken up: what a process left open is interrupted, joined again, or waits on.
    pub(super) async fn resume(&mut self) -> Result<(), CommitError> {
        let (expected, phase) = (self.state().seq, self.state().phase);
        let mut batch = Batch::new(store::now().max(self.state().last_at));
        for (step, attempt) in open_attempts(self.state()).collect::<Vec<_>>() {
            body::found_open(self, step, attempt, &mut batch).await;
        }
        self.stop_stray_children().await;
        self.expire(batch.at, &mut batch).await;
        self.plan(&mut batch).await;
        self.commit_batch(expected, phase, batch).await
    }

    /// What the time limits decide that have come by `now`.
    pub(super) async fn expire(&mut self, now: Timestamp, batch: &mut Batch) {
        let waiting = self.state().waiting.iter().chain(&self.state().calling);
        for step in waiting.copied().collect::<Vec<_>>() {
            body::deadline(self, step, now, batch).await;
        }
    }
}

fn open_attempts(state: &RunState) -> impl Iterator<Item = (StepRunId, u32)> {
    state.step_runs().filter_map(|(id, run)| Some((id, run.open_attempt()?.number)))
}
