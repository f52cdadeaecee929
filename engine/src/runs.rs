//! Runs: launch, watch, stop, read.

use crate::{Engine, Result, User};
use domain::{
    event::Event,
    id::{ContentId, RunNumber, TaskId},
    key::{ProjectKey, RoleKey, TemplateKey},
    run::RunStatus,
    view::{Content, LaunchPreview, Launched, Page, RunDetail, RunSummary},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// What to launch.
#[derive(Clone, Debug)]
pub enum Subject {
    Template(TemplateKey),
    /// Free text: the built-in template `ask`.
    Ask(String),
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Launch {
    #[serde(default)]
    pub input: Value,
    /// Step name to role key.
    #[serde(default)]
    pub role_assignments: BTreeMap<String, RoleKey>,
    /// The conversation it belongs to; none: a new one.
    #[serde(default)]
    pub task_id: Option<TaskId>,
    #[serde(default)]
    pub idempotency_key: Option<String>,
}

#[derive(Clone, Debug, Default)]
pub struct RunFilter {
    pub status: Option<RunStatus>,
    pub template: Option<TemplateKey>,
}

pub(crate) struct Runs {}

impl Engine {
    /// What a launch would do: roles with reasons, warnings, errors. Writes nothing, calls no model.
    pub async fn preview(
        &self,
        user: &User,
        project: &ProjectKey,
        template: &TemplateKey,
        launch: &Launch,
    ) -> Result<LaunchPreview> {
        todo!()
    }
    /// Stores the user's message, the assistant's message and the run in one transaction, and acknowledges. Editors.
    ///
    /// # Errors
    /// `Invalid` for a bad input, an unknown step or role, no roles, or a feature not supported yet: nothing is written.
    /// `Conflict` when the idempotency key was used with another body; the same body gives the first answer again.
    pub async fn execute(
        &self,
        user: &User,
        project: &ProjectKey,
        subject: Subject,
        launch: Launch,
    ) -> Result<Launched> {
        todo!()
    }
    /// Stops it: open model calls are dropped, open attempts end as cancelled. `Conflict` when it has ended.
    pub async fn cancel(&self, user: &User, project: &ProjectKey, run: RunNumber) -> Result<RunDetail> {
        todo!()
    }
    /// Newest first. Page size 50.
    pub async fn runs(
        &self,
        user: &User,
        project: &ProjectKey,
        filter: &RunFilter,
        cursor: Option<&str>,
    ) -> Result<Page<RunSummary>> {
        todo!()
    }
    pub async fn run(&self, user: &User, project: &ProjectKey, run: RunNumber) -> Result<RunDetail> {
        todo!()
    }
    /// Events after `after`, at most 500; the page's `next` is the last one's number when there are more.
    pub async fn events(
        &self,
        user: &User,
        project: &ProjectKey,
        run: RunNumber,
        after: u64,
    ) -> Result<Page<Event>> {
        todo!()
    }
    /// A stored text of this run: a prompt, an output, the input. `limit` in bytes; none: all of it.
    pub async fn content(
        &self,
        user: &User,
        project: &ProjectKey,
        run: RunNumber,
        content: ContentId,
        limit: Option<usize>,
    ) -> Result<Content> {
        todo!()
    }
}
