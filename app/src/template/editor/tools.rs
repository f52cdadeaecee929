//! The actions of the canvas, triggered by a key, a button or an edge's plus.

use super::{
    change, focus_name,
    state::Editor,
    wiring::{self, Line},
};
use crate::canvas::Joint;
use domain::template::Template;
use leptos::{ev, prelude::*};
use std::collections::BTreeSet;

#[derive(Clone, Copy)]
pub struct Tools {
    pub editor: Editor,
    /// The steps whose removal awaits confirmation.
    pub doomed: RwSignal<BTreeSet<usize>>,
    /// The step from which the keyboard is drawing an edge.
    pub connecting: RwSignal<Option<usize>>,
}

impl Tools {
    pub fn new(editor: Editor) -> Self {
        Self { editor, doomed: RwSignal::new(BTreeSet::new()), connecting: RwSignal::new(None) }
    }

    /// Adds a step and focuses its name.
    fn make(self, change: impl FnOnce(&mut Template) -> Option<usize>) {
        let mut place = None;
        self.editor.reshape(|template| place = change(template));
        let Some(place) = place else { return };
        self.editor.marked.set(BTreeSet::new());
        self.editor.chosen.set(Some(place));
        self.say(place, |name| format!("{name} added"));
        focus_name(place);
    }

    /// Adds a step after the chosen one, or at the end.
    pub fn add(self) {
        let chosen = self.editor.chosen.get_untracked();
        self.make(|template| match chosen {
            Some(from) => wiring::add_after(template, from),
            None => Some(change::add(template, None)),
        });
    }

    /// Adds a step that runs at the same time as the chosen one.
    pub fn add_beside(self) {
        match self.editor.chosen.get_untracked() {
            Some(from) => self.make(|template| wiring::add_beside(template, from)),
            None => self.add(),
        }
    }

    pub fn add_between(self, joint: Joint) {
        self.make(|template| wiring::add_between(template, joint.from, joint.to));
    }

    /// The steps to act on: the marked ones and the chosen one.
    pub fn members(self) -> BTreeSet<usize> {
        let mut members = self.editor.marked.get();
        members.extend(self.editor.chosen.get());
        members
    }

    fn members_now(self) -> BTreeSet<usize> {
        untrack(|| self.members())
    }

    pub fn duplicate(self) {
        let members = self.members_now();
        match members.len() {
            0 => {}
            1 => self.make(|template| change::duplicate(template, *members.first()?)),
            count => {
                let mut copies = BTreeSet::new();
                self.editor.reshape(|template| copies = wiring::duplicate_all(template, &members));
                self.editor.chosen.set(copies.first().copied());
                self.editor.marked.set(copies);
                self.editor.said.set(format!("{count} steps duplicated; the copies are marked"));
            }
        }
    }

    /// Moves the chosen step one place up or down in the document.
    pub fn shift(self, down: bool) {
        let Some(index) = self.editor.chosen.get_untracked() else { return };
        let mut place = None;
        self.editor.reshape(|template| place = change::shift(template, index, down));
        if let Some(place) = place {
            self.editor.chosen.set(Some(place));
            self.say(place, |name| format!("{name} is step {} now", place + 1));
        }
    }

    /// Asks for confirmation if other steps use the ones to be removed.
    pub fn remove(self) {
        let members = self.members_now();
        if members.is_empty() {
            return;
        }
        let used = self.editor.with_document(|template| !change::users(template, &members).is_empty());
        if used == Some(true) {
            self.doomed.set(members);
        } else {
            self.remove_now(&members, None);
        }
    }

    /// `instead`: texts that read one of the removed steps read this one from now on.
    pub fn remove_now(self, members: &BTreeSet<usize>, instead: Option<String>) {
        let Some(&first) = members.first() else { return };
        match members.len() {
            1 => self.say(first, |name| format!("{name} removed")),
            count => self.editor.said.set(format!("{count} steps removed")),
        }
        self.editor.chosen.set(None);
        self.editor.marked.set(BTreeSet::new());
        self.editor.reshape(|template| {
            // From the last to the first, so that the remaining indexes stay valid.
            for &index in members.iter().rev() {
                let Some(name) = template.steps.get(index).map(|step| step.name.clone()) else { continue };
                change::remove(template, index);
                if let Some(instead) = &instead {
                    change::mend(template, &name, instead);
                }
            }
        });
        let left = self.editor.with_document(|template| template.steps.len()).unwrap_or_default();
        if left > 0 {
            self.editor.chosen.set(Some(first.min(left - 1)));
        }
    }

