//! Support for tests of runs: an engine on a new data folder, a scripted model server as its provider, one project with
//! two roles, and an admin with all permissions.

pub mod delivery;

use delivery::Engines;
use domain::{
    event::{Event, EventKind, Link},
    id::{ContentId, RunNumber},
    key::{ModelName, ProjectKey, ProviderKey, RoleKey, TemplateKey},
    provider::ProviderKind,
    run::{MessageMetadata, RunStatus},
    view::{Author, Launched, LiveFrame, Message, RoleDraft, RunDetail},
};
use engine::{
    AnswerDraft, Config, Cursor, Engine, Environment, Fork, Format, Launch, ProviderDraft, Subject, User,
};
use futures::StreamExt;
use scripted::{Entry, Outcome, Server};
use secrecy::SecretString;
use serde_json::{Value, json};
use std::{collections::BTreeMap, path::PathBuf, time::Duration};

/// How long a test waits for an expected event: longer than a busy disk delays a commit.
pub const PATIENCE: Duration = Duration::from_secs(120);

pub struct Stage {
    pub engine: Engine,
    pub models: Server,
    pub admin: User,
    pub project: ProjectKey,
    engines: Engines,
    data: tempfile::TempDir,
}

pub const THREE_STEPS: &str = "
apiVersion: troupe/v1
key: review
name: Review
input:
  type: object
  required: [code]
  properties: {code: {type: string}}
steps:
  - name: Analyze
    prompt: 'ANALYZE {{ context.input.code }}'
  - name: Report
    prompt: 'REPORT {{ context.Analyze }}'
  - name: Suggest
    prompt: 'SUGGEST {{ context.Report }}'
";

pub fn config(data: PathBuf) -> Config {
    Config { data, serve: true, seed_demo: false, environment: Environment::default() }
}

impl Stage {
    pub async fn new() -> Self {
        let stage = Self::alone().await;
        stage.engines.join(config(stage.data.path().into())).await.unwrap();
        stage
    }

    /// A stage that always has one engine, for tests of what a server knows only about its own calls.
    pub async fn alone() -> Self {
        // Shows the engine's warnings: otherwise a retried commit would be invisible.
        let told = tracing_subscriber::fmt().with_max_level(tracing::Level::WARN).with_test_writer();
        drop(told.try_init());
        let models = Server::start().await;
        let data = tempfile::tempdir().unwrap();
        let engines = Engines::open(config(data.path().into())).await.unwrap();
        let engine = engines.first.clone();
        let password = SecretString::from("a long enough password");
        let admin = engine.create_user("admin@example.org", "Ada", password, true).await.unwrap();
        let project = ProjectKey::parse("lab").unwrap();
        engine.create_project(&admin, project.clone(), "Lab").await.unwrap();
        let provider = ProviderDraft {
            key: ProviderKey::parse("scripted").unwrap(),
            kind: ProviderKind::OpenAiCompatible,
            base_url: Some(models.openai_url()),
            api_key: Some(SecretString::from("sk-very-secret")),
            max_concurrent: None,
            requests_per_minute: None,
        };
        engine.create_provider(&admin, provider).await.unwrap();
        let stage = Self { engine, models, admin, project, engines, data };
        stage.role("general_worker").await;
        stage.role("senior").await;
        stage
    }

    /// Creates a role whose base prompt and model contain its key, so that the ledger shows which role was called.
    pub async fn role(&self, key: &str) {
        let draft = RoleDraft {
            key: RoleKey::parse(key).unwrap(),
            name: key.to_owned(),
            base_prompt: format!("You are {key}."),
            model: ModelName::parse(&format!("scripted/{key}-model")).unwrap(),
            temperature: None,
            max_tokens: None,
            tools: Vec::new(),
        };
        self.engine.create_role(&self.admin, &self.project, draft).await.unwrap();
    }

    pub async fn template(&self, source: &str) -> TemplateKey {
        let saved = self.engine.create_template(&self.admin, &self.project, source, Format::Yaml).await;
        saved.unwrap_or_else(|error| panic!("{error}")).key
    }

