//! Server functions of the conversation pages.

use crate::fault::Fault;
#[cfg(feature = "ssr")]
use domain::{
    access::Permission,
    view::{Author, FileVersion},
};
use domain::{
    branch::Branch,
    file::FilePath,
    id::{MessageId, RunNumber, TaskId, Timestamp, UserId},
    key::{ProjectKey, RoleKey, TemplateKey},
    view::{Launched, Message, Page, ProjectCounts, RunDetail, TaskSummary},
};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

/// The single step of the built-in template that free text runs.
#[cfg(feature = "ssr")]
const ASK_STEP: &str = "Answer";

/// The data of a rendered list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConversationList {
    pub page: Page<TaskSummary>,
    /// The project's change number from which to follow updates.
    pub changes: u64,
    pub now: Timestamp,
}

/// The part of a conversation to read: its end, unless a message is named.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Part {
    /// `None` for the most recently changed branch, or the branch of the named message.
    pub branch: Option<Branch>,
    pub message: Option<MessageId>,
    pub before: Option<MessageId>,
    pub after: Option<MessageId>,
    /// The message whose whole text is required, however long.
    pub whole: Option<MessageId>,
}

/// The data of a rendered part of a conversation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConversationPage {
    pub task: TaskSummary,
    pub branch: Branch,
    /// Oldest first.
    pub messages: Vec<Entry>,
    /// Whether there are messages before and after these.
    pub earlier: bool,
    pub later: bool,
    /// Whether the user may answer, rerun and stop.
    pub may_edit: bool,
    /// When the user last looked at the conversation.
    pub seen: Option<Timestamp>,
    /// The files' versions at the end of the branch.
    pub files: Vec<FileHere>,
    pub changes: u64,
    pub now: Timestamp,
}

/// A file of the branch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileHere {
    pub path: FilePath,
    pub version: u32,
    pub bytes: u64,
    /// The run that wrote this version.
    pub run: RunNumber,
}

/// A message with its run. The run's data is not repeated in the message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    pub message: Message,
    pub run: Option<RunDetail>,
    /// Length of the whole text in bytes, if the message has only its beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whole: Option<u64>,
}

/// The options of the composer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Choices {
    pub roles: Vec<(RoleKey, String)>,
    pub templates: Vec<(TemplateKey, String)>,
    /// The user whose drafts the composer keeps.
    pub owner: Option<UserId>,
}

#[server]
pub async fn list_conversations(
    project: ProjectKey,
    cursor: Option<String>,
) -> Result<ConversationList, Fault> {
    let (engine, user) = crate::session::caller().await?;
    // Read before the list: a change in between is then received twice rather than missed.
    let changes = engine.project_cursor(&user, &project).await?;
    let page = engine.tasks(&user, &project, cursor.as_deref()).await?;
    Ok(ConversationList { page, changes, now: crate::live::server_time() })
}

#[server]
pub async fn open_conversation(
    project: ProjectKey,
    task: TaskId,
    #[server(default)] part: Part,
) -> Result<ConversationPage, Fault> {
    let (engine, user) = crate::session::caller().await?;
    let changes = engine.project_cursor(&user, &project).await?;
    let may_edit = engine.project(&user, &project).await?.permission >= Permission::Editor;
    let summary = engine.task(&user, &project, task).await?;
    let seen = engine.seen(&user, &project, task).await?;
    let place = match part {
        Part { message: Some(message), .. } => engine::MessageWindow::Around(message),
        Part { before: Some(message), .. } => engine::MessageWindow::Before(message),
        Part { after: Some(message), .. } => engine::MessageWindow::After(message),
        _ => engine::MessageWindow::End,
    };
    let read = engine.conversation(&user, &project, task, part.branch, place).await?;
    let files = engine.conversation_files(&user, &project, task, Some(read.branch)).await?;
    let files = files.into_iter().map(|file| {
        let FileVersion { path, version, bytes, run, .. } = file;
        FileHere { path, version, bytes, run }
    });
    let mut messages = Vec::with_capacity(read.messages.len());
    let mut read_messages = read.messages.into_iter().peekable();
    while let Some(mut message) = read_messages.next() {
        message.metadata = None;
        // The input of a template is shown collapsed anyway.
        let launched = read_messages.peek().and_then(|next| next.run.as_ref());
        let asks = launched.is_some_and(|run| run.template.key.as_ref() == crate::run::ASK);
        let mut whole = None;
        if message.author == Author::User
            && asks
            && part.whole != Some(message.id)
            && let Some(beginning) = super::long::beginning(&message.content)
        {
            whole = Some(message.content.len() as u64);
            message.content = beginning.to_owned();
        }
        let run = match message.run.take() {
            Some(run) => Some(engine.run(&user, &project, run.number).await?),
            None => None,
        };
        messages.push(Entry { message, run, whole });
    }
    Ok(ConversationPage {
        task: summary,
        branch: read.branch,
        messages,
        earlier: read.earlier,
        later: read.later,
        may_edit,
        seen,
        files: files.collect(),
        changes,
        now: crate::live::server_time(),
    })
}

/// The messages that contain all the words, oldest first.
#[server]
pub async fn find_in_conversation(
    project: ProjectKey,
    task: TaskId,
    words: String,
) -> Result<Vec<MessageId>, Fault> {
    let (engine, user) = crate::session::caller().await?;
    Ok(engine.search_conversation(&user, &project, task, &words).await?)
}

/// Marks the conversation as seen by the user. Returns their updated counts.
#[server]
pub async fn mark_seen(project: ProjectKey, task: TaskId) -> Result<ProjectCounts, Fault> {
    let (engine, user) = crate::session::caller().await?;
    engine.mark_seen(&user, &project, task).await?;
    Ok(engine.counts(&user, &project).await?)
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

/// Sends free text: into a conversation, as a new version of one of its messages, or as the first message of a new
/// conversation.
#[server]
pub async fn send_message(
    project: ProjectKey,
    task: Option<TaskId>,
    branch: Option<Branch>,
    replaces: Option<MessageId>,
    text: String,
    role: Option<String>,
) -> Result<Launched, Fault> {
    let (engine, user) = crate::session::caller().await?;
    let mut launch = engine::Launch { task_id: task, branch, replaces, ..Default::default() };
    // An empty choice leaves the role to the project's fallback.
    if let Some(role) = role.filter(|role| !role.is_empty()) {
        let role =
            RoleKey::parse(&role).map_err(|error| engine::Error::invalid("role", error.to_string()))?;
        launch.role_assignments.insert(ASK_STEP.to_owned(), role);
    }
    let launched = engine.execute(&user, &project, engine::Subject::Ask(text), launch).await?;
    if (task.is_none() || replaces.is_some()) && is_plain_form() {
        leptos_axum::redirect(&href_of(&project, &launched));
    }
    Ok(launched)
}

/// The address of a launch in its conversation: the end of its branch.
pub fn href_of(project: &ProjectKey, launched: &Launched) -> String {
    let branch = launched.branch.map(|branch| format!("?branch={branch}")).unwrap_or_default();
    format!("/p/{project}/conversations/{}{branch}", launched.task_id)
}

/// Whether a form was posted without script, so that the response must be a page.
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
