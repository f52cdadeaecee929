//! Servers that share a database: what one of them leaves, another one continues.

mod handover;
mod sharing;

use crate::stage::{PATIENCE, config};
use domain::{
    event::{Event, EventKind},
    id::{OwnerId, RunId, RunNumber, StepRunId, Timestamp},
    key::{ModelName, ProjectKey, ProviderKey, RoleKey, TemplateKey},
    provider::ProviderKind,
    run::RunStatus,
    view::RoleDraft,
};
use engine::{Delivery, Engine, Format, Launch, Local, Pace, ProviderDraft, StartError, Subject, User};
use scripted::{Rule, Server};
use secrecy::SecretString;
use serde_json::json;
use std::{
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    runtime::{Builder, Runtime},
};

const SWEEP: Duration = Duration::from_millis(50);
/// The lease of a server that renews it with each sweep.
const LEASE: Duration = Duration::from_secs(1);
/// The lease of a server that outlives the test.
const LONG_LEASE: Duration = Duration::from_secs(60);

const STEPS: &str = "
apiVersion: troupe/v1
key: build
name: Build
steps:
  - name: Build
    prompt: 'BUILD {{ context.input.wish }}'
    with: {files: true}
  - name: Score
    prompt: SCORE
    inputMapping: {built: '{{ context.Build }}'}
    outputSchema: {type: object, required: [score], properties: {score: {type: number, multipleOf: 0.5}, by: {type: string}}}
  - name: Judge
    uses: aggregate
";

/// How the requests to execute attempts are delivered.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Soon,
    /// Kept, for a test that delivers them itself.
    Never,
    /// Twice, each time late, and so in any order.
    Twice,
}

/// A delivery whose way a test sets.
#[derive(Clone)]
struct Gate {
    way: Arc<Mutex<Way>>,
    kept: Arc<Mutex<Vec<(RunId, StepRunId, u32)>>>,
}

impl Gate {
    fn new(way: Way) -> Self {
        Self { way: Arc::new(Mutex::new(way)), kept: Arc::default() }
    }

    fn set(&self, way: Way) {
        *self.way.lock().unwrap() = way;
    }

    fn kept(&self) -> Vec<(RunId, StepRunId, u32)> {
        self.kept.lock().unwrap().clone()
    }
}

impl Delivery for Gate {
    fn keeps(&self) -> bool {
        false
    }

    fn advance(&self, engine: &Engine, run: RunId) {
        Local.advance(engine, run);
    }

    fn execute(&self, engine: &Engine, run: RunId, step: StepRunId, attempt: u32) {
        let way = *self.way.lock().unwrap();
        match way {
            Way::Soon => Local.execute(engine, run, step, attempt),
            Way::Never => self.kept.lock().unwrap().push((run, step, attempt)),
            Way::Twice => {
                for _ in 0..2 {
                    let engine = engine.clone();
                    let late = Duration::from_millis(rand::random_range(0..20));
                    tokio::spawn(async move {
                        tokio::time::sleep(late).await;
                        Local.execute(&engine, run, step, attempt);
                    });
                }
            }
        }
    }

    fn wake_at(&self, engine: &Engine, run: RunId, now: Timestamp, at: Option<Timestamp>) {
        Local.wake_at(engine, run, now, at);
    }
}

/// The wire to the model server: passes everything on, and keeps the body of each request.
struct Wire {
    url: String,
    bodies: Arc<Mutex<Vec<String>>>,
}

