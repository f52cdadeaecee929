//! What never changes about a run while it lives.

use crate::store::{branches::BranchSegment, runs::CallerKey};
use domain::{
    id::{MessageId, ProjectId, RunId, RunNumber, TaskId, UserId},
    key::RoleKey,
};
use std::collections::BTreeMap;

#[derive(Clone)]
pub(super) struct RunFacts {
    pub run: RunId,
    /// 0 until the run is stored.
    pub number: RunNumber,
    pub project: ProjectId,
    pub task: TaskId,
    /// The assistant's message that carries the run.
    pub message: MessageId,
    /// The user's message that began it: what stands before it is the run's conversation.
    pub question: MessageId,
    /// Who started it: child runs are started in their name.
    pub user: Option<UserId>,
    pub by: String,
    /// The parent's attempt that launched this run.
    pub caller: Option<CallerKey>,
    /// How many runs stand above it.
    pub depth: u32,
    pub role_assignments: BTreeMap<String, RoleKey>,
    /// To the end of the branch on which the run's messages stand.
    pub path: Vec<BranchSegment>,
}
