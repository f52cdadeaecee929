//! A client of the product's REST interface, with the calls that the benchmark needs.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use reqwest::{Client, Method, RequestBuilder};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

pub const PROJECT: &str = "bench";
const PROVIDER: &str = "scripted";
const TEMPLATE: &str = "three-steps";
/// Number of events of a successful run of the template: acknowledged, submitted, roles resolved; ready, started,
/// prompt and finished for each step; completed.
const EVENTS: u32 = 3 + 3 * 4 + 1;
/// The last event in a stream.
const COMPLETED: &[u8] = b"event: completed";

/// A client with an API token.
#[derive(Clone)]
pub struct Rest {
    client: Client,
    base: String,
    token: String,
}

/// The response to a launch.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Launched {
    pub run: u32,
    pub task_id: String,
}

/// The response to a launch that waited for the run's end. Without waiting, the response has no status.
#[derive(Debug, Deserialize)]
struct Finished {
    status: String,
}

impl Rest {
    pub fn new(url: &str, token: String) -> Result<Self> {
        let client = Client::builder().timeout(Duration::from_secs(60)).build()?;
        Ok(Self { client, base: format!("{url}/api/v1"), token })
    }

    /// Creates the data for the runs: a provider, a project, a role, and a template of three consecutive steps.
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

    /// Launches a run and waits for its end in the same request.
    ///
    /// # Errors
    /// The run does not complete in time.
    pub async fn execute_and_wait(&self) -> Result<()> {
        let path = project(&format!("/templates/{TEMPLATE}/execute"));
        let body = json!({ "input": {"text": "a short text"} });
        let request = self.request(Method::POST, &path).header("prefer", "wait").json(&body);
        let run: Finished = self.send(request).await?;
        ensure!(run.status == "completed", "a run ended as {}", run.status);
        Ok(())
    }

    pub async fn launch(&self, template: &str, input: &Value) -> Result<Launched> {
        self.post(&project(&format!("/templates/{template}/execute")), &json!({ "input": input })).await
    }

    /// Sends free text, in an existing conversation or in a new one.
    pub async fn ask(&self, question: &str, task: Option<&str>) -> Result<Launched> {
        let body = json!({ "input": { "question": question }, "taskId": task });
        self.post(&project("/templates/ask/execute"), &body).await
    }

    /// Saves a template with these steps.
    pub async fn template(&self, key: &str, steps: &Value) -> Result<()> {
        let template = json!({"apiVersion": "troupe/v1", "key": key, "name": key, "steps": steps});
        self.post::<Value>(&project("/templates"), &template).await?;
        Ok(())
    }

    pub async fn cancel(&self, run: u32) -> Result<()> {
        self.post::<Value>(&project(&format!("/runs/{run}/cancel")), &json!({})).await?;
        Ok(())
    }

    /// The body of a response; `path` is relative to the project.
    pub async fn get(&self, path: &str) -> Result<Vec<u8>> {
        let answer = self.request(Method::GET, &project(path)).send().await?.error_for_status()?;
        Ok(answer.bytes().await?.into())
    }

    /// Opens the run's stream and closes it, after the first piece or without reading.
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
    /// The run does not complete, or its stream is silent for too long.
    pub async fn end_of(&self, run: u32) -> Result<()> {
        self.completes(run, EVENTS - 1).await
    }

    /// Waits for the end of a run of any template, by reading its whole log.
    pub async fn completed(&self, run: u32) -> Result<()> {
        self.completes(run, 0).await
    }

    async fn completes(&self, run: u32, after: u32) -> Result<()> {
        let path = project(&format!("/runs/{run}/events?after={after}"));
        let request = self.request(Method::GET, &path).header("accept", "text/event-stream");
        let mut answer = request.send().await?.error_for_status()?;
        let mut heard = Vec::new();
        while let Some(piece) = answer.chunk().await? {
            // The event may arrive split across pieces; text that was already searched is dropped.
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