impl Wire {
    async fn to(models: &Server) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let (bodies, upstream) = (Arc::<Mutex<Vec<String>>>::default(), models.address());
        let kept = bodies.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (server, kept) = (TcpStream::connect(upstream).await.unwrap(), kept.clone());
                let (mut from_client, mut to_client) = client.into_split();
                let (mut from_server, mut to_server) = server.into_split();
                tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
                tokio::spawn(async move {
                    let (mut sent, mut part) = (Vec::new(), [0; 4096]);
                    while let Ok(length @ 1..) = from_client.read(&mut part).await {
                        sent.extend_from_slice(&part[..length]);
                        while let Some(body) = take_request(&mut sent) {
                            kept.lock().unwrap().push(body);
                        }
                        if to_server.write_all(&part[..length]).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Self { url, bodies }
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.bodies.lock().unwrap())
    }
}

/// Removes the first complete request, and returns its body.
fn take_request(sent: &mut Vec<u8>) -> Option<String> {
    let head = sent.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let headers = String::from_utf8_lossy(&sent[..head]).to_lowercase();
    let length = headers.lines().find_map(|line| line.strip_prefix("content-length:")).expect("its length");
    let end = head + length.trim().parse::<usize>().unwrap();
    let body = String::from_utf8(sent.get(head..end)?.to_vec()).unwrap();
    sent.drain(..end);
    Some(body)
}

/// What all servers of a test share.
struct Shared {
    models: Server,
    wire: Wire,
    user: User,
    project: ProjectKey,
    data: tempfile::TempDir,
}

impl Shared {
    /// Stores what a run needs. Each step of [`STEPS`] gets an answer that it accepts.
    async fn new() -> Self {
        let data = tempfile::tempdir().unwrap();
        let models = Server::start().await;
        let wire = Wire::to(&models).await;
        let file = json!({"path": "a.html", "content": "<b>"});
        models.script(vec![
            Rule::text(json!({"files": [file], "summary": "Built."}).to_string()).last_user("BUILD"),
            Rule::text(r#"{"score": 1.5}"#).last_user("SCORE"),
            Rule::text(r#"{"function": "final", "args": {"text": "Good."}}"#),
        ]);
        let engine = open(data.path(), None, Gate::new(Way::Soon)).await;
        let password = SecretString::from("a long enough password");
        let user = engine.create_user("admin@example.org", "Ada", password, true).await.unwrap();
        let project = ProjectKey::parse("lab").unwrap();
        engine.create_project(&user, project.clone(), "Lab").await.unwrap();
        let provider = ProviderDraft {
            key: ProviderKey::parse("scripted").unwrap(),
            kind: ProviderKind::OpenAiCompatible,
            base_url: Some(wire.url.clone()),
            api_key: None,
            max_concurrent: None,
            requests_per_minute: None,
        };
        engine.create_provider(&user, provider).await.unwrap();
        let role = RoleDraft {
            key: RoleKey::parse("general_worker").unwrap(),
            name: "Worker".to_owned(),
            base_prompt: "You work.".to_owned(),
            model: ModelName::parse("scripted/model").unwrap(),
            temperature: Some(0.7),
            max_tokens: Some(900),
            tools: Vec::new(),
        };
        engine.create_role(&user, &project, role).await.unwrap();
        engine.create_template(&user, &project, STEPS, Format::Yaml).await.unwrap();
        engine.shutdown().await;
        drop(engine);
        Self { models, wire, user, project, data }
    }

    async fn launch(&self, engine: &Engine) -> RunNumber {
        let launch = Launch { input: json!({"wish": "\u{e9} \"x\"\n"}), ..Launch::default() };
        let subject = Subject::Template(TemplateKey::parse("build").unwrap());
        engine.execute(&self.user, &self.project, subject, launch).await.unwrap().run
    }

    async fn log(&self, engine: &Engine, run: RunNumber) -> Vec<Event> {
        engine.events(&self.user, &self.project, run, 0).await.unwrap().items
    }

    async fn until(&self, engine: &Engine, run: RunNumber, is: impl Fn(&EventKind) -> bool) {
        let found = async {
            while !self.log(engine, run).await.iter().any(|event| is(&event.kind)) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, found).await.expect("the event comes");
    }

    async fn completed(&self, engine: &Engine, run: RunNumber) {
        let ends = |kind: &EventKind| {
            matches!(
                kind,
                EventKind::Completed { .. } | EventKind::Failed { .. } | EventKind::Cancelled { .. }
            )
        };
        self.until(engine, run, ends).await;
        let detail = engine.run(&self.user, &self.project, run).await.unwrap();
        assert_eq!(detail.summary.status, RunStatus::Completed, "{:?}", detail.state.error);
    }

    /// Executes a run on this engine alone, and returns the bodies of its requests.
    async fn reference(&self, engine: &Engine) -> Vec<String> {
        let run = self.launch(engine).await;
        self.completed(engine, run).await;
        let bodies = self.wire.take();
        assert_eq!(bodies.len(), 3);
        let all = ["\"temperature\":0.7", "\"max_tokens\":900", "BUILD \u{e9}"];
        assert!(all.iter().all(|part| bodies[0].contains(part)), "{}", bodies[0]);
        bodies
    }

    /// Launches a run, and waits until its first attempt is claimed.
    async fn claimed(&self, engine: &Engine) -> RunNumber {
        let run = self.launch(engine).await;
        self.until(engine, run, |kind| matches!(kind, EventKind::Prompt { pending: Some(_), .. })).await;
        run
    }

    /// Checks that the run was executed with these requests, each attempt once, the first one by another server than
    /// the one that claimed it.
    async fn was_handed_over(&self, engine: &Engine, run: RunNumber, wanted: &[String]) {
        self.completed(engine, run).await;
        assert_eq!(self.wire.take(), wanted);
        let log = self.log(engine, run).await;
        let count = |name: &str| log.iter().filter(|event| event.kind.name() == name).count();
        let counts = ["started", "callBegan", "finished", "interrupted", "stepFailed"].map(count);
        assert_eq!(counts, [3, 3, 3, 0, 0], "{log:#?}");
        let (claimed_by, called_by) = owners(&log);
        assert_ne!(claimed_by, called_by);
    }
}

/// Who claimed the first attempt, and who called the model.
fn owners(log: &[Event]) -> (OwnerId, OwnerId) {
    let claimed = log.iter().find_map(|event| match event.kind {
        EventKind::Started { owner, .. } => owner,
        _ => None,
    });
    let called = log.iter().find_map(|event| match event.kind {
        EventKind::CallBegan { owner, .. } => Some(owner),
        _ => None,
    });
    (claimed.unwrap(), called.unwrap())
}

async fn open(data: &Path, lease: Option<Duration>, gate: Gate) -> Engine {
    open_at(data, Pace { sweep: SWEEP, lease }, gate).await
}

async fn open_at(data: &Path, pace: Pace, gate: Gate) -> Engine {
    for _ in 0..200 {
        match Engine::open_with(config(data.into()), pace, Box::new(gate.clone())).await {
            Ok(engine) => return engine,
            // The last handle of the engine before may be in a task that is just ending.
            Err(StartError::Locked { .. }) => tokio::time::sleep(Duration::from_millis(10)).await,
            Err(error) => panic!("{error}"),
        }
    }
    panic!("the data folder stays locked");
}

/// A server that can be killed: its tasks are those of a runtime of its own.
struct Killable {
    engine: Engine,
    runtime: Option<Runtime>,
}

impl Killable {
    fn open(shared: &Shared, gate: Gate) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let engine = on(&runtime, open(shared.data.path(), Some(LEASE), gate));
        Self { engine, runtime: Some(runtime) }
    }

    /// Does it as this server does: what it spawns ends with the server.
    fn does<T>(&self, work: impl Future<Output = T>) -> T {
        on(self.runtime.as_ref().unwrap(), work)
    }

    /// All its tasks end where they stand.
    fn kill(self) {}
}

fn on<T>(runtime: &Runtime, work: impl Future<Output = T>) -> T {
    tokio::task::block_in_place(|| runtime.handle().block_on(work))
}

impl Drop for Killable {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
