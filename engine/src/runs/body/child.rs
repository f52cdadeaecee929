//! Steps that launch child runs (`uses: template:KEY`).
//!
//! The child's row names the attempt that launched it, and an attempt has one child however often its launch is
//! delivered. So nothing has to be remembered across a restart: the store says whether the child was launched, and how
//! it ended.

use super::{
    super::{
        actor::RunActor,
        attempt::AnswerEnd,
        batch::{Batch, Work},
        child_templates::PinnedVersions,
        mailbox::Command,
        requests::Request,
        steps::{Success, flatten},
    },
    News,
};
use crate::{
    Engine, Error, Result,
    store::runs::{self, CallerKey, ChildRow, RunRow},
};
use domain::{
    error::ErrorClass,
    event::{ChildQuestion, Event, EventKind, Failure, Link},
    id::{ProjectId, RunId, RunNumber, StepRunId, TaskId, Timestamp, UserId},
    key::{RoleKey, TemplateKey},
    run::{Phase, RunStatus},
    template::Uses,
    usage::Usage,
};
use futures::{FutureExt, future::BoxFuture};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};
use tokio::time::sleep;

/// The most runs that may be above a run; this ends the recursion of a template that calls itself.
pub(in super::super) const MAX_DEPTH: u32 = 5;
/// Delay before a failed database operation is retried.
const AGAIN: Duration = Duration::from_secs(1);

/// The child run to launch.
pub(in super::super) struct ChildStart {
    pub template: TemplateKey,
    pub input: Value,
    pub role_assignments: BTreeMap<String, RoleKey>,
}

/// The calling run's attempt, and what its child run inherits.
#[derive(Clone)]
pub(in super::super) struct CallerFrame {
    pub key: CallerKey,
    /// The calling step's name.
    pub name: String,
    pub project: ProjectId,
    pub task: TaskId,
    pub user: Option<UserId>,
    pub by: String,
    /// The depth of the child.
    pub depth: u32,
    /// The pinned version of each template key.
    pub templates: Arc<PinnedVersions>,
}

/// Claims the attempt; the child is launched after the commit.
pub async fn begin(run: &mut RunActor, step: StepRunId, attempt: u32, batch: &mut Batch) {
    run.record(batch, EventKind::Started { step, attempt, owner: None });
    prepare(run, step, attempt, batch).await;
}

/// Launches the children of open attempts that have none, and checks the existing ones. Stops the children of attempts
/// that have ended, in case the server ended before it stopped them.
pub async fn found_open(run: &mut RunActor, open: Vec<(StepRunId, u32)>, batch: &mut Batch) {
    if !run.compiled.has_children {
        return;
    }
    let Some(children) = run.children().await else { return };
    // In logs written before events said where an attempt is executed, an attempt is a child run once it is linked.
    for child in &children {
        run.link(child.step, child.attempt, child.number, batch);
    }
    let stop = Request::stop_of(run.facts.number);
    let is_live = |child: &&ChildRow| child.status.is_some_and(|status| !status.is_end());
    for stray in children.iter().filter(|child| is_live(child) && !run.is_open(child.step, child.attempt)) {
        run.engine.ask_later(stray.id, stop.clone());
    }
    let launched: BTreeSet<_> = children.iter().map(|child| (child.step, child.attempt)).collect();
    run.look_at(children, batch).await;
    for (step, attempt) in open.into_iter().filter(|attempt| !launched.contains(attempt)) {
        if run.is_open(step, attempt) {
            run.look_at_child(step, attempt, batch).await;
        } else {
            let why = "the server stopped before it launched this step's run";
            run.fail(step, attempt, Failure::new(ErrorClass::Interrupted, why), batch);
        }
    }
}

/// Takes the outcome of the launch, or the news that the child run may have changed.
pub async fn take(run: &mut RunActor, step: StepRunId, attempt: u32, news: News, batch: &mut Batch) {
    match news {
        News::Launched(result) => run.child_launched(step, attempt, result, batch),
        News::ChildChanged => run.look_at_child(step, attempt, batch).await,
        _ => debug_assert!(false, "a child run has no such news"),
    }
}

/// The run ends and stops its children in the same commit; what they have cost so far counts.
pub async fn stop(run: &mut RunActor, open: &[(StepRunId, u32)], batch: &mut Batch) {
    if open.is_empty() {
        return;
    }
    let spent = run.child_usage(None).await;
    for &(step, attempt) in open {
        if let Some(usage) = spent.get(&(step, attempt)) {
            run.keep_partial_output(step, attempt, "", *usage, batch);
        }
    }
}

