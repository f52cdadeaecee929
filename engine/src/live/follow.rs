//! One viewer's stream: on each wake-up it sends what the log has after the viewer's cursor. Events are sent at once;
//! text is coalesced over [`PULSE`].

use super::{
    Cursor, LiveStream,
    hub::{RunChannel, Seen},
};
use crate::{
    Engine, Error, Result, User,
    projects::allowed,
    store::{
        changes,
        runs::{self, Followable},
    },
};
use domain::{
    access::Permission,
    event::{Delta, EventKind},
    id::{ProjectId, RunId, RunNumber, StepRunId},
    key::ProjectKey,
    view::LiveFrame,
};
use futures::StreamExt;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};
use tokio::{sync::mpsc, time::Instant};
use tokio_stream::{
    StreamMap,
    wrappers::{ReceiverStream, WatchStream},
};

/// Interval over which text is coalesced: short enough to look immediate, long enough to cost little per token.
const PULSE: Duration = Duration::from_millis(50);
/// Lists may lag a little more than text.
const LIST_PULSE: Duration = Duration::from_millis(200);
/// How often the viewer's permission is rechecked.
pub(crate) const RECHECK: Duration = Duration::from_secs(10);
/// Buffered frames per slow reader. When the buffer is full the follower waits, so memory stays bounded.
const BUFFER: usize = 64;
/// How many events are read from the log at once.
const BATCH: u32 = 500;
/// The most runs in one stream: a tab shows some runs, not all of them.
const MOST_RUNS: usize = 100;

/// The runs of a cursor, found and authorised.
pub(super) struct Found {
    project: ProjectId,
    runs: Vec<Followable>,
}

impl Found {
    /// Whether all runs have ended and none has an event after this one.
    pub fn have_ended(&self, after: u64) -> bool {
        self.runs.iter().all(|run| run.ended && run.last_seq <= after)
    }
}

pub(super) async fn find(
    engine: &Engine,
    user: &User,
    project: &ProjectKey,
    cursor: &Cursor,
) -> Result<Found> {
    if cursor.runs.len() > MOST_RUNS {
        return Err(Error::invalid("after", format!("follow at most {MOST_RUNS} runs at once")));
    }
    let numbers: Vec<_> = cursor.runs.keys().copied().collect();
    let mut db = engine.0.store.quick().await?;
    let (standing, runs) = runs::followable(&mut db, project, user.id, &numbers).await?.unzip();
    drop(db);
    let project = allowed(user, project, Permission::Viewer, standing)?;
    let runs = runs.unwrap_or_default();
    match numbers.into_iter().find(|number| runs.iter().all(|run| run.number != *number)) {
        Some(missing) => Err(Error::not_found("run", missing)),
        None => Ok(Found { project, runs }),
    }
}

pub(super) fn follow(
    engine: Engine,
    user: User,
    project_key: ProjectKey,
    found: Found,
    cursor: Cursor,
) -> LiveStream {
    let Found { project, runs } = found;
    let followed = runs.into_iter().map(|Followable { number, id, .. }| {
        (number, Followed { id, channel: engine.0.live.channel(id), seen: BTreeMap::new() })
    });
    let followed = followed.collect();
    let (frames, receiver) = mpsc::channel(BUFFER);
    let follower = Follower { engine, user, project_key, project, cursor, followed, frames };
    tokio::spawn(follower.run());
    ReceiverStream::new(receiver).boxed()
}

struct Followed {
    id: RunId,
    channel: Arc<RunChannel>,
    seen: BTreeMap<StepRunId, Seen>,
}

struct Follower {
    engine: Engine,
    user: User,
    project_key: ProjectKey,
    project: ProjectId,
    cursor: Cursor,
    followed: BTreeMap<RunNumber, Followed>,
    frames: mpsc::Sender<Result<(Cursor, LiveFrame)>>,
}

/// The viewer has disconnected.
struct Gone;

enum Stop {
    Gone,
    Failed(Error),
}

