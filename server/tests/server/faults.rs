//! Failures of the machine: a full disk, a read-only database, a client that stalls.

use crate::process::{Troupe, furnish, lab, open};
use domain::{
    id::RunNumber,
    run::{MessageMetadata, RunState, RunStatus},
};
use futures::StreamExt;
use reqwest::{Client, Response};
use scripted::{Rule, Server};
use serde_json::{Value, json};
use std::{
    path::Path,
    time::{Duration, Instant},
};

const STEPS: &str = "
apiVersion: troupe/v1
key: steps
name: Steps
input: {type: object}
steps:
  - {name: One, prompt: 'ONE {{ context.input.text }}'}
  - {name: Two, prompt: 'TWO'}
";

struct Caller {
    client: Client,
    project: String,
    token: String,
}

impl Caller {
    fn new(troupe: &Troupe, token: &str) -> Self {
        let client = Client::builder().timeout(Duration::from_secs(60)).build().unwrap();
        Self { client, project: format!("{}/api/v1/projects/lab", troupe.url), token: token.to_owned() }
    }

    async fn launch(&self, text: &str) -> reqwest::Result<Response> {
        let path = format!("{}/templates/steps/execute", self.project);
        let body = json!({ "input": { "text": text } });
        self.client.post(path).bearer_auth(&self.token).json(&body).send().await
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        let request = self.client.post(format!("{}{path}", self.project)).bearer_auth(&self.token);
        request.json(&body).send().await.unwrap().error_for_status().unwrap().json().await.unwrap()
    }

    async fn launched(&self, text: &str) -> u64 {
        let answer = self.launch(text).await.unwrap().error_for_status().unwrap();
        answer.json::<Value>().await.unwrap()["run"].as_u64().unwrap()
    }

    async fn get(&self, path: &str) -> Value {
        let request = self.client.get(format!("{}{path}", self.project)).bearer_auth(&self.token);
        request.send().await.unwrap().error_for_status().unwrap().json().await.unwrap()
    }

    async fn status(&self, run: u64) -> String {
        self.get(&format!("/runs/{run}")).await["status"].as_str().unwrap().to_owned()
    }

    async fn until(&self, run: u64, status: &str) {
        let reached = async {
            while self.status(run).await != status {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(40), reached)
            .await
            .unwrap_or_else(|_| panic!("never {status}"));
    }

    async fn follow(&self, run: u64) -> Response {
        let request = self.client.get(format!("{}/runs/{run}/events", self.project)).bearer_auth(&self.token);
        request.header("accept", "text/event-stream").send().await.unwrap().error_for_status().unwrap()
    }
}

/// The log is complete, and all derived data agrees with it.
async fn is_sound(data: &Path, admin: &engine::User, run: u64) -> RunState {
    let engine = open(data).await;
    let number = RunNumber(run.try_into().unwrap());
    let events = engine.events(admin, &lab(), number, 0).await.unwrap().items;
    assert!(events.iter().map(|event| event.seq).eq(1..=events.len() as u64));
    assert!(events.is_sorted_by_key(|event| event.at), "time does not go backwards in a log");
    let state = RunState::replay(&events);
    let detail = engine.run(admin, &lab(), number).await.unwrap();
    assert_eq!(detail.state, state);
    let messages = engine.messages(admin, &lab(), detail.summary.task, None).await.unwrap().items;
    assert_eq!(messages[0].metadata.as_ref(), Some(&MessageMetadata::from(&state)));
    engine.shutdown().await;
    state
}

/// A write without disk space is refused with a clear message; a live run waits for space, and no answer of a model is
/// lost.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_loses_nothing() {
    let models = Server::start().await;
    let answer = "y".repeat(600 * 1024);
    models.script(vec![
        Rule::text(&answer).last_user("ONE slow").first_token(Duration::from_millis(700)),
        Rule::text("short"),
    ]);
    let data = tempfile::tempdir().unwrap();
    let (admin, token) = furnish(data.path(), &models, &[STEPS]).await;
    // No file may grow beyond 2 MB (blocks of 512 bytes), as on a full disk.
    let troupe = Troupe::start_after("trap '' XFSZ; ulimit -f 4096", data.path());
    let caller = Caller::new(&troupe, &token);
    let before = caller.launched("first").await;
    caller.until(before, "completed").await;
    let slow = caller.launched("slow").await;
    let large = "x".repeat(300 * 1024);
    let mut refused = 0;
    for _ in 0..30 {
        let response = caller.launch(&large).await.unwrap();
        if !response.status().is_success() {
            let status = response.status();
            let problem: Value = response.json().await.unwrap();
            assert!(status.is_server_error(), "{status}: {problem}");
            let detail = problem["detail"].as_str().unwrap();
            assert!(detail.starts_with("nothing can be stored just now"), "{problem}");
            refused += 1;
            if refused == 3 {
                break;
            }
        }
    }
    assert_eq!(refused, 3, "the disk was never full");
    // Pages still open: reading needs no disk space.
    assert_eq!(caller.status(before).await, "completed");
    tokio::time::sleep(Duration::from_millis(1200)).await;
    let stuck = caller.status(slow).await;
    assert!(stuck == "running" || stuck == "completed", "{stuck}");
    drop(troupe);