/// Ends the attempt and stops its child, if its time limit has been reached by `now`.
pub async fn deadline(run: &mut RunActor, step: StepRunId, now: Timestamp, batch: &mut Batch) {
    let Some(limit) = run.state().plan.steps[step.index()].timeout_ms else { return };
    let Some(open) = run.state().step_run(step).and_then(|run| run.open_attempt()) else { return };
    if now.since(open.started_at) < limit {
        return;
    }
    let attempt = open.number;
    // The child may have ended before its limit without the caller knowing yet.
    let (engine, caller) = (run.engine.clone(), run.facts.run);
    let read = || runs::child(engine.0.store.read(), caller, step, attempt);
    let row = engine.persist(caller, read).await.ok().flatten();
    if row.is_some_and(|row| row.summary().is_ok_and(|child| child.status.is_end())) {
        run.look_at_child(step, attempt, batch).await;
    }
    if !run.is_open(step, attempt) {
        return;
    }
    let failure = Failure::new(ErrorClass::Timeout, format!("its run had not ended within {limit} ms"));
    let spent = run.child_usage(Some((step, attempt))).await;
    run.fail_child(step, attempt, failure, spent.get(&(step, attempt)).copied().unwrap_or_default(), batch);
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
    let below = |(name, role): (&String, &RoleKey)| {
        let rest = name.strip_prefix(planned.name.as_str())?.strip_prefix('/')?;
        Some((rest.to_owned(), role.clone()))
    };
    let role_assignments: BTreeMap<_, _> = run.facts.role_assignments.iter().filter_map(below).collect();
    let child = ChildStart { template, input, role_assignments };
    batch.work.push(Work::new(step, attempt, move |run| {
        let frame = CallerFrame {
            key: CallerKey { run: run.facts.run, number: run.facts.number, step, attempt },
            name: run.state().label(step),
            project: run.facts.project,
            task: run.facts.task,
            user: run.facts.user,
            by: run.facts.by.clone(),
            depth: run.facts.depth + 1,
            templates: run.facts.templates.clone(),
        };
        launch(run.engine.clone(), frame, child)
    }));
}

/// Launches the child run. Boxed, because a launch may begin the work of another run.
fn launch(engine: Engine, frame: CallerFrame, child: ChildStart) -> BoxFuture<'static, News> {
    let launched = async move {
        loop {
            match engine.launch_called(&frame, &child).await {
                Ok(launched) => return launched,
                // The step waits for the database, as a batch does.
                Err(error @ Error::Unavailable(_)) => {
                    let run = frame.key.run;
                    tracing::error!(%run, %error, source = ?error, "a child run could not be stored");
                    sleep(AGAIN).await;
                }
                Err(error) => return Err(refused(&child, &error)),
            }
        }
    };
    Box::pin(launched.map(News::Launched))
}

impl RunActor {
    fn child_launched(
        &mut self,
        step: StepRunId,
        attempt: u32,
        result: Result<RunNumber, Failure>,
        batch: &mut Batch,
    ) {
        if !self.is_open(step, attempt) {
            // The attempt ended before its child was launched, for example by its time limit.
            if result.is_ok() {
                self.stop_late_child(step, attempt);
            }
            return;
        }
        match result {
            Ok(run) => self.link(step, attempt, run, batch),
            Err(failure) => self.fail(step, attempt, failure, batch),
        }
    }

    fn link(&mut self, step: StepRunId, attempt: u32, run: RunNumber, batch: &mut Batch) {
        let open = self.state().step_run(step).and_then(|run| run.open_attempt());
        if open.is_some_and(|open| open.number == attempt && open.link.is_none()) {
            self.record(batch, EventKind::Linked { step, attempt, to: Link::ChildRun(run) });
        }
    }

