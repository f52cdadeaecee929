//! Search in a project: conversations, messages, runs, templates and roles.
//!
//! A background task indexes changes in small batches, so that no commit waits long.

use crate::{
    Engine, Error, Result, User,
    background::{BackgroundTask, Next},
    conversations::PAGE as CONVERSATION_PAGE,
    pagination,
    store::{
        conversations, runs,
        search::{self as rows, Words},
    },
};
use domain::{
    access::Permission,
    id::{MessageId, ProjectId, RunNumber, TaskId},
    key::ProjectKey,
    view::{Found, Page},
};
use std::time::Duration;
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};

/// Messages per page, and how many results of each other kind the first page lists before them.
const MESSAGES: usize = 20;
const OTHERS: u32 = 8;
/// How many templates' runs are shown, and how many runs of each.
const TEMPLATES: usize = 3;
const RUNS_EACH: u32 = 3;
/// The most messages that a search inside a conversation finds.
const INSIDE: u32 = 500;
/// The longest query, in bytes.
const QUESTION: usize = 1_000;

/// How soon after a commit the index follows, and the size of a batch. The index is a separate file, so a batch blocks
/// no commit; large batches cost less per subject.
const SOON: Duration = Duration::from_millis(200);
const BATCH: u32 = 256;
const BATCH_CHARACTERS: usize = 1024 * 1024;
/// The share of a batch's time for which indexing then pauses, to leave the processor to others.
const REST: f64 = 0.25;

impl Engine {
    /// Results that contain all the words of `query`, each as a whole word or as a prefix. First runs, templates, roles
    /// and conversations by their names, then messages, newest first, 20 per page; further pages have messages only.
    pub async fn search(
        &self,
        user: &User,
        project: &ProjectKey,
        query: &str,
        cursor: Option<&str>,
    ) -> Result<Page<Found>> {
        let project = self.authorise(user, project, Permission::Viewer).await?;
        if query.len() > QUESTION {
            return Err(Error::invalid("q", format!("at most {QUESTION} bytes")));
        }
        let before = pagination::after(cursor, i64::MAX)?;
        let Some(words) = Words::of(query) else { return Ok(Page { items: Vec::new(), next: None }) };
        let db = self.0.store.read();
        let mut items = Vec::new();
        if cursor.is_none() {
            self.named(project, query, &words, &mut items).await?;
        }
        let found =
            rows::messages(db, project, &words, before, MESSAGES as u32 + 1, CONVERSATION_PAGE as u32)
                .await?;
        let page = pagination::page(found, MESSAGES, |(entry, _)| *entry, |(_, found)| Ok(found))?;
        items.extend(page.items);
        Ok(Page { items, next: page.next })
    }

    /// The messages of a conversation, on any branch, that contain all the words of `query`: oldest first, and of more
    /// than 500 only the newest.
    pub async fn search_conversation(
        &self,
        user: &User,
        project: &ProjectKey,
        task: TaskId,
        query: &str,
    ) -> Result<Vec<MessageId>> {
        let project = self.authorise(user, project, Permission::Viewer).await?;
        if query.len() > QUESTION {
            return Err(Error::invalid("q", format!("at most {QUESTION} bytes")));
        }
        let db = self.0.store.read();
        if !conversations::has_task(db, project, task).await? {
            return Err(Error::not_found("task", task));
        }
        let Some(words) = Words::of(query) else { return Ok(Vec::new()) };
        rows::messages_in(db, task, &words, INSIDE).await
    }

    /// Results by number or name.
    async fn named(
        &self,
        project: ProjectId,
        query: &str,
        words: &Words,
        items: &mut Vec<Found>,
    ) -> Result<()> {
        let db = self.0.store.read();
        let templates = rows::templates(db, project, words, OTHERS).await?;
        if let Some(number) = run_number(query)
            && let Some(row) = runs::by_number(db, project, number).await?
        {
            items.push(rows::run(&row)?);
        }
        for (key, _) in templates.iter().take(TEMPLATES) {
            for row in runs::list(db, project, None, Some(key), u32::MAX, RUNS_EACH).await? {
                items.push(rows::run(&row)?);
            }
        }
        items.extend(templates.into_iter().map(|(_, found)| found));
        items.extend(rows::roles(db, project, words, OTHERS).await?);
        items.extend(rows::conversations(db, project, words, OTHERS).await?);
        Ok(())
    }
}

/// Keeps the search index up to date.
pub(crate) struct Indexing {
    commits: watch::Receiver<u64>,
    /// A commit has been noticed, and not been followed yet.
    due: bool,
    /// Whether the index has been checked against what was indexed.
    mended: bool,
}

impl Indexing {
    pub fn of(engine: &Engine) -> Self {
        Self { commits: engine.0.store.commits(), due: false, mended: false }
    }
}

impl BackgroundTask for Indexing {
    const NAME: &'static str = "search index";

    /// Some time after a commit.
    async fn signal(&mut self) {
        if !self.due && self.commits.changed().await.is_err() {
            // The store is closed.
            std::future::pending::<()>().await;
        }
        self.due = true;
        sleep(SOON).await;
    }

    /// Indexes a batch.
    async fn work(&mut self, engine: &Engine) -> Result<Next> {
        let (store, began) = (&engine.0.store, Instant::now());
        self.due = false;
        if !self.mended {
            store.mend_index().await?;
            self.mended = true;
        }
        let indexed = store.index_some(BATCH, BATCH_CHARACTERS).await?;
        Ok(if indexed { Next::After(began.elapsed().mul_f64(REST)) } else { Next::AtSignal })
    }

    fn retry_after(&self) -> Duration {
        Duration::from_secs(5)
    }
}

/// "42", "#42" and "run 42" name a run.
fn run_number(query: &str) -> Option<RunNumber> {
    let query = query.trim();
    let number = query.strip_prefix('#').or_else(|| {
        let (word, number) = query.split_at_checked(3)?;
        word.eq_ignore_ascii_case("run").then_some(number)
    });
    number.unwrap_or(query).trim().parse().ok().map(RunNumber)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_named_by_their_number() {
        for (typed, number) in [
            ("42", Some(42)),
            (" #42", Some(42)),
            ("Run 42", Some(42)),
            ("run", None),
            ("42a", None),
            ("äö", None),
        ] {
            assert_eq!(run_number(typed).map(|run| run.0), number, "{typed}");
        }
    }
}
