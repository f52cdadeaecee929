//! Consistency after crashes (F1): the real server is killed with -9 at random moments while it runs templates against
//! a model server that keeps a ledger. Afterwards the log, the messages and the ledger must agree.
//!
//! `TROUPE_KILLS` sets the number of kills (default 200), `TROUPE_SEED` repeats the moments of another test run.

use crate::process::{Troupe, furnish, lab, open};
use domain::{
    error::ErrorClass,
    event::{Event, EventKind},
    id::RunNumber,
    plan::Body,
    run::{MessageMetadata, RunState, RunStatus},
    view::Author,
};
use engine::{Engine, RunFilter, User};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use scripted::{Entry, Fault, Outcome, Rule, Server};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    time::Duration,
};

/// Every kind of step: sequential, parallel, conditional, with an output schema, with a model that fails at times,
/// with items of a list, with a child run, with a person's approval, and with files.
const TEMPLATES: [&str; 7] = [
    "
apiVersion: troupe/v1
key: line
name: Line
input: {type: object}
steps:
  - {name: One, prompt: '{{ context.input.tag }}/One'}
  - {name: Two, prompt: '{{ context.input.tag }}/Two'}
  - {name: Three, prompt: '{{ context.input.tag }}/Three'}
",
    "
apiVersion: troupe/v1
key: diamond
name: Diamond
input: {type: object}
output: '{{ context.Join }}'
steps:
  - {name: Top, prompt: '{{ context.input.tag }}/Top', dependsOn: []}
  - {name: Left, prompt: '{{ context.input.tag }}/Left', dependsOn: [Top]}
  - {name: Right, prompt: '{{ context.input.tag }}/Right', dependsOn: [Top]}
  - {name: Never, condition: 'false', prompt: '{{ context.input.tag }}/Never', dependsOn: [Top]}
  - {name: Join, prompt: '{{ context.input.tag }}/Join', dependsOn: [Left, Right, Never]}
",
    "
apiVersion: troupe/v1
key: graded
name: Graded
input: {type: object}
steps:
  - name: Grade
    prompt: '{{ context.input.tag }}/Grade'
    outputSchema: {type: object, required: [score], properties: {score: {type: integer}}}
  - {name: Flaky, prompt: '{{ context.input.tag }}/Flaky', maxRetries: 20}
",
    "
apiVersion: troupe/v1
key: fan
name: Fan
input: {type: object}
steps:
  - name: List
    prompt: '{{ context.input.tag }}/List'
    outputSchema: {type: object, required: [items], properties: {items: {type: array}}}
  - {name: Each, forEach: context.List.items, maxParallel: 3, prompt: '{{ context.input.tag }}/Each {{ index }}'}
  - {name: Join, prompt: '{{ context.input.tag }}/Join'}
",
    "
apiVersion: troupe/v1
key: caller
name: Caller
input: {type: object}
steps:
  - {name: Before, prompt: '{{ context.input.tag }}/Before'}
  - {name: Call, uses: 'template:line', with: {tag: '{{ context.input.tag }}/Call'}}
  - {name: After, prompt: '{{ context.input.tag }}/After'}
",
    "
apiVersion: troupe/v1
key: checked
name: Checked
input: {type: object}
steps:
  - {name: Draft, prompt: '{{ context.input.tag }}/Draft'}
  - {name: Check, uses: approval, inputMapping: {draft: '{{ context.Draft }}'}}
  - {name: After, prompt: '{{ context.input.tag }}/After'}
",
    "
apiVersion: troupe/v1
key: files
name: Files
input: {type: object}
steps:
  - {name: Build, prompt: '{{ context.input.tag }}/Build', with: {files: true}}
",
];
const KEYS: [&str; 7] = ["line", "diamond", "graded", "fan", "caller", "checked", "files"];
const FILE: &str = "what the model wrote";
/// The longest time between two kills.
const LIFE: Duration = Duration::from_millis(350);
/// Number of launches between two kills.
const LAUNCHES: u32 = 3;

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_doubled_or_embellished_by_crashes() {
    let setting = |name: &str, default: u64| {
        std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    let seed = setting("TROUPE_SEED", rand::random::<u32>().into());
    println!("TROUPE_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let models = Server::start().await;
    let file = json!({"files": [{"path": "a.txt", "content": FILE}], "summary": "Done."});
    let pace = |rule: Rule| rule.chunk_size(4).first_token(Duration::from_millis(8));
    models.script(vec![
        Rule::fault(Fault::Status { status: 500, retry_after: Some("0".into()), message: None })
            .last_user("/Flaky")
            .times(5),
        pace(Rule::text(r#"{"score": 7}"#).last_user("/Grade")),
        pace(Rule::text(r#"{"items": ["a", "b", "c", "d", "e"]}"#).last_user("/List")),
        pace(Rule::text(file.to_string()).last_user("/Build")),
        pace(Rule::text("an answer to {{last_user}}")),
    ]);
    let data = tempfile::tempdir().unwrap();
    let (admin, token) = furnish(data.path(), &models, &TEMPLATES).await;

    // The client repeats unanswered launches with the same key: they must not start twice.
    let mut unanswered: Vec<(String, String)> = Vec::new();
    let mut launched: BTreeMap<String, Value> = BTreeMap::new();
    let kills = setting("TROUPE_KILLS", 200);
    for life in 0..kills {
        let troupe = Troupe::start(data.path());
        for n in 0..LAUNCHES {
            let template = KEYS[random.random_range(0..KEYS.len())];
            unanswered.push((format!("life{life}n{n}"), template.to_owned()));
        }
        let end = tokio::time::sleep(random.random_range(Duration::ZERO..LIFE));
        let person = approve_all(&troupe.url, &token);
        tokio::select! {
            () = async {
                launch_all(&troupe.url, &token, &mut unanswered, &mut launched).await;
                tokio::time::sleep(random.random_range(Duration::ZERO..LIFE)).await;
            } => {}
            () = person => {}
            () = end => {}
        }
    }

    let troupe = Troupe::start(data.path());
    launch_all(&troupe.url, &token, &mut unanswered, &mut launched).await;
    assert_eq!((unanswered.len(), launched.len() as u64), (0, kills * u64::from(LAUNCHES)));
    tokio::select! {
        () = all_ended(&troupe.url, &token) => {}
        () = approve_all(&troupe.url, &token) => {}
    }
    drop(troupe);
    check(data.path(), &admin, &models.ledger(), &launched).await;
}

/// A run that crashes the server each time, including its launch, is given up at the sixth start, with the reason. A
/// run that progresses by a step each time continues, however often the server is killed.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_takes_the_server_down_at_each_start_is_given_up() {
    const LIVES: usize = 7;
    let models = Server::start().await;
    let data = tempfile::tempdir().unwrap();
    let steps: String = (0..LIVES).map(|n| format!("  - {{name: S{n}, prompt: 'STEP {n}'}}\n")).collect();
    let chain = format!("apiVersion: troupe/v1\nkey: chain\nname: Chain\nsteps:\n{steps}");
    let wide = "
apiVersion: troupe/v1
key: wide
name: Wide
input: {type: object}
steps:
  - {name: Each, forEach: context.input.items, prompt: 'WIDE {{ context.input.text }}'}
";
    let (admin, token) = furnish(data.path(), &models, &[&chain, wide]).await;
    let client = reqwest::Client::new();
    let (mut fatal, mut further) = (RunNumber(0), RunNumber(0));
    for life in 0..LIVES {
        // At each start, one more step of the chain is answered; the other run makes no progress.
        let mut rules: Vec<_> =
            (0..life).map(|n| Rule::text("done").last_user(format!("STEP {n}"))).collect();
        rules.push(Rule::text("held back").chunk_size(4).hold(1));
        models.script(rules);
        models.clear_ledger();
        let troupe = Troupe::start(data.path());
        if life == 0 {
            let launch = async |template: &str, input: Value| {
                let path = format!("{}/api/v1/projects/lab/templates/{template}/execute", troupe.url);
                let request = client.post(path).bearer_auth(&token).json(&json!({ "input": input }));
                let answer: Value = request.send().await.unwrap().json().await.unwrap();
                RunNumber(answer["run"].as_u64().unwrap().try_into().unwrap())
            };
            further = launch("chain", json!({})).await;
            let items: Vec<_> = (0..40).collect();
            fatal = launch("wide", json!({ "items": items, "text": "x".repeat(100_000) })).await;
        }
        let asked =
            |entries: &[Entry], what: &str| entries.iter().any(|entry| entry.last_user().starts_with(what));
        let step = format!("STEP {life}");
        models.wait_for(|ledger| asked(ledger, &step) && (life == LIVES - 1 || asked(ledger, "WIDE"))).await;
        if life == LIVES - 1 {
            let path = format!("{}/api/v1/projects/lab/runs/{fatal}", troupe.url);
            let failed = async {
                loop {
                    let run: Value =
                        client.get(&path).bearer_auth(&token).send().await.unwrap().json().await.unwrap();
                    if run["status"] == "failed" {
                        return;
                    }
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            };
            tokio::time::timeout(Duration::from_secs(30), failed).await.expect("it was given up");
        }
    }
    models.script(vec![Rule::text("done")]);
    let troupe = Troupe::start(data.path());
    tokio::time::timeout(Duration::from_secs(30), all_ended(&troupe.url, &token)).await.unwrap();
    drop(troupe);
    let engine = open(data.path()).await;
    let given_up = engine.run(&admin, &lab(), fatal).await.unwrap().state;
    let error = given_up.error.as_ref().unwrap();
    assert_eq!((given_up.status(), error.error.class), (RunStatus::Failed, ErrorClass::Interrupted));
    let why =
        "the server stopped 5 times while it worked on this run, each time before the run got any further";
    assert!(error.error.message.contains(why), "{}", error.error.message);
    assert!(given_up.step_runs().all(|(_, step)| step.open_attempt().is_none()));
    let begun = given_up.step_runs().map(|(_, step)| step.attempts.len()).max();
    assert!(begun < Some(LIVES), "nothing of it was begun in the life that gave it up: {begun:?}");
    let went_on = engine.run(&admin, &lab(), further).await.unwrap().state;
    assert_eq!(went_on.status(), RunStatus::Completed, "{:?}", went_on.error);
    let attempts: Vec<_> = went_on.steps.iter().map(|step| step.attempts.len()).collect();
    assert_eq!(attempts, [2; LIVES]);
    engine.shutdown().await;
}

/// Sends the unanswered launches one after another; stops at the first that the server does not answer.
async fn launch_all(
    url: &str,
    token: &str,
    unanswered: &mut Vec<(String, String)>,
    launched: &mut BTreeMap<String, Value>,
) {
    let client = reqwest::Client::new();
    while let Some((tag, template)) = unanswered.first() {
        let answer = client
            .post(format!("{url}/api/v1/projects/lab/templates/{template}/execute"))
            .bearer_auth(token)
            .header("idempotency-key", tag)
            .json(&json!({ "input": { "tag": tag } }))
            .send()
            .await;
        let Ok(answer) = answer else { return };
        let (status, Ok(body)) = (answer.status(), answer.json::<Value>().await) else { return };
        assert!(status.is_success(), "{status}: {body}");
        launched.insert(tag.clone(), body);
        unanswered.remove(0);
    }
}

/// A person who approves every waiting step while the server runs.
async fn approve_all(url: &str, token: &str) {
    let client = reqwest::Client::new();
    let runs = format!("{url}/api/v1/projects/lab/runs");
    loop {
        if let Ok(answer) = client.get(format!("{runs}?status=waiting")).bearer_auth(token).send().await
            && let Ok(list) = answer.json::<Value>().await
        {
            for run in list["items"].as_array().into_iter().flatten() {
                let path = format!("{runs}/{}/answer", run["number"]);
                let answer = json!({ "stepRun": "1", "decision": "approve" });
                // The answer may count without a response, or be refused because it already counted.
                drop(client.post(path).bearer_auth(token).json(&answer).send().await);
            }
        }
        tokio::time::sleep(Duration::from_millis(15)).await;
    }
}

async fn all_ended(url: &str, token: &str) {
    let client = reqwest::Client::new();
    // A waiting run continues when it is answered, so all must be checked again.
    let live = async || {
        for status in ["queued", "running", "waiting"] {
            let path = format!("{url}/api/v1/projects/lab/runs?status={status}");
            let list: Value = client.get(path).bearer_auth(token).send().await.unwrap().json().await.unwrap();
            if !list["items"].as_array().unwrap().is_empty() {
                return true;
            }
        }
        false
    };
    let ended = async {
        let mut quiet = 0;
        while quiet < 2 {
            quiet = if live().await { 0 } else { quiet + 1 };
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), ended).await.expect("every run comes to its end");
}

async fn check(data: &Path, admin: &User, ledger: &[Entry], launched: &BTreeMap<String, Value>) {
    let engine = open(data).await;
    let mut interrupted = 0;
    let mut numbers = BTreeSet::new();
    let mut children = Vec::new();
    for (tag, launched) in launched {
        let number = RunNumber(launched["run"].as_u64().unwrap().try_into().unwrap());
        let state = check_run(&engine, admin, tag, number, ledger, &mut interrupted).await;
        numbers.insert(number);
        for step in &state.steps {
            for attempt in &step.attempts {
                children.extend(attempt.child().map(|child| (format!("{tag}/Call"), child, number)));
            }
        }
    }
    for (tag, number, caller) in children {
        let state = check_run(&engine, admin, &tag, number, ledger, &mut interrupted).await;
        assert_eq!(state.caller.unwrap().run, caller);
        numbers.insert(number);
    }
    let newest = engine.runs(admin, &lab(), &RunFilter::default(), None).await.unwrap().items[0].number;
    assert_eq!(numbers, (1..=newest.0).map(RunNumber).collect(), "a run per launch and child, and no other");
    engine.shutdown().await;
    println!("{} runs, {interrupted} attempts interrupted", numbers.len());
    assert!(interrupted > 0, "the kills came at moments that prove nothing");
}

async fn check_run(
    engine: &Engine,
    admin: &User,
    tag: &str,
    number: RunNumber,
    ledger: &[Entry],
    interrupted: &mut usize,
) -> RunState {
    let events = engine.events(admin, &lab(), number, 0).await.unwrap().items;
    check_log(tag, &events);
    *interrupted += events.iter().filter(|event| event.kind.name() == "interrupted").count();
    let state = RunState::replay(&events);
    let detail = engine.run(admin, &lab(), number).await.unwrap();
    assert_eq!(state, detail.state, "{tag}");

    let messages = engine.messages(admin, &lab(), detail.summary.task, None).await.unwrap().items;
    let authors: Vec<_> = messages.iter().rev().map(|message| message.author).collect();
    assert_eq!(authors, [Author::User, Author::Assistant], "{tag}");
    assert_eq!(messages[0].metadata.as_ref(), Some(&MessageMetadata::from(&state)), "{tag}");
    if let Some(output) = &state.output {
        assert_eq!(messages[0].content, output.shown, "{tag}");
    }
    if detail.summary.template.key.as_ref() == "files" {
        let files = engine.run_files(admin, &lab(), number).await.unwrap();
        assert_eq!(files.len(), 1, "{tag}");
        assert_eq!((files[0].version, files[0].bytes), (1, FILE.len() as u64), "{tag}: written once");
    }
    check_calls(tag, &events, &state, ledger);
    state
}

/// The log is gap-free, has one end, and no step continues after its own end.
fn check_log(tag: &str, events: &[Event]) {
    let seqs: Vec<_> = events.iter().map(|event| event.seq).collect();
    assert_eq!(seqs, (1..=events.len() as u64).collect::<Vec<_>>(), "{tag}");
    let mut done = BTreeSet::new();
    for (index, event) in events.iter().enumerate() {
        let is_end = matches!(
            event.kind,
            EventKind::Completed { .. } | EventKind::Failed { .. } | EventKind::Cancelled { .. }
        );
        assert_eq!(
            is_end,
            index + 1 == events.len(),
            "{tag}: it ends once, at its end: {}",
            event.kind.name()
        );
        let Some(step) = event.kind.step() else { continue };
        assert!(!done.contains(&step), "{tag}: {} after the step's end", event.kind.name());
        if matches!(
            event.kind,
            EventKind::Finished { .. }
                | EventKind::Skipped { .. }
                | EventKind::Gathered { .. }
                | EventKind::Answered { .. }
        ) {
            done.insert(step);
        }
    }
}

/// A call whose answer was recorded is never repeated; a recorded output was the model's answer.
fn check_calls(tag: &str, events: &[Event], state: &RunState, ledger: &[Entry]) {
    for event in events {
        let EventKind::Finished { step, .. } = &event.kind else { continue };
        if state.plan.steps[step.index()].body == Body::Template {
            continue;
        }
        let item = step.item.map_or_else(String::new, |item| format!(" {item}"));
        let asked = format!("{tag}/{}{item}", state.name(*step));
        let calls: Vec<_> = ledger
            .iter()
            .filter(|entry| {
                let text = &entry.messages.last().unwrap().content;
                // The text of an output schema follows the prompt.
                text.strip_prefix(&asked).is_some_and(|rest| rest.is_empty() || rest.starts_with('\n'))
            })
            .collect();
        let last = calls.last().unwrap_or_else(|| panic!("{asked} was never asked"));
        assert_eq!(last.outcome, Outcome::Sent, "{asked}");
        let late = calls.iter().find(|call| call.received_at as i64 > event.at.0);
        assert!(late.is_none(), "{asked} was asked again after it had finished");
        let attempts = state.step_run(*step).unwrap().attempts.last().unwrap().number as usize;
        assert!(calls.len() <= attempts, "{asked}: {} calls for {attempts} attempts", calls.len());
    }
}
