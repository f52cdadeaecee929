//! Wake-ups after a commit: only the followers of a project that changed are woken.

use domain::id::ProjectId;
use std::{
    cell::RefCell,
    collections::{BTreeSet, HashMap},
    sync::{Mutex, PoisonError},
};
use tokio::sync::watch;

tokio::task_local! {
    /// The projects that the running command has changed.
    static CHANGED: RefCell<BTreeSet<ProjectId>>;
}

/// Records that the running command changes something in the project. Outside of a command it does nothing.
pub(super) fn note(project: ProjectId) {
    _ = CHANGED.try_with(|changed| changed.borrow_mut().insert(project));
}

/// Runs a command, and returns the projects that it changed.
pub(super) async fn noting<T>(command: impl Future<Output = T>) -> (T, BTreeSet<ProjectId>) {
    CHANGED
        .scope(RefCell::default(), async {
            let done = command.await;
            (done, CHANGED.with(RefCell::take))
        })
        .await
}

/// The projects that have followers.
#[derive(Default)]
pub(super) struct Wakes(Mutex<HashMap<ProjectId, watch::Sender<()>>>);

impl Wakes {
    pub fn of(&self, project: ProjectId) -> watch::Receiver<()> {
        self.followed().entry(project).or_default().subscribe()
    }

    /// Wakes the followers of changed projects. Called after the commit.
    pub fn wake(&self, changed: &BTreeSet<ProjectId>) {
        let mut followed = self.followed();
        for project in changed {
            if followed.get(project).is_some_and(|wake| wake.send(()).is_err()) {
                followed.remove(project);
            }
        }
    }

    pub fn wake_all(&self) {
        self.followed().retain(|_, wake| wake.send(()).is_ok());
    }

    fn followed(&self) -> std::sync::MutexGuard<'_, HashMap<ProjectId, watch::Sender<()>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
