//! The properties of a run that never change.

use super::child_templates::PinnedVersions;
use crate::store::{branches::BranchSegment, runs::CallerKey};
use domain::{
    id::{MessageId, ProjectId, RunId, RunNumber, TaskId, UserId},
    key::RoleKey,
};
use std::{collections::BTreeMap, sync::Arc};

#[derive(Clone)]
pub(super) struct RunFacts {
    pub run: RunId,
    /// 0 until the run is stored.
    pub number: RunNumber,
    pub project: ProjectId,
    pub task: TaskId,
    /// The assistant's message that shows the run.
    pub message: MessageId,
    /// The user's message that started the run; the messages before it are the run's conversation.
    pub question: MessageId,
    /// The user who started it. Child runs are started in this user's name.
    pub user: Option<UserId>,
    pub by: String,
    /// The parent's attempt that launched this run.
    pub caller: Option<CallerKey>,
    /// How many runs are above it in its tree.
    pub depth: u32,
    pub role_assignments: BTreeMap<String, RoleKey>,
    /// The pinned versions of the templates that its steps call.
    pub templates: Arc<PinnedVersions>,
    /// The path to the end of the branch that has the run's messages.
    pub path: Vec<BranchSegment>,
}
