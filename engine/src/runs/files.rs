//! Files that runs wrote, for those who look at them.

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
    /// What the run wrote: the last version of each file, by path.
    pub async fn run_files(
        &self,
        user: &User,
        project: &ProjectKey,
        run: RunNumber,
    ) -> Result<Vec<FileVersion>> {
        self.run_files_after(user, project, run, None).await
    }

    /// What the run had written when it had written so often; none: in all.
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

    /// How the files of a conversation stand at the end of a branch; none: of the one that moved last.
    ///
    /// # Errors
    /// `Invalid` when the conversation has no such branch.
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

    /// A file of the run's conversation: one version of it, or the last that the run wrote. The versions around it are
    /// those on the run's branch.
    ///
    /// # Errors
    /// `NotFound` when the run wrote no such file, or its conversation has no such version.
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
