//! What the conversation pages ask of the server.

use crate::fault::Fault;
#[cfg(feature = "ssr")]
use domain::access::Permission;
use domain::{
    id::{TaskId, Timestamp, UserId},
    key::{ProjectKey, RoleKey, TemplateKey},
    view::{Launched, Message, Page, RunDetail, TaskSummary},
};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

/// The one step of the built-in template that free text runs.
#[cfg(feature = "ssr")]
const ASK_STEP: &str = "Answer";

/// A list as it was drawn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConversationList {
    pub page: Page<TaskSummary>,
    /// The project's change from which to keep it current.
    pub changes: u64,
    pub now: Timestamp,
}

/// A part of a conversation, as it was drawn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConversationPage {
    pub task: TaskSummary,
    /// Oldest first.
    pub messages: Vec<Entry>,
    /// Continues towards the past.
    pub earlier: Option<String>,
    /// Whether who asks may answer, rerun and stop.
    pub may_edit: bool,
    pub changes: u64,
    pub now: Timestamp,
}

/// A message with the run it stands for. What the run says is not said again in the message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    pub message: Message,
    pub run: Option<RunDetail>,
}

/// What the composer offers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Choices {
    pub roles: Vec<(RoleKey, String)>,
    pub templates: Vec<(TemplateKey, String)>,
    /// Whose drafts it keeps.
    pub owner: Option<UserId>,
}

#[server]
pub async fn list_conversations(
    project: ProjectKey,
    cursor: Option<String>,
) -> Result<ConversationList, Fault> {
    let (engine, user) = crate::session::caller().await?;
    // Before the list: a change in between is heard again rather than missed.
    let changes = engine.project_cursor(&user, &project).await?;
    let page = engine.tasks(&user, &project, cursor.as_deref()).await?;
    Ok(ConversationList { page, changes, now: crate::live::server_time() })
}

#[server]
pub async fn open_conversation(
    project: ProjectKey,
    task: TaskId,
    cursor: Option<String>,
) -> Result<ConversationPage, Fault> {
    let (engine, user) = crate::session::caller().await?;
    let changes = engine.project_cursor(&user, &project).await?;
    let may_edit = engine.project(&user, &project).await?.permission >= Permission::Editor;
    let summary = engine.task(&user, &project, task).await?;
    let page = engine.messages(&user, &project, task, cursor.as_deref()).await?;
    let mut messages = Vec::with_capacity(page.items.len());
    for mut message in page.items.into_iter().rev() {
        message.metadata = None;
        let run = match message.run.take() {
            Some(run) => Some(engine.run(&user, &project, run.number).await?),
            None => None,
        };
        messages.push(Entry { message, run });
    }
    Ok(ConversationPage {
        task: summary,
        messages,
        earlier: page.next,
        may_edit,
        changes,
        now: crate::live::server_time(),
    })
}

#[server]
pub async fn composer_choices(project: ProjectKey) -> Result<Choices, Fault> {
    let (engine, user) = crate::session::caller().await?;
    let roles = engine.roles(&user, &project, None).await?;
    let templates = engine.templates(&user, &project, None).await?;
    Ok(Choices {
        roles: roles.items.into_iter().map(|role| (role.key, role.name)).collect(),
        templates: templates.items.into_iter().map(|template| (template.key, template.name)).collect(),
        owner: Some(user.id),
    })
}

/// Sends free text: into a conversation, or as the first message of a new one, which is then opened.
#[server]
pub async fn send_message(
    project: ProjectKey,
    task: Option<TaskId>,
    text: String,
    role: Option<String>,
) -> Result<Launched, Fault> {
    let (engine, user) = crate::session::caller().await?;
    let mut launch = engine::Launch { task_id: task, ..Default::default() };
    // An empty choice in a form is a choice left to the project.
    if let Some(role) = role.filter(|role| !role.is_empty()) {
        let role =
            RoleKey::parse(&role).map_err(|error| engine::Error::invalid("role", error.to_string()))?;
        launch.role_assignments.insert(ASK_STEP.to_owned(), role);
    }
    let launched = engine.execute(&user, &project, engine::Subject::Ask(text), launch).await?;
    if task.is_none() && is_plain_form() {
        leptos_axum::redirect(&format!("/p/{project}/conversations/{}", launched.task_id));
    }
    Ok(launched)
}

/// Whether a form was posted without script, so that the answer must be a page.
#[cfg(feature = "ssr")]
fn is_plain_form() -> bool {
    use axum::http::{header::ACCEPT, request::Parts};
    let parts = use_context::<Parts>();
    let accept = parts.as_ref().and_then(|parts| parts.headers.get(ACCEPT)?.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/html"))
}

#[server]
pub async fn rename_conversation(project: ProjectKey, task: TaskId, title: String) -> Result<(), Fault> {
    let (engine, user) = crate::session::caller().await?;
    Ok(engine.rename_task(&user, &project, task, &title).await?)
}
