//! Reading and renaming tasks and their conversations. Launches create messages (see `runs`).

use crate::{
    Engine, Error, Result, User, pagination,
    store::{
        self,
        branches::{self, BranchSegment},
        conversations as rows, messages, seen,
    },
};
use domain::{
    access::Permission,
    branch::Branch,
    id::{MessageId, ProjectId, TaskId, Timestamp},
    key::ProjectKey,
    view::{Author, ConversationPart, Message, Page, Subject, TaskSummary},
};
use uuid::Uuid;

pub(crate) const PAGE: usize = 50;
/// How many messages one part of a conversation has.
const PART: u32 = 30;
const MAX_TITLE: usize = 200;
/// Longer texts (bytes) are not rendered: rendering them costs much, and few people read them.
const MAX_RENDERED: usize = 200_000;

impl Engine {
    /// The tasks, most recently updated first. Page size 50.
    pub async fn tasks(
        &self,
        user: &User,
        project: &ProjectKey,
        cursor: Option<&str>,
    ) -> Result<Page<TaskSummary>> {
        let project = self.authorise(user, project, Permission::Viewer).await?;
        let before = pagination::after(cursor, (i64::MAX, Uuid::max()))?;
        let found = rows::tasks(self.0.store.read(), user.id, project, before, PAGE as u32 + 1).await?;
        pagination::page(found, PAGE, |task| (task.updated_at, task.id), Ok)
    }

    pub async fn task(&self, user: &User, project: &ProjectKey, id: TaskId) -> Result<TaskSummary> {
        let project = self.authorise(user, project, Permission::Viewer).await?;
        self.task_in(user, project, id).await
    }

    pub async fn create_task(&self, user: &User, project: &ProjectKey, title: &str) -> Result<TaskSummary> {
        let project = self.authorise(user, project, Permission::Editor).await?;
        let title = pagination::line("title", title, MAX_TITLE)?;
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
        self.task_in(user, project, id).await
    }

