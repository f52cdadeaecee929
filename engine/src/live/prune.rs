//! Pruning of old changes.

use crate::{Engine, Result, store::changes};

impl Engine {
    /// Deletes the oldest changes of each project that has more than are kept, some per commit.
    pub(crate) async fn forget_old_changes(&self) -> Result<()> {
        let store = &self.0.store;
        for (project, last) in changes::overdue(store.read()).await? {
            while store.write(move |tx| Box::pin(changes::prune(tx, project, last))).await? {}
        }
        Ok(())
    }
}