    pub async fn try_launch(&self, key: &TemplateKey, launch: Launch) -> engine::Result<Launched> {
        let subject = Subject::Template(key.clone());
        self.engine.execute(&self.admin, &self.project, subject, launch).await
    }

    pub async fn launch(&self, key: &TemplateKey, input: Value) -> Launched {
        self.try_launch(key, Launch { input, ..Launch::default() }).await.unwrap()
    }

    /// Launches `source` as a template and waits for its end.
    pub async fn run(&self, source: &str, input: Value) -> RunDetail {
        let key = self.template(source).await;
        let launched = self.launch(&key, input).await;
        self.end(launched.run).await
    }

    /// Waits until the run has ended.
    pub async fn end(&self, run: RunNumber) -> RunDetail {
        self.until(run, |event| {
            let ended = matches!(
                event.kind,
                EventKind::Completed { .. } | EventKind::Failed { .. } | EventKind::Cancelled { .. }
            );
            ended.then_some(())
        })
        .await;
        self.detail(run).await
    }

    /// Follows the run until `wanted` returns a result.
    pub async fn until<T>(&self, run: RunNumber, mut wanted: impl FnMut(&Event) -> Option<T>) -> T {
        let cursor = Cursor { runs: BTreeMap::from([(run, 0)]), project: None };
        let mut stream = self.engine.live(&self.admin, &self.project, cursor).await.unwrap();
        let found = async {
            while let Some(frame) = stream.next().await {
                if let (_, LiveFrame::Event { event, .. }) = frame.unwrap()
                    && let Some(found) = wanted(&event)
                {
                    return found;
                }
            }
            panic!("the stream ended");
        };
        tokio::time::timeout(PATIENCE, found).await.expect("nothing of the kind came")
    }

    /// Waits until this text has streamed, of any steps.
    pub async fn until_streamed(&self, run: RunNumber, wanted: &str) {
        let cursor = Cursor { runs: BTreeMap::from([(run, 0)]), project: None };
        let mut stream = self.engine.live(&self.admin, &self.project, cursor).await.unwrap();
        let came = async {
            let mut text = String::new();
            while text != wanted {
                let (_, frame) = stream.next().await.expect("the stream ended").unwrap();
                if let LiveFrame::Delta { delta, .. } = frame {
                    text.push_str(&delta.text);
                }
            }
        };
        tokio::time::timeout(PATIENCE, came).await.expect("the text did not come");
    }

    pub async fn detail(&self, run: RunNumber) -> RunDetail {
        self.engine.run(&self.admin, &self.project, run).await.unwrap()
    }

    pub fn data(&self) -> &std::path::Path {
        self.data.path()
    }

    /// A stored text of the run, in full.
    pub async fn content(&self, run: RunNumber, id: ContentId) -> String {
        self.engine.content(&self.admin, &self.project, run, id, None).await.unwrap().text
    }

    /// The metadata of the run's message, after a check that it equals the fold of the run's log.
    pub async fn metadata(&self, detail: &RunDetail) -> MessageMetadata {
        let page = self.engine.messages(&self.admin, &self.project, detail.summary.task, None).await.unwrap();
        let message = page.items.into_iter().find(|message| message.id == detail.summary.message).unwrap();
        let metadata = message.metadata.unwrap();
        assert_eq!(metadata, MessageMetadata::from(&detail.state));
        metadata
    }

    pub async fn fork(&self, run: RunNumber, fork: Fork) -> engine::Result<Launched> {
        self.engine.fork(&self.admin, &self.project, run, fork).await
    }

    pub async fn answer(&self, run: RunNumber, draft: AnswerDraft) -> engine::Result<RunDetail> {
        self.engine.answer(&self.admin, &self.project, run, draft).await
    }

    pub async fn cancel(&self, run: RunNumber) {
        self.engine.cancel(&self.admin, &self.project, run).await.unwrap();
    }

    /// Waits until a step of the run waits for a person.
    pub async fn until_waiting(&self, run: RunNumber) {
        self.until(run, |event| matches!(event.kind, EventKind::Waiting { .. }).then_some(())).await;
    }

