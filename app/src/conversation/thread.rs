//! The loaded messages of a conversation: a contiguous part of one branch. It grows where the reader scrolls and drops
//! messages far behind, so the page stays small for any length of the conversation.

use super::{
    message::Row,
    scroll::{Scroller, show, show_soon},
    server::{ConversationPage, Entry, FileHere, Part, open_conversation},
};
use crate::{
    run::ASK,
    standing::{StandingHere, use_standing},
};
use domain::{
    branch::Branch,
    id::{MessageId, RunNumber, TaskId, Timestamp},
    key::ProjectKey,
    view::Author,
};
use leptos::{prelude::*, task::spawn_local};

/// Maximum number of messages on the page.
const MOST: usize = 120;
/// Maximum number of frames until loaded messages are on the page.
pub const FRAMES: u32 = 20;

#[derive(Clone, Copy)]
pub struct Thread {
    pub project: StoredValue<ProjectKey>,
    pub task: TaskId,
    pub branch: RwSignal<Branch>,
    pub title: RwSignal<String>,
    pub rows: RwSignal<Vec<Row>>,
    /// The files' versions at the end of the branch.
    pub files: RwSignal<Vec<FileHere>>,
    /// Whether the branch has messages before and after the loaded ones.
    pub earlier: RwSignal<bool>,
    pub later: RwSignal<bool>,
    /// Number of runs that started while the reader was away from the end.
    pub fresh: RwSignal<u32>,
    newest: StoredValue<RunNumber>,
    reading: StoredValue<Reading>,
    looks: StoredValue<Looks>,
    scroller: Scroller,
    pub standing: StandingHere,
}

/// The current load.
#[derive(Clone, Copy, Default, PartialEq)]
struct Reading {
    /// Number of loads started: only the response of the newest one counts.
    begun: u32,
    busy: bool,
}

/// Refreshes of the end of the branch, which run independently of loads.
#[derive(Clone, Copy, Default)]
struct Looks {
    /// Number of refreshes started. Responses may arrive out of order; only the newest one's counts.
    begun: u32,
    under_way: u32,
}

impl Thread {
    pub fn new(project: ProjectKey, page: ConversationPage, scroller: Scroller) -> Self {
        Self {
            project: StoredValue::new(project),
            task: page.task.id,
            branch: RwSignal::new(page.branch),
            title: RwSignal::new(page.task.title),
            newest: StoredValue::new(page.task.last_run.unwrap_or(RunNumber(0))),
            files: RwSignal::new(page.files),
            rows: RwSignal::new(rows_of(page.messages, page.now, None)),
            earlier: RwSignal::new(page.earlier),
            later: RwSignal::new(page.later),
            fresh: RwSignal::new(0),
            reading: StoredValue::default(),
            looks: StoredValue::default(),
            scroller,
            standing: use_standing(),
        }
    }

    /// Called for a change of a run of this conversation.
    pub fn hear(self, run: RunNumber) {
        if self.newest.try_get_value().is_some_and(|newest| newest < run) {
            self.newest.set_value(run);
            if self.scroller.away.get_untracked() {
                self.fresh.update(|fresh| *fresh += 1);
            }
        }
    }

    /// Loads the messages before (`back`) or after the loaded ones, unless a load is under way: continued scrolling
    /// triggers it again.
    pub fn load(self, back: bool) {
        if self.reading.try_get_value().is_none_or(|reading| reading.busy) {
            return;
        }
        let edge = self.rows.with_untracked(|rows| {
            let row = if back { rows.first() } else { rows.last() };
            row.map(|row| row.entry.message.id)
        });
        let branch = Some(self.branch.get_untracked());
        let part = match edge {
            Some(edge) if back => Part { branch, before: Some(edge), ..Part::default() },
            Some(edge) => Part { branch, after: Some(edge), ..Part::default() },
            None => return,
        };
        self.read(part, move |page| {
            self.scroller.keep_place(|| {
                if back {
                    _ = self.earlier.try_set(page.earlier);
                } else {
                    _ = self.later.try_set(page.later);
                }
                _ = self.rows.try_update(|rows| self.put(rows, page, back));
            });
            request_animation_frame(move || self.look());
        });
    }

    /// Loads more messages if the reader is near an end, while the page exists.
    pub fn look(self) {
        if self.reading.try_get_value().is_some() {
            self.scroller.look(self);
        }
    }

    /// Adds a page before or after the rows, and drops as many rows at the other end as exceed the maximum.
    fn put(self, rows: &mut Vec<Row>, page: ConversationPage, back: bool) {
        if back {
            let mut all = rows_of(page.messages, page.now, rows.first());
            all.append(rows);
            *rows = all;
            if rows.len() > MOST {
                rows.truncate(MOST);
                _ = self.later.try_set(true);
            }
        } else {
            rows.extend(rows_of(page.messages, page.now, None));
            let many = rows.len().saturating_sub(MOST);
            if many > 0 {
                rows.drain(..many);
                _ = self.earlier.try_set(true);
            }
        }
    }

    /// Scrolls to a message, loading the messages around it if needed.
    pub fn show(self, message: MessageId) {
        let anchor = format!("m-{message}");
        self.scroller.be_away(true);
        if show(&anchor) {
            return self.give_up_reading();
        }
        let part =
            Part { branch: Some(self.branch.get_untracked()), message: Some(message), ..Part::default() };
        self.read(part, move |page| {
            self.replace(page);
            show_soon(anchor, FRAMES, || {});
        });
    }

