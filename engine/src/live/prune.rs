//! Pruning of old changes.

use crate::{
    Engine, Result,
    background::{BackgroundTask, Next},
    store::changes,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};
use tokio::sync::Notify;

/// Old changes are pruned once per this many launches: a launch adds a few changes.
const LAUNCHES: u32 = 500;
/// Other commands add changes, too, but seldom.
const EVERY: Duration = Duration::from_secs(600);

/// Counts launches, and signals when it is time to prune.
#[derive(Default)]
pub(crate) struct PruneSignal {
    launches: AtomicU32,
    due: Notify,
}

impl PruneSignal {
    /// Called once per launch.
    pub fn launched(&self) {
        if (self.launches.fetch_add(1, Ordering::Relaxed) + 1).is_multiple_of(LAUNCHES) {
            self.due.notify_one();
        }
    }
}

/// Deletes the oldest changes of each project that has more than are kept.
pub(crate) struct Pruning(Arc<PruneSignal>);

impl Pruning {
    pub fn of(engine: &Engine) -> Self {
        Self(engine.0.prune_signal.clone())
    }
}

impl BackgroundTask for Pruning {
    const NAME: &'static str = "pruning of old changes";

    fn first(&self) -> Next {
        Next::AtSignalOrAfter(EVERY)
    }

    async fn signal(&mut self) {
        self.0.due.notified().await;
    }

    async fn work(&mut self, engine: &Engine) -> Result<Next> {
        let store = &engine.0.store;
        let mut more = false;
        for (project, last) in changes::overdue(store.read()).await? {
            more |= store.write(move |tx| Box::pin(changes::prune(tx, project, last))).await?;
        }
        Ok(if more { Next::After(Duration::ZERO) } else { Next::AtSignalOrAfter(EVERY) })
    }
}