    /// Waits until the run has launched a child, and returns the child's number.
    pub async fn child_of(&self, run: RunNumber) -> RunNumber {
        self.until(run, |event| match event.kind {
            EventKind::Linked { to: Link::ChildRun(run), .. } => Some(run),
            _ => None,
        })
        .await
    }

    /// Waits until this many answers are in progress.
    pub async fn until_answering(&self, calls: usize) {
        let answering = |entry: &&Entry| entry.outcome == Outcome::Answering;
        self.models.wait_for(|ledger| ledger.iter().filter(answering).count() == calls).await;
    }

    /// The prompts of the calls after the first `after` ones.
    pub fn asked(&self, after: usize) -> Vec<String> {
        self.models.ledger()[after..].iter().map(|entry| entry.last_user().to_owned()).collect()
    }

    pub async fn events(&self, run: RunNumber) -> Vec<Event> {
        self.engine.events(&self.admin, &self.project, run, 0).await.unwrap().items
    }

    pub async fn kinds(&self, run: RunNumber) -> Vec<&'static str> {
        self.events(run).await.iter().map(|event| event.kind.name()).collect()
    }

    /// The launch's conversation, oldest first.
    pub async fn messages(&self, launched: &Launched) -> Vec<Message> {
        let page = self.engine.messages(&self.admin, &self.project, launched.task_id, None).await.unwrap();
        page.items.into_iter().rev().collect()
    }

    pub async fn assistant_messages(&self, launched: &Launched) -> Vec<Message> {
        let all = self.messages(launched).await;
        all.into_iter().filter(|message| message.author == Author::Assistant).collect()
    }

    /// Sets the provider's limit of concurrent calls.
    pub async fn limit_provider(&self, max_concurrent: u32) {
        let key = ProviderKey::parse("scripted").unwrap();
        let draft = ProviderDraft {
            key: key.clone(),
            kind: ProviderKind::OpenAiCompatible,
            base_url: Some(self.models.openai_url()),
            api_key: None,
            max_concurrent: Some(max_concurrent),
            requests_per_minute: None,
        };
        self.engine.update_provider(&self.admin, &key, draft).await.unwrap();
    }

    /// Waits until this many calls wait for the provider.
    pub async fn until_queued(&self, queued: u32) {
        let waiting = async {
            loop {
                let providers = self.engine.providers(&self.admin).await.unwrap();
                if providers.iter().any(|provider| provider.queued == queued && provider.active > 0) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.expect("nobody queued");
    }

    /// Stops the engine and opens another one on the same folder, as a restart does.
    pub async fn restart(self) -> Self {
        self.restart_after(async |_| {}).await
    }

    /// Like [`restart`](Self::restart), with access to the data folder in between.
    pub async fn restart_after(self, meanwhile: impl AsyncFnOnce(&std::path::Path)) -> Self {
        let Self { engine, models, admin, project, engines, data } = self;
        drop(engine);
        engines.shutdown().await;
        meanwhile(data.path()).await;
        let engines = reopen(data.path().into()).await;
        engines.join(config(data.path().into())).await.unwrap();
        Self { engine: engines.first.clone(), models, admin, project, engines, data }
    }
}

/// Retries, because the old engine's last handle may be in a task that is just ending.
async fn reopen(data: PathBuf) -> Engines {
    for _ in 0..200 {
        match Engines::open(config(data.clone())).await {
            Ok(engine) => return engine,
            Err(engine::StartError::Locked { .. }) => tokio::task::yield_now().await,
            Err(error) => panic!("{error}"),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the data folder stays locked");
}

pub fn assign(pairs: &[(&str, &str)]) -> BTreeMap<String, RoleKey> {
    pairs.iter().map(|(step, role)| ((*step).to_owned(), RoleKey::parse(role).unwrap())).collect()
}

pub fn code() -> Value {
    json!({ "code": "fn main() {}" })
}

pub fn status(detail: &RunDetail) -> RunStatus {
    detail.summary.status
}

/// The run's warnings, as sentences.
pub fn warnings(detail: &RunDetail) -> Vec<String> {
    detail.state.warnings.iter().map(|warning| warning.text(&detail.state)).collect()
}