    /// Renames the task. Its place in lists stays, because renaming does not count as an update.
    pub async fn rename_task(
        &self,
        user: &User,
        project: &ProjectKey,
        id: TaskId,
        title: &str,
    ) -> Result<()> {
        let project = self.authorise(user, project, Permission::Editor).await?;
        if !rows::has_task(self.0.store.read(), project, id).await? {
            return Err(Error::not_found("task", id));
        }
        let title = pagination::line("title", title, MAX_TITLE)?;
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

    /// Messages of all branches, newest first; `cursor` continues towards the past. Page size 50. Pages reverse the
    /// order.
    pub async fn messages(
        &self,
        user: &User,
        project: &ProjectKey,
        task: TaskId,
        cursor: Option<&str>,
    ) -> Result<Page<Message>> {
        self.task_of(user, project, task).await?;
        let before = MessageId(pagination::after(cursor, Uuid::max())?);
        let found = rows::messages(self.0.store.read(), task, before, PAGE as u32 + 1).await?;
        pagination::page(found, PAGE, |message| message.id, Ok)
    }

    /// Like [`Engine::messages`], for the path to the end of one branch.
    pub async fn messages_of(
        &self,
        user: &User,
        project: &ProjectKey,
        task: TaskId,
        branch: Branch,
        cursor: Option<&str>,
    ) -> Result<Page<Message>> {
        self.task_of(user, project, task).await?;
        self.check_branch(task, branch).await?;
        let (db, before) = (self.0.store.read(), pagination::after(cursor, Uuid::max())?);
        let path = branches::path(db, branch).await?;
        let found = rows::before(db, task, &path, before, PAGE as u32 + 1).await?;
        pagination::page(found, PAGE, |message| message.id, Ok)
    }

    /// A part of a branch, at most 30 messages, with models' answers as HTML. Without `branch`, it is the branch with
    /// the newest message, unless `place` names a message that is not on it: then it is that message's branch.
    pub async fn conversation(
        &self,
        user: &User,
        project: &ProjectKey,
        task: TaskId,
        branch: Option<Branch>,
        place: MessageWindow,
    ) -> Result<ConversationPart> {
        self.task_of(user, project, task).await?;
        let db = self.0.store.read();
        let (branch, path) = self.branch_at(task, branch, place).await?;
        let end = Uuid::max();
        let (mut messages, earlier, later) = match place {
            MessageWindow::End => {
                let (messages, earlier) = back(rows::before(db, task, &path, end, PART + 1).await?, PART);
                (messages, earlier, false)
            }
            MessageWindow::Before(message) => {
                let (messages, earlier) =
                    back(rows::before(db, task, &path, message.0, PART + 1).await?, PART);
                (messages, earlier, true)
            }
            MessageWindow::After(message) => {
                let (messages, later) = forth(rows::after(db, task, &path, message.0, PART + 1).await?, PART);
                (messages, true, later)
            }
            MessageWindow::Around(message) => {
                let (mut messages, earlier) =
                    back(rows::before(db, task, &path, message.0, PART / 3 + 1).await?, PART / 3);
                let above = Uuid::from_u128(message.0.as_u128().saturating_sub(1));
                let rest = PART - messages.len() as u32;
                let (after, later) = forth(rows::after(db, task, &path, above, rest + 1).await?, rest);
                messages.extend(after);
                (messages, earlier, later)
            }
        };
        messages = self.with_html(user, messages).await?;
        Ok(ConversationPart { branch, messages, earlier, later })
    }

    /// The branch and the path to its end, for a user who may read the conversation. Without `branch`, the one with the
    /// newest message.
    pub(crate) async fn branch_to_read(
        &self,
        user: &User,
        project: &ProjectKey,
        task: TaskId,
        branch: Option<Branch>,
    ) -> Result<(Branch, Vec<BranchSegment>)> {
        self.task_of(user, project, task).await?;
        self.branch_at(task, branch, MessageWindow::End).await
    }

    /// The branch to read, and the path to its end.
    async fn branch_at(
        &self,
        task: TaskId,
        branch: Option<Branch>,
        place: MessageWindow,
    ) -> Result<(Branch, Vec<BranchSegment>)> {
        let db = self.0.store.read();
        if let Some(branch) = branch {
            self.check_branch(task, branch).await?;
        }
        let MessageWindow::Around(message) = place else {
            let branch = match branch {
                Some(branch) => branch,
                None => branches::newest(db, task).await?,
            };
            return Ok((branch, branches::path(db, branch).await?));
        };
        let position = branches::position(db, task, message).await?;
        let position = position.ok_or_else(|| Error::not_found("message", message))?;
        // The named message takes precedence over the given branch. It may be on the newest branch, too.
        let first = match branch {
            Some(branch) => branch,
            None => branches::newest(db, task).await?,
        };
        let path = branches::path(db, first).await?;
        if branches::is_on(&path, &position) {
            return Ok((first, path));
        }
        let own = Branch::of(position.branch.map(MessageId));
        Ok((own, branches::path(db, own).await?))
    }

    /// When the user last looked at the conversation.
    pub async fn seen(&self, user: &User, project: &ProjectKey, task: TaskId) -> Result<Option<Timestamp>> {
        self.task_of(user, project, task).await?;
        seen::at(self.0.store.read(), user.id, task).await
    }

    /// Marks everything in the conversation as seen by the user.
    pub async fn mark_seen(&self, user: &User, project: &ProjectKey, task: TaskId) -> Result<()> {
        self.task_of(user, project, task).await?;
        let (user, at) = (user.id, store::now());
        self.0.store.write(move |tx| Box::pin(async move { seen::mark(tx, user, task, at).await })).await
    }

    async fn task_in(&self, user: &User, project: ProjectId, id: TaskId) -> Result<TaskSummary> {
        let found = rows::task(self.0.store.read(), user.id, project, id).await?;
        found.ok_or_else(|| Error::not_found("task", id))
    }

    /// Checks that the user may read the task.
    async fn task_of(&self, user: &User, project: &ProjectKey, id: TaskId) -> Result<()> {
        let project = self.authorise(user, project, Permission::Viewer).await?;
        if rows::has_task(self.0.store.read(), project, id).await? {
            return Ok(());
        }
        Err(Error::not_found("task", id))
    }

    /// Renders models' answers as HTML. An ended run's output never changes, so its HTML is cached.
    async fn with_html(&self, user: &User, mut messages: Vec<Message>) -> Result<Vec<Message>> {
        let rendered = self.0.rendered.clone();
        let render = move || {
            for message in &mut messages {
                let length = message.content.len();
                if message.author == Author::Assistant && (1..=MAX_RENDERED).contains(&length) {
                    message.html = Some(rendered.of_answer(message.id, &message.content));
                }
            }
            messages
        };
        self.compute(user, render).await
    }
}

/// The part of a branch to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageWindow {
    End,
    Before(MessageId),
    After(MessageId),
    /// The part that contains this message.
    Around(MessageId),
}

/// Turns rows that were read towards the past, one more than `most`, into the conversation's order; also returns
/// whether there are more.
fn back(rows: Vec<Message>, most: u32) -> (Vec<Message>, bool) {
    let (mut messages, more) = forth(rows, most);
    messages.reverse();
    (messages, more)
}

fn forth(mut rows: Vec<Message>, most: u32) -> (Vec<Message>, bool) {
    let more = rows.len() > most as usize;
    rows.truncate(most as usize);
    (rows, more)
}
