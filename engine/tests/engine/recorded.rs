//! Runs that produce every kind of event. With `RECORD_LOGS=folder` their logs are written there, one file per run:
//! that is how the fixtures of `domain/tests/old_logs.rs` are made. Recorded fixtures stay unchanged, because databases
//! hold such logs.

use crate::stage::{Stage, assign};
use domain::{
    event::{Decision, Event},
    id::RunNumber,
    run::RunState,
};
use engine::{AnswerDraft, Fork, Launch};
use scripted::{Fault, Finish, Rule};
use serde_json::{Value, json};
use std::{collections::BTreeSet, path::Path};

const KINDS: [&str; 28] = [
    "acknowledged",
    "answered",
    "cancelled",
    "childResumed",
    "childWaiting",
    "completed",
    "conditionEvaluated",
    "failed",
    "fileRequested",
    "fileWritten",
    "finished",
    "gathered",
    "interrupted",
    "itemsResolved",
    "linked",
    "partialOutput",
    "prompt",
    "ready",
    "reused",
    "rolesResolved",
    "skipped",
    "started",
    "stepCancelled",
    "stepFailed",
    "submitted",
    "throttled",
    "timedOut",
    "waiting",
];

fn template(key: &str, steps: &str) -> String {
    format!("apiVersion: troupe/v1\nkey: {key}\nname: {key}\nsteps:\n{steps}")
}

/// The recorded runs, by file name.
#[derive(Default)]
struct Recorded(Vec<(&'static str, RunNumber)>);

impl Recorded {
    async fn run(&mut self, stage: &Stage, name: &'static str, steps: &str, input: Value) -> RunNumber {
        let run = stage.run(&template(name, steps), input).await.summary.number;
        self.0.push((name, run));
        run
    }
}

/// F1: recorded events are read back from the store, and fold to the state that the engine shows.
#[tokio::test]
async fn every_kind_of_event_is_read_back_and_folded() {
    let mut stage = Stage::new().await;
    let mut runs = Recorded::default();
    attempts(&stage, &mut runs).await;
    items_and_forks(&stage, &mut runs).await;
    people(&stage, &mut runs).await;
    children_and_files(&stage, &mut runs).await;
    stops(&stage, &mut runs).await;
    stage = restarts(stage, &mut runs).await;

    let folder = std::env::var_os("RECORD_LOGS");
    let mut kinds = BTreeSet::new();
    for (name, run) in runs.0 {
        let events = stage.events(run).await;
        kinds.extend(events.iter().map(|event| event.kind.name()));
        let detail = stage.detail(run).await;
        assert_eq!(RunState::replay(&events), detail.state, "{name}");
        let metadata = stage.metadata(&detail).await;
        if let Some(folder) = &folder {
            write(&Path::new(folder).join(format!("{name}.json")), &events, &json!(metadata));
        }
    }
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), KINDS);
}

/// One event per line, so that a person can read it.
fn write(file: &Path, events: &[Event], metadata: &Value) {
    let events: Vec<_> = events.iter().map(|event| json!(event).to_string()).collect();
    let text = format!("{{\"metadata\": {metadata},\n\"events\": [\n{}\n]}}\n", events.join(",\n"));
    std::fs::write(file, text).unwrap();
}

