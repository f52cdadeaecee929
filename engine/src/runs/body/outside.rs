//! A kind of step that exists in tests alone (`uses: tool:test/outside`): a service outside of the server's process
//! executes it. It shows that a kind of step is one file and one arm in each of the functions of [`super`].

use super::{
    super::{
        actor::RunActor,
        attempt::AnswerEnd,
        batch::{Batch, Work},
        steps::{Success, flatten},
    },
    News,
};
use domain::{
    error::ErrorClass,
    event::{EventKind, Failure},
    id::{RunId, StepRunId, Timestamp},
    template::{Template, Uses},
    usage::Usage,
};
use serde_json::{Map, Value};
use std::{
    collections::HashMap,
    sync::{LazyLock, Mutex, MutexGuard},
};
use tokio::sync::watch;

const TOOL: &str = "test/outside";

/// The template without its steps of this kind.
pub fn without(template: &Template) -> Template {
    let mut template = template.clone();
    template.steps.retain(|step| step.uses != Some(Uses::Tool(TOOL.to_owned())));
    template
}

/// Claims the attempt; the service gets it after the commit.
pub async fn begin(run: &mut RunActor, step: StepRunId, attempt: u32, batch: &mut Batch) {
    run.record(batch, EventKind::Started { step, attempt, owner: None });
    submit(run, step, attempt, batch).await;
}

async fn submit(run: &mut RunActor, step: StepRunId, attempt: u32, batch: &mut Batch) {
    let arguments = run.evaluate_step(step, batch, |evaluator, planned, context| {
        let mut arguments = evaluator.input_mapping(planned, context)?;
        arguments.extend(evaluator.arguments(planned, context)?);
        Ok(arguments)
    });
    match flatten(arguments.await) {
        Ok(arguments) => {
            let key = (run.facts.run, step, attempt);
            batch.work.push(Work::new(step, attempt, move |_| do_outside(key, arguments)));
        }
        Err(failure) => run.fail(step, attempt, failure, batch),
    }
}

/// Takes the service's result.
pub fn take(run: &mut RunActor, step: StepRunId, attempt: u32, news: News, batch: &mut Batch) {
    let News::Outside(result) = news else { return };
    if !run.is_open(step, attempt) {
        return;
    }
    let taken = result.and_then(|value| {
        let output = run.compiled.outputs[step.index()].of_value(value);
        let (usage, end) = (Usage::default(), AnswerEnd::default());
        run.finish(step, attempt, Success { output, files: Vec::new(), usage, end }, batch)
    });
    if let Err(failure) = taken {
        run.fail(step, attempt, failure, batch);
    }
}

/// Asks the service again: it knows the attempt, or never got it.
pub async fn found_open(run: &mut RunActor, step: StepRunId, attempt: u32, batch: &mut Batch) {
    submit(run, step, attempt, batch).await;
}

pub fn stop(run: &RunActor, step: StepRunId, attempt: u32) {
    end_job((run.facts.run, step, attempt), Outcome::Aborted);
}

/// Ends the attempt, if its time limit has been reached by `now`.
pub fn deadline(run: &mut RunActor, step: StepRunId, now: Timestamp, batch: &mut Batch) {
    let limit = run.state().plan.steps[step.index()].timeout_ms;
    let open = run.state().step_run(step).and_then(|run| run.open_attempt());
    if let (Some(limit), Some(open)) = (limit, open)
        && now.since(open.started_at) >= limit
    {
        let attempt = open.number;
        stop(run, step, attempt);
        run.fail(step, attempt, Failure::new(ErrorClass::Timeout, "the service took too long"), batch);
    }
}

type Key = (RunId, StepRunId, u32);

#[derive(Clone, Debug, PartialEq)]
enum Outcome {
    Done(Value),
    Failed,
    Aborted,
}

struct Job {
    arguments: Map<String, Value>,
    /// How often the job was submitted.
    submitted: u32,
    outcome: watch::Sender<Option<Outcome>>,
}

/// The service. It outlives engines.
static JOBS: LazyLock<Mutex<HashMap<Key, Job>>> = LazyLock::new(Mutex::default);

fn jobs() -> MutexGuard<'static, HashMap<Key, Job>> {
    JOBS.lock().unwrap()
}

fn end_job(key: Key, outcome: Outcome) {
    if let Some(job) = jobs().get(&key) {
        job.outcome.send_if_modified(|now| now.is_none() && now.replace(outcome).is_none());
    }
}

/// Submits the job, unless the service has it, and waits for its result.
async fn do_outside(key: Key, arguments: Map<String, Value>) -> News {
    assert!(arguments["word"] != "panic" || key.2 > 1, "this panic is a part of the test");
    let mut outcome = {
        let mut jobs = jobs();
        let new = || Job { arguments, submitted: 0, outcome: watch::Sender::new(None) };
        let job = jobs.entry(key).or_insert_with(new);
        job.submitted += 1;
        job.outcome.subscribe()
    };
    let ended = outcome.wait_for(Option::is_some).await.unwrap().clone();
    News::Outside(match ended {
        Some(Outcome::Done(value)) => Ok(value),
        _ => Err(Failure::new(ErrorClass::Network, "the service failed")),
    })
}

mod tests {
    use super::{super::super::stage::Stage, *};
    use domain::{
        event::Event,
        id::RunNumber,
        run::{AttemptOutcome, RunStatus},
    };
    use serde_json::json;
    use std::time::Duration;

    const STEPS: &str = "  - {name: Out, uses: 'tool:test/outside', with: {word: '{{ context.input.word }}'}, timeout: 3600000, maxRetries: 1}\n  \
                         - {name: After, prompt: 'Depth {{ context.Out.depth }}', dependsOn: [Out]}\n";

