//! The entries of lists, and small single resources.

use super::{Time, UsageShape, event::time_at};
use domain::{
    event,
    file::FilePath,
    id::{MessageId, RunNumber, TaskId},
    key::{ModelName, RoleKey, TemplateKey},
    run::{MessageMetadata, RunStatus},
    template::Template,
    view::{self, Author, FoundThing, InboxKind, Piece, TaskStatus},
};
use serde::Serialize;
use serde_json::Value;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Role {
    key: RoleKey,
    name: String,
    version: u32,
    base_prompt: String,
    model: ModelName,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u32>,
    tools: Vec<String>,
    created_at: Time,
    updated_at: Time,
}

impl From<view::Role> for Role {
    fn from(role: view::Role) -> Self {
        Self {
            key: role.key,
            name: role.name,
            version: role.version,
            base_prompt: role.base_prompt,
            model: role.model,
            temperature: role.temperature,
            max_tokens: role.max_tokens,
            tools: role.tools,
            created_at: Time(role.created_at),
            updated_at: Time(role.updated_at),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TemplateSummary {
    key: TemplateKey,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    version: u32,
    steps: u32,
    runs: u32,
    updated_at: Time,
    updated_by: String,
}

impl From<view::TemplateSummary> for TemplateSummary {
    fn from(template: view::TemplateSummary) -> Self {
        Self {
            key: template.key,
            name: template.name,
            description: template.description,
            version: template.version,
            steps: template.steps,
            runs: template.runs,
            updated_at: Time(template.updated_at),
            updated_by: template.updated_by,
        }
    }
}

#[derive(Serialize)]
pub struct TemplateDetail {
    key: TemplateKey,
    version: u32,
    newest: u32,
    document: Template,
    versions: Vec<TemplateVersion>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TemplateVersion {
    version: u32,
    created_at: Time,
    by: String,
    runs: u32,
}

impl From<view::TemplateDetail> for TemplateDetail {
    fn from(template: view::TemplateDetail) -> Self {
        let version = |version: view::TemplateVersionInfo| TemplateVersion {
            version: version.version,
            created_at: Time(version.created_at),
            by: version.by,
            runs: version.runs,
        };
        Self {
            key: template.key,
            version: template.version,
            newest: template.newest,
            document: template.document,
            versions: template.versions.into_iter().map(version).collect(),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Task {
    id: TaskId,
    title: String,
    status: TaskStatus,
    messages: u32,
    live_runs: u32,
    last_status: Option<RunStatus>,
    created_at: Time,
    updated_at: Time,
}

impl From<view::TaskSummary> for Task {
    fn from(task: view::TaskSummary) -> Self {
        Self {
            id: task.id,
            title: task.title,
            status: task.status,
            messages: task.messages,
            live_runs: task.live_runs,
            last_status: task.last_status,
            created_at: Time(task.created_at),
            updated_at: Time(task.updated_at),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    id: MessageId,
    author: Author,
    content: String,
    /// Null for messages that are not the assistant's.
    metadata: Option<Value>,
    created_at: Time,
    /// The branch of the message, by its first message; omitted for `main`.
    #[serde(skip_serializing_if = "Option::is_none")]
    branch: Option<MessageId>,
    /// For the first message of a branch: the message that it replaces.
    #[serde(skip_serializing_if = "Option::is_none")]
    replaces: Option<MessageId>,
}

impl From<view::Message> for Message {
    fn from(message: view::Message) -> Self {
        Self {
            id: message.id,
            author: message.author,
            content: message.content,
            metadata: message.metadata.as_ref().and_then(metadata),
            created_at: Time(message.created_at),
            branch: message.branch,
            replaces: message.replaces,
        }
    }
}

fn metadata(metadata: &MessageMetadata) -> Option<Value> {
    let mut shape = serde_json::to_value(metadata).ok()?;
    let status = &mut shape["orchestrationStatus"];
    for line in status["log"].as_array_mut().into_iter().flatten() {
        time_at(line.get_mut("at"));
    }
    for step in status["steps"].as_array_mut().into_iter().flatten() {
        time_at(step.get_mut("startedAt"));
    }
    Some(shape)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RunSummary {
    number: RunNumber,
    status: RunStatus,
    template: TemplateRef,
    by: String,
    task_id: TaskId,
    message_id: MessageId,
    created_at: Time,
    finished_at: Option<Time>,
    usage: UsageShape,
    warnings: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<FailureText>,
    /// The run that launched it.
    #[serde(skip_serializing_if = "Option::is_none")]
    caller: Option<RunNumber>,
}

#[derive(Serialize)]
pub struct InboxItem {
    kind: InboxKind,
    at: Time,
    run: RunSummary,
}

impl From<view::InboxItem> for InboxItem {
    fn from(item: view::InboxItem) -> Self {
        Self { kind: item.kind, at: Time(item.at), run: item.run.into() }
    }
}

#[derive(Serialize)]
pub struct Found {
    #[serde(flatten)]
    what: FoundThing,
    title: String,
    excerpt: Vec<Piece>,
    at: Time,
}

impl From<view::Found> for Found {
    fn from(found: view::Found) -> Self {
        Self { what: found.what, title: found.title, excerpt: found.excerpt, at: Time(found.at) }
    }
}

/// One version of a file that a run wrote.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RunFile {
    path: FilePath,
    version: u32,
    run: RunNumber,
    bytes: u64,
    created_at: Time,
}

impl From<view::FileVersion> for RunFile {
    fn from(file: view::FileVersion) -> Self {
        Self {
            path: file.path,
            version: file.version,
            run: file.run,
            bytes: file.bytes,
            created_at: Time(file.created_at),
        }
    }
}

#[derive(Serialize)]
pub struct TemplateRef {
    key: TemplateKey,
    version: u32,
}

impl From<event::TemplateVersion> for TemplateRef {
    fn from(template: event::TemplateVersion) -> Self {
        Self { key: template.key, version: template.version }
    }
}

/// The message of a run's failure; its class is in the run itself.
#[derive(Serialize)]
struct FailureText {
    message: String,
}

impl From<view::RunSummary> for RunSummary {
    fn from(run: view::RunSummary) -> Self {
        Self {
            number: run.number,
            status: run.status,
            template: run.template.into(),
            by: run.by,
            task_id: run.task,
            message_id: run.message,
            created_at: Time(run.created_at),
            finished_at: run.finished_at.map(Time),
            usage: run.usage.into(),
            warnings: run.warnings,
            error: run.error.map(|message| FailureText { message }),
            caller: run.caller,
        }
    }
}
