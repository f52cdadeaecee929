//! Who is woken by a commit: those who follow a project in which something changed, and nobody else.

use domain::id::ProjectId;
use std::{
    cell::RefCell,
    collections::{BTreeSet, HashMap},
    sync::{Mutex, PoisonError},
};
use tokio::sync::watch;

tokio::task_local! {
    /// The projects in which the command that runs just now has changed something.
    static CHANGED: RefCell<BTreeSet<ProjectId>>;
}

/// Notes that the running command changes something in the project. Outside of a command nobody is to be woken.
pub(super) fn note(project: ProjectId) {
    _ = CHANGED.try_with(|changed| changed.borrow_mut().insert(project));
}

/// Runs a command, and tells in which projects it has changed something.
pub(super) async fn noting<T>(command: impl Future<Output = T>) -> (T, BTreeSet<ProjectId>) {
    CHANGED
        .scope(RefCell::default(), async {
            let done = command.await;
            (done, CHANGED.with(RefCell::take))
        })
        .await
}

/// The projects that somebody follows.
#[derive(Default)]
pub(super) struct Wakes(Mutex<HashMap<ProjectId, watch::Sender<()>>>);

impl Wakes {
    pub fn of(&self, project: ProjectId) -> watch::Receiver<()> {
        self.followed().entry(project).or_default().subscribe()
    }

    /// After the commit.
    pub fn wake(&self, changed: &BTreeSet<ProjectId>) {
        let mut followed = self.followed();
        for project in changed {
            if followed.get(project).is_some_and(|wake| wake.send(()).is_err()) {
                followed.remove(project);
            }
        }
    }

    fn followed(&self) -> std::sync::MutexGuard<'_, HashMap<ProjectId, watch::Sender<()>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
