//! Tasks and their conversations, read and named. Messages are made by launches (see `runs`).

use crate::{Engine, Result, User};
use domain::{
    id::TaskId,
    key::ProjectKey,
    view::{Message, Page, TaskSummary},
};

impl Engine {
    /// By when they last moved, newest first. Page size 50.
    pub async fn tasks(
        &self,
        user: &User,
        project: &ProjectKey,
        cursor: Option<&str>,
    ) -> Result<Page<TaskSummary>> {
        todo!()
    }
    pub async fn task(&self, user: &User, project: &ProjectKey, id: TaskId) -> Result<TaskSummary> {
        todo!()
    }
    pub async fn create_task(&self, user: &User, project: &ProjectKey, title: &str) -> Result<TaskSummary> {
        todo!()
    }
    pub async fn rename_task(
        &self,
        user: &User,
        project: &ProjectKey,
        id: TaskId,
        title: &str,
    ) -> Result<()> {
        todo!()
    }
    /// Newest first; `cursor` continues towards the past. Page size 50. Pages reverse it.
    pub async fn messages(
        &self,
        user: &User,
        project: &ProjectKey,
        task: TaskId,
        cursor: Option<&str>,
    ) -> Result<Page<Message>> {
        todo!()
    }
}
