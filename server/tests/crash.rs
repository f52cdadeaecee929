//! The truth after a crash (F1): the real server, killed with -9 at random moments while it runs templates against a
//! model server that keeps a ledger. Afterwards the log, the messages and the ledger must agree.
//!
//! `TROUPE_KILLS` says how often it is killed (by default 20 times), `TROUPE_SEED` repeats the moments of another run.

use domain::{
    event::{Event, EventKind},
    id::RunNumber,
    key::{ModelName, ProjectKey, ProviderKey, RoleKey},
    provider::ProviderKind,
    run::{MessageMetadata, RunState},
    view::{Author, RoleDraft},
};
use engine::{Config, Engine, Environment, Format, ProviderDraft, User};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use scripted::{Entry, Fault, Outcome, Rule, Server};
use secrecy::SecretString;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

/// In a line, side by side, by condition, under a schema, and with a model that fails now and then.
const TEMPLATES: [&str; 3] = [
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
];
/// The longest that the server lives between two kills.
const LIFE: Duration = Duration::from_millis(350);
/// Runs that are begun in each life.
const LAUNCHES: u32 = 3;

struct Troupe {
    child: Child,
    url: String,
}

impl Troupe {
    fn start(data: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_troupe"))
            .args(["serve", "--listen", "127.0.0.1:0"])
            .env("TROUPE_DATA", data)
            .env("RUST_LOG", "off")
            .env_remove("PORT")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let url = lines
            .find_map(|line| line.unwrap().split_once("ready at ").map(|(_, url)| url.trim().to_owned()));
        Self { child, url: url.expect("it starts, whatever the last crash left") }
    }
}

