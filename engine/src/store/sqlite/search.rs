//! Full-text search: the queue of subjects to index, the index itself, and its queries. The tables `search` and
//! `search_entry` are in the file of `search_index`; readers see them next to those of the database.
//!
//! Invariant: an entry holds the text that its subject had when it was indexed, and every later change is queued as
//! due. Where the two differ, the subject is right: results are read from it.

use crate::{Error, Result, pagination, plain_line, store::runs::RunRow};
use domain::{
    id::{MessageId, ProjectId, TaskId, Timestamp},
    key::{RoleKey, TemplateKey},
    view::{Author, Found, FoundThing, Piece},
};
use sqlx::{FromRow, SqliteConnection, SqlitePool, types::Json};
use uuid::Uuid;

/// How many characters of a text are indexed.
const INDEXED: u32 = 64 * 1024;
/// How many messages after the found one are on its page, where that is not the newest page.
const AFTER: u32 = 9;
/// Delimiters of a snippet's highlights: characters that the tokenizer drops.
const MARK: (char, char) = ('\u{2}', '\u{3}');

/// The kinds of subjects that can be searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Conversation,
    Message,
    Template,
    Role,
}

impl Kind {
    /// The kinds with the fewest subjects first.
    pub const ALL: [Self; 4] = [Self::Template, Self::Role, Self::Conversation, Self::Message];

    fn parse(text: &str) -> Option<Self> {
        match text {
            "conversation" => Some(Self::Conversation),
            "message" => Some(Self::Message),
            "template" => Some(Self::Template),
            "role" => Some(Self::Role),
            _ => None,
        }
    }

    /// The index term that marks the project's entries of this kind.
    fn scope(self, project: Uuid) -> String {
        let letter = match self {
            Self::Conversation => 'c',
            Self::Message => 'm',
            Self::Template => 't',
            Self::Role => 'r',
        };
        format!("{letter}{}", project.as_simple())
    }
}

/// The index term that marks the messages of a conversation.
fn scope_of(task: TaskId) -> String {
    format!("k{}", task.0.as_simple())
}

/// A subject that is due to be indexed. Without an entry it is removed from the index.
pub struct Due {
    id: i64,
    subject: Uuid,
    /// Scope and text.
    entry: Option<(String, String)>,
}

#[derive(FromRow)]
struct DueRow {
    id: i64,
    kind: String,
    subject: Uuid,
    /// The project and the searchable text; null if the subject is gone.
    project: Option<Uuid>,
    text: Option<String>,
    /// The conversation of a message.
    task: Option<Uuid>,
}

/// The oldest due subjects: at most `limit`, with at most `most` characters of text in total, but at least one subject.
pub async fn due(db: &SqlitePool, limit: u32, most: usize) -> Result<Vec<Due>> {
    let rows: Vec<DueRow> = sqlx::query_as(
        "SELECT d.id, d.kind, d.subject, CASE d.kind \
         WHEN 'conversation' THEN (SELECT project_id FROM task WHERE id = d.subject AND parent_id IS NULL) \
         WHEN 'message' THEN (SELECT t.project_id FROM message m JOIN task t ON t.id = m.task_id \
         WHERE m.id = d.subject AND m.content <> '') \
         WHEN 'template' THEN (SELECT project_id FROM template WHERE id = d.subject AND deleted_at IS NULL) \
         WHEN 'role' THEN (SELECT project_id FROM role WHERE id = d.subject AND deleted_at IS NULL) END AS project, \
         CASE d.kind \
         WHEN 'conversation' THEN (SELECT substr(title, 1, $2) FROM task WHERE id = d.subject) \
         WHEN 'message' THEN (SELECT substr(content, 1, $2) FROM message WHERE id = d.subject) \
         WHEN 'template' THEN (SELECT substr(concat_ws(char(10), v.name, t.key, v.description, \
         (SELECT group_concat(value ->> 'name', char(10)) FROM json_each(v.document, '$.steps'))), 1, $2) \
         FROM template t JOIN template_version v ON v.template_id = t.id AND v.version = t.version \
         WHERE t.id = d.subject) \
         WHEN 'role' THEN (SELECT substr(concat_ws(char(10), v.name, r.key), 1, $2) \
         FROM role r JOIN role_version v ON v.role_id = r.id AND v.version = r.version WHERE r.id = d.subject) \
         END AS text, CASE d.kind WHEN 'message' THEN (SELECT task_id FROM message WHERE id = d.subject) END AS task \
         FROM search_due d ORDER BY d.id LIMIT $1",
    )
    .bind(limit)
    .bind(INDEXED)
    .fetch_all(db)
    .await?;
    let (mut due, mut length) = (Vec::with_capacity(rows.len()), 0);
    for DueRow { id, kind, subject, project, text, task } in rows {
        let kind =
            Kind::parse(&kind).ok_or_else(|| Error::internal(format!("'{kind}' cannot be indexed")))?;
        let entry = project.zip(text).map(|(project, text)| match task {
            Some(task) => (format!("{} {}", kind.scope(project), scope_of(TaskId(task))), text),
            None => (kind.scope(project), text),
        });
        length += entry.as_ref().map_or(0, |(_, text)| text.len());
        if length > most && !due.is_empty() {
            break;
        }
        due.push(Due { id, subject, entry });
    }
    Ok(due)
}

