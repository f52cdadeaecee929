//! Steps that are runs of their own (`uses: template:KEY`).
//!
//! The child's row names the attempt that it is, and an attempt has one child however often its launch is delivered. So
//! nothing has to be remembered over a restart: the store says whether the child was launched, and how it ended.

use super::{
    actor::{Command, RunActor},
    batch::{Batch, ChildStart},
};
use crate::{
    Engine, Error, Result,
    store::runs::{self, CallerKey, RunRow},
};
use domain::{
    error::ErrorClass,
    event::{EventKind, Failure},
    id::{ProjectId, RunId, RunNumber, StepRunId, TaskId, UserId},
    run::RunStatus,
    usage::Usage,
};
use futures::FutureExt;
use serde_json::Value;
use std::{collections::BTreeMap, panic::AssertUnwindSafe, time::Duration};
use tokio::{sync::oneshot, time::sleep};

/// How many runs may stand above one: a template that calls itself ends here.
pub(super) const MAX_DEPTH: u32 = 5;
/// How long to wait before something that the database refused is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// On whose behalf a child run is launched.
#[derive(Clone)]
pub(super) struct CallerFrame {
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

impl RunActor {
    /// Claims the attempt; the child is launched once that is committed.
    pub(super) fn start_child(&mut self, step: StepRunId, attempt: u32, batch: &mut Batch) {
        let owner = self.engine.0.runs.owner();
        self.record(batch, EventKind::Started { step, attempt, owner });
        self.prepare_child(step, attempt, batch);
    }

    fn prepare_child(&mut self, step: StepRunId, attempt: u32, batch: &mut Batch) {
        if self.depth >= MAX_DEPTH {
            let why = format!("templates call each other more than {MAX_DEPTH} deep here");
            return self.fail(step, attempt, Failure::new(ErrorClass::Limit, why), None, false, batch);
        }
        let input = self.seen_by(step, |evaluator, planned, context| {
            let mut input = evaluator.input_mapping(planned, context)?;
            input.extend(evaluator.arguments(planned, context)?);
            Ok(Value::Object(input))
        });
        let input = match input {
            Ok(input) => input,
            Err(error) => {
                let error: domain::expression::ExpressionError = error;
                let failure = Failure::new(ErrorClass::Expression, error.to_string());
                return self.fail(step, attempt, failure, None, false, batch);
            }
        };
        let planned = &self.compiled.template.steps[step.index()];
        let Some(domain::template::Uses::Template(template)) = planned.uses.clone() else { return };
        let below = |(name, role): (&String, &domain::key::RoleKey)| {
            let rest = name.strip_prefix(planned.name.as_str())?.strip_prefix('/')?;
            Some((rest.to_owned(), role.clone()))
        };
        let role_assignments: BTreeMap<_, _> = self.role_assignments.iter().filter_map(below).collect();
        batch.children.push(ChildStart { step, attempt, template, input, role_assignments });
    }

    pub(super) fn launch_child(&self, child: ChildStart) {
        let (step, attempt) = (child.step, child.attempt);
        let frame = CallerFrame {
            key: CallerKey { run: self.run, number: self.number, step, attempt },
            name: self.state().label(step),
            project: self.project,
            task: self.task,
            user: self.user,
            by: self.by.clone(),
            depth: self.depth + 1,
        };
        let (engine, mail, ended) = (self.engine.clone(), self.mail.clone(), self.ended.clone());
        tokio::spawn(async move {
            let launch = async {
                loop {
                    let launch = AssertUnwindSafe(engine.launch_called(&frame, &child)).catch_unwind().await;
                    match launch {
                        Ok(Ok(number)) => return Ok(number),
                        // The step waits for the database, as a batch does.
                        Ok(Err(error @ (Error::Internal(_) | Error::Unavailable(_)))) => {
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
            tokio::select! {
                result = launch => drop(mail.send(Command::Launched { step, attempt, result })),
                () = ended.cancelled() => {}
            }
        });
    }

    pub(super) fn child_launched(
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
            Err(failure) => self.fail(step, attempt, failure, None, false, batch),
        }
    }

    fn name_child(&mut self, step: StepRunId, attempt: u32, run: RunNumber, batch: &mut Batch) {
        let open = self.state().step_run(step).and_then(|run| run.open_attempt());
        if open.is_some_and(|open| open.child.is_none()) {
            self.record(batch, EventKind::ChildLaunched { step, attempt, run });
        }
    }

    /// After a restart: attempts whose child was never launched launch it now, the others look at it; and children of
    /// attempts that have ended are stopped, which the server may not have come to.
    pub(super) async fn rejoin_children(&mut self, batch: &mut Batch) {
        if !self.compiled.has_children {
            return;
        }
        let open = self.open_children();
        for &(step, attempt) in &open {
            self.look_at_child(step, attempt, batch).await;
        }
        match runs::live_children(self.engine.0.store.read(), self.run, None).await {
            Ok(children) => {
                for (child, step, attempt) in children {
                    if !open.contains(&(step, attempt)) {
                        self.engine.stop_child(child, format!("run {}", self.number));
                    }
                }
            }
            Err(error) => {
                tracing::error!(run = %self.run, %error, source = ?error, "its child runs could not be looked for")
            }
        }
    }

    fn open_children(&self) -> Vec<(StepRunId, u32)> {
        let runs = self.state().step_runs().filter(|(step, _)| self.is_child(*step));
        runs.filter_map(|(step, run)| Some((step, run.open_attempt()?.number))).collect()
    }

    /// Takes the child's result if it has ended.
    pub(super) async fn look_at_child(&mut self, step: StepRunId, attempt: u32, batch: &mut Batch) {
        if !self.is_open(step, attempt) {
            return;
        }
        let row = match runs::child(self.engine.0.store.read(), self.run, step, attempt).await {
            Ok(Some(row)) => row,
            // It was never launched; if a launch is under way after all, they are one.
            Ok(None) => return self.prepare_child(step, attempt, batch),
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
        self.say(step, attempt, "", usage, batch);
        self.fail(step, attempt, failure, None, false, batch);
    }

    fn look_later(&mut self, step: StepRunId, attempt: u32, error: &Error) {
        tracing::error!(run = %self.run, %step, %error, source = ?error, "a child run could not be read; trying again");
        let (engine, run, stopping) = (self.engine.clone(), self.run, self.engine.0.runs.stopping());
        tokio::spawn(async move {
            tokio::select! {
                () = sleep(AGAIN) => engine.deliver(run, Command::Child { step, attempt }),
                () = stopping.cancelled() => {}
            }
        });
    }

    /// A child whose caller has ended has nobody who waits for it, or stops it: the server ended between the two.
    pub(super) async fn stop_if_orphaned(&self) -> Result<()> {
        let Some(CallerKey { run, number, .. }) = self.caller else { return Ok(()) };
        if !self.state().phase.is_end()
            && runs::has_ended(self.engine.0.store.read(), run).await? == Some(true)
        {
            let (reply, _) = oneshot::channel();
            drop(self.mail.send(Command::Cancel { by: format!("run {number}"), reply }));
        }
        Ok(())
    }

    /// Stops the child runs of one attempt, or all of them.
    pub(super) fn stop_children(&self, of: Option<(StepRunId, u32)>) {
        let (engine, run, by) = (self.engine.clone(), self.run, format!("run {}", self.number));
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
    pub(super) fn stop_child(&self, child: RunId, by: String) {
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