    let troupe = Troupe::start(data.path());
    let caller = Caller::new(&troupe, &token);
    caller.until(slow, "completed").await;
    let after = caller.launched("after").await;
    caller.until(after, "completed").await;
    for status in ["queued", "running"] {
        for run in caller.get(&format!("/runs?status={status}")).await["items"].as_array().unwrap() {
            caller.until(run["number"].as_u64().unwrap(), "completed").await;
        }
    }
    drop(troupe);
    for run in [before, slow, after] {
        assert_eq!(is_sound(data.path(), &admin, run).await.status(), RunStatus::Completed);
    }
}

/// A server does not start on a read-only database, and reports why; live runs resume once it is writable.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_database_is_said_at_the_start() {
    use std::{
        fs,
        os::unix::fs::{MetadataExt, PermissionsExt},
        process::Command,
    };
    let models = Server::start().await;
    models.script(vec![
        Rule::text("one").last_user("ONE").first_token(Duration::from_secs(20)).times(1),
        Rule::text("other"),
    ]);
    let data = tempfile::tempdir().unwrap();
    let (admin, token) = furnish(data.path(), &models, &[STEPS]).await;
    let troupe = Troupe::start(data.path());
    let run = Caller::new(&troupe, &token).launched("slow").await;
    drop(troupe);

    let database = data.path().join("troupe.db");
    let may = |mode: u32| fs::set_permissions(&database, fs::Permissions::from_mode(mode)).unwrap();
    may(0o444);
    let binary = env!("CARGO_BIN_EXE_troupe");
    // The root user can write read-only files, unless it drops that capability.
    let mut command = if fs::metadata("/proc/self").unwrap().uid() == 0 {
        let mut command = Command::new("setpriv");
        command.args(["--bounding-set=-dac_override,-dac_read_search", "--", binary]);
        command
    } else {
        Command::new(binary)
    };
    command.args(["serve", "--listen", "127.0.0.1:0"]).env("TROUPE_DATA", data.path());
    let refused = command.output().unwrap();
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success());
    assert!(said.contains("troupe.db cannot be written: its file is read-only"), "{said}");
    assert!(!said.contains("(code:"), "{said}");

    may(0o644);
    let troupe = Troupe::start(data.path());
    Caller::new(&troupe, &token).until(run, "completed").await;
    drop(troupe);
    assert_eq!(is_sound(data.path(), &admin, run).await.status(), RunStatus::Completed);
}

/// A client that opens a stream without reading delays neither the run nor other clients, and receives everything when
/// it reads on.
#[tokio::test(flavor = "multi_thread")]
async fn a_reader_who_stalls_holds_up_nobody() {
    let models = Server::start().await;
    let long = "word ".repeat(400_000);
    models.script(vec![Rule::text(&long).last_user("ONE").chunk_size(2_000), Rule::text("two")]);
    let data = tempfile::tempdir().unwrap();
    let (_, token) = furnish(data.path(), &models, &[STEPS]).await;
    let troupe = Troupe::start(data.path());
    let caller = Caller::new(&troupe, &token);
    let run = caller.launched("x").await;
    let mut stalled = caller.follow(run).await.bytes_stream();
    let first = stalled.next().await.unwrap().unwrap();
    let read = caller.follow(run).await.text().await.unwrap();
    assert!(read.contains("event: completed"));
    let mut late = first.to_vec();
    while let Some(piece) = stalled.next().await {
        late.extend_from_slice(&piece.unwrap());
    }
    let stored = |text: &str| -> Vec<String> {
        text.lines().filter(|line| line.starts_with("id:")).map(str::to_owned).collect()
    };
    let (late, read) = (stored(&String::from_utf8(late).unwrap()), stored(&read));
    assert_eq!(late, read);
    assert!(late.len() >= 12, "{late:?}");
}