impl Due {
    /// The id up to which [`cross_off`] removes due subjects.
    pub fn id(&self) -> i64 {
        self.id
    }
}

/// Removes the due subjects up to `last`, and stores how many batches the index has taken.
pub async fn cross_off(tx: &mut SqliteConnection, last: i64, batches: i64) -> Result<()> {
    sqlx::query("DELETE FROM search_due WHERE id <= $1").bind(last).execute(&mut *tx).await?;
    sqlx::query("UPDATE search_taken SET batches = $1").bind(batches).execute(tx).await?;
    Ok(())
}

/// Makes the next subjects of this kind after `after` due, at most `limit`, to rebuild the index. Returns the last of
/// them; `None` if there are no more of this kind.
pub async fn make_due(
    tx: &mut SqliteConnection,
    kind: Kind,
    after: Uuid,
    limit: u32,
) -> Result<Option<Uuid>> {
    let insert = match kind {
        Kind::Template => sqlx::query_scalar(
            "INSERT INTO search_due (kind, subject) SELECT 'template', id FROM template \
             WHERE id > $1 AND deleted_at IS NULL ORDER BY id LIMIT $2 RETURNING subject",
        ),
        Kind::Role => sqlx::query_scalar(
            "INSERT INTO search_due (kind, subject) SELECT 'role', id FROM role \
             WHERE id > $1 AND deleted_at IS NULL ORDER BY id LIMIT $2 RETURNING subject",
        ),
        Kind::Conversation => sqlx::query_scalar(
            "INSERT INTO search_due (kind, subject) SELECT 'conversation', id FROM task \
             WHERE id > $1 ORDER BY id LIMIT $2 RETURNING subject",
        ),
        Kind::Message => sqlx::query_scalar(
            "INSERT INTO search_due (kind, subject) SELECT 'message', id FROM message \
             WHERE id > $1 AND content <> '' ORDER BY id LIMIT $2 RETURNING subject",
        ),
    };
    let made: Vec<Uuid> = insert.bind(after).bind(limit).fetch_all(tx).await?;
    Ok(made.into_iter().max())
}

/// Resets the batch counter, because the index starts empty and all that it lacks is due.
pub async fn count_anew(tx: &mut SqliteConnection) -> Result<()> {
    sqlx::query("UPDATE search_taken SET batches = 0").execute(tx).await?;
    Ok(())
}

/// Applies a batch of due subjects to the index, in a transaction of the index's own file.
pub async fn index(tx: &mut SqliteConnection, batch: &[Due]) -> Result<()> {
    let id = |due: &Due| due.subject.as_simple().to_string();
    let there = batch.iter().filter_map(|due| Some((id(due), due.entry.as_ref()?)));
    // SQLite's JSON ends a text at a zero byte.
    let there = there.map(|(id, (scope, text))| (id, scope, text.replace('\0', " ")));
    let gone = batch.iter().filter(|due| due.entry.is_none()).map(id);
    // There is one writer, so entry numbers ascend.
    sqlx::query(
        "INSERT INTO search_entry (subject) SELECT unhex(value ->> 0) FROM json_each($1) WHERE true \
         ON CONFLICT (subject) DO NOTHING; \
         INSERT OR REPLACE INTO search (rowid, scope, text) SELECT e.id, j.value ->> 1, j.value ->> 2 \
         FROM json_each($1) j CROSS JOIN search_entry e ON e.subject = unhex(j.value ->> 0); \
         DELETE FROM search WHERE rowid IN \
         (SELECT e.id FROM json_each($2) j CROSS JOIN search_entry e ON e.subject = unhex(j.value)); \
         DELETE FROM search_entry WHERE subject IN (SELECT unhex(value) FROM json_each($2))",
    )
    .bind(Json(there.collect::<Vec<_>>()))
    .bind(Json(gone.collect::<Vec<_>>()))
    .execute(tx)
    .await?;
    Ok(())
}

/// A person's search words as an FTS5 query: each word is a prefix, and all must match. `None` if there are none. No
/// part of the text is read as FTS5 syntax.
pub struct Words(String);

