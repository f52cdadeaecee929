//! Files of the conversation: showing them to a step, and applying the step's changes.
//!
//! Invariant: no content is overwritten that the author has not seen. Edits apply to the current content; a complete
//! new content replaces only the content that the model was shown. Within this server one run at a time changes the
//! files of a conversation; if another server was faster, the commit is refused.

use super::{actor::RunActor, batch::Batch};
use crate::{Engine, store::files};
use domain::{
    error::ErrorClass,
    event::{EventKind, Failure},
    file::{FileChange, FilePath, MAX_CHANGES, Written, apply_changes},
    id::{ContentId, StepRunId, TaskId},
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError, Weak},
};
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

/// The most files that a run may write.
pub(super) const MOST_FILES: usize = 1_000;

/// An existing file.
pub(super) struct FileToShow {
    pub path: FilePath,
    pub content: ContentId,
    /// None: the budget has no room for it.
    pub text: Option<String>,
}

/// Locks that let one run at a time change the files of a conversation, from reading them to the commit.
#[derive(Default)]
pub(crate) struct FileGuards(Mutex<HashMap<TaskId, Weak<AsyncMutex<()>>>>);

impl FileGuards {
    fn of(&self, task: TaskId) -> Arc<AsyncMutex<()>> {
        let mut guards = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(guard) = guards.get(&task).and_then(Weak::upgrade) {
            return guard;
        }
        if guards.len() == guards.capacity() {
            guards.retain(|_, guard| guard.strong_count() > 0);
        }
        let guard = Arc::default();
        guards.insert(task, Arc::downgrade(&guard));
        guard
    }
}

impl Engine {
    async fn guard_files(&self, task: TaskId) -> OwnedMutexGuard<()> {
        self.0.runs.file_guards.of(task).lock_owned().await
    }
}

impl RunActor {
    /// The existing files, with the texts of as many as fit the budget (bytes).
    pub(super) async fn files_to_show(
        &self,
        mut budget: u64,
        batch: &Batch,
    ) -> Result<Vec<FileToShow>, Failure> {
        let (engine, facts) = (&self.engine, &self.facts);
        let read = || files::newest(engine.0.store.read(), facts.task, &facts.path);
        let stored = engine.persist(facts.run, read).await.map_err(damaged)?;
        let mut there: BTreeMap<_, _> =
            stored.into_iter().map(|file| (file.path, (file.content, file.bytes))).collect();
        for (path, content) in &batch.written {
            let bytes = batch.content(*content).map_or(0, |text| text.len() as u64);
            there.insert(path.clone(), (*content, bytes));
        }
        let mut shown = Vec::with_capacity(there.len());
        for (path, (content, bytes)) in there {
            let text = match budget.checked_sub(bytes) {
                Some(rest) => {
                    budget = rest;
                    Some(self.file_text(content, batch).await?)
                }
                None => None,
            };
            shown.push(FileToShow { path, content, text });
        }
        Ok(shown)
    }

    async fn file_text(&self, content: ContentId, batch: &Batch) -> Result<String, Failure> {
        if let Some(text) = batch.content(content) {
            return Ok(text.to_owned());
        }
        let read = || files::body(self.engine.0.store.read(), content);
        self.engine.persist(self.facts.run, read).await.map_err(damaged)
    }

    /// Applies the changes to the current files. Until the batch is committed, no other run of this server changes the
    /// conversation's files.
    pub(super) async fn changed_files(
        &mut self,
        changes: Vec<FileChange>,
        shown: &BTreeMap<FilePath, ContentId>,
        batch: &mut Batch,
    ) -> Result<Vec<Written>, Failure> {
        if changes.is_empty() {
            return Ok(Vec::new());
        }
        if batch.files_guard.is_none() {
            batch.files_guard = Some(self.engine.guard_files(self.facts.task).await);
        }
        let mut current = HashMap::new();
        for change in changes.iter().take(MAX_CHANGES) {
            let Ok(path) = FilePath::parse(&change.path) else { continue };
            let Some(content) = self.newest_content(&path, batch).await? else { continue };
            if change.edits.is_some() {
                let text = self.file_text(content, batch).await?;
                current.insert(path, text);
            } else if shown.get(&path) != Some(&content) {
                let why = if shown.contains_key(&path) {
                    "was changed by another run while this step worked"
                } else {
                    "is there already, and the step was not shown it"
                };
                let message = format!(
                    "the file {path} {why}: give edits to it, or its whole content again once it was shown"
                );
                return Err(Failure::new(ErrorClass::InvalidOutput, message));
            }
        }
        let bytes = changes.iter().map(FileChange::bytes).sum();
        let apply = || apply_changes(&changes, |path| current.get(path).cloned());
        let written = self.compiled.evaluate(bytes, apply);
        let written = written.map_err(|error| Failure::new(ErrorClass::InvalidOutput, error.to_string()))?;
        let known = &self.state().files;
        let new = written.iter().filter(|new| !known.iter().any(|file| file.path == new.path)).count();
        if known.len() + new > MOST_FILES {
            let why = format!("a run writes at most {MOST_FILES} files, and this would be more");
            return Err(Failure::new(ErrorClass::Limit, why));
        }
        Ok(written)
    }

    /// The current content of the file, on the run's branch.
    async fn newest_content(&self, path: &FilePath, batch: &mut Batch) -> Result<Option<ContentId>, Failure> {
        if let Some(content) = batch.written.get(path) {
            return Ok(Some(*content));
        }
        let (engine, facts) = (&self.engine, &self.facts);
        let read = || files::newest_of(engine.0.store.read(), facts.task, &facts.path, path);
        let content = engine.persist(facts.run, read).await.map_err(damaged)?;
        batch.bases.insert(path.clone(), content);
        Ok(content)
    }

    pub(super) fn record_files(
        &mut self,
        step: StepRunId,
        attempt: u32,
        files: Vec<Written>,
        batch: &mut Batch,
    ) {
        for Written { path, content, edited } in files {
            let content = self.keep(batch, content);
            batch.written.insert(path.clone(), content.id);
            self.record(batch, EventKind::FileWritten { step, attempt, path, content, edited });
        }
    }
}

fn damaged(error: crate::Error) -> Failure {
    tracing::error!(source = ?error, "a file that a step needs is damaged");
    Failure::new(ErrorClass::Interrupted, "a file cannot be read; the server's log says why")
}