/// Attempts that fail, wait for the provider, break off, are cut short, or end with an unknown word.
async fn attempts(stage: &Stage, runs: &mut Recorded) {
    let broken = Rule { text: Some("Once upon a time".to_owned()), ..Rule::fault(Fault::Cut { after: 2 }) };
    stage.models.script(vec![
        Rule::fault(Fault::status(500)).last_user("FLAKY").times(1),
        Rule::fault(Fault::rate_limit("0")).last_user("FLAKY").times(1),
        broken.chunk_size(5).last_user("FLAKY").times(1),
        Rule::text("half a").finish(Finish::Length).last_user("LONG"),
        Rule::text("an answer").finish_word("weather").last_user("ODD"),
        Rule::fault(Fault::Stall).last_user("SLOW").times(1),
        Rule::fault(Fault::status(401)).last_user("REFUSED"),
    ]);
    let steps = "
  - {name: Flaky, prompt: FLAKY, maxRetries: 2}
  - {name: Long, prompt: LONG}
  - {name: Odd, prompt: ODD}
";
    runs.run(stage, "retried", steps, json!({})).await;
    let steps = "
  - {name: Slow, prompt: SLOW, timeout: 500, maxRetries: 1}
  - {name: Never, prompt: NEVER, condition: \"context.Slow == 'never'\"}
  - {name: Refused, prompt: REFUSED, onFailure: continue}
  - {name: Last, prompt: LAST}
";
    runs.run(stage, "tolerated", steps, json!({})).await;
    let steps = "
  - {name: First, prompt: FIRST}
  - {name: Refused, prompt: REFUSED}
  - {name: Last, prompt: LAST}
";
    runs.run(stage, "failed", steps, json!({})).await;
}

async fn items_and_forks(stage: &Stage, runs: &mut Recorded) {
    stage.models.script(vec![
        Rule::text(r#"["a", "b", "c"]"#).last_user("LIST"),
        Rule::fault(Fault::status(401)).last_user("EACH 1").times(1),
    ]);
    let steps = "
  - {name: List, prompt: LIST, outputSchema: {type: array, items: {type: string}}}
  - {name: Each, forEach: context.List, maxParallel: 2, prompt: 'EACH {{ index }} {{ item }}', onFailure: ON}
  - {name: Join, prompt: \"JOIN {{ context.Each | join('+') }}\"}
";
    let first = runs.run(stage, "items", &steps.replace("ON", "fail"), json!({})).await;
    let fork = Fork {
        from_step: "Each".to_owned(),
        items: Some(vec![1]),
        role_assignments: assign(&[("Join", "senior")]),
        ..Fork::default()
    };
    let forked = stage.fork(first, fork).await.unwrap().run;
    stage.end(forked).await;
    runs.0.push(("forked", forked));
    stage.models.script(vec![
        Rule::text(r#"["a", "b"]"#).last_user("LIST"),
        Rule::fault(Fault::status(401)).last_user("EACH 1"),
    ]);
    runs.run(stage, "gathered", &steps.replace("ON", "continue"), json!({})).await;
}

async fn people(stage: &Stage, runs: &mut Recorded) {
    stage.models.script(Vec::new());
    let steps = "
  - {name: Draft, prompt: DRAFT}
  - name: Check
    uses: approval
    prompt: 'Is this good enough for {{ context.input.who }}?'
    inputMapping: {draft: '{{ context.Draft }}'}MORE
  - {name: Publish, prompt: 'PUBLISH {{ context.Check }}'}
";
    let key = stage.template(&template("approval", &steps.replace("MORE", ""))).await;
    for (name, decision, output, text) in [
        ("approved", Decision::Approve, None, Some("Fine.")),
        ("edited", Decision::Edit, Some(json!("BETTER")), None),
        ("rejected", Decision::Reject, None, Some("Too short.")),
    ] {
        let run = stage.launch(&key, json!({"who": "Ada"})).await.run;
        stage.until_waiting(run).await;
        let (step_run, text) = ("1".to_owned(), text.map(str::to_owned));
        stage.answer(run, AnswerDraft { step_run, decision, output, text }).await.unwrap();
        stage.end(run).await;
        runs.0.push((name, run));
    }
    let limited = steps.replace("MORE", "\n    timeout: 300\n    with: {onTimeout: approve}");
    runs.run(stage, "time-limit", &limited, json!({"who": "Ada"})).await;
}

async fn children_and_files(stage: &Stage, runs: &mut Recorded) {
    let made = json!({"files": [{"path": "a.html", "content": "<b>add</b>"}], "summary": "Made it."});
    let edit = json!({"search": "add", "replace": "add, multiply"});
    let edited = json!({"files": [{"path": "a.html", "edits": [edit]}], "summary": "Added it."});
    stage.models.script(vec![
        Rule::text(made.to_string()).last_user("MAKE").chunk_size(5),
        Rule::text(edited.to_string()).last_user("CHANGE"),
    ]);
    let steps = "
  - {name: Make, prompt: MAKE, with: {files: true}}
  - {name: Change, prompt: CHANGE, with: {files: true}}
";
    runs.run(stage, "files", steps, json!({})).await;
    stage.template(&template("callee", "  - {name: A, prompt: 'A {{ context.input.x }}'}\n")).await;
    let steps = "
  - {name: First, prompt: FIRST}
  - {name: Call, uses: 'template:callee', with: {x: '{{ context.First }}'}}
";
    let key = stage.template(&template("caller", steps)).await;
    let launch = Launch { role_assignments: assign(&[("Call/A", "senior")]), ..Launch::default() };
    let caller = stage.try_launch(&key, launch).await.unwrap().run;
    stage.end(caller).await;
    runs.0.push(("caller", caller));

    stage.models.script(vec![Rule::text("held").hold(0)]);
    let asks = "  - {name: Check, uses: approval, prompt: 'Good?'}\n  - {name: Last, prompt: go}\n";
    stage.template(&template("asks", asks)).await;
    let key = stage.template(&template("asked", "  - {name: Call, uses: 'template:asks'}\n")).await;
    let asked = stage.launch(&key, json!({})).await.run;
    let kind = |name| move |event: &Event| (event.kind.name() == name).then_some(());
    stage.until(asked, kind("childWaiting")).await;
    let answer =
        AnswerDraft { step_run: "0".to_owned(), decision: Decision::Approve, output: None, text: None };
    stage.answer(asked, answer).await.unwrap();
    stage.until(asked, kind("childResumed")).await;
    stage.cancel(asked).await;
    stage.end(asked).await;
    runs.0.push(("asked", asked));
}

/// A run that is stopped while one step answers, one waits for a person, and one has not begun.
async fn stops(stage: &Stage, runs: &mut Recorded) {
    stage.models.script(vec![Rule::text("Once upon a time").chunk_size(5).hold(2)]);
    let steps = "
  - {name: Answers, prompt: go, dependsOn: []}
  - {name: Waits, uses: approval, dependsOn: []}
  - {name: Pending, prompt: PENDING, dependsOn: [Answers]}
";
    let key = stage.template(&template("stopped", steps)).await;
    let run = stage.launch(&key, json!({})).await.run;
    stage.until_streamed(run, "Once upon ").await;
    stage.until_waiting(run).await;
    stage.cancel(run).await;
    runs.0.push(("stopped", run));
}

/// A server that ends while a model answers.
async fn restarts(stage: Stage, runs: &mut Recorded) -> Stage {
    stage.models.script(vec![Rule::text("held").hold(0).times(1)]);
    let key = stage.template(&template("restarted", "  - {name: Only, prompt: go}\n")).await;
    let run = stage.launch(&key, json!({})).await.run;
    stage.until_answering(1).await;
    let stage = stage.restart().await;
    stage.end(run).await;
    runs.0.push(("restarted", run));
    stage
}
