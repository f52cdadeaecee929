//! The editor's state. The YAML text is the source of truth; the canvas and the form show the document parsed from it.
//!
//! Typing YAML checks it and re-renders the rest; changing the form or the canvas rewrites the YAML and checks that.
//! Responses may arrive out of order, so each carries the number of its edit, and an outdated one is dropped. Each
//! completed change of the text is one undo step.

use super::history::{History, Moment};
use crate::{
    fault::Fault,
    template::server::{Checked, check_template, render_template},
};
use domain::{key::ProjectKey, problem::Problem, template::Template};
use leptos::{leptos_dom::helpers::TimeoutHandle, prelude::*, task::spawn_local};
use std::{collections::BTreeSet, time::Duration};

/// Delay between the last key and the check.
const PAUSE: Duration = Duration::from_millis(250);

/// The view next to the inspector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Canvas,
    /// The input form and its schema.
    Input,
    Yaml,
}

impl Side {
    pub const ALL: [Self; 3] = [Self::Canvas, Self::Input, Self::Yaml];

    /// The name in URLs and style sheets.
    pub fn word(self) -> &'static str {
        match self {
            Self::Canvas => "canvas",
            Self::Input => "input",
            Self::Yaml => "yaml",
        }
    }

    pub fn label(self) -> &'static str {
        match self {
            Self::Canvas => "Canvas",
            Self::Input => "Input",
            Self::Yaml => "YAML",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|side| side.word() == word)
    }
}

#[derive(Clone, Copy)]
pub struct Editor {
    /// The project whose templates the steps may call.
    project: Memo<ProjectKey>,
    pub source: RwSignal<String>,
    /// The last valid document. The form renders it when `shape` changes, and edits it without a notification.
    document: RwSignal<Option<Template>>,
    /// Counts the changes that require a re-render of the form.
    pub shape: RwSignal<u64>,
    /// Whether the form matches the text; false while the text is invalid.
    pub readable: RwSignal<bool>,
    pub problems: RwSignal<Vec<Problem>>,
    /// Probable mistakes, which do not prevent saving.
    pub hints: RwSignal<Vec<Problem>>,
    /// Why the last check failed to run.
    pub unchecked: RwSignal<Option<Fault>>,
    /// Whether an edit has not reached the other view yet, or is unchecked.
    pub settling: RwSignal<bool>,
    /// The open sections of the inspector.
    pub opened: StoredValue<BTreeSet<String>>,
    /// Counts every change of the document.
    pub drawn: RwSignal<u64>,
    /// The step being edited.
    pub chosen: RwSignal<Option<usize>>,
    /// Additional steps, for actions on several steps.
    pub marked: RwSignal<BTreeSet<usize>>,
    pub side: RwSignal<Side>,
    /// Whether the script is active: before that, the rendered page cannot be used for editing.
    pub awake: RwSignal<bool>,
    /// The first line of each step, from 1.
    pub lines: RwSignal<Vec<u32>>,
    /// Whether the last change could not keep the rest of the text as written.
    pub rewritten: RwSignal<bool>,
    /// A description of the last action, for screen readers.
    pub said: RwSignal<String>,
    /// Whether undo and redo are possible.
    pub can: RwSignal<(bool, bool)>,
    history: StoredValue<History>,
    edits: StoredValue<u64>,
    timer: StoredValue<Option<TimeoutHandle>>,
}

impl Editor {
    pub fn new(project: Memo<ProjectKey>, source: String, checked: Checked) -> Self {
        let now = Moment { source: source.clone(), document: checked.document.clone(), chosen: None };
        Self {
            project,
            source: RwSignal::new(source),
            readable: RwSignal::new(checked.document.is_some()),
            document: RwSignal::new(checked.document),
            shape: RwSignal::new(0),
            problems: RwSignal::new(checked.problems),
            hints: RwSignal::new(checked.hints),
            unchecked: RwSignal::new(None),
            settling: RwSignal::new(false),
            opened: StoredValue::new(BTreeSet::new()),
            drawn: RwSignal::new(0),
            chosen: RwSignal::new(None),
            marked: RwSignal::new(BTreeSet::new()),
            side: RwSignal::new(Side::Canvas),
            awake: RwSignal::new(false),
            lines: RwSignal::new(checked.lines),
            rewritten: RwSignal::new(false),
            said: RwSignal::new(String::new()),
            can: RwSignal::new((false, false)),
            history: StoredValue::new(History::new(now)),
            edits: StoredValue::new(0),
            timer: StoredValue::new(None),
        }
    }

    /// The document for rendering the form; call it after tracking `shape`.
    pub fn document(&self) -> Option<Template> {
        self.document.get_untracked()
    }

    pub fn with_document<T>(&self, read: impl FnOnce(&Template) -> T) -> Option<T> {
        self.document.with_untracked(|document| document.as_ref().map(read))
    }

