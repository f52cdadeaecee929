//! A server, an administrator with a token and a session, and a model server with a scripted behaviour.

use domain::id::RunNumber;
use engine::{Config, Environment};
use reqwest::{Method, RequestBuilder, Response, header};
use scripted::Server as Models;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use server::{
    Application, router,
    settings::{Listen, Settings},
};
use tempfile::TempDir;
use tokio::{sync::oneshot, task::JoinHandle};

pub const EMAIL: &str = "ada@example.org";
pub const PASSWORD: &str = "a long enough password";

pub struct Stage {
    pub url: String,
    pub models: Models,
    pub engine: engine::Engine,
    pub token: String,
    pub session: String,
    http: reqwest::Client,
    stop: Option<oneshot::Sender<()>>,
    serving: Option<JoinHandle<()>>,
    _data: TempDir,
}

pub const REVIEW: &str = r#"
apiVersion: troupe/v1
key: review
name: Review
input:
  type: object
  required: [code]
  properties: {code: {type: string}}
steps:
  - name: Analyze
    prompt: "ANALYZE {{ context.input.code }}"
  - name: Report
    prompt: "REPORT {{ context.Analyze }}"
"#;

impl Stage {
    /// A server with an administrator.
    pub async fn new() -> Self {
        Self::empty().await.with_admin().await
    }

    /// A server started without `--gallery`.
    pub async fn without_gallery() -> Self {
        Self::start(false).await.with_admin().await
    }

    async fn with_admin(mut self) -> Self {
        let stage = &mut self;
        let password = SecretString::from(PASSWORD);
        stage.engine.create_user(EMAIL, "Ada", password.clone(), true).await.unwrap();
        let token = stage.engine.create_api_token(EMAIL, "test").await.unwrap();
        stage.token = token.expose_secret().to_owned();
        let session = stage.engine.sign_in(EMAIL, password, "test", None).await.unwrap();
        stage.session = session.token.expose_secret().to_owned();
        self
    }

    /// A server without any account.
    pub async fn empty() -> Self {
        Self::start(true).await
    }

    async fn start(gallery: bool) -> Self {
        let data = tempfile::tempdir().unwrap();
        let site = data.path().join("site");
        std::fs::create_dir_all(site.join("pkg")).unwrap();
        for (file, text) in [
            ("favicon.svg", "<svg xmlns='http://www.w3.org/2000/svg'/>"),
            ("pkg/troupe.css", "body{}"),
            ("pkg/troupe.0123456789abcdef.css", "body{}"),
        ] {
            std::fs::write(site.join(file), text).unwrap();
        }
        let engine = Config {
            data: data.path().join("data"),
            serve: true,
            seed_demo: false,
            environment: Environment::default(),
        };
        let listen = Listen::At("127.0.0.1:0".to_owned());
        let (application, _) = Application::start(Settings { engine, listen, site, gallery }).await.unwrap();
        let url = format!("http://{}", application.address());
        let engine = application.engine().clone();
        let (stop, stopped) = oneshot::channel();
        let serving = tokio::spawn(application.run_until(async {
            drop(stopped.await);
        }));
        Self {
            url,
            models: Models::start().await,
            engine,
            token: String::new(),
            session: String::new(),
            http: reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap(),
            stop: Some(stop),
            serving: Some(serving),
            _data: data,
        }
    }

    /// A server with a provider, the project `lab`, the roles `general_worker` and `senior`, and the template
    /// [`REVIEW`].
    pub async fn furnished() -> Self {
        let stage = Self::new().await;
        stage.furnish().await;
        stage
    }

    pub async fn furnish(&self) {
        let provider = json!({
            "key": "scripted", "kind": "openai-compatible", "baseUrl": self.models.openai_url(), "apiKey": "sk-very-secret",
        });
        self.made("/api/v1/providers", &provider).await;
        self.made("/api/v1/projects", &json!({ "key": "lab", "name": "Lab" })).await;
        for key in ["general_worker", "senior"] {
            let role = json!({
                "key": key, "name": key, "basePrompt": format!("You are {key}."), "model": format!("scripted/{key}-model"),
            });
            self.made("/api/v1/projects/lab/roles", &role).await;
        }
        let made = self.put_template(Method::POST, "/api/v1/projects/lab/templates", REVIEW).await;
        assert_eq!(made.status(), 201, "{}", made.text().await.unwrap());
    }

    pub async fn put_template(&self, method: Method, path: &str, source: &str) -> Response {
        let request = self.api(method, path).header(header::CONTENT_TYPE, "application/yaml");
        request.body(source.to_owned()).send().await.unwrap()
    }