impl From<Gone> for Stop {
    fn from(Gone: Gone) -> Self {
        Self::Gone
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl Follower {
    async fn run(mut self) {
        if let Err(Stop::Failed(error)) = self.pump().await {
            // If the viewer is gone, nothing needs the error.
            drop(self.frames.send(Err(error)).await);
        }
    }

    async fn pump(&mut self) -> Result<(), Stop> {
        let mut wakes: StreamMap<RunNumber, WatchStream<u64>> = StreamMap::new();
        for (&number, followed) in &self.followed {
            wakes.insert(number, WatchStream::from_changes(followed.channel.subscribe()));
        }
        let mut changed = self.engine.0.store.changes_of(self.project);
        let mut recheck = tokio::time::interval_at(Instant::now() + RECHECK, RECHECK);
        let mut lists_at = Instant::now();
        let mut lists_due = self.cursor.project.is_some();
        let mut text_at = Instant::now();
        let mut with_text = BTreeSet::new();
        let mut present = self.engine.0.presence.subscribe(self.project);
        // A tab gets the people who are already present when it registers its own presence.
        let mut met = *present.borrow_and_update();
        let stopping = self.engine.0.runs.stopping();
        let numbers: Vec<_> = self.followed.keys().copied().collect();
        for number in numbers {
            self.flush(number, true).await?;
        }
        loop {
            if lists_due && Instant::now() >= lists_at {
                lists_due = self.flush_changes().await?;
                lists_at = Instant::now() + LIST_PULSE;
            }
            tokio::select! {
                () = self.frames.closed() => return Err(Stop::Gone),
                () = stopping.cancelled() => return Err(Stop::Gone),
                Some((number, _)) = wakes.next(), if !wakes.is_empty() => {
                    if self.behind(number) {
                        self.flush(number, false).await?;
                        with_text.remove(&number);
                    } else {
                        with_text.insert(number);
                    }
                    if !self.followed.contains_key(&number) {
                        wakes.remove(&number);
                    }
                }
                () = tokio::time::sleep_until(text_at), if !with_text.is_empty() => {
                    for number in std::mem::take(&mut with_text) {
                        self.flush(number, false).await?;
                    }
                    text_at = Instant::now() + PULSE;
                }
                Ok(()) = changed.changed(), if self.cursor.project.is_some() && !lists_due => lists_due = true,
                () = tokio::time::sleep_until(lists_at), if lists_due => {}
                Ok(()) = present.changed(), if self.cursor.project.is_some() => {
                    let turn = *present.borrow_and_update();
                    let rooms = self.engine.0.presence.after(met, self.project, self.user.id);
                    met = turn;
                    for (template, people) in rooms {
                        self.send(LiveFrame::Present { template, people }).await?;
                    }
                }
                _ = recheck.tick() => {
                    // Other processes, such as the command line, cannot wake this stream.
                    lists_due = self.cursor.project.is_some();
                    self.engine.0.presence.sweep();
                    self.engine.authorise(&self.user, &self.project_key, Permission::Viewer).await?;
                }
            }
        }
    }

    /// Whether the run has events that the viewer lacks.
    fn behind(&self, number: RunNumber) -> bool {
        let seen = self.cursor.runs.get(&number).copied().unwrap_or(0);
        self.followed.get(&number).is_some_and(|followed| followed.channel.seq() > seen)
    }

    /// Sends what is new in a run: an attempt's start before its text, and its last text before its end.
    async fn flush(&mut self, number: RunNumber, first: bool) -> Result<(), Stop> {
        let Some(followed) = self.followed.get_mut(&number) else { return Ok(()) };
        // Taken before the events are read, so each attempt's start is among them or was sent before.
        let mut deltas = followed.channel.unseen(&mut followed.seen);
        let id = followed.id;
        // If no task of this process works on the run, only the log knows its events.
        let first = first && followed.channel.seq() == 0;
        if first || self.behind(number) {
            self.flush_events(number, id, &mut deltas).await?;
        }
        Ok(self.send_deltas(number, deltas).await?)
    }

    async fn send_deltas(&mut self, number: RunNumber, deltas: Vec<Delta>) -> Result<(), Gone> {
        for delta in deltas {
            self.send(LiveFrame::Delta { run: number, delta }).await?;
        }
        Ok(())
    }

    /// Sends the events after the cursor, and with each start and end of an attempt its text from `deltas`.
    async fn flush_events(
        &mut self,
        number: RunNumber,
        id: RunId,
        deltas: &mut Vec<Delta>,
    ) -> Result<(), Stop> {
        loop {
            let after = self.cursor.runs.get(&number).copied().unwrap_or(0);
            let recent = self.followed.get(&number).and_then(|followed| followed.channel.recent(after));
            let events = match recent {
                Some(events) => events,
                None => runs::events(self.engine.0.store.read(), id, after, BATCH).await?,
            };
            let more = events.len() == BATCH as usize;
            for event in events {
                self.cursor.runs.insert(number, event.seq);
                let ended = matches!(
                    event.kind,
                    EventKind::Completed { .. } | EventKind::Failed { .. } | EventKind::Cancelled { .. }
                );
                let text = take_attempts_text(&event.kind, deltas);
                let starts = matches!(event.kind, EventKind::Started { .. });
                let event = LiveFrame::Event { run: number, event };
                if starts {
                    self.send(event).await?;
                    self.send_deltas(number, text).await?;
                } else {
                    self.send_deltas(number, text).await?;
                    self.send(event).await?;
                }
                if ended {
                    self.followed.remove(&number);
                }
            }
            if !more {
                return Ok(());
            }
        }
    }

    /// Sends the project's next changes. Returns whether there are more.
    async fn flush_changes(&mut self) -> Result<bool, Stop> {
        let Some(after) = self.cursor.project else { return Ok(false) };
        let changes = changes::after(self.engine.0.store.read(), self.project, after).await?;
        let more = changes.len() == changes::BATCH as usize;
        for change in changes {
            self.cursor.project = Some(change.seq);
            self.send(LiveFrame::Change { change }).await?;
        }
        Ok(more)
    }

    async fn send(&self, frame: LiveFrame) -> Result<(), Gone> {
        self.frames.send(Ok((self.cursor.clone(), frame))).await.map_err(|_| Gone)
    }
}

/// Takes the text of the attempt that this event begins or ends.
fn take_attempts_text(kind: &EventKind, deltas: &mut Vec<Delta>) -> Vec<Delta> {
    if deltas.is_empty() {
        return Vec::new();
    }
    let of = match kind {
        EventKind::Started { step, attempt, .. }
        | EventKind::Finished { step, attempt, .. }
        | EventKind::StepFailed { step, attempt, .. }
        | EventKind::Throttled { step, attempt, .. }
        | EventKind::TimedOut { step, attempt, .. }
        | EventKind::Interrupted { step, attempt, .. } => (*step, Some(*attempt)),
        EventKind::StepCancelled { step } => (*step, None),
        _ => return Vec::new(),
    };
    let is_of_attempt =
        |delta: &mut Delta| delta.step == of.0 && of.1.is_none_or(|attempt| delta.attempt == attempt);
    deltas.extract_if(.., is_of_attempt).collect()
}
