//! A run as DESIGN section 9 promises it: its state, with inputs and outputs in place where they are not too long.

use super::{TemplateRef, Time, UsageShape};
use domain::{
    event::{Caller, Decision, Failure, Parent, TextRef},
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

/// The longest output that stands in a run itself, in bytes.
const IN_PLACE: u64 = 64 * 1024;
/// And all outputs of a run's steps together: the rest are referred to, however short, so that an answer has a limit.
const IN_PLACE_TOGETHER: u64 = 16 * 1024 * 1024;
/// How many texts are read at once.
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
    parent: Option<Parent>,
    #[serde(skip_serializing_if = "Option::is_none")]
    caller: Option<Caller>,
    task_id: TaskId,
    message_id: MessageId,
    created_at: Time,
    finished_at: Option<Time>,
    usage: UsageShape,
    steps: Vec<StepRun>,
}

#[derive(Serialize)]
struct RunError {
    #[serde(flatten)]
    failure: Failure,
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<String>,
}

#[derive(Serialize)]
pub(super) struct StepRun {
    id: StepRunId,
    pub(super) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<u32>,
    status: StepStatus,
    /// Taken over from the run that this one was forked from.
    reused: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<RoleRef>,
    attempts: Vec<AttemptShape>,
    #[serde(skip_serializing_if = "Option::is_none")]
    question: Option<QuestionShape>,
    output: Value,
    usage: UsageShape,
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
    started_at: Time,
    finished_at: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Failure>,
    /// The child run that it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<RunNumber>,
}

/// What a step asks, and asked, a person.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct QuestionShape {
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
    /// None: the time limit.
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
    let texts = Texts { engine, user, project, run: run.summary.number };
    texts.steps(&run.state, |id| id.item.is_none()).await
}

impl Run {
    /// The run, with the texts that it needs.
    pub async fn load(engine: &Engine, user: &User, project: &ProjectKey, detail: RunDetail) -> Result<Self> {
        let RunDetail { summary, state } = detail;
        let texts = Texts { engine, user, project, run: summary.number };
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
            parent: state.parent,
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
        started_at: Time(attempt.started_at),
        finished_at: attempt.finished_at.map(Time),
        error: attempt.end.as_ref().and_then(|end| end.failure()).cloned(),
        run: attempt.child,
    };
    StepRun {
        id,
        name,
        index: id.item,
        status: step.status,
        reused: step.reused,
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

/// A run with several last steps and no expression for its output gives them all, by name (DESIGN section 5); that
/// object is stored as its JSON.
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

struct Texts<'a> {
    engine: &'a Engine,
    user: &'a User,
    project: &'a ProjectKey,
    run: RunNumber,
}

impl Texts<'_> {
    async fn steps(&self, state: &RunState, wanted: impl Fn(StepRunId) -> bool) -> Result<Vec<StepRun>> {
        let runs: Vec<_> = state.step_runs().filter(|(id, _)| wanted(*id)).collect();
        let outputs = self.outputs(&runs).await?;
        let mut steps = Vec::with_capacity(runs.len());
        for ((id, run), output) in runs.into_iter().zip(outputs) {
            let question = match &run.question {
                Some(question) => Some(self.question(question).await?),
                None => None,
            };
            steps.push(step_run(id, state.name(id).to_owned(), run, question, output));
        }
        Ok(steps)
    }

    /// Every step run's output, in their order; null where there is none.
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
            asked_at: Time(asked.asked_at),
            question: self.in_place(&asked.question, true).await?,
            proposal: self.in_place(&asked.proposal, true).await?,
            until: asked.until.map(Time),
            on_timeout: asked.on_timeout,
            answer: asked.answer.as_ref().map(answer),
        })
    }

    async fn whole(&self, text: &TextRef) -> Result<String> {
        if text.head.len() as u64 == text.bytes {
            return Ok(text.head.clone());
        }
        Ok(self.engine.content(self.user, self.project, self.run, text.id, None).await?.text)
    }
}
