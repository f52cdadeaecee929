//! Steps that are runs of their own (`uses: template:KEY`).
//!
//! The child's row names the attempt that it is, and an attempt has one child however often its launch is delivered. So
//! nothing has to be remembered over a restart: the store says whether the child was launched, and how it ended.

use super::super::{
    actor::RunActor,
    batch::{Batch, ChildStart},
    mailbox::Command,
    steps::flatten,
};
use crate::{
    Engine, Error, Result,
    store::runs::{self, CallerKey, RunRow},
};
use domain::{
    error::ErrorClass,
    event::{EventKind, Failure},
    id::{ProjectId, RunId, RunNumber, StepRunId, TaskId, Timestamp, UserId},
    run::RunStatus,
    template::Uses,
    usage::Usage,
};
use futures::FutureExt;
use serde_json::Value;
use std::{collections::BTreeMap, panic::AssertUnwindSafe, time::Duration};
use tokio::{sync::oneshot, time::sleep};

/// How many runs may stand above one: a template that calls itself ends here.
pub(in super::super) const MAX_DEPTH: u32 = 5;
/// How long to wait before something that the database refused is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// On whose behalf a child run is launched.
#[derive(Clone)]
pub(in super::super) struct CallerFrame {
    pub key: CallerKey,
    /// The calling step's name.
    pub name: String,
    pub project: ProjectId,
    pub task: TaskId,
    pub user: Option<UserId>,
    pub by: String,
    /// Of the child.
    pub depth: u32,
}

/// Claims the attempt; the child is launched once that is committed.
pub async fn begin(run: &mut RunActor, step: StepRunId, attempt: u32, batch: &mut Batch) {
    let owner = run.engine.0.runs.owner();
    run.record(batch, EventKind::Started { step, attempt, owner });
    prepare(run, step, attempt, batch).await;
}

/// An attempt whose child was never launched launches it now, another looks at it.
pub async fn found_open(run: &mut RunActor, step: StepRunId, attempt: u32, batch: &mut Batch) {
    run.look_at_child(step, attempt, batch).await;
}

/// Ends the attempt and stops its child, if its time limit has come by `now`.
pub fn deadline(run: &mut RunActor, step: StepRunId, now: Timestamp, batch: &mut Batch) {
    let Some(limit) = run.state().plan.steps[step.index()].timeout_ms else { return };
    let Some(open) = run.state().step_run(step).and_then(|run| run.open_attempt()) else { return };
    if now.since(open.started_at) < limit {
        return;
    }
    let attempt = open.number;
    let failure = Failure::new(ErrorClass::Timeout, format!("its run had not ended within {limit} ms"));
    run.fail(step, attempt, failure, batch);
    batch.stops.push((step, attempt));
}

async fn prepare(run: &mut RunActor, step: StepRunId, attempt: u32, batch: &mut Batch) {
    if run.facts.depth >= MAX_DEPTH {
        let why = format!("templates call each other more than {MAX_DEPTH} deep here");
        return run.fail(step, attempt, Failure::new(ErrorClass::Limit, why), batch);
    }
    let input = run.evaluate_step(step, batch, |evaluator, planned, context| {
        let mut input = evaluator.input_mapping(planned, context)?;
        input.extend(evaluator.arguments(planned, context)?);
        Ok(Value::Object(input))
    });
    let input = match flatten(input.await) {
        Ok(input) => input,
        Err(failure) => return run.fail(step, attempt, failure, batch),
    };
    let planned = &run.compiled.template.steps[step.index()];
    let Some(Uses::Template(template)) = planned.uses.clone() else { return };
    let below = |(name, role): (&String, &domain::key::RoleKey)| {
        let rest = name.strip_prefix(planned.name.as_str())?.strip_prefix('/')?;
        Some((rest.to_owned(), role.clone()))
    };
    let role_assignments: BTreeMap<_, _> = run.facts.role_assignments.iter().filter_map(below).collect();
    batch.children.push(ChildStart { step, attempt, template, input, role_assignments });
}

