//! The messages of a conversation that are on the page: a stretch of one branch, which grows where the reader goes and
//! lets go of what is far behind, so that the page stays small however long the conversation is.

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

/// How many messages stay on the page.
const MOST: usize = 120;
/// How many frames it may take until what was loaded is in the page.
pub const FRAMES: u32 = 20;

#[derive(Clone, Copy)]
pub struct Thread {
    pub project: StoredValue<ProjectKey>,
    pub task: TaskId,
    pub branch: RwSignal<Branch>,
    pub title: RwSignal<String>,
    pub rows: RwSignal<Vec<Row>>,
    /// As they stand at the end of the branch.
    pub files: RwSignal<Vec<FileHere>>,
    /// Whether there are messages before and after those here.
    pub earlier: RwSignal<bool>,
    pub later: RwSignal<bool>,
    /// How many runs began while the reader was away from the end.
    pub fresh: RwSignal<u32>,
    newest: StoredValue<RunNumber>,
    reading: StoredValue<Reading>,
    looks: StoredValue<Looks>,
    scroller: Scroller,
    pub standing: StandingHere,
}

/// What is being read just now.
#[derive(Clone, Copy, Default, PartialEq)]
struct Reading {
    /// How many were begun: only the newest one's answer counts.
    begun: u32,
    busy: bool,
}

/// Looks at the end of the branch, beside what is being read.
#[derive(Clone, Copy, Default)]
struct Looks {
    /// How many were begun: answers may overtake each other, and only the newest one's counts.
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

    /// Another run of this conversation was heard of.
    pub fn hear(self, run: RunNumber) {
        if self.newest.try_get_value().is_some_and(|newest| newest < run) {
            self.newest.set_value(run);
            if self.scroller.away.get_untracked() {
                self.fresh.update(|fresh| *fresh += 1);
            }
        }
    }

    /// Loads what comes before (`back`) or after what is here, unless something is being read: whoever goes on scrolling
    /// asks again.
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

    /// Whether there is more to load, if it is still there.
    pub fn look(self) {
        if self.reading.try_get_value().is_some() {
            self.scroller.look(self);
        }
    }

    /// Puts a page before or after the rows, and lets go of as many at the other end as are too many.
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

    /// Brings a message before the reader's eyes, loading what is around it if it is not here.
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

    /// To the end of the branch.
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

    /// Takes the end of the branch as it is now: known messages change in place, new ones follow. To one who reads
    /// elsewhere in it only the files and the title are news.
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
            // A failed reading is made up for by the next change, or by the notice that the tab is cut off.
            let (Some(true), Ok(page)) = (newest, page) else { return };
            // The reader went on meanwhile.
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

    /// In the place of what is being read.
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
            // Which of the two answers is the newer one is not known.
            if before.under_way > 0 || self.looks.get_value().begun != before.begun {
                self.refresh();
            }
        });
    }

    /// The reader went where nothing has to be read.
    fn give_up_reading(self) {
        let give_up = |reading: &mut Reading| *reading = Reading { begun: reading.begun + 1, busy: false };
        _ = self.reading.try_update_value(give_up);
        request_animation_frame(move || self.look());
    }
}

/// Rows for messages that follow one another; `after` is the row that comes after the last of them.
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
    // So much came that what lies between is not here.
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