/// Longer queries are cut: more words do not improve the result.
const WORDS: usize = 12;
const WORD: usize = 64;

impl Words {
    pub fn of(text: &str) -> Option<Self> {
        let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).take(WORDS);
        let quoted: Vec<_> =
            words.map(|word| format!("\"{}\" *", word.chars().take(WORD).collect::<String>())).collect();
        (!quoted.is_empty()).then(|| Self(quoted.join(" AND ")))
    }

    fn within(&self, kind: Kind, project: ProjectId) -> String {
        format!("scope : \"{}\" AND text : ({})", kind.scope(project.0), self.0)
    }
}

/// The pieces of a snippet, in one line.
fn pieces(snippet: &str) -> Vec<Piece> {
    let snippet = plain_line(snippet);
    let mut pieces = Vec::new();
    let mut marked = false;
    for part in snippet.split_inclusive([MARK.0, MARK.1]) {
        let text = part.trim_end_matches([MARK.0, MARK.1]);
        if !text.is_empty() {
            pieces.push(Piece { text: text.to_owned(), marked });
        }
        if part.ends_with(MARK.0) {
            marked = true;
        } else if part.ends_with(MARK.1) {
            marked = false;
        }
    }
    pieces
}

#[derive(FromRow)]
struct MessageRow {
    entry: i64,
    snippet: String,
    id: Uuid,
    task_id: Uuid,
    author: String,
    created_at: i64,
    title: String,
    /// The message from which the page is loaded, if the newest page does not reach back to the found message.
    beyond: Option<Uuid>,
}

/// Found messages below the entry `before`, newest first, each with its entry. `page` is the number of messages on a
/// conversation's page.
pub async fn messages(
    db: &SqlitePool,
    project: ProjectId,
    words: &Words,
    before: i64,
    limit: u32,
    page: u32,
) -> Result<Vec<(i64, Found)>> {
    let rows: Vec<MessageRow> = sqlx::query_as(
        "SELECT search.rowid AS entry, snippet(search, 1, char(2), char(3), '…', 24) AS snippet, m.id, m.task_id, \
         m.author, m.created_at, t.title, \
         (SELECT n.id FROM message n WHERE n.task_id = m.task_id AND n.id > m.id AND EXISTS \
         (SELECT 1 FROM message l WHERE l.task_id = m.task_id AND l.id > n.id ORDER BY l.id LIMIT 1 OFFSET $5) \
         ORDER BY n.id LIMIT 1 OFFSET $4) AS beyond FROM search CROSS JOIN search_entry e ON e.id = search.rowid \
         CROSS JOIN message m ON m.id = e.subject CROSS JOIN task t ON t.id = m.task_id \
         WHERE search MATCH $1 AND search.rowid < $2 ORDER BY search.rowid DESC LIMIT $3",
    )
    .bind(words.within(Kind::Message, project))
    .bind(before)
    .bind(limit)
    .bind(AFTER)
    .bind(page - 2 - AFTER)
    .fetch_all(db)
    .await?;
    let found = |row: MessageRow| {
        let author = match row.author.as_str() {
            "user" => Author::User,
            "assistant" => Author::Assistant,
            _ => Author::System,
        };
        let from = row.beyond.map(|id| pagination::cursor(&id)).transpose()?;
        let (task, message) = (TaskId(row.task_id), MessageId(row.id));
        let what = FoundThing::Message { task, message, author, from };
        let (title, at) = (row.title, Timestamp(row.created_at));
        Ok((row.entry, Found { what, title, excerpt: pieces(&row.snippet), at }))
    };
    rows.into_iter().map(found).collect()
}

/// The newest `limit` found messages of one conversation, oldest first.
pub async fn messages_in(db: &SqlitePool, task: TaskId, words: &Words, limit: u32) -> Result<Vec<MessageId>> {
    let mut ids: Vec<Uuid> = sqlx::query_scalar(
        "SELECT m.id FROM search CROSS JOIN search_entry e ON e.id = search.rowid \
         CROSS JOIN message m ON m.id = e.subject WHERE search MATCH $1 AND m.task_id = $2 \
         ORDER BY search.rowid DESC LIMIT $3",
    )
    .bind(format!("scope : \"{}\" AND text : ({})", scope_of(task), words.0))
    .bind(task.0)
    .bind(limit)
    .fetch_all(db)
    .await?;
    // Entries ascend in the order in which messages were completed; runs end in any order.
    ids.sort_unstable();
    Ok(ids.into_iter().map(MessageId).collect())
}