    /// Takes the child's result, if the child has ended.
    async fn look_at_child(&mut self, step: StepRunId, attempt: u32, batch: &mut Batch) {
        if !self.is_open(step, attempt) {
            return;
        }
        let (engine, caller) = (self.engine.clone(), self.facts.run);
        let row = engine.persist(caller, || runs::child(engine.0.store.read(), caller, step, attempt)).await;
        let row = match row {
            Ok(Some(row)) => row,
            // The child was never launched. If a launch is in progress after all, both yield the same child.
            Ok(None) => return prepare(self, step, attempt, batch).await,
            Err(error) => return self.child_is_unreadable(step, attempt, error, batch),
        };
        let summary = match row.summary() {
            Ok(summary) => summary,
            Err(error) => return self.child_is_unreadable(step, attempt, error, batch),
        };
        self.link(step, attempt, summary.number, batch);
        let failed = |class, why| Failure::new(class, format!("run {} {why}", summary.number));
        match summary.status {
            RunStatus::Waiting => match engine.persist(caller, || engine.question_of(&row)).await {
                Ok(question) => self.child_waits(step, attempt, question, batch),
                Err(error) => self.child_is_unreadable(step, attempt, error, batch),
            },
            RunStatus::Queued | RunStatus::Running => self.child_waits(step, attempt, None, batch),
            RunStatus::Completed => match engine.persist(caller, || engine.output_of(&row)).await {
                Ok(value) => {
                    let form = &self.compiled.outputs[step.index()];
                    if let Some(problem) = form.problems(&value).first() {
                        let failure =
                            failed(ErrorClass::InvalidOutput, format!("gave something else: {problem}"));
                        return self.fail_child(step, attempt, failure, summary.usage, batch);
                    }
                    let success = Success {
                        output: form.of_value(value),
                        files: Vec::new(),
                        usage: summary.usage,
                        end: AnswerEnd::default(),
                    };
                    if let Err(failure) = self.finish(step, attempt, success, batch) {
                        self.fail_child(step, attempt, failure, summary.usage, batch);
                    }
                }
                Err(error) => self.child_is_unreadable(step, attempt, error, batch),
            },
            RunStatus::Failed => {
                let error = match engine.persist(caller, || engine.failure_of(&row)).await {
                    Ok(error) => error,
                    Err(error) => return self.child_is_unreadable(step, attempt, error, batch),
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

    /// Fails the attempt, because its child run gave no usable output; the child's usage still counts.
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

    /// Records that the step's child waits for a person, or no longer does.
    fn child_waits(
        &mut self,
        step: StepRunId,
        attempt: u32,
        question: Option<ChildQuestion>,
        batch: &mut Batch,
    ) {
        let known = self.state().step_run(step).and_then(|run| run.child_question.as_deref());
        match question {
            Some(question) if known != Some(&question) => {
                let question = Box::new(question);
                self.record(batch, EventKind::ChildWaiting { step, attempt, question });
            }
            None if known.is_some() => self.record(batch, EventKind::ChildResumed { step, attempt }),
            _ => {}
        }
    }

    /// Usage so far of the children of open attempts, by attempt; of one attempt or of all.
    async fn child_usage(&self, of: Option<(StepRunId, u32)>) -> BTreeMap<(StepRunId, u32), Usage> {
        let (engine, run) = (&self.engine, self.facts.run);
        let read = || runs::usage_of_children(engine.0.store.read(), run, of);
        match engine.persist(run, read).await {
            Ok(used) => used.into_iter().map(|used| ((used.step, used.attempt), used.usage)).collect(),
            Err(error) => {
                tracing::error!(%run, %error, source = ?error, "what child runs have cost cannot be read");
                BTreeMap::new()
            }
        }
    }

    /// Tells the calling run's actor that this run waits for a person, or no longer does. `before`: the phase before
    /// these events.
    pub(in super::super) fn tell_caller(&self, before: Phase, events: &[Event]) {
        let Some(CallerKey { run, step, attempt, .. }) = self.facts.caller else { return };
        let asks = |event: &Event| {
            matches!(
                event.kind,
                EventKind::Waiting { .. }
                    | EventKind::Answered { .. }
                    | EventKind::ChildWaiting { .. }
                    | EventKind::ChildResumed { .. }
            )
        };
        let now = self.state().phase;
        let moved = now != before && (now == Phase::Waiting || before == Phase::Waiting);
        if !now.is_end() && (moved || events.iter().any(asks)) {
            self.engine.deliver(run, Command::News { step, attempt, news: News::ChildChanged });
        }
    }

    fn child_is_unreadable(&mut self, step: StepRunId, attempt: u32, error: Error, batch: &mut Batch) {
        // The server stops; the next one looks again.
        if let Error::Unavailable(_) = error {
            return;
        }
        tracing::error!(run = %self.facts.run, %step, %error, source = ?error, "a child run is damaged");
        let why = "its run cannot be read; the server's log says why";
        self.fail(step, attempt, Failure::new(ErrorClass::BadRequest, why), batch);
    }

    /// The number of the calling run, if that run has ended: the server ended before it could stop this one.
    pub(in super::super) async fn is_orphaned(&self) -> Result<Option<RunNumber>> {
        let Some(CallerKey { run, number, .. }) = self.facts.caller else { return Ok(None) };
        let engine = &self.engine;
        let ended = engine.persist(self.facts.run, || runs::has_ended(engine.0.store.read(), run)).await?;
        Ok((ended == Some(true)).then_some(number))
    }

    /// Stops a child that was launched after its attempt had ended.
    fn stop_late_child(&self, step: StepRunId, attempt: u32) {
        self.engine.stop_children(self.facts.run, self.facts.number, Some((step, attempt)));
    }

    /// Checks all child runs that may have changed, because a notification may have been lost.
    pub(in super::super) async fn look_at_children(&mut self, batch: &mut Batch) {
        if self.compiled.has_children
            && !self.state().phase.is_end()
            && let Some(children) = self.children().await
        {
            self.look_at(children, batch).await;
        }
    }

    async fn children(&self) -> Option<Vec<ChildRow>> {
        let (engine, run) = (&self.engine, self.facts.run);
        let read = engine.persist(run, || runs::children(engine.0.store.read(), run)).await;
        read.inspect_err(|error| {
            tracing::error!(%run, %error, source = ?error, "its child runs could not be looked for");
        })
        .ok()
    }

    /// Skips children whose row shows nothing new, because looking at a child means reading its log.
    async fn look_at(&mut self, children: Vec<ChildRow>, batch: &mut Batch) {
        for ChildRow { number, step, attempt, status, asked_at, .. } in children {
            if !self.is_open(step, attempt) {
                continue;
            }
            self.link(step, attempt, number, batch);
            let known = self.state().step_run(step).and_then(|run| run.child_question.as_deref());
            let known = known.map(|question| question.asked_at);
            let is_news = match status {
                Some(RunStatus::Waiting) => known.is_none() || asked_at != known,
                Some(RunStatus::Queued | RunStatus::Running) => known.is_some(),
                _ => true,
            };
            if is_news {
                self.look_at_child(step, attempt, batch).await;
            }
        }
    }
}

impl Engine {
    /// Wakes the child runs that the last commit asked to stop: those of one attempt, or all.
    pub(in super::super) fn wake_children(&self, run: RunId, of: Option<(StepRunId, u32)>) {
        self.with_live_children(run, of, |engine, child| engine.advance(child));
    }

    /// Requests the child runs of one attempt, or all child runs, to stop, whatever the run's own log says.
    pub(in super::super) fn stop_children(
        &self,
        run: RunId,
        number: RunNumber,
        of: Option<(StepRunId, u32)>,
    ) {
        self.with_live_children(run, of, move |engine, child| {
            engine.ask_later(child, Request::stop_of(number));
        });
    }

    fn with_live_children(
        &self,
        run: RunId,
        of: Option<(StepRunId, u32)>,
        each: impl Fn(&Self, RunId) + Send + Sync + 'static,
    ) {
        let engine = self.clone();
        self.0.runs.tasks.spawn(async move {
            match engine.persist(run, || runs::live_children(engine.0.store.read(), run, of)).await {
                Ok(children) => children.into_iter().for_each(|(child, ..)| each(&engine, child)),
                Err(error) => {
                    tracing::error!(%run, %error, source = ?error, "child runs could not be found")
                }
            }
        });
    }

    /// The output of a completed run, with its type.
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

    /// The oldest open question of a run or of a run below it.
    async fn question_of(&self, row: &RunRow) -> Result<Option<ChildQuestion>> {
        let (state, number) = (self.replay(row.id()).await?, row.summary()?.number);
        let own = state.waiting.iter().filter_map(|step| {
            let question = state.step_run(*step)?.question.as_ref()?;
            Some(ChildQuestion {
                run: number,
                step: *step,
                name: state.label(*step),
                asked_at: question.asked_at,
                question: question.question.clone(),
                proposal: question.proposal.clone(),
                until: question.until,
                on_timeout: question.on_timeout,
            })
        });
        let below =
            state.asking.iter().filter_map(|step| state.step_run(*step)?.child_question.as_deref().cloned());
        Ok(own.chain(below).min_by_key(|question| (question.asked_at, question.run, question.step)))
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

/// The failure of a step whose child could not be launched.
fn refused(child: &ChildStart, error: &Error) -> Failure {
    if let Error::Internal(_) = error {
        tracing::error!(template = %child.template, source = ?error, "a child run can never be stored");
    }
    let class = match error {
        Error::TooLarge(_) => ErrorClass::Limit,
        _ => ErrorClass::BadRequest,
    };
    Failure::new(class, format!("template '{}' cannot be launched: {error}", child.template))
}
