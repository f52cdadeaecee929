//! Tasks and their conversations, read and named. Messages are made by launches (see `runs`).

use crate::{
    Engine, Error, Result, User, given, markdown,
    store::{self, conversations as rows, messages},
};
use domain::{
    access::Permission,
    id::{MessageId, ProjectId, TaskId},
    key::ProjectKey,
    view::{Author, Message, Page, Subject, TaskSummary},
};
use uuid::Uuid;

pub(crate) const PAGE: usize = 50;
const MAX_TITLE: usize = 200;
/// Longer texts are shown as they are: rendering them would cost more than anybody reads. In bytes.
const MAX_RENDERED: usize = 200_000;

impl Engine {
    /// By when they last moved, newest first. Page size 50.
    pub async fn tasks(
        &self,
        user: &User,
        project: &ProjectKey,
        cursor: Option<&str>,
    ) -> Result<Page<TaskSummary>> {
        let project = self.authorise(user, project, Permission::Viewer).await?;
        let before = given::after(cursor, (i64::MAX, Uuid::max()))?;
        let found = rows::tasks(self.0.store.read(), project, before, PAGE as u32 + 1).await?;
        given::page(found, PAGE, |task| (task.updated_at, task.id), Ok)
    }

    pub async fn task(&self, user: &User, project: &ProjectKey, id: TaskId) -> Result<TaskSummary> {
        let project = self.authorise(user, project, Permission::Viewer).await?;
        self.task_in(project, id).await
    }

    pub async fn create_task(&self, user: &User, project: &ProjectKey, title: &str) -> Result<TaskSummary> {
        let project = self.authorise(user, project, Permission::Editor).await?;
        let title = given::line("title", title, MAX_TITLE)?;
        let id = TaskId(store::mint());
        self.0
            .store
            .write(move |tx| {
                Box::pin(async move {
                    messages::insert_task(tx, id, project, None, &title, store::now()).await?;
                    store::change(tx, project, &Subject::Task { id }).await
                })
            })
            .await?;
        self.task_in(project, id).await
    }

    /// Its place in lists stays: they go by when a conversation moved.
    pub async fn rename_task(
        &self,
        user: &User,
        project: &ProjectKey,
        id: TaskId,
        title: &str,
    ) -> Result<()> {
        let project = self.authorise(user, project, Permission::Editor).await?;
        let title = given::line("title", title, MAX_TITLE)?;
        self.0
            .store
            .write(move |tx| {
                Box::pin(async move {
                    if !rows::rename_task(tx, project, id, &title).await? {
                        return Err(Error::not_found("task", id));
                    }
                    store::change(tx, project, &Subject::Task { id }).await
                })
            })
            .await
    }

    /// Newest first; `cursor` continues towards the past. Page size 50. Pages reverse it.
    pub async fn messages(
        &self,
        user: &User,
        project: &ProjectKey,
        task: TaskId,
        cursor: Option<&str>,
    ) -> Result<Page<Message>> {
        let project = self.authorise(user, project, Permission::Viewer).await?;
        self.task_in(project, task).await?;
        let before = MessageId(given::after(cursor, Uuid::max())?);
        let found = rows::messages(self.0.store.read(), task, before, PAGE as u32 + 1).await?;
        let page = given::page(found, PAGE, |message| message.id, Ok)?;
        tokio::task::spawn_blocking(move || rendered(page)).await.map_err(Error::internal)
    }

    async fn task_in(&self, project: ProjectId, id: TaskId) -> Result<TaskSummary> {
        let found = rows::task(self.0.store.read(), project, id).await?;
        found.ok_or_else(|| Error::not_found("task", id))
    }
}

/// With the HTML of what models wrote. Slow for long texts.
fn rendered(mut page: Page<Message>) -> Page<Message> {
    for message in &mut page.items {
        let length = message.content.len();
        if message.author == Author::Assistant && (1..=MAX_RENDERED).contains(&length) {
            message.html = Some(markdown::of_answer(&message.content));
        }
    }
    page
}
