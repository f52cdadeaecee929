//! Taking up a run from its log: after a restart, or when the fence said that memory was stale.

use super::{
    conductor::{Conductor, Report},
    turn::Turn,
};
use crate::{
    Engine, Error, Result, store,
    store::{messages, runs, versions},
};
use domain::{
    error::ErrorClass,
    event::Failure,
    id::{ProjectId, RunId, StepRunId, TemplateId},
    run::{Planner, RunState, StepStatus},
};
use serde_json::Value;
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// How many events are read from the log at once.
const BATCH: u32 = 1000;
/// How many earlier messages a prompt may draw on.
pub(super) const EARLIER: u32 = 200;

impl Engine {
    /// The state that a run's log leaves.
    pub(super) async fn replay(&self, run: RunId) -> Result<RunState> {
        let mut state = RunState::default();
        loop {
            let events = runs::events(self.0.store.read(), run, state.seq, BATCH).await?;
            events.iter().for_each(|event| state.apply(event));
            if events.len() < BATCH as usize {
                return Ok(state);
            }
        }
    }

    /// Everything that conducting the run takes. Attempts that were open are recorded as interrupted in its first turn.
    pub(super) async fn load(&self, run: RunId, mail: mpsc::UnboundedSender<Report>) -> Result<Conductor> {
        let db = self.0.store.read();
        let row = runs::by_id(db, run).await?.ok_or_else(|| Error::not_found("run", run))?;
        let summary = row.summary()?;
        let snapshot = row.snapshot.0.clone();
        let recipe = self.recipe(row.template_id.map(TemplateId), summary.template.version).await?;
        let state = self.replay(run).await?;
        let mut roles = BTreeMap::new();
        for (step, (id, version)) in snapshot.roles {
            let role = versions::role(db, id, version).await?;
            let role = role.ok_or_else(|| Error::internal(format!("role {id} has no version {version}")))?;
            roles.insert(step, Arc::new(role));
        }
        let input = self.stored_text(run, snapshot.input).await?;
        let input = serde_json::from_str(&input).map_err(Error::internal)?;
        let earlier = if recipe.reads_conversation {
            messages::earlier(db, summary.task, snapshot.message, EARLIER).await?
        } else {
            Vec::new()
        };
        let mut conductor = Conductor {
            engine: self.clone(),
            run,
            number: summary.number,
            project: ProjectId(row.project_id),
            task: summary.task,
            message: summary.message,
            conversation: serde_json::to_value(&earlier).map_err(Error::internal)?,
            recipe,
            roles,
            input,
            earlier,
            outputs: BTreeMap::new(),
            mapped: BTreeMap::new(),
            channel: self.0.live.channel(run),
            mail,
            open: HashMap::new(),
            metadata_at: state.last_at,
            ended: CancellationToken::new(),
            planner: Planner::new(state),
        };
        conductor.read_outputs().await?;
        Ok(conductor)
    }

    pub(super) async fn stored_text(&self, run: RunId, id: domain::id::ContentId) -> Result<String> {
        let text = runs::content(self.0.store.read(), run, id).await?;
        text.ok_or_else(|| Error::internal(format!("run {run} has no content {id}")))
    }
}

impl Conductor {
    async fn read_outputs(&mut self) -> Result<()> {
        for index in 0..self.state().steps.len() {
            let step = &self.state().steps[index];
            let name = self.state().plan.steps[index].name.clone();
            let output = match (step.status, &step.output) {
                (StepStatus::Completed, Some(output)) => {
                    Value::String(self.engine.stored_text(self.run, output.id).await?)
                }
                (StepStatus::Skipped | StepStatus::Failed, _) => Value::Null,
                _ => continue,
            };
            if !output.is_null() {
                // It succeeded when the step finished, and expressions are pure.
                let planned = &self.recipe.template.steps[index];
                let mapped =
                    self.recipe.evaluator.output_mapping(planned, &output).map_err(Error::internal)?;
                self.mapped.extend(mapped);
            }
            self.outputs.insert(name, output);
        }
        Ok(())
    }

    /// Attempts that a process left open: it is gone, so they will never end by themselves.
    pub(super) fn interrupt(&mut self, turn: &mut Turn) {
        let open: Vec<_> = (0..self.state().steps.len())
            .filter_map(|step| Some((StepRunId::of(step), self.state().steps[step].open_attempt()?.number)))
            .collect();
        for (step, attempt) in open {
            let failure = Failure::new(ErrorClass::Interrupted, "the server stopped while this attempt ran");
            self.fail(step, attempt, failure, None, false, turn);
        }
    }

    /// The first turn of a run that was taken up.
    pub(super) async fn resume(&mut self) -> Result<(), super::conductor::Fenced> {
        let (expected, phase) = (self.state().seq, self.state().phase);
        let mut turn = Turn::new(store::now().max(self.state().last_at));
        self.interrupt(&mut turn);
        self.plan(&mut turn).await;
        self.finish_turn(expected, phase, turn).await
    }
}
