//! Taking up a run from its log: after a restart, or when the fence said that memory was stale.

use super::{
    actor::{Command, RunActor},
    batch::{Batch, derived},
    items::ItemValues,
    mapped::Mapped,
};
use crate::{
    Engine, Error, Result, store,
    store::{
        branches, files,
        log::{self, LogAppend},
        messages,
        runs::{self, CallerKey},
        snapshots, versions,
    },
};
use domain::{
    error::ErrorClass,
    event::{Event, EventKind, Failure, TextRef},
    id::{RunId, StepRunId, TemplateId},
    run::{MessageMetadata, Planner, RunState, StepStatus},
    view::Subject,
};
use serde_json::Value;
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};
use tokio::{sync::mpsc, time::Instant};
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
    pub(super) async fn load(&self, run: RunId, mail: mpsc::UnboundedSender<Command>) -> Result<RunActor> {
        let db = self.0.store.read();
        let row = runs::by_id(db, run).await?.ok_or_else(|| Error::not_found("run", run))?;
        let summary = row.summary()?;
        let snapshot = row.snapshot.0.clone();
        let compiled = self.compiled(row.template_id.map(TemplateId), summary.template.version).await?;
        let state = self.replay(run).await?;
        let mut roles = BTreeMap::new();
        for (step, (id, version)) in snapshot.roles {
            let role = versions::role(db, id, version).await?;
            let role = role.ok_or_else(|| Error::internal(format!("role {id} has no version {version}")))?;
            roles.insert(step, Arc::new(role));
        }
        let input = self.stored_text(run, snapshot.input).await?;
        let input = serde_json::from_str(&input).map_err(Error::internal)?;
        let branch = self.branch_of(summary.task, snapshot.message).await?;
        let path = branches::path(db, branch).await?;
        let earlier = if compiled.reads_conversation {
            messages::earlier(db, summary.task, &path, snapshot.message, EARLIER).await?
        } else {
            Vec::new()
        };
        let files = if compiled.writes_files {
            self.files_of(files::newest(db, summary.task, &path).await?).await?
        } else {
            BTreeMap::new()
        };
        let mut actor = RunActor {
            engine: self.clone(),
            run,
            number: summary.number,
            project: row.project(),
            task: summary.task,
            message: summary.message,
            user: row.user(),
            by: summary.by,
            caller: row.caller(),
            depth: snapshot.depth,
            role_assignments: snapshot.role_assignments,
            conversation: serde_json::to_value(&earlier).map_err(Error::internal)?,
            compiled,
            roles,
            input,
            earlier,
            outputs: BTreeMap::new(),
            mapped: Mapped::default(),
            items: HashMap::new(),
            files,
            path,
            channel: self.0.live.channel(run),
            mail,
            open: HashMap::new(),
            pending: 0,
            metadata_at: Instant::now(),
            // The last second before the process ended may be missing in it.
            metadata_stale: true,
            ended: CancellationToken::new(),
            snapshot_at: state.seq,
            planner: Planner::new(state),
        };
        actor.read_outputs().await?;
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
    async fn read_outputs(&mut self) -> Result<()> {
        for index in 0..self.state().steps.len() {
            let step = &self.state().steps[index];
            let name = self.state().plan.steps[index].name.clone();
            let output = match (step.status, step.output.clone()) {
                (StepStatus::Completed, Some(output)) => {
                    let output = self.read_output(index, &output).await?;
                    // It succeeded when the step finished, and expressions are pure.
                    let planned = &self.compiled.template.steps[index];
                    let mapped =
                        self.compiled.evaluator.output_mapping(planned, &output).map_err(Error::internal)?;
                    self.mapped.write(&self.compiled.plan, index, mapped);
                    output
                }
                (StepStatus::Skipped | StepStatus::Failed, _) => Value::Null,
                _ => {
                    self.read_items(index).await?;
                    continue;
                }
            };
            self.outputs.insert(name, output);
        }
        Ok(())
    }

    async fn read_output(&self, step: usize, output: &TextRef) -> Result<Value> {
        let text = self.engine.stored_text(self.run, output.id).await?;
        self.compiled.outputs[step].of_stored(output.json, text)
    }

    /// The items of a step that is under way.
    async fn read_items(&mut self, step: usize) -> Result<()> {
        let Some(items) = self.state().steps[step].items.clone() else { return Ok(()) };
        let list = self.engine.stored_text(self.run, items.list.id).await?;
        let mut values = ItemValues::new(serde_json::from_str(&list).map_err(Error::internal)?);
        for (run, output) in items.runs.iter().zip(&mut values.outputs) {
            if let Some(reference) = &run.output {
                *output = self.read_output(step, reference).await?;
            }
        }
        self.items.insert(step as u32, values);
        Ok(())
    }

    /// Attempts that a process left open: it is gone, so they will never end by themselves.
    pub(super) fn interrupt(&mut self, batch: &mut Batch) {
        let open = open_attempts(self.state()).filter(|(step, _)| !self.is_child(*step));
        for (step, attempt) in open.collect::<Vec<_>>() {
            let failure = Failure::new(ErrorClass::Interrupted, "the server stopped while this attempt ran");
            self.fail(step, attempt, failure, None, false, batch);
        }
    }

    /// The first batch of a run that was taken up.
    pub(super) async fn resume(&mut self) -> Result<(), super::actor::Fenced> {
        let (expected, phase) = (self.state().seq, self.state().phase);
        let mut batch = Batch::new(store::now().max(self.state().last_at));
        self.interrupt(&mut batch);
        self.rejoin_children(&mut batch).await;
        self.expire(&mut batch).await;
        self.plan(&mut batch).await;
        self.commit_batch(expected, phase, batch).await
    }
}

fn open_attempts(state: &RunState) -> impl Iterator<Item = (StepRunId, u32)> {
    state.step_runs().filter_map(|(id, run)| Some((id, run.open_attempt()?.number)))
}
