//! Files that runs wrote, for readers.

use crate::{
    Engine, Error, Result, User,
    store::{branches, files, runs::RunRow},
};
use domain::{
    access::Permission,
    branch::Branch,
    file::FilePath,
    id::{RunNumber, TaskId},
    key::ProjectKey,
    view::{FileText, FileVersion},
};

impl Engine {
    /// The files that the run wrote: the last version of each, by path.
    pub async fn run_files(
        &self,
        user: &User,
        project: &ProjectKey,
        run: RunNumber,
    ) -> Result<Vec<FileVersion>> {
        self.run_files_after(user, project, run, None).await
    }

    /// The files after the run's first `writes` writes; without a number, after all of them.
    pub async fn run_files_after(
        &self,
        user: &User,
        project: &ProjectKey,
        run: RunNumber,
        writes: Option<u32>,
    ) -> Result<Vec<FileVersion>> {
        let row = self.viewed(user, project, run).await?;
        files::of_run(self.0.store.read(), row.id(), writes).await
    }

    /// The files of a conversation at the end of a branch; without a branch, of the one with the newest message.
    ///
    /// # Errors
    /// `Invalid` if the conversation has no such branch.
    pub async fn conversation_files(
        &self,
        user: &User,
        project: &ProjectKey,
        task: TaskId,
        branch: Option<Branch>,
    ) -> Result<Vec<FileVersion>> {
        let (_, path) = self.branch_to_read(user, project, task, branch).await?;
        files::newest(self.0.store.read(), task, &path).await
    }

    /// A file of the run's conversation: the given version, or the last that the run wrote. The listed versions are
    /// those on the run's branch.
    ///
    /// # Errors
    /// `NotFound` if the run wrote no such file, or if its conversation has no such version.
    pub async fn file(
        &self,
        user: &User,
        project: &ProjectKey,
        run: RunNumber,
        path: &FilePath,
        version: Option<u32>,
    ) -> Result<FileText> {
        let row = self.viewed(user, project, run).await?;
        let db = self.0.store.read();
        let file = files::one(db, row.id(), path, version).await?;
        let file = file.ok_or_else(|| Error::not_found("file", path))?;
        let text = files::body(db, file.content).await?;
        let summary = row.summary()?;
        let branch = self.branch_of(summary.task, summary.message).await?;
        let on_branch = branches::path(db, branch).await?;
        let versions = files::versions(db, summary.task, &on_branch, path).await?;
        let before = match versions.iter().rev().find(|version| **version < file.version) {
            Some(before) => files::one(db, row.id(), path, Some(*before)).await?,
            None => None,
        };
        let before = match before {
            Some(before) => Some(files::body(db, before.content).await?),
            None => None,
        };
        Ok(FileText { file, text, before, versions })
    }

    async fn viewed(&self, user: &User, project: &ProjectKey, run: RunNumber) -> Result<RunRow> {
        self.run_row(user, project, run, Permission::Viewer).await
    }
}
