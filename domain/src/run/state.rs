//! The state of a run: everything that its log says, folded.
//!
//! Always true: applying the same events to the same state gives the same state, wherever it runs; an event that was
//! applied before changes nothing; what grows (log lines, warnings) is bounded.

use super::{
    phase::{Phase, RunStatus},
    step::{Answer, Attempt, AttemptEnd, Items, Question, StepState, StepStatus, is_zero},
};
use crate::{
    error::ErrorClass,
    event::{Caller, Decision, Event, EventKind, Failure, Parent, TemplateVersion, TextRef},
    file::FilePath,
    id::{OwnerId, StepRunId, Timestamp},
    plan::{Body, Plan},
    role::{StepRole, fallback_warning},
    template::OnFailure,
    usage::Usage,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
};

/// How many log lines a message keeps (DESIGN section 4); the events are the full story.
pub const LOG_LIMIT: usize = 200;
/// Which shape and meaning a stored state has: one that was folded under another version is folded again. Raise it with
/// every change of [`RunState`] or of what its events do to it.
pub const STATE_VERSION: u32 = 3;
/// How many requested paths a run remembers, and how many files its message lists.
pub const FILE_LIMIT: usize = 200;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    Info,
    Warning,
    Error,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    pub at: Timestamp,
    pub level: Level,
    pub text: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunOutput {
    pub text: TextRef,
    /// At most [`crate::event::OUTPUT_LIMIT`] bytes of it.
    pub shown: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunFailure {
    pub error: Failure,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
}

/// A file that the run wrote, as it stands at the run's end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunFile {
    pub path: FilePath,
    pub content: TextRef,
    pub step: StepRunId,
    pub at: Timestamp,
    /// How often the run wrote it.
    pub writes: u32,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RunState {
    /// The number of the last event applied; 0 before the first.
    pub seq: u64,
    pub phase: Phase,
    pub queue_position: u32,
    pub by: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template: Option<TemplateVersion>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<Parent>,
    /// The step of another run that launched this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caller: Option<Caller>,
    pub plan: Arc<Plan>,
    /// One per step of the plan, in its order.
    pub steps: Vec<StepState>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<TextRef>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<RunOutput>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<RunFailure>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    pub log: VecDeque<LogLine>,
    pub usage: Usage,
    pub bytes_generated: u64,
    pub acknowledged_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When the last event happened.
    pub last_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    /// Attempts that are open now.
    #[serde(skip_serializing_if = "is_zero")]
    pub open: u32,
    /// The step run whose attempt started last; of several at once, the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub newest: Option<StepRunId>,
    /// Step runs that wait for a person.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub waiting: BTreeSet<StepRunId>,
    /// Step runs whose open attempt is a run of its own.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub calling: BTreeSet<StepRunId>,
    /// Step runs that may start: they wait for a slot of their provider, or for the time of their next attempt.
    #[serde(skip_serializing_if = "is_zero")]
    pub ready: u32,
    /// What it wrote, by path, in the order of first writing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<RunFile>,
    /// Paths that answers came to as they streamed, in that order, without repetition.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub files_requested: Vec<FilePath>,
}

impl RunState {
    /// The state that `events` leave, from the beginning.
    pub fn replay<'a>(events: impl IntoIterator<Item = &'a Event>) -> Self {
        let mut state = Self::default();
        for event in events {
            state.apply(event);
        }
        state
    }

    /// Applies the next event. One that was applied before, or one that leaves a gap, changes nothing.
    pub fn apply(&mut self, event: &Event) {
        if event.seq != self.seq + 1 {
            return;
        }
        self.seq = event.seq;
        self.last_at = event.at;
        let at = event.at;
        let step = event.kind.step();
        let is_ready = |state: &Self| {
            let run = step.and_then(|step| state.step_run(step));
            run.is_some_and(|run| run.status == StepStatus::Ready)
        };
        let was_ready = is_ready(self);
        match &event.kind {
            EventKind::Acknowledged { queue_position, .. } => {
                self.acknowledged_at = at;
                self.queue_position = *queue_position;
            }
            EventKind::Submitted { template, plan, input, by, parent, caller } => {
                self.phase = Phase::Queued;
                self.steps = vec![StepState::default(); plan.steps.len()];
                self.plan = plan.clone();
                self.template = Some(template.clone());
                self.input = Some(input.clone());
                self.by = by.clone();
                self.parent = parent.clone();
                self.caller = caller.clone();
                self.note(
                    at,
                    Level::Info,
                    match (parent, caller) {
                        (Some(parent), _) => format!(
                            "{} version {}, run {} again from {}, started by {by}",
                            template.name, template.version, parent.run, parent.from_step
                        ),
                        (None, Some(caller)) => format!(
                            "{} version {}, launched by {} of run {}",
                            template.name, template.version, caller.name, caller.run
                        ),
                        (None, None) => {
                            format!("{} version {}, started by {by}", template.name, template.version)
                        }
                    },
                );
            }
            EventKind::RolesResolved { roles } => self.assign_roles(at, roles),
            EventKind::Ready { step } => {
                let state = self.at(*step);
                state.status = StepStatus::Ready;
                state.ready_at = Some(at);
            }
            EventKind::ConditionEvaluated { step, holds } => self.at(*step).condition = Some(*holds),
            EventKind::ItemsResolved { step, count, items } => {
                let state = self.at(*step);
                let run = StepState { role: state.role.clone(), ..StepState::default() };
                let runs = vec![run; *count as usize];
                state.items = Some(Items { list: items.clone(), runs });
                state.status = StepStatus::Running;
                self.phase = Phase::Processing;
                self.note(at, Level::Info, format!("{} runs for {count} items", self.name(*step)));
            }
            EventKind::Gathered { step, output, failed } => {
                let state = self.at(*step);
                state.output = Some(output.clone());
                state.status = StepStatus::Completed;
                state.settled_at = Some(at);
                let name = self.name(*step).to_owned();
                self.note(at, Level::Info, format!("{name} completed"));
                if *failed > 0 {
                    let items = if *failed == 1 { "item" } else { "items" };
                    self.warn(
                        at,
                        format!(
                            "'{name}': {failed} {items} failed and the run went on without their outputs"
                        ),
                    );
                }
            }
            EventKind::Reused { step, output } => {
                let from = self.parent.as_ref().map_or_else(String::new, |p| format!(" of run {}", p.run));
                let state = self.at(*step);
                state.status = StepStatus::Completed;
                state.output = Some(output.clone());
                state.reused = true;
                state.settled_at = Some(at);
                self.note(at, Level::Info, format!("{} reused the output{from}", self.label(*step)));
            }
            EventKind::Started { step, attempt, owner } => self.start(at, *step, *attempt, *owner),
            EventKind::Prompt { step, prompt, .. } => {
                if let Some(attempt) = self.at(*step).attempts.last_mut() {
                    attempt.prompt = Some(prompt.clone());
                }
            }
            EventKind::ChildLaunched { step, run, .. } => {
                if let Some(attempt) = self.at(*step).attempts.last_mut() {
                    attempt.child = Some(*run);
                }
                self.note(at, Level::Info, format!("{} is run {run}", self.label(*step)));
            }
            EventKind::FileRequested { path, .. } => self.request_file(path),
            EventKind::FileWritten { step, path, content, edited, .. } => {
                self.request_file(path);
                self.bytes_generated += content.bytes;
                match self.files.iter_mut().find(|file| file.path == *path) {
                    Some(file) => {
                        (file.content, file.step, file.at) = (content.clone(), *step, at);
                        file.writes += 1;
                    }
                    None => self.files.push(RunFile {
                        path: path.clone(),
                        content: content.clone(),
                        step: *step,
                        at,
                        writes: 1,
                    }),
                }
                let done = if *edited { "edited" } else { "wrote" };
                self.note(at, Level::Info, format!("{} {done} {path}", self.label(*step)));
            }
            EventKind::Waiting { step, question, proposal, until, on_timeout } => {
                let state = self.at(*step);
                state.status = StepStatus::Waiting;
                state.question = Some(Question {
                    asked_at: at,
                    question: question.clone(),
                    proposal: proposal.clone(),
                    until: *until,
                    on_timeout: *on_timeout,
                    answer: None,
                });
                self.waiting.insert(*step);
                self.started_at.get_or_insert(at);
                self.note(at, Level::Info, format!("{} waits for a decision", self.label(*step)));
            }
            EventKind::Answered { step, decision, by, note, output } => {
                self.answer(at, *step, *decision, by.as_deref(), note, output.as_ref());
            }
            EventKind::Finished { step, output, usage, cut, .. } => {
                self.end_attempt(at, *step, AttemptEnd::Finished);
                let state = self.at(*step);
                state.status = StepStatus::Completed;
                state.output = Some(output.clone());
                state.interruptions = 0;
                self.spend(*step, *usage);
                self.bytes_generated += output.bytes;
                self.note(at, Level::Info, format!("{} completed", self.label(*step)));
                if *cut {
                    let name = self.label(*step);
                    self.warn(at, format!("'{name}' stopped at its token limit: its output may be cut off"));
                }
            }
            EventKind::Said { step, text, usage, .. } => {
                self.spend(*step, *usage);
                self.bytes_generated += text.bytes;
                if let Some(open) = self.at(*step).attempts.last_mut() {
                    open.said = Some(text.clone());
                }
            }
            EventKind::StepFailed { step, attempt, error, retry_at } => {
                self.fail_attempt(at, *step, *attempt, AttemptEnd::Failed(error.clone()), *retry_at);
            }
            EventKind::TimedOut { step, attempt, error, retry_at } => {
                self.fail_attempt(at, *step, *attempt, AttemptEnd::TimedOut(error.clone()), *retry_at);
            }
            EventKind::Interrupted { step, attempt, error, retry_at } => {
                self.fail_attempt(at, *step, *attempt, AttemptEnd::Interrupted(error.clone()), *retry_at);
            }
            EventKind::Skipped { step, reason } => {
                self.note(at, Level::Info, format!("{} skipped: {reason}", self.label(*step)));
                let state = self.at(*step);
                state.status = StepStatus::Skipped;
                state.skipped = Some(reason.clone());
            }
            EventKind::StepCancelled { step } => {
                self.end_attempt(at, *step, AttemptEnd::Cancelled);
                self.waiting.remove(step);
                self.at(*step).status = StepStatus::Cancelled;
            }
            EventKind::Completed { output, shown } => {
                self.output = Some(RunOutput { text: output.clone(), shown: shown.clone() });
                self.end(at, Phase::Complete);
                let text = match self.warnings.len() {
                    0 => "Completed".to_owned(),
                    1 => "Completed with 1 warning".to_owned(),
                    n => format!("Completed with {n} warnings"),
                };
                self.note(at, Level::Info, text);
            }
            EventKind::Failed { error, step } => {
                let reason = match step {
                    Some(step) => format!("not started: {step} failed"),
                    None => "not started: the run failed".to_owned(),
                };
                self.close_steps(StepStatus::Skipped, Some(&reason));
                self.note(at, Level::Error, format!("Failed: {error}"));
                self.error = Some(RunFailure { error: error.clone(), step: step.clone() });
                self.end(at, Phase::Failed);
            }
            EventKind::Cancelled { by } => {
                self.close_steps(StepStatus::Cancelled, None);
                self.note(at, Level::Warning, format!("Stopped by {by}"));
                self.end(at, Phase::Cancelled);
            }
        }
        if self.phase.is_end() {
            return;
        }
        match (was_ready, is_ready(self)) {
            (false, true) => self.ready += 1,
            (true, false) => self.ready -= 1,
            _ => {}
        }
        if !self.waiting.is_empty() {
            let idle = self.open == 0 && self.ready == 0;
            self.phase = if idle { Phase::Waiting } else { Phase::Processing };
        }
    }

    pub fn status(&self) -> RunStatus {
        self.phase.into()
    }

    /// Milliseconds from the acknowledgement to the end, or to the last event of a live run.
    pub fn elapsed_ms(&self) -> u64 {
        self.finished_at.unwrap_or(self.last_at).since(self.acknowledged_at)
    }

    /// The step's name, whichever of its items is meant.
    pub fn name(&self, step: StepRunId) -> &str {
        self.plan.steps.get(step.index()).map_or("", |planned| &planned.name)
    }

    /// The step run's name: the step's, and the item's index under forEach.
    pub fn label(&self, step: StepRunId) -> String {
        match step.item {
            None => self.name(step).to_owned(),
            Some(item) => format!("{} [{item}]", self.name(step)),
        }
    }

    /// The step run of this id, if the run has one.
    pub fn step_run(&self, id: StepRunId) -> Option<&StepState> {
        let step = self.steps.get(id.index())?;
        match id.item {
            None => Some(step),
            Some(item) => step.items.as_ref()?.runs.get(item as usize),
        }
    }

    /// Every step run that there is by now: a step, then its items, in the plan's order.
    pub fn step_runs(&self) -> impl Iterator<Item = (StepRunId, &StepState)> {
        (0u32..).zip(&self.steps).flat_map(|(step, state)| {
            let items = (0u32..).zip(state.item_runs());
            let items = items.map(move |(item, run)| (StepRunId { step, item: Some(item) }, run));
            std::iter::once((StepRunId { step, item: None }, state)).chain(items)
        })
    }

    /// An event names only what was there when it was recorded.
    fn at(&mut self, id: StepRunId) -> &mut StepState {
        let step = &mut self.steps[id.index()];
        let Some(item) = id.item else { return step };
        let runs = step.items.as_mut().map_or(&mut [][..], |items| &mut items.runs);
        &mut runs[item as usize]
    }

    fn spend(&mut self, step: StepRunId, usage: Usage) {
        self.at(step).usage += usage;
        if step.item.is_some() {
            self.steps[step.index()].usage += usage;
        }
        self.usage += usage;
    }

    fn request_file(&mut self, path: &FilePath) {
        if self.files_requested.len() < FILE_LIMIT && !self.files_requested.contains(path) {
            self.files_requested.push(path.clone());
        }
    }

    fn answer(
        &mut self,
        at: Timestamp,
        step: StepRunId,
        decision: Decision,
        by: Option<&str>,
        note: &str,
        output: Option<&TextRef>,
    ) {
        let label = self.label(step);
        let tolerated = self.plan.steps[step.index()].on_failure == OnFailure::Continue;
        let state = self.at(step);
        state.settled_at = Some(at);
        state.output = output.cloned();
        if let Some(question) = &mut state.question {
            let (by, note) = (by.map(str::to_owned), note.to_owned());
            question.answer = Some(Answer { at, decision, by, note });
        }
        let who = by.unwrap_or("the time limit");
        let done = match decision {
            Decision::Approve => "approved",
            Decision::Edit => "changed and approved",
            Decision::Reject => "rejected",
        };
        let said = if note.is_empty() { String::new() } else { format!(": {note}") };
        let text = format!("{done} by {who}{said}");
        if decision == Decision::Reject {
            let class = if by.is_some() { ErrorClass::Refused } else { ErrorClass::Timeout };
            state.error = Some(Failure::new(class, text.clone()));
            state.status = StepStatus::Failed;
            self.note(at, Level::Error, format!("{label} {text}"));
            if tolerated {
                self.warn(at, format!("'{label}' was {text}; the run went on without its output"));
            }
        } else {
            state.status = StepStatus::Completed;
            self.note(at, Level::Info, format!("{label} {text}"));
        }
        self.waiting.remove(&step);
        if self.waiting.is_empty() {
            self.phase = Phase::Processing;
        }
    }

    fn assign_roles(&mut self, at: Timestamp, roles: &[StepRole]) {
        for role in roles {
            let Some(step) = self.steps.get_mut(role.step as usize) else { continue };
            step.role = Some(role.clone());
            let name = &self.plan.steps[role.step as usize].name;
            if let Some(warning) = fallback_warning(name, &role.key, role.reason) {
                self.warn(at, warning);
            }
        }
    }

    fn start(&mut self, at: Timestamp, step: StepRunId, attempt: u32, owner: OwnerId) {
        self.phase = Phase::Processing;
        self.started_at.get_or_insert(at);
        self.open += 1;
        self.newest = Some(step);
        if self.plan.steps[step.index()].body == Body::Template {
            self.calling.insert(step);
        }
        let state = self.at(step);
        state.status = StepStatus::Running;
        state.retry_at = None;
        state.attempts.push(Attempt {
            number: attempt,
            owner,
            started_at: at,
            finished_at: None,
            prompt: None,
            child: None,
            said: None,
            end: None,
        });
        let text = match attempt {
            1 => format!("{} started", self.label(step)),
            n => format!("{} started, attempt {n}", self.label(step)),
        };
        self.note(at, Level::Info, text);
    }

    fn end_attempt(&mut self, at: Timestamp, step: StepRunId, end: AttemptEnd) {
        if let Some(open) = self.at(step).attempts.last_mut().filter(|attempt| attempt.end.is_none()) {
            open.end = Some(end);
            open.finished_at = Some(at);
            self.open -= 1;
            self.calling.remove(&step);
        }
    }

    fn fail_attempt(
        &mut self,
        at: Timestamp,
        step: StepRunId,
        attempt: u32,
        end: AttemptEnd,
        retry_at: Option<Timestamp>,
    ) {
        let message = end.failure().map_or_else(String::new, ToString::to_string);
        let interrupted = matches!(end, AttemptEnd::Interrupted(_));
        let whole = self.at(step).items.is_some();
        if whole {
            let state = self.at(step);
            state.error = end.failure().cloned();
            state.settled_at = Some(at);
        }
        self.end_attempt(at, step, end);
        // The items of a step under forEach are counted where they are gathered.
        let tolerated =
            self.plan.steps[step.index()].on_failure == OnFailure::Continue && step.item.is_none();
        let name = self.label(step);
        let place = if whole { name.clone() } else { format!("{name}, attempt {attempt}") };
        let state = self.at(step);
        if interrupted {
            state.interruptions += 1;
        } else {
            state.interruptions = 0;
        }
        if !interrupted || state.interruptions > super::retry::FREE_INTERRUPTIONS {
            state.failures += 1;
        }
        state.retry_at = retry_at;
        if retry_at.is_some() {
            state.status = StepStatus::Ready;
            self.note(at, Level::Warning, format!("{place}: {message}; it will be tried again"));
        } else {
            state.status = StepStatus::Failed;
            self.note(at, Level::Error, format!("{place}: {message}"));
            if tolerated {
                self.warn(at, format!("'{name}' failed and the run went on without its output: {message}"));
            }
        }
    }

    fn close_steps(&mut self, status: StepStatus, reason: Option<&str>) {
        for step in &mut self.steps {
            let items = step.items.iter_mut().flat_map(|items| &mut items.runs);
            for run in items.filter(|run| !run.status.is_end()) {
                run.close(status, reason);
            }
            if !step.status.is_end() {
                step.close(status, reason);
            }
        }
    }

    fn end(&mut self, at: Timestamp, phase: Phase) {
        self.phase = phase;
        self.finished_at = Some(at);
        self.open = 0;
        self.waiting.clear();
        self.calling.clear();
        self.ready = 0;
    }

    fn warn(&mut self, at: Timestamp, warning: String) {
        self.note(at, Level::Warning, warning.clone());
        // The metadata shows no more of them than of the log.
        if self.warnings.len() < LOG_LIMIT {
            self.warnings.push(warning);
        }
    }

    fn note(&mut self, at: Timestamp, level: Level, text: String) {
        if self.log.len() == LOG_LIMIT {
            self.log.pop_front();
        }
        self.log.push_back(LogLine { at, level, text });
    }
}