const WIDE: &str = "
apiVersion: troupe/v1
key: wide
name: Wide
input: {type: object}
steps:
  - {name: Each, forEach: context.input.items, prompt: 'WIDE {{ context.input.text }}'}
";

/// A thousand prompts of a megabyte each. Calls are also admitted by the size of their prompts, and planned in
/// batches: the first ones start at once, other runs proceed at the same time, Stop takes effect, and memory stays
/// small.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_large_prompts_take_neither_the_memory_nor_the_others_time() {
    let models = Server::start().await;
    models.script(vec![Rule::text("held back").last_user("WIDE").chunk_size(4).hold(1), Rule::text("short")]);
    let data = tempfile::tempdir().unwrap();
    let (_, token) = furnish(data.path(), &models, &[STEPS, WIDE]).await;
    let troupe = Troupe::start(data.path());
    let caller = Caller::new(&troupe, &token);
    let first = caller.launched("warm").await;
    caller.until(first, "completed").await;

    let items: Vec<_> = (0..1_000).collect();
    let input = json!({ "input": { "items": items, "text": "x".repeat(1_000_000) } });
    let began = Instant::now();
    let launched = caller.post("/templates/wide/execute", input).await;
    let wide = launched["run"].as_u64().unwrap();
    // The log begins with the `ready` events of a thousand items.
    let started = async || {
        let events = caller.get(&format!("/runs/{wide}/events?after=1000")).await;
        events["items"].as_array().unwrap().iter().any(|event| event["kind"] == "started")
    };
    while !started().await {
        assert!(began.elapsed() < Duration::from_secs(30), "nothing starts");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let first_start = began.elapsed();

    // Other users launch while prompts are rendered, stored and sent.
    let under_way = |count: usize| {
        move |ledger: &[scripted::Entry]| {
            ledger.iter().filter(|entry| entry.last_user().starts_with("WIDE")).count() >= count
        }
    };
    let (mut longest, mut others_ended) = (Duration::ZERO, 0);
    let others = async {
        loop {
            let began = Instant::now();
            let run = caller.launched("other").await;
            longest = longest.max(began.elapsed());
            caller.until(run, "completed").await;
            others_ended += 1;
        }
    };
    tokio::select! {
        _ = models.wait_for(under_way(60)) => {}
        () = others => {}
    }
    assert!(others_ended > 0, "no other run went its way meanwhile");
    let beyond = tokio::time::timeout(Duration::from_secs(3), models.wait_for(under_way(70))).await;
    assert!(beyond.is_err(), "seventy prompts of a megabyte are more than 64 MB");
    let full = caller.launched("when it is full").await;
    caller.until(full, "completed").await;
    assert_eq!(caller.status(wide).await, "running");
    let calls = models.ledger().iter().filter(|entry| entry.last_user().starts_with("WIDE")).count();
    let began = Instant::now();
    caller.post(&format!("/runs/{wide}/cancel"), json!({})).await;
    let stopped = began.elapsed();
    assert_eq!(caller.status(wide).await, "cancelled");
    let memory = troupe.memory("VmHWM");
    println!(
        "first start after {first_start:?}, {calls} calls under way, another's launch took \
         {longest:?} at most, Stop {stopped:?}, memory at most {memory} MB"
    );
    assert!(memory < 300, "{memory} MB");
    assert!(stopped < Duration::from_secs(2), "{stopped:?}");
    // For a test build on a busy machine; a release takes a tenth of that.
    assert!(first_start < Duration::from_secs(5), "{first_start:?}");
    assert!(longest < Duration::from_secs(5), "{longest:?}");
}
