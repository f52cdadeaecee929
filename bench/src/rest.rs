//! The product's REST interface, as far as the bench needs it.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use reqwest::{Client, Method, RequestBuilder};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

pub const PROJECT: &str = "bench";
const PROVIDER: &str = "scripted";
const TEMPLATE: &str = "three-steps";
/// A run of the template that goes well has so many events: acknowledged, submitted, roles resolved; ready, started,
/// prompt and finished for each step; completed.
const EVENTS: u32 = 3 + 3 * 4 + 1;
/// How the last of them looks in a stream.
const COMPLETED: &[u8] = b"event: completed";

/// One who is signed in with a token.
#[derive(Clone)]
pub struct Rest {
    client: Client,
    base: String,
    token: String,
}

/// The answer to a launch.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Launched {
    pub run: u32,
    pub task_id: String,
}

impl Rest {
    pub fn new(url: &str, token: String) -> Result<Self> {
        let client = Client::builder().timeout(Duration::from_secs(60)).build()?;
        Ok(Self { client, base: format!("{url}/api/v1"), token })
    }

    /// Makes what runs need: a provider, a project, a role, and a template of three steps that follow one another.
    pub async fn set_up(&self, models: &str) -> Result<()> {
        let provider = json!({"key": PROVIDER, "kind": "openai-compatible", "baseUrl": models});
        let role = json!({
            "key": "general_worker",
            "name": "General worker",
            "basePrompt": "You are careful and brief.",
            "model": format!("{PROVIDER}/scripted"),
        });
        let template = json!({
            "apiVersion": "troupe/v1",
            "key": TEMPLATE,
            "name": "Three steps",
            "input": {"type": "object", "required": ["text"], "properties": {"text": {"type": "string"}}},
            "steps": [
                {"name": "Read", "prompt": "Read this: {{context.input.text}}"},
                {"name": "Think", "prompt": "Think about this: {{context['Read']}}"},
                {"name": "Write", "prompt": "Write about this: {{context['Think']}}"},
            ],
        });
        self.post::<Value>("/providers", &provider).await.context("the provider")?;
        self.post::<Value>("/projects", &json!({"key": PROJECT, "name": "Bench"}))
            .await
            .context("the project")?;
        self.post::<Value>(&project("/roles"), &role).await.context("the role")?;
        self.post::<Value>(&project("/templates"), &template).await.context("the template")?;
        Ok(())
    }

    pub async fn execute(&self) -> Result<Launched> {
        self.launch(TEMPLATE, &json!({"text": "a short text"})).await
    }

    pub async fn launch(&self, template: &str, input: &Value) -> Result<Launched> {
        self.post(&project(&format!("/templates/{template}/execute")), &json!({ "input": input })).await
    }

    /// Saves a template of these steps.
    pub async fn template(&self, key: &str, steps: &Value) -> Result<()> {
        let template = json!({"apiVersion": "troupe/v1", "key": key, "name": key, "steps": steps});
        self.post::<Value>(&project("/templates"), &template).await?;
        Ok(())
    }

    pub async fn cancel(&self, run: u32) -> Result<()> {
        self.post::<Value>(&project(&format!("/runs/{run}/cancel")), &json!({})).await?;
        Ok(())
    }

    /// The body of an answer below the project.
    pub async fn get(&self, path: &str) -> Result<Vec<u8>> {
        let answer = self.request(Method::GET, &project(path)).send().await?.error_for_status()?;
        Ok(answer.bytes().await?.into())
    }

    /// Opens the run's stream and leaves, after the first piece or without reading any.
    pub async fn glance(&self, run: u32, read: bool) -> Result<()> {
        let request = self.request(Method::GET, &project(&format!("/runs/{run}/events")));
        let mut answer = request.header("accept", "text/event-stream").send().await?.error_for_status()?;
        if read {
            answer.chunk().await?;
        }
        Ok(())
    }

    /// Waits for the run's end.
    ///
    /// # Errors
    /// When it does not complete, or says nothing for too long.
    pub async fn end_of(&self, run: u32) -> Result<()> {
        self.completes(run, EVENTS - 1).await
    }

    /// Waits for the end of a run of any template: all of its log is read.
    pub async fn completed(&self, run: u32) -> Result<()> {
        self.completes(run, 0).await
    }

    async fn completes(&self, run: u32, after: u32) -> Result<()> {
        let path = project(&format!("/runs/{run}/events?after={after}"));
        let request = self.request(Method::GET, &path).header("accept", "text/event-stream");
        let mut answer = request.send().await?.error_for_status()?;
        let mut heard = Vec::new();
        while let Some(piece) = answer.chunk().await? {
            // The word may come in two pieces; what was looked through before need not be kept.
            heard.drain(..heard.len().saturating_sub(COMPLETED.len()));
            heard.extend_from_slice(&piece);
            if heard.windows(COMPLETED.len()).any(|bytes| bytes == COMPLETED) {
                return Ok(());
            }
        }
        bail!("run {run} did not complete: {}", String::from_utf8_lossy(&heard))
    }

    async fn post<T: DeserializeOwned>(&self, path: &str, body: &Value) -> Result<T> {
        self.send(self.request(Method::POST, path).json(body)).await
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base)).bearer_auth(&self.token)
    }

    async fn send<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T> {
        let answer = request.send().await?;
        let status = answer.status();
        if !status.is_success() {
            bail!("{status}: {}", answer.text().await?);
        }
        Ok(answer.json().await?)
    }
}

fn project(path: &str) -> String {
    format!("/projects/{PROJECT}{path}")
}
