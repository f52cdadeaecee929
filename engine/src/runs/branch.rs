//! The position of a launch in its conversation: at the end of a branch, or in place of an earlier message.

use super::Launch;
use crate::{
    Engine, Error, Result,
    store::branches::{self, BranchSegment},
};
use domain::{
    branch::Branch,
    id::{MessageId, TaskId},
};
use uuid::Uuid;

/// The end of a branch, or the beginning of a new one.
pub(super) struct LaunchPosition {
    /// The path to the messages before the launch.
    pub path: Vec<BranchSegment>,
    branch: Option<MessageId>,
    pub replaces: Option<MessageId>,
}

impl LaunchPosition {
    /// The beginning of a conversation.
    fn trunk() -> Self {
        let whole = BranchSegment { branch: None, below: Uuid::max() };
        Self { path: vec![whole], branch: None, replaces: None }
    }

    /// The branch of the launch's messages, the first of which is `message`.
    pub fn branch(&self, message: MessageId) -> Option<MessageId> {
        if self.replaces.is_some() { Some(message) } else { self.branch }
    }

    /// The path to the end of the launch's branch; `message` is the launch's first message.
    pub fn path_of(self, message: MessageId) -> Vec<BranchSegment> {
        let own = self.replaces.map(|_| BranchSegment { branch: Some(message.0), below: Uuid::max() });
        own.into_iter().chain(self.path).collect()
    }
}

impl Engine {
    /// # Errors
    /// `Invalid` if the conversation does not have the message to replace or the branch.
    pub(super) async fn place(&self, task: Option<TaskId>, launch: &Launch) -> Result<LaunchPosition> {
        let db = self.0.store.read();
        let Some(task) = task else {
            let alone = "belongs to a conversation: name that as 'taskId'";
            return match launch {
                Launch { replaces: Some(_), .. } => Err(Error::invalid("replaces", alone)),
                Launch { branch: Some(Branch::Of(_)), .. } => Err(Error::invalid("branch", alone)),
                _ => Ok(LaunchPosition::trunk()),
            };
        };
        if let Some(replaced) = launch.replaces {
            let position =
                branches::position(db, task, replaced).await?.filter(|position| position.author == "user");
            let position = position.ok_or_else(|| {
                Error::invalid("replaces", "is no message of a person in this conversation")
            })?;
            let original = MessageId(position.original());
            // All versions of a message replace the same original, so versions do not nest.
            let trunk = match position.replaces {
                None => Some(position),
                Some(_) => branches::position(db, task, original).await?,
            };
            let trunk = trunk.ok_or_else(|| Error::internal(format!("message {original} is gone")))?;
            let mut path = branches::path(db, Branch::of(trunk.branch.map(MessageId))).await?;
            if let Some(end) = path.first_mut() {
                end.below = original.0;
            }
            return Ok(LaunchPosition { path, branch: None, replaces: Some(original) });
        }
        let branch = match launch.branch {
            Some(branch) => branch,
            None => branches::newest(db, task).await?,
        };
        self.check_branch(task, branch).await?;
        Ok(LaunchPosition { path: branches::path(db, branch).await?, branch: branch.first(), replaces: None })
    }

    /// # Errors
    /// `Invalid` when the conversation has no such branch.
    pub(crate) async fn check_branch(&self, task: TaskId, branch: Branch) -> Result<()> {
        let Some(first) = branch.first() else { return Ok(()) };
        let position = branches::position(self.0.store.read(), task, first).await?;
        if position.is_some_and(|position| position.replaces.is_some()) {
            return Ok(());
        }
        Err(Error::invalid("branch", "is no branch of this conversation"))
    }

    /// The branch of a message.
    pub(super) async fn branch_of(&self, task: TaskId, message: MessageId) -> Result<Branch> {
        let position = branches::position(self.0.store.read(), task, message).await?;
        Ok(Branch::of(position.and_then(|position| position.branch).map(MessageId)))
    }
}
