//! A run in the format of DESIGN section 9: its state, with inputs and outputs included unless they are too long.

use super::{TemplateRef, Time, UsageShape};
use domain::{
    event::{Caller, ChildQuestion, Decision, Failure, Parent, TextRef},
    id::{MessageId, RunNumber, StepRunId, TaskId},
    key::{ProjectKey, RoleKey},
    role::Reason,
    run::{Answer, Attempt, Question, RunFailure, RunState, RunStatus, StepState, StepStatus},
    view::{RunDetail, User},
};
use engine::{Engine, Result};
use futures::{StreamExt, TryStreamExt, stream};
use serde::Serialize;
use serde_json::{Value, json};

/// The longest output that is included in a run, in bytes.
const IN_PLACE: u64 = 64 * 1024;
/// The limit for all outputs of a run's steps together. Outputs beyond it are referenced, however short, so that the
/// size of a response is bounded.
const IN_PLACE_TOGETHER: u64 = 16 * 1024 * 1024;
/// How many texts are read concurrently.
const READERS: usize = 8;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    number: RunNumber,
    status: RunStatus,
    template: TemplateRef,
    input: Value,
    output: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<RunError>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent: Option<ParentShape>,
    #[serde(skip_serializing_if = "Option::is_none")]
    caller: Option<Caller>,
    task_id: TaskId,
    message_id: MessageId,
    created_at: Time,
    finished_at: Option<Time>,
    usage: UsageShape,
    steps: Vec<StepRun>,
}

/// The run that this one was forked from.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ParentShape {
    run: RunNumber,
    from_step: String,
}

#[derive(Serialize)]
struct RunError {
    #[serde(flatten)]
    failure: Failure,
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StepRun {
    id: StepRunId,
    pub(super) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<u32>,
    status: StepStatus,
    /// Whether the output was taken over from the run that this one was forked from.
    reused: bool,
    /// The origin of that output.
    #[serde(skip_serializing_if = "Option::is_none")]
    origin: Option<OriginShape>,
    /// Why the step ran again in a fork, if something had changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    rerun_because: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<RoleRef>,
    attempts: Vec<AttemptShape>,
    #[serde(skip_serializing_if = "Option::is_none")]
    question: Option<QuestionShape>,
    output: Value,
    usage: UsageShape,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OriginShape {
    run: RunNumber,
    template_version: u32,
    usage: UsageShape,
    /// Why the step would have run again, if the user had not asked to reuse its output.
    #[serde(skip_serializing_if = "Option::is_none")]
    stale: Option<String>,
}

#[derive(Serialize)]
struct RoleRef {
    key: RoleKey,
    version: u32,
    reason: Reason,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AttemptShape {
    number: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusals: Option<u32>,
    started_at: Time,
    finished_at: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Failure>,
    /// The child run that the attempt launched.
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<RunNumber>,
}

/// The question of a step that waits, or waited, for a person.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct QuestionShape {
    /// The child run that asks, if it is not this run. The question can be answered here too.
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<RunNumber>,
    asked_at: Time,
    question: Value,
    proposal: Value,
    until: Option<Time>,
    on_timeout: Decision,
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<AnswerShape>,
}

#[derive(Serialize)]
struct AnswerShape {
    at: Time,
    decision: Decision,
    /// `None` if the time limit decided.
    by: Option<String>,
    note: String,
}

/// The steps of the template, without their items.
pub(super) async fn steps(
    engine: &Engine,
    user: &User,
    project: &ProjectKey,
    run: &RunDetail,
) -> Result<Vec<StepRun>> {
    let texts = TextReader { engine, user, project, run: run.summary.number };
    texts.steps(&run.state, |id| id.item.is_none()).await
}

impl Run {
    /// Loads the texts of the run and builds its representation.
    pub async fn load(engine: &Engine, user: &User, project: &ProjectKey, detail: RunDetail) -> Result<Self> {
        let RunDetail { summary, state } = detail;
        let texts = TextReader { engine, user, project, run: summary.number };
        let input = match &state.input {
            Some(input) => {
                let text = texts.whole(input).await?;
                serde_json::from_str(&text).unwrap_or(Value::String(text))
            }
            None => Value::Null,
        };
        let output = match &state.output {
            Some(output) => shaped(&state, texts.in_place(&output.text, true).await?),
            None => Value::Null,
        };
        let steps = texts.steps(&state, |_| true).await?;
        Ok(Self {
            number: summary.number,
            status: summary.status,
            template: summary.template.into(),
            input,
            output,
            steps,
            error: state.error.map(|RunFailure { error, step }| RunError { failure: error, step }),
            parent: state.parent.map(|Parent { run, from_step, .. }| ParentShape { run, from_step }),
            caller: state.caller,
            task_id: summary.task,
            message_id: summary.message,
            created_at: Time(summary.created_at),
            finished_at: summary.finished_at.map(Time),
            usage: summary.usage.into(),
        })
    }
}

fn step_run(
    id: StepRunId,
    name: String,
    step: &StepState,
    question: Option<QuestionShape>,
    output: Value,
) -> StepRun {
    let attempt = |attempt: &Attempt| AttemptShape {
        number: attempt.number,
        refusals: (attempt.refusals > 0).then_some(attempt.refusals),
        started_at: Time(attempt.started_at),
        finished_at: attempt.finished_at().map(Time),
        error: attempt.failure().cloned(),
        run: attempt.child(),
    };
    StepRun {
        id,
        name,
        index: id.item,
        status: step.status,
        reused: step.reused,
        origin: step.origin.as_ref().map(|origin| OriginShape {
            run: origin.run,
            template_version: origin.version,
            usage: origin.usage.into(),
            stale: origin.stale.as_ref().map(ToString::to_string),
        }),
        rerun_because: step.rerun.as_ref().map(ToString::to_string),
        role: step.role.as_ref().map(|role| RoleRef {
            key: role.key.clone(),
            version: role.version,
            reason: role.reason,
        }),
        attempts: step.attempts.iter().map(attempt).collect(),
        question,
        output,
        usage: step.usage.into(),
    }
}

/// A run with several last steps and no output expression returns the outputs of all of them by name (DESIGN section
/// 5), stored as a JSON object.
fn shaped(state: &RunState, output: Value) -> Value {
    let sinks = state.plan.sinks();
    let Some(text) = output.as_str().filter(|_| sinks.len() > 1) else { return output };
    let name = |&sink: &u32| state.plan.steps.get(sink as usize).map(|step| step.name.as_str());
    match serde_json::from_str(text) {
        Ok(Value::Object(object))
            if object.len() == sinks.len()
                && sinks.iter().filter_map(name).all(|name| object.contains_key(name)) =>
        {
            Value::Object(object)
        }
        _ => output,
    }
}

struct TextReader<'a> {
    engine: &'a Engine,
    user: &'a User,
    project: &'a ProjectKey,
    run: RunNumber,
}

impl TextReader<'_> {
    async fn steps(&self, state: &RunState, wanted: impl Fn(StepRunId) -> bool) -> Result<Vec<StepRun>> {
        let runs: Vec<_> = state.step_runs().filter(|(id, _)| wanted(*id)).collect();
        let outputs = self.outputs(&runs).await?;
        let mut steps = Vec::with_capacity(runs.len());
        for ((id, run), output) in runs.into_iter().zip(outputs) {
            let question = match (&run.question, &run.child_question) {
                (Some(question), _) => Some(self.question(question).await?),
                (None, Some(question)) => Some(self.child_question(question).await?),
                (None, None) => None,
            };
            steps.push(step_run(id, state.name(id).to_owned(), run, question, output));
        }
        Ok(steps)
    }

