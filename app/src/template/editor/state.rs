//! The editor's state. The YAML text is the truth; the form shows the document that it reads as.
//!
//! Typing YAML checks it and rereads the form; changing the form writes the YAML anew and checks that. Answers come in
//! any order, so each carries the edit it belongs to and an old one is dropped.

use crate::{
    fault::Fault,
    template::server::{Checked, check_template, render_template},
};
use domain::{problem::Problem, template::Template};
use leptos::{leptos_dom::helpers::TimeoutHandle, prelude::*, task::spawn_local};
use std::{collections::BTreeSet, time::Duration};

const PAUSE: Duration = Duration::from_millis(250);

#[derive(Clone, Copy)]
pub struct Editor {
    pub source: RwSignal<String>,
    /// The newest document that could be read. The form draws it when `shape` changes and edits it without telling.
    document: RwSignal<Option<Template>>,
    /// Counts the changes that the form must be drawn anew for.
    pub shape: RwSignal<u64>,
    /// Whether the form stands for the text: not while the text cannot be read.
    pub readable: RwSignal<bool>,
    pub problems: RwSignal<Vec<Problem>>,
    /// Why the last check could not be made.
    pub unchecked: RwSignal<Option<Fault>>,
    /// An edit has not reached the other side yet, or is not checked.
    pub settling: RwSignal<bool>,
    /// The names of the steps whose folded fields are open.
    pub opened: StoredValue<BTreeSet<String>>,
    edits: StoredValue<u64>,
    timer: StoredValue<Option<TimeoutHandle>>,
}

impl Editor {
    pub fn new(source: String, checked: Checked) -> Self {
        Self {
            source: RwSignal::new(source),
            readable: RwSignal::new(checked.document.is_some()),
            document: RwSignal::new(checked.document),
            shape: RwSignal::new(0),
            problems: RwSignal::new(checked.problems),
            unchecked: RwSignal::new(None),
            settling: RwSignal::new(false),
            opened: StoredValue::new(BTreeSet::new()),
            edits: StoredValue::new(0),
            timer: StoredValue::new(None),
        }
    }

    /// The document as the form draws it; call under `shape`.
    pub fn document(&self) -> Option<Template> {
        self.document.get_untracked()
    }

    pub fn with_document<T>(&self, read: impl FnOnce(&Template) -> T) -> Option<T> {
        self.document.with_untracked(|document| document.as_ref().map(read))
    }

    /// The text was changed by hand, or replaced.
    pub fn write(self, source: String) {
        self.source.set(source);
        self.later(move |edit| {
            spawn_local(async move {
                let source = self.source.get_untracked();
                self.take(edit, check_template(source).await, true);
            });
        });
    }

    /// A field of the form was changed. The form is not drawn anew: the cursor stays where it is.
    pub fn edit(self, change: impl FnOnce(&mut Template)) {
        self.document.update_untracked(|document| {
            if let Some(document) = document {
                change(document);
            }
        });
        self.later(move |edit| {
            spawn_local(async move {
                let Some(document) = self.document.get_untracked() else { return };
                match render_template(document).await {
                    Ok(source) => {
                        if self.is_newest(edit) {
                            self.source.set(source.clone());
                            self.take(edit, check_template(source).await, false);
                        }
                    }
                    Err(fault) => self.take(edit, Err(fault), false),
                }
            });
        });
    }

    /// As `edit`, for changes that the form must be drawn anew for.
    pub fn reshape(self, change: impl FnOnce(&mut Template)) {
        self.edit(change);
        self.shape.update(|shape| *shape += 1);
    }

    /// Runs `work` once nothing has been edited for a moment.
    fn later(self, work: impl Fn(u64) + 'static) {
        self.settling.set(true);
        let edit = self
            .edits
            .try_update_value(|edits| {
                *edits += 1;
                *edits
            })
            .unwrap_or_default();
        // By then the page may have been left.
        let due = move || {
            if self.is_newest(edit) {
                work(edit);
            }
        };
        let timer = set_timeout_with_handle(due, PAUSE).ok();
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
                if redraw {
                    self.readable.set(checked.document.is_some());
                    if let Some(document) = checked.document {
                        self.document.update_untracked(|held| *held = Some(document));
                        self.shape.update(|shape| *shape += 1);
                    }
                }
            }
            Err(fault) => self.unchecked.set(Some(fault)),
        }
        self.settling.set(false);
    }
}