/// Conversations found by their titles, newest first.
pub async fn conversations(
    db: &SqlitePool,
    project: ProjectId,
    words: &Words,
    limit: u32,
) -> Result<Vec<Found>> {
    let rows: Vec<(Uuid, String, i64)> = sqlx::query_as(
        "SELECT t.id, t.title, t.updated_at FROM search CROSS JOIN search_entry e ON e.id = search.rowid \
         CROSS JOIN task t ON t.id = e.subject WHERE search MATCH $1 ORDER BY search.rowid DESC LIMIT $2",
    )
    .bind(words.within(Kind::Conversation, project))
    .bind(limit)
    .fetch_all(db)
    .await?;
    let found = |(id, title, at)| Found {
        what: FoundThing::Conversation { task: TaskId(id) },
        title,
        excerpt: Vec::new(),
        at: Timestamp(at),
    };
    Ok(rows.into_iter().map(found).collect())
}

/// Templates found by their names, descriptions and steps, best match first.
pub async fn templates(
    db: &SqlitePool,
    project: ProjectId,
    words: &Words,
    limit: u32,
) -> Result<Vec<(TemplateKey, Found)>> {
    let rows: Vec<(String, String, i64, String)> = sqlx::query_as(
        "SELECT t.key, v.name, v.created_at, snippet(search, 1, char(2), char(3), '…', 24) \
         FROM search CROSS JOIN search_entry e ON e.id = search.rowid CROSS JOIN template t ON t.id = e.subject \
         CROSS JOIN template_version v ON v.template_id = t.id AND v.version = t.version \
         WHERE search MATCH $1 AND t.deleted_at IS NULL ORDER BY rank LIMIT $2",
    )
    .bind(words.within(Kind::Template, project))
    .bind(limit)
    .fetch_all(db)
    .await?;
    let found = |(key, title, at, snippet): (String, String, i64, String)| {
        let key = TemplateKey::parse(&key).map_err(Error::internal)?;
        let what = FoundThing::Template { template: key.clone() };
        Ok((key, Found { what, title, excerpt: pieces(&snippet), at: Timestamp(at) }))
    };
    rows.into_iter().map(found).collect()
}

/// Roles found by their names and keys, best match first.
pub async fn roles(db: &SqlitePool, project: ProjectId, words: &Words, limit: u32) -> Result<Vec<Found>> {
    let rows: Vec<(String, String, i64)> = sqlx::query_as(
        "SELECT r.key, v.name, v.created_at FROM search CROSS JOIN search_entry e ON e.id = search.rowid \
         CROSS JOIN role r ON r.id = e.subject \
         CROSS JOIN role_version v ON v.role_id = r.id AND v.version = r.version \
         WHERE search MATCH $1 AND r.deleted_at IS NULL ORDER BY rank LIMIT $2",
    )
    .bind(words.within(Kind::Role, project))
    .bind(limit)
    .fetch_all(db)
    .await?;
    let found = |(key, title, at): (String, String, i64)| {
        let role = RoleKey::parse(&key).map_err(Error::internal)?;
        Ok(Found { what: FoundThing::Role { role }, title, excerpt: Vec::new(), at: Timestamp(at) })
    };
    rows.into_iter().map(found).collect()
}

/// A run as a search result.
pub fn run(row: &RunRow) -> Result<Found> {
    let run = row.summary()?;
    Ok(Found {
        what: FoundThing::Run { run: run.number, status: run.status },
        title: format!("Run {} · {}", run.number, run.template.name),
        excerpt: Vec::new(),
        at: run.created_at,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_typed_is_the_index_s_own_language() {
        for (typed, words) in [
            ("", None),
            ("  \"*()-^: ", None),
            ("Bridge", Some("\"Bridge\" *")),
            ("a\"b OR", Some("\"a\" * AND \"b\" * AND \"OR\" *")),
            ("text:x NEAR(y)", Some("\"text\" * AND \"x\" * AND \"NEAR\" * AND \"y\" *")),
            ("naïve—été", Some("\"naïve\" * AND \"été\" *")),
        ] {
            assert_eq!(Words::of(typed).map(|words| words.0).as_deref(), words, "{typed}");
        }
        let long = Words::of(&"word ".repeat(100)).unwrap().0;
        assert_eq!(long.matches("AND").count(), WORDS - 1);
    }

    #[test]
    fn marks_become_pieces() {
        let piece = |text: &str, marked| Piece { text: text.to_owned(), marked };
        assert_eq!(
            pieces("…the \u{2}bri\u{3}dge \u{2}is\u{3}"),
            [piece("…the ", false), piece("bri", true), piece("dge ", false), piece("is", true)]
        );
        assert_eq!(pieces("\u{3}a\u{3}\u{2}\u{2}b"), [piece("a", false), piece("b", true)]);
    }
}
