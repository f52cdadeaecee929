//! Support for tests of a run's internals: an engine, a scripted model server as its provider, and runs whose commands
//! a test handles one by one.

use super::{
    Launch, Subject,
    actor::RunActor,
    mailbox::{Command, Mailbox},
    requests::Request,
};
use crate::{
    Config, Delivery, Engine, Environment, Format, Pace, ProviderDraft, User,
    models::ProviderLimits,
    store::{self, requests},
};
use domain::{
    access::Permission,
    id::{RunId, RunNumber, StepRunId, Timestamp},
    key::{ModelName, ProjectKey, ProviderKey, RoleKey},
    provider::ProviderKind,
    run::RunStatus,
    view::RoleDraft,
};
use scripted::Server;
use secrecy::SecretString;
use serde_json::Value;
use sqlx::{ConnectOptions, SqliteConnection, sqlite::SqliteConnectOptions};
use std::{path::Path, sync::Arc, time::Duration};
use tokio::sync::mpsc;

pub(super) struct Stage {
    pub engine: Engine,
    pub models: Server,
    pub user: User,
    pub project: ProjectKey,
    data: tempfile::TempDir,
}

impl Stage {
    pub async fn new() -> Self {
        let data = tempfile::tempdir().unwrap();
        let engine = open(data.path(), true).await;
        Self::on(engine, data).await
    }

    /// A stage whose engine executes runs only by the actors of the test, and whose deliveries never arrive.
    pub async fn undelivered() -> Self {
        let data = tempfile::tempdir().unwrap();
        let engine = Engine::open_with(config(data.path(), false), Pace::default(), Box::new(Never)).await;
        Self::on(engine.unwrap(), data).await
    }

    async fn on(engine: Engine, data: tempfile::TempDir) -> Self {
        let models = Server::start().await;
        let password = SecretString::from("a long enough password");
        let user = engine.create_user("admin@example.org", "Ada", password, true).await.unwrap();
        let project = ProjectKey::parse("lab").unwrap();
        engine.create_project(&user, project.clone(), "Lab").await.unwrap();
        let provider = ProviderDraft {
            key: ProviderKey::parse("scripted").unwrap(),
            kind: ProviderKind::OpenAiCompatible,
            base_url: Some(models.openai_url()),
            api_key: None,
            max_concurrent: Some(1),
            requests_per_minute: None,
        };
        engine.create_provider(&user, provider).await.unwrap();
        let role = RoleDraft {
            key: RoleKey::parse("general_worker").unwrap(),
            name: "General worker".to_owned(),
            base_prompt: "You work.".to_owned(),
            model: model(),
            temperature: Some(0.3),
            max_tokens: Some(700),
            tools: Vec::new(),
        };
        engine.create_role(&user, &project, role).await.unwrap();
        Self { engine, models, user, project, data }
    }

    /// The limits of the provider, which takes one call at a time.
    pub async fn limits(&self) -> Arc<ProviderLimits> {
        self.engine.0.models.resolve(&model()).await.unwrap_or_else(|why| panic!("{why:?}")).limits
    }

    /// Launches a template with these steps.
    pub async fn launch(&self, steps: &str, input: Value) -> RunNumber {
        let source = format!("apiVersion: troupe/v1\nkey: t\nname: T\nsteps:\n{steps}");
        let saved = self.engine.create_template(&self.user, &self.project, &source, Format::Yaml).await;
        let template = saved.unwrap_or_else(|error| panic!("{error}")).key;
        let launch = Launch { input, ..Launch::default() };
        let subject = Subject::Template(template);
        self.engine.execute(&self.user, &self.project, subject, launch).await.unwrap().run
    }

    /// Restarts the engine. `serve`: whether it executes unfinished runs.
    pub async fn restart(self, serve: bool) -> Self {
        self.engine.shutdown().await;
        let Self { engine, models, user, project, data } = self;
        drop(engine);
        let engine = open(data.path(), serve).await;
        Self { engine, models, user, project, data }
    }

    pub async fn id(&self, run: RunNumber) -> RunId {
        self.engine.run_row(&self.user, &self.project, run, Permission::Viewer).await.unwrap().id()
    }

    /// A loaded actor of a run that nothing else executes, and its mailbox.
    pub async fn actor(&self, run: RunNumber) -> (RunActor, Mailbox) {
        let (mail, mailbox) = mpsc::unbounded_channel();
        (self.engine.load(self.id(run).await, mail).await.unwrap(), mailbox)
    }

    /// Waits until no run has an actor in memory.
    pub async fn until_parked(&self) {
        while !self.engine.0.runs.live().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub async fn status(&self, run: RunNumber) -> RunStatus {
        self.try_status(run).await.unwrap()
    }

    pub async fn try_status(&self, run: RunNumber) -> crate::Result<RunStatus> {
        Ok(self.engine.run(&self.user, &self.project, run).await?.summary.status)
    }

    /// The names of the run's events, each with its time.
    pub async fn events(&self, run: RunNumber) -> Vec<(&'static str, Timestamp)> {
        let events = self.engine.events(&self.user, &self.project, run, 0).await.unwrap().items;
        events.iter().map(|event| (event.kind.name(), event.at)).collect()
    }

    /// Requests a stop of the run, and returns the command that its actor gets.
    pub async fn stop(&self, run: RunNumber) -> Command {
        let request = Request::Cancel { by: "Ada".to_owned() }.stored(None).unwrap();
        let (run, at) = (self.id(run).await, store::now());
        let stored = self
            .engine
            .0
            .store
            .write(move |tx| Box::pin(async move { requests::insert(tx, run, &request, at).await }));
        assert!(stored.await.unwrap());
        Command::Wake
    }

    /// Opens the database as another program does.
    pub async fn database(&self) -> SqliteConnection {
        SqliteConnectOptions::new().filename(self.data.path().join("troupe.db")).connect().await.unwrap()
    }
}

fn model() -> ModelName {
    ModelName::parse("scripted/model").unwrap()
}

/// Delivers nothing.
struct Never;

impl Delivery for Never {
    fn keeps(&self) -> bool {
        false
    }

    fn advance(&self, _: &Engine, _: RunId) {}

    fn execute(&self, _: &Engine, _: RunId, _: StepRunId, _: u32) {}

    fn wake_at(&self, _: &Engine, _: RunId, _: Timestamp, _: Option<Timestamp>) {}
}

fn config(data: &Path, serve: bool) -> Config {
    Config { data: data.into(), serve, seed_demo: false, environment: Environment::default() }
}

async fn open(data: &Path, serve: bool) -> Engine {
    loop {
        match Engine::open(config(data, serve)).await {
            Ok(engine) => return engine,
            // The old engine's last handle may be in a task that is just ending.
            Err(crate::StartError::Locked { .. }) => tokio::time::sleep(Duration::from_millis(5)).await,
            Err(error) => panic!("{error}"),
        }
    }
}