    /// Adds an edge between two steps, or removes an existing one.
    pub fn connect(self, joint: Joint) {
        let mut line = None;
        let was_row = self.editor.with_document(|template| !change::is_graph(template)) == Some(true);
        self.editor.reshape(|template| line = wiring::connect(template, joint.from, joint.to));
        let names = self.editor.with_document(|template| {
            [joint.from, joint.to].map(|index| template.steps.get(index).map(|step| step.name.clone()))
        });
        let Some([Some(from), Some(to)]) = names else { return };
        let said = match line {
            Some(Line::Drawn) if was_row => {
                format!("{to} waits for {from}. From now on each step says itself what it waits for.")
            }
            Some(Line::Drawn) => format!("{to} waits for {from}"),
            Some(Line::Taken) => format!("{to} no longer waits for {from}"),
            _ => format!("{from} cannot come before {to}: it runs after it"),
        };
        self.editor.said.set(said);
    }

    /// Starts an edge at the chosen step, or completes the started one.
    fn connect_by_key(self) {
        let Some(chosen) = self.editor.chosen.get_untracked() else { return };
        match self.connecting.get_untracked() {
            None => {
                self.connecting.set(Some(chosen));
                self.editor.marked.set(BTreeSet::from([chosen]));
                self.say(chosen, |name| {
                    format!("A line from {name}: choose by arrows what shall wait for it, then press Enter. Esc stops.")
                });
            }
            Some(from) => {
                self.stop_connecting();
                if from != chosen {
                    self.connect(Joint { from, to: chosen });
                }
            }
        }
    }

    fn stop_connecting(self) {
        self.connecting.set(None);
        self.editor.marked.set(BTreeSet::new());
    }

    fn mark(self) {
        let Some(index) = self.editor.chosen.get_untracked() else { return };
        self.editor.marked.update(|marked| {
            if !marked.insert(index) {
                marked.remove(&index);
            }
        });
        let count = self.editor.marked.read_untracked().len();
        self.editor.said.set(format!("{count} steps marked"));
    }

    /// Makes the marked steps and the chosen one run at the same time.
    pub fn group(self) {
        let members = self.members_now();
        let chosen = self.editor.chosen.get_untracked();
        if members.len() < 2 {
            self.editor.said.set("Mark two steps or more first: Shift and a click, or X".to_owned());
            return;
        }
        let name = chosen.and_then(|index| self.name(index));
        let mut grouped = false;
        self.editor.reshape(|template| grouped = wiring::group(template, &members));
        self.editor.marked.set(BTreeSet::new());
        // The steps may have moved.
        self.editor.chosen.set(name.and_then(|name| {
            self.editor
                .with_document(|template| template.steps.iter().position(|step| step.name == name))
                .flatten()
        }));
        self.editor.said.set(if grouped {
            format!("{} steps run at once", members.len())
        } else {
            "They cannot run at once: a step between them waits for one and leads to another".to_owned()
        });
    }

    pub fn ungroup(self) {
        let Some(index) = self.editor.chosen.get_untracked() else { return };
        let mut done = false;
        self.editor.reshape(|template| done = wiring::ungroup(template, index));
        self.editor.said.set(if done { "Run one after the other" } else { "It is in no group" }.to_owned());
    }

    /// Handles a key on the canvas; returns true if it was one of its shortcuts.
    pub fn hear(self, event: &ev::KeyboardEvent) -> bool {
        let key = event.key();
        if self.connecting.get_untracked().is_some() {
            match key.as_str() {
                "Enter" | "c" => self.connect_by_key(),
                "Escape" => self.stop_connecting(),
                _ => return false,
            }
            return true;
        }
        let held = event.ctrl_key() || event.meta_key();
        if !self.editor.readable.get_untracked() {
            return false;
        }
        match key.to_lowercase().as_str() {
            "arrowup" | "arrowleft" if event.alt_key() => self.shift(false),
            "arrowdown" | "arrowright" if event.alt_key() => self.shift(true),
            "d" if held || !event.alt_key() => self.duplicate(),
            _ if held || event.alt_key() => return false,
            "n" if event.shift_key() => self.add_beside(),
            "n" => self.add(),
            "delete" | "backspace" => self.remove(),
            "c" => self.connect_by_key(),
            "x" => self.mark(),
            "g" if event.shift_key() => self.ungroup(),
            "g" if !self.editor.marked.read_untracked().is_empty() => self.group(),
            "f2" => match self.editor.chosen.get_untracked() {
                Some(index) => focus_name(index),
                None => return false,
            },
            "escape" if !self.editor.marked.read_untracked().is_empty() => {
                self.editor.marked.set(BTreeSet::new());
            }
            _ => return false,
        }
        true
    }

    fn name(self, index: usize) -> Option<String> {
        self.editor
            .with_document(|template| template.steps.get(index).map(|step| step.name.clone()))
            .flatten()
    }

    fn say(self, index: usize, words: impl FnOnce(&str) -> String) {
        if let Some(name) = self.name(index) {
            self.editor.said.set(words(&name));
        }
    }
}
