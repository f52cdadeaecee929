//! What the tab follows, and the frames received for it: plain data behind [`super::Live`].

use super::{
    connection::{Connection, Heard},
    feed::Feed,
};
use domain::{
    event::{Delta, Event},
    id::{RunNumber, Timestamp},
    key::{ProjectKey, TemplateKey},
    view::{Change, LiveFrame, Present, Subject},
};
use leptos::prelude::*;
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fmt::Write,
    rc::Rc,
};

/// Number of changes kept for a page that was rendered just before they arrived.
const RECENT: usize = 100;

type Watcher = Rc<dyn Fn(&Change)>;
pub(super) type PresenceWatcher = Rc<dyn Fn(&TemplateKey, &[Present])>;

#[derive(Default)]
pub(super) struct Tab {
    pub project: Option<ProjectKey>,
    feeds: BTreeMap<RunNumber, Followed>,
    watchers: Vec<(u64, Watcher)>,
    next_watcher: u64,
    /// Presence watchers by the number of the watch that they belong to.
    presence: Vec<(u64, PresenceWatcher)>,
    /// The newest known change, while a page watches.
    changes: Option<u64>,
    recent: VecDeque<Change>,
    queue: Vec<LiveFrame>,
    pub connection: Option<Connection>,
    pub settling: bool,
    pub reopening: bool,
    /// Number of consecutive lost streams.
    pub failures: u32,
    /// Number of consecutive gaps.
    pub gaps: u32,
    /// By this machine's clock.
    pub last_heard: f64,
    /// How far the server's clock is ahead of this machine's, in milliseconds.
    ahead: Option<f64>,
}

struct Followed {
    feed: Feed,
    /// Number of components that show the run.
    shown: u32,
    /// The run was launched here and is not shown yet.
    expected: bool,
}

/// The required content of a stream.
pub(super) struct Wanted {
    runs: BTreeSet<RunNumber>,
    changes: bool,
}

impl Wanted {
    pub fn is_nothing(&self) -> bool {
        self.runs.is_empty() && !self.changes
    }

    pub fn is_served_by(&self, open: &Connection) -> bool {
        self.runs.is_subset(&open.runs) && (open.changes || !self.changes)
    }
}

/// The frames received between two animation frames.
pub(super) struct Batch {
    pub runs: Vec<(Feed, Vec<Event>, Vec<Delta>)>,
    pub changes: Vec<Change>,
    pub watchers: Vec<Watcher>,
    pub present: Vec<(TemplateKey, Vec<Present>)>,
    pub presence: Vec<PresenceWatcher>,
}

impl Tab {
    /// Switches to another project, which drops everything of the old one.
    fn turn_to(&mut self, project: &ProjectKey) {
        if self.project.as_ref() != Some(project) {
            self.project = Some(project.clone());
            self.feeds.clear();
            self.watchers.clear();
            self.presence.clear();
            self.recent.clear();
            self.queue.clear();
            self.changes = None;
            self.connection = None;
        }
    }

    pub fn enter(&mut self, project: &ProjectKey, run: RunNumber) -> Feed {
        self.turn_to(project);
        let followed = self.feeds.entry(run).or_insert_with(|| Followed {
            feed: Feed::new(Default::default()),
            shown: 0,
            expected: false,
        });
        followed.shown += 1;
        followed.expected = false;
        followed.feed.clone()
    }

    pub fn expect(&mut self, project: &ProjectKey, run: RunNumber) {
        self.turn_to(project);
        self.feeds.entry(run).or_insert_with(|| Followed {
            feed: Feed::new(Default::default()),
            shown: 0,
            expected: true,
        });
    }

    pub fn leave(&mut self, run: RunNumber) {
        if let Some(followed) = self.feeds.get_mut(&run) {
            followed.shown = followed.shown.saturating_sub(1);
            if followed.shown == 0 && !followed.expected {
                self.feeds.remove(&run);
            }
        }
    }

    /// Returns the watch's number, and the changes that arrived between the page's render and this call.
    pub fn watch(&mut self, project: &ProjectKey, drawn_at: u64, heard: Watcher) -> (u64, Vec<Change>) {
        self.turn_to(project);
        if self.watchers.is_empty() {
            self.changes = Some(drawn_at);
            self.recent.clear();
        }
        self.next_watcher += 1;
        self.watchers.push((self.next_watcher, heard));
        let missed = self.recent.iter().filter(|change| change.seq > drawn_at).cloned().collect();
        (self.next_watcher, missed)
    }

    /// Adds a presence watcher to a watch.
    pub fn attend(&mut self, watch: u64, heard: PresenceWatcher) {
        self.presence.push((watch, heard));
    }

    pub fn unwatch(&mut self, watch: u64) {
        self.watchers.retain(|(number, _)| *number != watch);
        self.presence.retain(|(number, _)| *number != watch);
    }

