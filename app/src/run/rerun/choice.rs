//! What a person chooses in the rerun dialog, and the request that follows from it.

use super::super::{ASK, server::RerunForm};
use crate::{fault::Fault, live::LiveRun};
use domain::run::StepStatus;
use leptos::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// The value of the field "Items" that reruns only the items that failed.
pub(super) const FAILED: &str = "failed";

/// The fields of the dialog.
#[derive(Clone, Copy)]
pub(super) struct Fields {
    pub from: RwSignal<String>,
    pub items: RwSignal<String>,
    pub version: RwSignal<String>,
    pub input: RwSignal<String>,
    /// The parent's input as the field showed it first; None until it is loaded.
    pub loaded_input: RwSignal<Option<String>>,
    /// Names of the steps ticked for reuse.
    pub reuse: RwSignal<BTreeSet<String>>,
    /// The failed items of the chosen step.
    pub failed_items: Memo<Vec<u32>>,
}

impl Fields {
    /// The fields as the dialog shows them first: rerun from the step that failed, else from the first that did not
    /// finish, else from the beginning.
    pub fn of(run: LiveRun) -> Self {
        let (from, version) = run.state.with_untracked(|state| {
            let at = |wanted: fn(StepStatus) -> bool| state.steps.iter().position(|step| wanted(step.status));
            let failed = at(|status| status == StepStatus::Failed);
            let stopped = || at(|status| !matches!(status, StepStatus::Completed | StepStatus::Skipped));
            let step = state.plan.steps.get(failed.or_else(stopped).unwrap_or(0));
            let template = state.template.as_ref().filter(|template| template.key.as_ref() != ASK);
            let version = template.map(|template| template.version.to_string());
            (step.map(|step| step.name.clone()).unwrap_or_default(), version.unwrap_or_default())
        });
        let from = RwSignal::new(from);
        let failed_items = Memo::new(move |_| {
            let state = run.state.read();
            let step = state.plan.position(&from.read()).and_then(|place| state.steps.get(place as usize));
            let items = (0..).zip(step.map_or(&[][..], |step| step.item_runs()));
            let failed = items.filter(|(_, item)| item.status == StepStatus::Failed);
            failed.map(|(item, _)| item).collect()
        });
        Self {
            from,
            items: RwSignal::new(FAILED.to_owned()),
            version: RwSignal::new(version),
            input: RwSignal::new(String::new()),
            loaded_input: RwSignal::new(None),
            reuse: RwSignal::new(BTreeSet::new()),
            failed_items,
        }
    }

    pub fn choice(self) -> Memo<Choice> {
        Memo::new(move |_| {
            let failed = self.failed_items.read();
            let input = self.input.read();
            let changed = self.loaded_input.read().as_ref().is_some_and(|loaded| *loaded != *input);
            Choice {
                from: self.from.get(),
                items: (!failed.is_empty() && *self.items.read() == FAILED).then(|| failed.clone()),
                version: self.version.get(),
                input: changed.then(|| input.clone()),
                reuse: self.reuse.get(),
            }
        })
    }

    /// Unticks all steps. A tick accepts one stale output for one reason, and another version has other reasons.
    pub fn forget_reuse(self) {
        if !self.reuse.read_untracked().is_empty() {
            self.reuse.set(BTreeSet::new());
        }
    }
}

/// What the dialog's fields say at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Choice {
    /// The name of the step to rerun from.
    pub from: String,
    /// The only items of that step to rerun. None: all of them.
    pub items: Option<Vec<u32>>,
    /// The template version, as typed. Empty: the parent's.
    pub version: String,
    /// The changed input, as typed. None: the parent's.
    pub input: Option<String>,
    /// Names of the steps ticked for reuse.
    pub reuse: BTreeSet<String>,
}

impl Choice {
    /// The request for this choice, without role assignments and idempotency key.
    ///
    /// # Errors
    /// `Invalid` at `templateVersion` for a text that is not a version number.
    pub fn form(&self) -> Result<RerunForm, Fault> {
        Ok(RerunForm {
            from_step: self.from.clone(),
            items: self.items.clone(),
            input: self.input.clone(),
            role_assignments: BTreeMap::new(),
            template_version: self.template_version()?,
            reuse: self.reuse.iter().filter(|step| self.can_reuse(step)).cloned().collect(),
            idempotency_key: String::new(),
        })
    }

    /// The chosen template version. None: the parent's.
    ///
    /// # Errors
    /// As [`Choice::form`].
    pub fn template_version(&self) -> Result<Option<u32>, Fault> {
        let text = self.version.trim();
        if text.is_empty() {
            return Ok(None);
        }
        match text.parse() {
            Ok(version) if version > 0 => Ok(Some(version)),
            _ => {
                let why =
                    "is not a version number: enter a whole number from 1, or nothing for the run's version";
                Err(Fault::field("templateVersion", why))
            }
        }
    }

    /// Whether an output of this step can be reused: not that of the step the rerun starts from, unless only some of its
    /// items rerun.
    pub fn can_reuse(&self, step: &str) -> bool {
        self.items.is_some() || self.from != step
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choice(from: &str) -> Choice {
        Choice { from: from.to_owned(), ..Choice::default() }
    }

    #[test]
    fn a_version_that_cannot_be_read_is_an_error_at_its_field() {
        for text in ["99999999999", "-1", "0", "2.5", "1e3", "latest"] {
            let fault = Choice { version: text.to_owned(), ..choice("A") }.form().unwrap_err();
            assert_eq!(fault.problems_at("templateVersion").count(), 1, "{text}");
        }
        for (text, version) in [("", None), (" ", None), ("3", Some(3)), (" 12 ", Some(12))] {
            let form = Choice { version: text.to_owned(), ..choice("A") }.form().unwrap();
            assert_eq!(form.template_version, version, "{text:?}");
        }
    }

    #[test]
    fn the_step_that_the_rerun_starts_from_is_reused_only_for_its_other_items() {
        let reuse = BTreeSet::from(["A".to_owned(), "B".to_owned()]);
        let from_a = Choice { reuse: reuse.clone(), ..choice("A") };
        assert_eq!(from_a.form().unwrap().reuse, ["B"]);
        assert_eq!(Choice { items: Some(vec![1]), ..from_a }.form().unwrap().reuse, ["A", "B"]);
        assert_eq!(Choice { reuse, ..choice("C") }.form().unwrap().reuse, ["A", "B"]);
    }
}
