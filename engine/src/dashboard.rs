//! The current activity of a project.

use crate::{
    Engine, Result, User,
    store::{self, dashboard as rows, inbox},
};
use domain::{
    access::Permission,
    id::Timestamp,
    key::ProjectKey,
    view::{Dashboard, ProviderQueue},
};

/// How many live runs are listed; further ones are only counted.
const SHOWN: u32 = 200;
/// How far back outcomes are counted, in milliseconds.
const PAST: i64 = 60 * 60 * 1_000;

impl Engine {
    /// The live runs of the project, the load of the providers, and the outcomes of the last hour.
    pub async fn dashboard(&self, user: &User, project: &ProjectKey) -> Result<Dashboard> {
        let project = self.authorise(user, project, Permission::Viewer).await?;
        let db = self.0.store.read();
        let live = inbox::counts(db, project, user.id).await?.live_runs;
        let runs = rows::live(db, project, SHOWN).await?;
        let since = Timestamp(store::now().0 - PAST);
        let last_hour = rows::outcomes(db, project, since).await?;
        // Providers serve all projects; idle ones are omitted.
        let all = self.0.models.all().into_iter();
        let busy = all.filter(|provider| provider.active > 0 || provider.queued > 0);
        let providers = busy.map(|provider| ProviderQueue {
            key: provider.key,
            active: provider.active,
            queued: provider.queued,
            most: provider.max_concurrent,
        });
        Ok(Dashboard { live, runs, last_hour, providers: providers.collect() })
    }
}