    /// Scrolls to the end of the branch.
    pub fn go_to_end(self) {
        self.fresh.set(0);
        if !self.later.get_untracked() {
            self.scroller.be_away(false);
            self.scroller.go();
            return self.give_up_reading();
        }
        let part = Part { branch: Some(self.branch.get_untracked()), ..Part::default() };
        self.read(part, move |page| {
            self.scroller.be_away(false);
            self.replace(page);
            self.scroller.go();
        });
    }

    fn replace(self, page: ConversationPage) {
        _ = self.branch.try_set(page.branch);
        _ = self.files.try_set(page.files);
        _ = self.rows.try_set(rows_of(page.messages, page.now, None));
        _ = self.earlier.try_set(page.earlier);
        _ = self.later.try_set(page.later);
    }

    /// Updates the end of the branch: known messages change in place, new ones are added. If the reader is elsewhere
    /// in the branch, only the files and the title are updated.
    pub fn refresh(self) {
        if self.later.try_get_untracked().is_none() {
            return;
        }
        let part = Part { branch: Some(self.branch.get_untracked()), ..Part::default() };
        let project = self.project.get_value();
        let begun = self.looks.try_update_value(|looks| {
            *looks = Looks { begun: looks.begun + 1, under_way: looks.under_way + 1 };
            looks.begun
        });
        let Some(mine) = begun else { return };
        spawn_local(async move {
            let page = open_conversation(project, self.task, part).await;
            let newest = self.looks.try_update_value(|looks| {
                looks.under_way -= 1;
                looks.begun == mine
            });
            // If a refresh fails, the next change triggers another one, or the notice reports that the connection is
            // lost.
            let (Some(true), Ok(page)) = (newest, page) else { return };
            // The reader has switched the branch meanwhile.
            let here = self.branch.try_get_untracked() == Some(page.branch);
            if !here {
                return;
            }
            _ = self.title.try_set(page.task.title.clone());
            if self.files.try_with_untracked(|files| *files != page.files) == Some(true) {
                _ = self.files.try_set(page.files.clone());
            }
            if self.later.try_get_untracked() != Some(false) {
                return;
            }
            let away = self.scroller.away.get_untracked();
            let merge = || _ = self.rows.try_update(|rows| merge(rows, page));
            if away {
                self.scroller.keep_place(merge)
            } else {
                merge()
            }
            self.scroller.stay();
        });
    }

    /// Loads a part that replaces the current load.
    fn read(self, part: Part, done: impl FnOnce(ConversationPage) + 'static) {
        let begun = self.reading.try_update_value(|reading| {
            *reading = Reading { begun: reading.begun + 1, busy: true };
            *reading
        });
        let Some(mine) = begun else { return };
        let project = self.project.get_value();
        let before = self.looks.get_value();
        spawn_local(async move {
            let page = open_conversation(project, self.task, part).await;
            if self.reading.try_get_value() != Some(mine) {
                return;
            }
            self.reading.update_value(|reading| reading.busy = false);
            if let Ok(page) = page {
                done(page);
            }
            // It is unknown which of the two responses is newer.
            if before.under_way > 0 || self.looks.get_value().begun != before.begun {
                self.refresh();
            }
        });
    }

    /// Cancels the current load, because the reader went to messages that are already loaded.
    fn give_up_reading(self) {
        let give_up = |reading: &mut Reading| *reading = Reading { begun: reading.begun + 1, busy: false };
        _ = self.reading.try_update_value(give_up);
        request_animation_frame(move || self.look());
    }
}

/// Rows for consecutive messages; `after` is the row that follows the last of them.
fn rows_of(entries: Vec<Entry>, now: Timestamp, after: Option<&Row>) -> Vec<Row> {
    let runs: Vec<_> = entries
        .iter()
        .skip(1)
        .map(Some)
        .chain([after.map(|row| &row.entry)])
        .map(|next| {
            let run = next?.run.as_ref()?;
            let role = run.state.steps.first().and_then(|step| step.role.as_ref());
            Some((run.summary.template.clone(), role.map(|role| role.key.clone())))
        })
        .collect();
    let rows = entries.into_iter().zip(runs).map(|(entry, run)| {
        let run = run.filter(|_| entry.message.author == Author::User);
        let asked = run.as_ref().is_some_and(|(template, _)| template.key.as_ref() == ASK);
        Row {
            message: ArcRwSignal::new(entry.message.clone()),
            role: run.as_ref().filter(|_| asked).and_then(|(_, role)| role.clone()),
            launched: run.filter(|_| !asked).map(|(template, _)| template),
            asked,
            now,
            entry,
        }
    });
    rows.collect()
}

fn merge(rows: &mut Vec<Row>, page: ConversationPage) {
    let known = |row: &Row| rows.last().is_some_and(|last| last.entry.message.id >= row.entry.message.id);
    let newest = rows_of(page.messages, page.now, None);
    // More messages were added than one page has, so the rows in between are missing.
    if page.earlier && !rows.is_empty() && !newest.first().is_some_and(known) {
        *rows = newest;
        return;
    }
    for row in newest {
        match rows.iter().find(|known| known.entry.message.id == row.entry.message.id) {
            Some(known) => {
                let message = row.entry.message;
                if *known.message.read_untracked() != message {
                    known.message.set(message);
                }
            }
            None => rows.push(row),
        }
    }
}