    /// A request without credentials.
    pub fn plain(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url))
    }

    /// A request with the API token.
    pub fn api(&self, method: Method, path: &str) -> RequestBuilder {
        self.plain(method, path).bearer_auth(&self.token)
    }

    /// A request as a page of this site sends it.
    pub fn page(&self, method: Method, path: &str) -> RequestBuilder {
        self.plain(method, path)
            .header(header::COOKIE, format!("theme=dark; troupe_session={}", self.session))
            .header(header::ORIGIN, &self.url)
    }

    pub async fn get(&self, path: &str) -> Value {
        let response = self.api(Method::GET, path).send().await.unwrap();
        let (status, text) = (response.status(), response.text().await.unwrap());
        assert_eq!(status, 200, "{path}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// Posts and expects success.
    pub async fn made(&self, path: &str, body: &Value) -> Value {
        let response = self.api(Method::POST, path).json(body).send().await.unwrap();
        let (status, text) = (response.status(), response.text().await.unwrap());
        assert!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// Sends a request and expects an error; returns its status and body.
    pub async fn refused(&self, request: RequestBuilder) -> (u16, Value) {
        problem(request.send().await.unwrap()).await
    }

    pub async fn launch(&self, body: &Value) -> Value {
        self.made("/api/v1/projects/lab/templates/review/execute", body).await
    }

    /// Waits for the run's end by following its stream, and returns the run.
    pub async fn ended(&self, run: &Value) -> Value {
        let path = format!("/api/v1/projects/lab/runs/{run}");
        let stream = self.follow(&format!("{path}/events")).await;
        stream.text().await.unwrap();
        self.get(&path).await
    }

    pub async fn follow(&self, path: &str) -> Response {
        let response =
            self.api(Method::GET, path).header(header::ACCEPT, "text/event-stream").send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()[header::CONTENT_TYPE], "text/event-stream");
        response
    }

    /// Stops the server as a signal would.
    pub async fn stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
        self.serving.take().unwrap().await.unwrap();
    }
}

/// A user without any permission.
pub struct Person {
    pub token: String,
    pub session: String,
}

impl Person {
    pub async fn new(stage: &Stage, email: &str) -> Self {
        let password = SecretString::from(PASSWORD);
        stage.engine.create_user(email, "", password.clone(), false).await.unwrap();
        let token = stage.engine.create_api_token(email, "test").await.unwrap();
        let session = stage.engine.sign_in(email, password, email, None).await.unwrap();
        Self { token: token.expose_secret().to_owned(), session: session.token.expose_secret().to_owned() }
    }

    pub fn request(&self, stage: &Stage, method: &Method, path: &str) -> RequestBuilder {
        let request = stage.plain(method.clone(), path);
        if path.starts_with("/api/v1/") {
            return request.bearer_auth(&self.token);
        }
        let cookie = format!("troupe_session={}", self.session);
        request.header(header::COOKIE, cookie).header(header::ORIGIN, &stage.url)
    }
}

/// The path of a server function.
pub fn function(name: &str) -> &'static str {
    let (_, functions) = router::pages_and_functions();
    let is_it =
        |path: &&str| path.trim_start_matches("/api/").trim_end_matches(|c: char| c.is_ascii_digit()) == name;
    functions
        .into_iter()
        .map(|(path, _)| path)
        .find(is_it)
        .unwrap_or_else(|| panic!("no server function {name}"))
}

/// An error response in the documented format.
pub async fn problem(response: Response) -> (u16, Value) {
    let status = response.status();
    let kind = response.headers().get(header::CONTENT_TYPE).cloned();
    let text = response.text().await.unwrap();
    assert_eq!(kind.unwrap(), "application/problem+json", "{text}");
    let problem: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(problem["status"], status.as_u16());
    for field in ["type", "title", "detail"] {
        assert!(problem[field].as_str().is_some_and(|text| !text.is_empty()), "{field}: {problem}");
    }
    (status.as_u16(), problem)
}

/// The events of a finished stream: id, name, data.
pub fn events(stream: &str) -> Vec<(Option<String>, String, Value)> {
    let blocks = stream.split("\n\n").filter(|block| block.contains("data:"));
    let field = |block: &str, name: &str| {
        block.lines().find_map(|line| Some(line.strip_prefix(name)?.trim_start().to_owned()))
    };
    blocks
        .map(|block| {
            let data = serde_json::from_str(&field(block, "data:").unwrap()).unwrap();
            (field(block, "id:"), field(block, "event:").unwrap_or_default(), data)
        })
        .collect()
}

pub fn number(run: &Value) -> RunNumber {
    RunNumber(u32::try_from(run.as_u64().unwrap()).unwrap())
}
