//! The inbox of a user. Questions are for every member of the project; a failure is for the user who started the run,
//! until the user has looked at it, rerun it, or dismissed it.

use crate::{
    Engine, Error, Result, User, pagination,
    store::{inbox as rows, runs},
};
use domain::{
    access::Permission,
    id::{ProjectId, RunNumber},
    key::ProjectKey,
    view::{InboxItem, InboxKind, Page, ProjectCounts},
};

/// Small pages, because each item is shown with its run's state.
const PAGE: usize = 20;

impl Engine {
    /// The inbox, newest first, 20 items per page.
    pub async fn inbox(
        &self,
        user: &User,
        project: &ProjectKey,
        cursor: Option<&str>,
    ) -> Result<Page<InboxItem>> {
        let project = self.authorise(user, project, Permission::Viewer).await?;
        let before = pagination::after(cursor, (i64::MAX, u32::MAX))?;
        let (db, limit) = (self.0.store.read(), PAGE as u32 + 1);
        let asking = rows::asking(db, project, before, limit).await?;
        let failed = rows::failed(db, project, user.id, before, limit).await?;
        let item = |kind| move |(at, row): (_, runs::RunRow)| Ok(InboxItem { kind, at, run: row.summary()? });
        let asking = asking.into_iter().map(item(InboxKind::Question));
        let failed = failed.into_iter().map(item(InboxKind::Failure));
        let mut items = asking.chain(failed).collect::<Result<Vec<_>>>()?;
        items.sort_by_key(|item| std::cmp::Reverse((item.at, item.run.number)));
        pagination::page(items, PAGE, |item| (item.at, item.run.number), Ok)
    }

    /// The counts that every page shows.
    pub async fn counts(&self, user: &User, project: &ProjectKey) -> Result<ProjectCounts> {
        let project = self.authorise(user, project, Permission::Viewer).await?;
        rows::counts(self.0.store.read(), project, user.id).await
    }

    /// Removes a failed run that the user started from the user's inbox. Does nothing if it is not there.
    pub async fn dismiss_failure(&self, user: &User, project: &ProjectKey, run: RunNumber) -> Result<()> {
        let project = self.authorise(user, project, Permission::Viewer).await?;
        self.dismiss_checked_failure(user, project, run).await
    }

    /// Puts a failed run that the user started back into the user's inbox.
    pub async fn restore_failure(&self, user: &User, project: &ProjectKey, run: RunNumber) -> Result<()> {
        let project = self.authorise(user, project, Permission::Viewer).await?;
        self.mark_failure(user, project, run, true).await
    }

    /// Like [`Engine::dismiss_failure`], for a user whose permission has been checked.
    pub(crate) async fn dismiss_checked_failure(
        &self,
        user: &User,
        project: ProjectId,
        run: RunNumber,
    ) -> Result<()> {
        self.mark_failure(user, project, run, false).await
    }

    async fn mark_failure(&self, user: &User, project: ProjectId, run: RunNumber, waits: bool) -> Result<()> {
        let row = runs::by_number(self.0.store.read(), project, run).await?;
        let row = row.ok_or_else(|| Error::not_found("run", run))?;
        // Most viewed runs are not in an inbox; nothing is written for them.
        if row.waits_for() == waits.then_some(user.id) || row.user() != Some(user.id) {
            return Ok(());
        }
        let (summary, user) = (row.summary()?, user.id);
        self.0
            .store
            .write(move |tx| {
                Box::pin(async move {
                    if rows::mark_failure(tx, project, user, run, waits).await? {
                        rows::tell(tx, project, &summary).await?;
                    }
                    Ok(())
                })
            })
            .await
    }
}