    /// Sets the text, typed or replaced.
    pub fn write(self, source: String) {
        self.source.set(source);
        self.later(PAUSE, move |edit| self.check(edit, true));
    }

    /// Changes the document from a field of the form. The form is not re-rendered, so the cursor stays.
    pub fn edit(self, change: impl FnOnce(&mut Template)) {
        self.change(PAUSE, change);
    }

    /// As `edit`, for changes that require a re-render of the form.
    pub fn reshape(self, change: impl FnOnce(&mut Template)) {
        self.change(Duration::ZERO, change);
        self.shape.update(|shape| *shape += 1);
    }

    fn change(self, pause: Duration, change: impl FnOnce(&mut Template)) {
        self.document.update_untracked(|document| {
            if let Some(document) = document {
                change(document);
            }
        });
        self.drawn.update(|drawn| *drawn += 1);
        self.later(pause, move |edit| {
            spawn_local(async move {
                let Some(document) = self.document.get_untracked() else { return };
                match render_template(self.project.get_untracked(), document, self.source.get_untracked())
                    .await
                {
                    Ok(rendered) => {
                        if self.is_newest(edit) {
                            self.rewritten.set(!rendered.kept);
                            self.source.set(rendered.source);
                            self.take(edit, Ok(rendered.checked), false);
                        }
                    }
                    Err(fault) => self.take(edit, Err(fault), false),
                }
            });
        });
    }

    /// Undoes the last completed change, or only the current change if it is not completed.
    pub fn undo(self) {
        let settling = self.settling.get_untracked();
        let moment = self
            .history
            .try_update_value(|history| if settling { Some(history.now()) } else { history.undo() })
            .flatten();
        self.restore(moment, "Undone");
    }

    pub fn redo(self) {
        let moment = self.history.try_update_value(History::redo).flatten();
        self.restore(moment, "Done again");
    }

    fn restore(self, moment: Option<Moment>, said: &str) {
        let Some(moment) = moment else {
            self.said.set("Nothing more to undo or redo".to_owned());
            return;
        };
        self.readable.set(moment.document.is_some());
        if moment.document.is_some() {
            self.document.update_untracked(|held| *held = moment.document);
        }
        let steps = self.with_document(|template| template.steps.len()).unwrap_or_default();
        self.source.set(moment.source);
        self.rewritten.set(false);
        self.marked.set(BTreeSet::new());
        self.chosen.set(moment.chosen.filter(|chosen| *chosen < steps));
        self.shape.update(|shape| *shape += 1);
        self.drawn.update(|drawn| *drawn += 1);
        self.said.set(said.to_owned());
        self.later(Duration::ZERO, move |edit| self.check(edit, false));
    }

    fn check(self, edit: u64, redraw: bool) {
        spawn_local(async move {
            let source = self.source.get_untracked();
            self.take(edit, check_template(self.project.get_untracked(), source).await, redraw);
        });
    }

    /// Runs `work` once there has been no edit for `pause`.
    fn later(self, pause: Duration, work: impl Fn(u64) + 'static) {
        self.settling.set(true);
        let edit = self
            .edits
            .try_update_value(|edits| {
                *edits += 1;
                *edits
            })
            .unwrap_or_default();
        // The page may have been left by then.
        let due = move || {
            if self.is_newest(edit) {
                work(edit);
            }
        };
        let timer = set_timeout_with_handle(due, pause).ok();
        let before = self.timer.try_update_value(|held| std::mem::replace(held, timer)).flatten();
        if let Some(before) = before {
            before.clear();
        }
    }

    fn is_newest(self, edit: u64) -> bool {
        self.edits.try_get_value() == Some(edit)
    }

    fn take(self, edit: u64, outcome: Result<Checked, Fault>, redraw: bool) {
        if !self.is_newest(edit) {
            return;
        }
        match outcome {
            Ok(checked) => {
                self.unchecked.set(None);
                self.problems.set(checked.problems);
                self.hints.set(checked.hints);
                let readable = checked.document.is_some();
                if readable {
                    self.lines.set(checked.lines);
                }
                if redraw {
                    self.rewritten.set(false);
                    self.readable.set(readable);
                    if let Some(document) = checked.document {
                        let steps = document.steps.len();
                        self.document.update_untracked(|held| *held = Some(document));
                        if self.chosen.get_untracked().is_some_and(|chosen| chosen >= steps) {
                            self.chosen.set(None);
                        }
                        self.shape.update(|shape| *shape += 1);
                        self.drawn.update(|drawn| *drawn += 1);
                    }
                }
                let now = Moment {
                    source: self.source.get_untracked(),
                    document: if readable { self.document.get_untracked() } else { None },
                    chosen: self.chosen.get_untracked(),
                };
                self.history.update_value(|history| history.record(now));
                self.history.with_value(|history| self.can.set(history.can()));
            }
            Err(fault) => self.unchecked.set(Some(fault)),
        }
        self.settling.set(false);
    }
}