    /// The outputs of the step runs, in the same order; null for a step run without output.
    async fn outputs(&self, runs: &[(StepRunId, &StepState)]) -> Result<Vec<Value>> {
        let mut room = IN_PLACE_TOGETHER;
        let outputs = runs.iter().map(|(_, step)| {
            let output = step.output.clone()?;
            let fits = output.bytes <= room;
            if fits && output.bytes <= IN_PLACE {
                room -= output.bytes;
            }
            Some((output, fits))
        });
        let outputs: Vec<_> = outputs.collect();
        let read = stream::iter(outputs).map(|output| async move {
            match output {
                Some((output, fits)) => self.in_place(&output, fits).await,
                None => Ok(Value::Null),
            }
        });
        read.buffered(READERS).try_collect().await
    }

    async fn in_place(&self, text: &TextRef, fits: bool) -> Result<Value> {
        if !fits || text.bytes > IN_PLACE {
            return Ok(json!({ "ref": text.id, "bytes": text.bytes, "head": text.head }));
        }
        let whole = self.whole(text).await?;
        if text.json {
            return Ok(serde_json::from_str(&whole).unwrap_or(Value::String(whole)));
        }
        Ok(Value::String(whole))
    }

    async fn question(&self, asked: &Question) -> Result<QuestionShape> {
        let answer = |answer: &Answer| AnswerShape {
            at: Time(answer.at),
            decision: answer.decision,
            by: answer.by.clone(),
            note: answer.note.clone(),
        };
        Ok(QuestionShape {
            run: None,
            asked_at: Time(asked.asked_at),
            question: self.in_place(&asked.question, true).await?,
            proposal: self.in_place(&asked.proposal, true).await?,
            until: asked.until.map(Time),
            on_timeout: asked.on_timeout,
            answer: asked.answer.as_ref().map(answer),
        })
    }

    async fn child_question(&self, asked: &ChildQuestion) -> Result<QuestionShape> {
        // The texts are stored with the run that asks.
        let texts = TextReader { run: asked.run, ..*self };
        Ok(QuestionShape {
            run: Some(asked.run),
            asked_at: Time(asked.asked_at),
            question: texts.in_place(&asked.question, true).await?,
            proposal: texts.in_place(&asked.proposal, true).await?,
            until: asked.until.map(Time),
            on_timeout: asked.on_timeout,
            answer: None,
        })
    }

    async fn whole(&self, text: &TextRef) -> Result<String> {
        if text.head.len() as u64 == text.bytes {
            return Ok(text.head.clone());
        }
        Ok(self.engine.content(self.user, self.project, self.run, text.id, None).await?.text)
    }
}