impl RunActor {
    pub(in super::super) fn launch_child(&self, child: ChildStart) {
        let (step, attempt) = (child.step, child.attempt);
        let frame = CallerFrame {
            key: CallerKey { run: self.facts.run, number: self.facts.number, step, attempt },
            name: self.state().label(step),
            project: self.facts.project,
            task: self.facts.task,
            user: self.facts.user,
            by: self.facts.by.clone(),
            depth: self.facts.depth + 1,
        };
        let engine = self.engine.clone();
        self.send_when_ready(async move {
            let launch = async {
                loop {
                    let launch = AssertUnwindSafe(engine.launch_called(&frame, &child)).catch_unwind().await;
                    match launch {
                        Ok(Ok(number)) => return Ok(number),
                        // The step waits for the database, as a batch does.
                        Ok(Err(error @ Error::Unavailable(_))) => {
                            let run = frame.key.run;
                            tracing::error!(%run, %error, source = ?error, "a child run could not be stored");
                            sleep(AGAIN).await;
                        }
                        Ok(Err(error)) => return Err(refused(&child, &error)),
                        Err(_) => {
                            let why = "the server failed while it launched this step's run";
                            return Err(Failure::new(ErrorClass::Interrupted, why));
                        }
                    }
                }
            };
            Command::Launched { step, attempt, result: launch.await }
        });
    }

    pub(in super::super) fn child_launched(
        &mut self,
        step: StepRunId,
        attempt: u32,
        result: Result<RunNumber, Failure>,
        batch: &mut Batch,
    ) {
        if !self.is_open(step, attempt) {
            // Its time limit was faster than its launch.
            if result.is_ok() {
                self.stop_children(Some((step, attempt)));
            }
            return;
        }
        match result {
            Ok(run) => self.name_child(step, attempt, run, batch),
            Err(failure) => self.fail(step, attempt, failure, batch),
        }
    }

    fn name_child(&mut self, step: StepRunId, attempt: u32, run: RunNumber, batch: &mut Batch) {
        let open = self.state().step_run(step).and_then(|run| run.open_attempt());
        if open.is_some_and(|open| open.child.is_none()) {
            self.record(batch, EventKind::ChildLaunched { step, attempt, run });
        }
    }

    /// After a restart: children of attempts that have ended are stopped, which the server may not have come to.
    pub(in super::super) async fn stop_stray_children(&self) {
        if !self.compiled.has_children {
            return;
        }
        let (engine, run) = (&self.engine, self.facts.run);
        match engine.persist(run, || runs::live_children(engine.0.store.read(), run, None)).await {
            Ok(children) => {
                for (child, step, attempt) in children {
                    if !self.is_open(step, attempt) {
                        engine.stop_child(child, format!("run {}", self.facts.number));
                    }
                }
            }
            Err(error) => {
                tracing::error!(%run, %error, source = ?error, "its child runs could not be looked for")
            }
        }
    }

    /// Takes the child's result if it has ended.
    pub(in super::super) async fn look_at_child(&mut self, step: StepRunId, attempt: u32, batch: &mut Batch) {
        if !self.is_open(step, attempt) {
            return;
        }
        let row = match runs::child(self.engine.0.store.read(), self.facts.run, step, attempt).await {
            Ok(Some(row)) => row,
            // It was never launched; if a launch is under way after all, they are one.
            Ok(None) => return prepare(self, step, attempt, batch).await,
            Err(error) => return self.look_later(step, attempt, &error),
        };
        let summary = match row.summary() {
            Ok(summary) => summary,
            Err(error) => return self.look_later(step, attempt, &error),
        };
        self.name_child(step, attempt, summary.number, batch);
        let failed = |class, why| Failure::new(class, format!("run {} {why}", summary.number));
        match summary.status {
            RunStatus::Queued | RunStatus::Running | RunStatus::Waiting => {}
            RunStatus::Completed => match self.engine.output_of(&row).await {
                Ok(value) => {
                    let form = &self.compiled.outputs[step.index()];
                    if let Some(problem) = form.problems(&value).first() {
                        let failure =
                            failed(ErrorClass::InvalidOutput, format!("gave something else: {problem}"));
                        return self.fail_child(step, attempt, failure, summary.usage, batch);
                    }
                    let output = form.of_value(value);
                    if let Err(failure) = self.finish(step, attempt, output, summary.usage, false, batch) {
                        self.fail_child(step, attempt, failure, summary.usage, batch);
                    }
                }
                Err(error) => self.look_later(step, attempt, &error),
            },
            RunStatus::Failed => {
                let error = match self.engine.failure_of(&row).await {
                    Ok(error) => error,
                    Err(error) => return self.look_later(step, attempt, &error),
                };
                let failure = failed(error.class, format!("failed: {}", error.message));
                self.fail_child(step, attempt, failure, summary.usage, batch);
            }
            RunStatus::Cancelled => {
                let failure = failed(ErrorClass::Cancelled, "was stopped".to_owned());
                self.fail_child(step, attempt, failure, summary.usage, batch);
            }
        }
    }