    pub fn wanted(&self) -> Wanted {
        let runs = self
            .feeds
            .iter()
            .filter(|(_, followed)| !followed.feed.state.read_untracked().phase.is_end())
            .map(|(run, _)| *run)
            .collect();
        Wanted { runs, changes: !self.watchers.is_empty() }
    }

    pub fn open(&mut self, tell: Rc<dyn Fn(Heard)>) {
        let (Some(project), wanted) = (&self.project, self.wanted()) else { return };
        let mut url = format!("/p/{project}/live?after=");
        for run in &wanted.runs {
            let seq = self.feeds.get(run).map_or(0, |followed| followed.feed.state.read_untracked().seq);
            // Writing to a String does not fail.
            _ = write!(url, "{run}:{seq},");
        }
        if let Some(seq) = self.changes.filter(|_| wanted.changes) {
            _ = write!(url, "p:{seq}");
        }
        // The new stream sends again what is still queued.
        self.queue.clear();
        self.last_heard = js_sys::Date::now();
        self.connection = None;
        self.connection = Connection::open(url.trim_end_matches(','), wanted.runs, wanted.changes, tell);
    }

    /// Returns true if the queue was empty before.
    pub fn queue(&mut self, frame: LiveFrame) -> bool {
        self.queue.push(frame);
        self.queue.len() == 1
    }

    pub fn take_queue(&mut self) -> Batch {
        let mut runs: BTreeMap<RunNumber, (Vec<Event>, Vec<Delta>)> = BTreeMap::new();
        let (mut changes, mut present) = (Vec::new(), Vec::new());
        for frame in self.queue.drain(..) {
            match frame {
                LiveFrame::Event { run, event } => runs.entry(run).or_default().0.push(event),
                LiveFrame::Delta { run, delta } => runs.entry(run).or_default().1.push(delta),
                LiveFrame::Change { change } => changes.push(change),
                LiveFrame::Present { template, people } => present.push((template, people)),
            }
        }
        // After `Everything`, the server's numbering may restart, so older numbers are accepted.
        changes.retain(|change| {
            let is_new =
                change.subject == Subject::Everything || self.changes.is_none_or(|known| change.seq > known);
            if is_new {
                self.changes = Some(change.seq);
            }
            is_new
        });
        for change in &changes {
            self.recent.push_back(change.clone());
        }
        self.recent.drain(..self.recent.len().saturating_sub(RECENT));
        let runs = runs.into_iter().filter_map(|(run, (events, deltas))| {
            self.feeds.get(&run).map(|followed| (followed.feed.clone(), events, deltas))
        });
        Batch {
            runs: runs.collect(),
            changes,
            watchers: self.watchers.iter().map(|(_, heard)| heard.clone()).collect(),
            present,
            presence: self.presence.iter().map(|(_, heard)| heard.clone()).collect(),
        }
    }

    /// Learns the server's time from a page that was read at that time. The largest difference counts: it belongs to
    /// the fastest response.
    pub fn learn_time(&mut self, server: Timestamp) {
        let ahead = server.0 as f64 - js_sys::Date::now();
        self.ahead = Some(self.ahead.map_or(ahead, |known| known.max(ahead)));
    }

    /// The server's time when this machine's clock shows `here`.
    pub fn server_time(&self, here: Timestamp) -> Timestamp {
        Timestamp(here.0 + self.ahead.unwrap_or(0.0) as i64)
    }

    pub fn is_silent(&self, limit_ms: f64) -> bool {
        self.connection.is_some() && js_sys::Date::now() - self.last_heard > limit_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::id::TaskId;

    #[test]
    fn repeats_are_dropped_and_reading_anew_is_always_heard() {
        let project = ProjectKey::parse("lab").expect("it is a key");
        let task: TaskId = "01890a5d-ac96-774b-bcce-b302099a8057".parse().expect("it is a UUID");
        let change =
            |seq, subject: &Subject| LiveFrame::Change { change: Change { seq, subject: subject.clone() } };
        let (task, everything) = (Subject::Task { id: task }, Subject::Everything);
        let mut tab = Tab::default();
        tab.watch(&project, 5, Rc::new(|_| {}));
        for (frames, heard, known) in [
            (vec![change(5, &task), change(6, &task)], vec![6], 6),
            (vec![change(900, &everything), change(901, &task)], vec![900, 901], 901),
            // The database was restored from a backup.
            (vec![change(40, &everything), change(41, &task)], vec![40, 41], 41),
        ] {
            frames.into_iter().for_each(|frame| _ = tab.queue(frame));
            let batch = tab.take_queue();
            assert_eq!(batch.changes.iter().map(|change| change.seq).collect::<Vec<_>>(), heard);
            assert_eq!(tab.changes, Some(known));
        }
    }
}