/// As a crash would: nothing is tidied up.
impl Drop for Troupe {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_doubled_or_embellished_by_crashes() {
    let setting = |name: &str, default: u64| {
        std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    let seed = setting("TROUPE_SEED", rand::random::<u32>().into());
    println!("TROUPE_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let models = Server::start().await;
    let pace = |rule: Rule| rule.chunk_size(4).first_token(Duration::from_millis(8));
    models.script(vec![
        Rule::fault(Fault::Status { status: 500, retry_after: Some("0".into()), message: None })
            .last_user("/Flaky")
            .times(5),
        pace(Rule::text(r#"{"score": 7}"#).last_user("/Grade")),
        pace(Rule::text("an answer to {{last_user}}")),
    ]);
    let data = tempfile::tempdir().unwrap();
    let (admin, token) = furnish(data.path(), &models).await;

    // Whoever asks repeats what had no answer, with the same key: it must not be begun twice.
    let mut unanswered: Vec<(String, String)> = Vec::new();
    let mut launched: BTreeMap<String, Value> = BTreeMap::new();
    let kills = setting("TROUPE_KILLS", 20);
    for life in 0..kills {
        let troupe = Troupe::start(data.path());
        for n in 0..LAUNCHES {
            let template = ["line", "diamond", "graded"][random.random_range(0..3)];
            unanswered.push((format!("life{life}n{n}"), template.to_owned()));
        }
        let end = tokio::time::sleep(random.random_range(Duration::ZERO..LIFE));
        tokio::select! {
            () = launch_all(&troupe.url, &token, &mut unanswered, &mut launched) => {
                tokio::time::sleep(random.random_range(Duration::ZERO..LIFE)).await;
            }
            () = end => {}
        }
    }

    let troupe = Troupe::start(data.path());
    launch_all(&troupe.url, &token, &mut unanswered, &mut launched).await;
    assert_eq!((unanswered.len(), launched.len() as u64), (0, kills * u64::from(LAUNCHES)));
    all_ended(&troupe.url, &token).await;
    drop(troupe);
    check(data.path(), &admin, &models.ledger(), &launched).await;
}

async fn open(data: &Path) -> Engine {
    let config =
        Config { data: data.to_owned(), serve: false, seed_demo: false, environment: Environment::default() };
    Engine::open(config).await.unwrap()
}

fn lab() -> ProjectKey {
    ProjectKey::parse("lab").unwrap()
}

/// An admin, a token of theirs, and a project with what the runs need.
async fn furnish(data: &Path, models: &Server) -> (User, String) {
    let engine = open(data).await;
    let password = SecretString::from("a long enough password");
    let admin = engine.create_user("admin@example.org", "Ada", password, true).await.unwrap();
    engine.create_project(&admin, lab(), "Lab").await.unwrap();
    let provider = ProviderDraft {
        key: ProviderKey::parse("scripted").unwrap(),
        kind: ProviderKind::OpenAiCompatible,
        base_url: Some(models.openai_url()),
        api_key: None,
        max_concurrent: None,
        requests_per_minute: None,
    };
    engine.create_provider(&admin, provider).await.unwrap();
    let role = RoleDraft {
        key: RoleKey::parse("general_worker").unwrap(),
        name: "General worker".to_owned(),
        base_prompt: "You work.".to_owned(),
        model: ModelName::parse("scripted/scripted").unwrap(),
        temperature: None,
        max_tokens: None,
        tools: Vec::new(),
    };
    engine.create_role(&admin, &lab(), role).await.unwrap();
    for source in TEMPLATES {
        engine.create_template(&admin, &lab(), source, Format::Yaml).await.unwrap();
    }
    engine.shutdown().await;
    let made = Command::new(env!("CARGO_BIN_EXE_troupe"))
        .args(["token", "create", "--user", "admin@example.org", "--name", "crash"])
        .env("TROUPE_DATA", data)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    (admin, String::from_utf8(made.stdout).unwrap().trim().to_owned())
}

/// Launches what has no answer yet, one after the other; stops at the first that the server does not answer.
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

async fn all_ended(url: &str, token: &str) {
    let client = reqwest::Client::new();
    let ended = async {
        for status in ["queued", "running", "waiting"] {
            loop {
                let path = format!("{url}/api/v1/projects/lab/runs?status={status}");
                let list: Value =
                    client.get(path).bearer_auth(token).send().await.unwrap().json().await.unwrap();
                if list["items"].as_array().unwrap().is_empty() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), ended).await.expect("every run comes to its end");
}

async fn check(data: &Path, admin: &User, ledger: &[Entry], launched: &BTreeMap<String, Value>) {
    let engine = open(data).await;
    let mut interrupted = 0;
    let numbers: BTreeSet<_> = launched.values().map(|launched| launched["run"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (1..=launched.len() as u64).collect(), "one run per launch, and no other");
    for (tag, launched) in launched {
        let number = RunNumber(launched["run"].as_u64().unwrap().try_into().unwrap());
        let events = engine.events(admin, &lab(), number, 0).await.unwrap().items;
        check_log(tag, &events);
        interrupted += events.iter().filter(|event| event.kind.name() == "interrupted").count();
        let state = RunState::replay(&events);
        assert_eq!(state, engine.run(admin, &lab(), number).await.unwrap().state, "{tag}");

        let task = launched["taskId"].as_str().unwrap().parse().unwrap();
        let messages = engine.messages(admin, &lab(), task, None).await.unwrap().items;
        let authors: Vec<_> = messages.iter().rev().map(|message| message.author).collect();
        assert_eq!(authors, [Author::User, Author::Assistant], "{tag}");
        assert_eq!(messages[0].metadata.as_ref(), Some(&MessageMetadata::from(&state)), "{tag}");
        if let Some(output) = &state.output {
            assert_eq!(messages[0].content, output.shown, "{tag}");
        }
        check_calls(tag, &events, &state, ledger);
    }
    engine.shutdown().await;
    println!("{} runs, {interrupted} attempts interrupted", launched.len());
    assert!(interrupted > 0, "the kills came at moments that prove nothing");
}

/// Gap-free, with one end, and no step that goes on after its own.
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
        if matches!(event.kind, EventKind::Finished { .. } | EventKind::Skipped { .. }) {
            done.insert(step);
        }
    }
}

/// What was answered to the end and recorded is never asked again; what was recorded had been answered.
fn check_calls(tag: &str, events: &[Event], state: &RunState, ledger: &[Entry]) {
    for event in events {
        let EventKind::Finished { step, .. } = &event.kind else { continue };
        let asked = format!("{tag}/{}", state.name(*step));
        let calls: Vec<_> = ledger
            .iter()
            .filter(|entry| {
                let text = &entry.messages.last().unwrap().content;
                // A schema's wish follows the prompt.
                text.strip_prefix(&asked).is_some_and(|rest| rest.is_empty() || rest.starts_with('\n'))
            })
            .collect();
        let last = calls.last().unwrap_or_else(|| panic!("{asked} was never asked"));
        assert_eq!(last.outcome, Outcome::Sent, "{asked}");
        let late = calls.iter().find(|call| call.received_at as i64 > event.at.0);
        assert!(late.is_none(), "{asked} was asked again after it had finished");
        let attempts = state.steps[step.index()].attempts.len();
        assert!(calls.len() <= attempts, "{asked}: {} calls for {attempts} attempts", calls.len());
    }
}