    const PATIENCE: Duration = Duration::from_secs(60);

    fn step() -> StepRunId {
        StepRunId { step: 0, item: None }
    }

    /// Waits until the service has the job, submitted this many times, and returns its arguments.
    async fn until_submitted(run: RunId, attempt: u32, times: u32) -> Value {
        let find = || {
            let jobs = jobs();
            let job = jobs.get(&(run, step(), attempt)).filter(|job| job.submitted >= times)?;
            Some(Value::Object(job.arguments.clone()))
        };
        let found = async {
            loop {
                match find() {
                    Some(arguments) => return arguments,
                    None => tokio::time::sleep(Duration::from_millis(2)).await,
                }
            }
        };
        tokio::time::timeout(PATIENCE, found).await.expect("the job is submitted")
    }

    async fn until_ended(stage: &Stage, run: RunNumber, status: RunStatus) {
        let mut now = stage.status(run).await;
        while !now.is_end() {
            tokio::time::sleep(Duration::from_millis(2)).await;
            now = stage.status(run).await;
        }
        assert_eq!(now, status);
    }

    async fn log(stage: &Stage, run: RunNumber) -> Vec<Event> {
        stage.engine.events(&stage.user, &stage.project, run, 0).await.unwrap().items
    }

    async fn launch(stage: &Stage) -> (RunNumber, RunId) {
        launch_with(stage, "lake").await
    }

    async fn launch_with(stage: &Stage, word: &str) -> (RunNumber, RunId) {
        let run = stage.launch(STEPS, json!({ "word": word })).await;
        (run, stage.id(run).await)
    }

    #[tokio::test]
    async fn its_result_is_the_output_of_the_step() {
        let stage = Stage::new().await;
        let (run, id) = launch(&stage).await;
        assert_eq!(until_submitted(id, 1, 1).await, json!({"word": "lake"}));
        assert_eq!(stage.status(run).await, RunStatus::Running);
        end_job((id, step(), 1), Outcome::Done(json!({"depth": 7})));
        until_ended(&stage, run, RunStatus::Completed).await;
        let started = log(&stage, run).await.into_iter().find_map(|event| match event.kind {
            EventKind::Started { step: started, owner, .. } if started == step() => Some(owner),
            _ => None,
        });
        assert_eq!(started, Some(None), "it is executed elsewhere");
        let asked = format!("{:?}", stage.models.ledger());
        assert!(asked.contains("Depth 7"), "{asked}");
    }

    /// The attempt survives the server: the next one asks for the same job.
    #[tokio::test]
    async fn it_is_rejoined_after_a_restart() {
        let stage = Stage::new().await;
        let (run, id) = launch(&stage).await;
        until_submitted(id, 1, 1).await;
        let stage = stage.restart(true).await;
        until_submitted(id, 1, 2).await;
        end_job((id, step(), 1), Outcome::Done(json!({"depth": 7})));
        until_ended(&stage, run, RunStatus::Completed).await;
        let starts = log(&stage, run).await;
        let starts = starts.iter().filter(|event| event.kind.name() == "started").count();
        assert_eq!(starts, 2, "one for each step");
    }

    #[tokio::test]
    async fn stop_reaches_the_service() {
        let stage = Stage::new().await;
        let (run, id) = launch(&stage).await;
        until_submitted(id, 1, 1).await;
        stage.engine.cancel(&stage.user, &stage.project, run).await.unwrap();
        until_ended(&stage, run, RunStatus::Cancelled).await;
        let outcome = jobs()[&(id, step(), 1)].outcome.borrow().clone();
        assert_eq!(outcome, Some(Outcome::Aborted));
    }

    /// The run does not wait forever for work that panicked.
    #[tokio::test]
    async fn a_panic_ends_the_attempt() {
        let stage = Stage::new().await;
        let (run, id) = launch_with(&stage, "panic").await;
        until_submitted(id, 2, 1).await;
        end_job((id, step(), 2), Outcome::Done(json!({"depth": 7})));
        until_ended(&stage, run, RunStatus::Completed).await;
        let log = log(&stage, run).await;
        let interrupted = log.iter().filter(|event| event.kind.name() == "interrupted").count();
        assert_eq!(interrupted, 1);
    }

    /// A failed attempt is tried again as any other; the time limit ends the second.
    #[tokio::test]
    async fn failures_and_time_limits_are_those_of_any_step() {
        let stage = Stage::new().await;
        let (run, id) = launch(&stage).await;
        until_submitted(id, 1, 1).await;
        end_job((id, step(), 1), Outcome::Failed);
        until_submitted(id, 2, 1).await;
        let stage = stage.restart(false).await;
        let (mut actor, _mailbox) = stage.actor(run).await;
        let mut batch = Batch::new(crate::store::now());
        let (expected, phase) = (actor.state().seq, actor.state().phase);
        deadline(&mut actor, step(), Timestamp(batch.at.0 + 3_599_000), &mut batch);
        assert!(batch.events.is_empty(), "it is not due");
        deadline(&mut actor, step(), Timestamp(batch.at.0 + 3_600_000), &mut batch);
        assert!(actor.commit_batch(expected, phase, batch).await.is_ok());
        let attempts = &actor.state().steps[0].attempts;
        let outcomes: Vec<_> =
            attempts.iter().map(|attempt| &attempt.end.as_ref().unwrap().outcome).collect();
        assert!(
            matches!(outcomes[..], [AttemptOutcome::Failed(_), AttemptOutcome::TimedOut(_)]),
            "{outcomes:?}"
        );
    }
}