    /// The attempt's child run gave nothing that can be taken; what it cost, it has cost.
    fn fail_child(
        &mut self,
        step: StepRunId,
        attempt: u32,
        failure: Failure,
        usage: Usage,
        batch: &mut Batch,
    ) {
        self.keep_partial_output(step, attempt, "", usage, batch);
        self.fail(step, attempt, failure, batch);
    }

    fn look_later(&mut self, step: StepRunId, attempt: u32, error: &Error) {
        tracing::error!(run = %self.facts.run, %step, %error, source = ?error, "a child run could not be read; trying again");
        let (engine, run, stopping) = (self.engine.clone(), self.facts.run, self.engine.0.runs.stopping());
        tokio::spawn(async move {
            tokio::select! {
                () = sleep(AGAIN) => engine.deliver(run, Command::Child { step, attempt }),
                () = stopping.cancelled() => {}
            }
        });
    }

    /// A child whose caller has ended has nobody who waits for it, or stops it: the server ended between the two.
    pub(in super::super) async fn stop_if_orphaned(&self) -> Result<()> {
        let Some(CallerKey { run, number, .. }) = self.facts.caller else { return Ok(()) };
        if !self.state().phase.is_end()
            && runs::has_ended(self.engine.0.store.read(), run).await? == Some(true)
        {
            let (reply, _) = oneshot::channel();
            drop(self.mail.send(Command::Cancel { by: format!("run {number}"), reply }));
        }
        Ok(())
    }

    /// Stops the child runs of one attempt, or all of them.
    pub(in super::super) fn stop_children(&self, of: Option<(StepRunId, u32)>) {
        let (engine, run, by) = (self.engine.clone(), self.facts.run, format!("run {}", self.facts.number));
        self.engine.0.runs.tasks.spawn(async move {
            match runs::live_children(engine.0.store.read(), run, of).await {
                Ok(children) => {
                    children.into_iter().for_each(|(child, ..)| engine.stop_child(child, by.clone()));
                }
                Err(error) => {
                    tracing::error!(%run, %error, source = ?error, "child runs could not be stopped")
                }
            }
        });
    }
}

impl Engine {
    pub(in super::super) fn stop_child(&self, child: RunId, by: String) {
        // Nobody waits for it: its actor tries until it is stored.
        let (reply, _) = oneshot::channel();
        self.deliver(child, Command::Cancel { by, reply });
    }

    /// The output of a run that has completed, with its type.
    async fn output_of(&self, row: &RunRow) -> Result<Value> {
        match self.last_event(row).await? {
            EventKind::Completed { output, .. } => {
                let text = self.stored_text(row.id(), output.id).await?;
                if output.json {
                    serde_json::from_str(&text).map_err(Error::internal)
                } else {
                    Ok(text.into())
                }
            }
            other => Err(Error::internal(format!("run {} completed with '{}'", row.id(), other.name()))),
        }
    }

    async fn failure_of(&self, row: &RunRow) -> Result<Failure> {
        match self.last_event(row).await? {
            EventKind::Failed { error, .. } => Ok(error),
            other => Err(Error::internal(format!("run {} failed with '{}'", row.id(), other.name()))),
        }
    }

    async fn last_event(&self, row: &RunRow) -> Result<EventKind> {
        let last = runs::events(self.0.store.read(), row.id(), row.last_seq() - 1, 1).await?;
        let last = last.into_iter().next();
        last.map(|event| event.kind).ok_or_else(|| Error::internal(format!("run {} has no log", row.id())))
    }
}

/// Why the child could not be launched, as the step's failure.
fn refused(child: &ChildStart, error: &Error) -> Failure {
    let why = format!("template '{}' cannot be launched: {error}", child.template);
    Failure::new(ErrorClass::BadRequest, why)
}
