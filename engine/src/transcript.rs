//! Export of a conversation as Markdown.

use crate::{Engine, Error, Result, User, store::conversations as rows};
use domain::{
    branch::Branch,
    id::{MessageId, TaskId, Timestamp},
    key::ProjectKey,
    view::{Author, Message, TaskSummary},
};
use std::{
    fmt::Write,
    time::{Duration, UNIX_EPOCH},
};
use uuid::Uuid;

/// How many messages are read at once.
const BATCH: u32 = 200;
/// Longer conversations are refused; in bytes of their messages.
const LIMIT: usize = 64 * 1024 * 1024;

/// The part of a conversation to export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// The path to the end of a branch; none: of the branch with the newest message.
    Branch(Option<Branch>),
    /// All messages, in order of creation.
    All,
}

impl Engine {
    /// The messages of a conversation as Markdown, oldest first, and the conversation's title.
    ///
    /// # Errors
    /// `TooLarge` beyond 64 MB, `Invalid` for a branch that the conversation does not have.
    pub async fn transcript(
        &self,
        user: &User,
        project: &ProjectKey,
        task: TaskId,
        extent: Extent,
    ) -> Result<(String, String)> {
        let summary = self.task(user, project, task).await?;
        let db = self.0.store.read();
        let path = match extent {
            Extent::All => None,
            Extent::Branch(branch) => Some(self.branch_to_read(user, project, task, branch).await?.1),
        };
        let (mut messages, mut before, mut bytes) = (Vec::new(), MessageId(Uuid::max()), 0);
        loop {
            let batch = match &path {
                None => rows::messages(db, task, before, BATCH).await?,
                Some(path) => rows::before(db, task, path, before.0, BATCH).await?,
            };
            let Some(oldest) = batch.last() else { break };
            before = oldest.id;
            bytes += batch.iter().map(|message| message.content.len()).sum::<usize>();
            if bytes > LIMIT {
                return Err(Error::TooLarge(format!("a conversation of more than {} MB", LIMIT >> 20)));
            }
            messages.extend(batch);
        }
        messages.reverse();
        let written = move || (written(&summary, &messages, extent == Extent::All), summary.title);
        let (text, title) = self.compute(user, written).await?;
        Ok((title, text))
    }
}

/// With `all`, a message names its branch if the branch differs from that of the message before.
fn written(task: &TaskSummary, messages: &[Message], all: bool) -> String {
    let mut text = format!("# {}\n", task.title);
    let mut branch = None;
    for message in messages {
        // Writing to a String does not fail.
        _ = write!(text, "\n## {}, {}\n\n", heading(message), date(message.created_at));
        if all && message.branch != branch {
            branch = message.branch;
            _ = write!(text, "*Branch {}*\n\n", Branch::of(branch));
        }
        match message.run.as_ref().and_then(|run| run.error.as_ref()) {
            Some(error) => _ = writeln!(text, "> {}", error.replace('\n', "\n> ")),
            None => _ = writeln!(text, "{}", message.content.trim_end()),
        }
    }
    text
}

/// The author of a message; a response names its run.
fn heading(message: &Message) -> String {
    match (message.author, &message.run) {
        (Author::User, _) => message.by.clone().unwrap_or_else(|| "Somebody".to_owned()),
        (Author::System, _) => "System".to_owned(),
        (Author::Assistant, None) => "Response".to_owned(),
        (Author::Assistant, Some(run)) => {
            let template = &run.template;
            let status = run.status.as_str();
            format!("Response: {} v{}, run {}, {status}", template.name, template.version, run.number)
        }
    }
}

fn date(at: Timestamp) -> String {
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_millis(at.0.max(0).unsigned_abs()))
}
