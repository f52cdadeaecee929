//! The product's REST interface, as far as the bench needs it.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use jiff::Timestamp;
use reqwest::{Client, Method, RequestBuilder};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

pub const PROJECT: &str = "bench";
const PROVIDER: &str = "scripted";
const TEMPLATE: &str = "three-steps";

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

/// A run as lists have it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    pub number: u32,
    pub status: Status,
    pub created_at: Timestamp,
    pub finished_at: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Status {
    Completed,
    Failed,
    Cancelled,
    #[serde(other)]
    Live,
}

impl Run {
    /// From its acknowledgement to its last event, by the server's clock; none while it is live.
    pub fn took(&self) -> Option<Duration> {
        let took = self.finished_at?.duration_since(self.created_at);
        Some(took.try_into().unwrap_or_default())
    }
}

#[derive(Deserialize)]
struct List<T> {
    items: Vec<T>,
    next: Option<String>,
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
        let body = json!({"input": {"text": "a short text"}});
        self.post(&project(&format!("/templates/{TEMPLATE}/execute")), &body).await
    }

    /// A page of the list of runs, newest first, and how to go on.
    pub async fn runs(&self, cursor: Option<&str>) -> Result<(Vec<Run>, Option<String>)> {
        let cursor = cursor.map(|cursor| format!("?cursor={cursor}")).unwrap_or_default();
        let list: List<Run> =
            self.send(self.request(Method::GET, &project(&format!("/runs{cursor}")))).await?;
        Ok((list.items, list.next))
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
