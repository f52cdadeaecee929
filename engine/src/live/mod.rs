//! Live updates: the streams that tabs and API clients follow.
//!
//! A wake-up carries no data: the stream re-reads the log after its cursor, so a missed wake-up costs time, never an
//! event. Only text deltas travel through memory; each carries its offset, so a gap or a repeat is noticed.

mod follow;
mod hub;
mod prune;
mod viewers;

pub(crate) use follow::RECHECK;
pub(crate) use hub::{Ended, Hub, RunChannel, RunEnd};
pub(crate) use prune::{PruneSignal, Pruning};
pub(crate) use viewers::Viewers;
pub use viewers::{CredentialId, Seat};

use crate::{Engine, Result, User, store::changes};
use domain::{access::Permission, id::RunNumber, key::ProjectKey, view::LiveFrame};
use futures::stream::BoxStream;
use std::{collections::BTreeMap, fmt, str::FromStr};

/// A viewer's position: per run the last event received, and the last change of the project. Its text form,
/// `42:17,43:5,p:901`, is the event id of the connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    pub runs: BTreeMap<RunNumber, u64>,
    /// None: the viewer does not follow the project's changes.
    pub project: Option<u64>,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let runs = self.runs.iter().map(|(run, seq)| format!("{run}:{seq}"));
        let project = self.project.map(|seq| format!("p:{seq}"));
        f.write_str(&runs.chain(project).collect::<Vec<_>>().join(","))
    }
}

/// The text is not a cursor of this server.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a cursor; give one such as 42:17,p:901")]
pub struct BadCursor(String);

impl FromStr for Cursor {
    type Err = BadCursor;

    fn from_str(text: &str) -> Result<Self, BadCursor> {
        let mut cursor = Self::default();
        for part in text.split(',').filter(|part| !part.is_empty()) {
            let bad = || BadCursor(text.chars().take(80).collect());
            let (subject, seq) = part.split_once(':').ok_or_else(bad)?;
            let seq = seq.parse::<u64>().ok().filter(|seq| i64::try_from(*seq).is_ok()).ok_or_else(bad)?;
            if subject == "p" {
                cursor.project = Some(seq);
            } else {
                cursor.runs.insert(RunNumber(subject.parse().map_err(|_| bad())?), seq);
            }
        }
        Ok(cursor)
    }
}

/// The stream's frames, each with the cursor after it (deltas leave it unchanged).
pub type LiveStream = BoxStream<'static, Result<(Cursor, LiveFrame)>>;

impl Engine {
    /// Follows the runs in the cursor and, if it includes one, the project. It first sends what is missing since the
    /// cursor, then the text so far of open attempts, then what happens. It ends with an error when `user` may no
    /// longer read the project, and otherwise never.
    pub async fn live(&self, user: &User, project: &ProjectKey, cursor: Cursor) -> Result<LiveStream> {
        let runs = follow::find(self, user, project, &cursor).await?;
        Ok(follow::follow(self.clone(), user.clone(), project.clone(), runs, cursor))
    }

    /// Follows one run from `after` on. `None`: it has ended, and there is no event after that one.
    pub async fn live_run(
        &self,
        user: &User,
        project: &ProjectKey,
        run: RunNumber,
        after: u64,
    ) -> Result<Option<LiveStream>> {
        let cursor = Cursor { runs: BTreeMap::from([(run, after)]), project: None };
        let found = follow::find(self, user, project, &cursor).await?;
        if found.have_ended(after) {
            return Ok(None);
        }
        Ok(Some(follow::follow(self.clone(), user.clone(), project.clone(), found, cursor)))
    }

    /// The newest change of the project: the cursor from which a page rendered now follows the project.
    pub async fn project_cursor(&self, user: &User, project: &ProjectKey) -> Result<u64> {
        let project = self.authorise(user, project, Permission::Viewer).await?;
        changes::newest(self.0.store.read(), project).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_what_it_writes() {
        let text = "42:17,43:5,p:901";
        assert_eq!(text.parse::<Cursor>().unwrap().to_string(), text);
        assert_eq!("".parse::<Cursor>().unwrap(), Cursor::default());
        for bad in ["42", "x:1", "42:-1", "p:"] {
            assert!(bad.parse::<Cursor>().is_err(), "{bad}");
        }
    }
}
