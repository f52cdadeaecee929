//! A conversation as Markdown: to keep, to send, to read elsewhere.

use crate::{Engine, Error, Result, User, store::conversations as rows};
use domain::{
    access::Permission,
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
/// Longer conversations are refused, in bytes of their messages.
const LIMIT: usize = 64 * 1024 * 1024;

impl Engine {
    /// All messages of a conversation, the oldest first, as Markdown; with the conversation's title.
    ///
    /// # Errors
    /// `TooLarge` beyond 64 MB.
    pub async fn transcript(
        &self,
        user: &User,
        project: &ProjectKey,
        task: TaskId,
    ) -> Result<(String, String)> {
        let project = self.authorise(user, project, Permission::Viewer).await?;
        let db = self.0.store.read();
        let summary =
            rows::task(db, user.id, project, task).await?.ok_or_else(|| Error::not_found("task", task))?;
        let (mut messages, mut before, mut bytes) = (Vec::new(), MessageId(Uuid::max()), 0);
        loop {
            let batch = rows::messages(db, task, before, BATCH).await?;
            let Some(oldest) = batch.last() else { break };
            before = oldest.id;
            bytes += batch.iter().map(|message| message.content.len()).sum::<usize>();
            if bytes > LIMIT {
                return Err(Error::TooLarge(format!("a conversation of more than {} MB", LIMIT >> 20)));
            }
            messages.extend(batch);
        }
        messages.reverse();
        let text = tokio::task::spawn_blocking({
            let summary = summary.clone();
            move || written(&summary, &messages)
        });
        Ok((summary.title, text.await.map_err(Error::internal)?))
    }
}

fn written(task: &TaskSummary, messages: &[Message]) -> String {
    let mut text = format!("# {}\n", task.title);
    for message in messages {
        // Writing to a String does not fail.
        _ = write!(text, "\n## {}, {}\n\n", heading(message), date(message.created_at));
        match message.run.as_ref().and_then(|run| run.error.as_ref()) {
            Some(error) => _ = writeln!(text, "> {}", error.replace('\n', "\n> ")),
            None => _ = writeln!(text, "{}", message.content.trim_end()),
        }
    }
    text
}

/// Who says it; a response names its run.
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
