//! What a rerun would do, as the server says it, while the person still chooses: which steps rerun because something
//! changed, each with its reason and a checkbox to reuse its output anyway.

use super::{
    super::server::preview_rerun,
    choice::{Choice, Fields},
};
use crate::{
    fault::Fault,
    form::error_in,
    ui::{Checkbox, Notice, Tone},
};
use domain::{
    fork::RerunReason,
    id::RunNumber,
    key::ProjectKey,
    view::{ForkPreview, ForkStep},
};
use leptos::{prelude::*, task::spawn_local};
use std::{collections::BTreeMap, time::Duration};

/// Debounce: the preview is requested this long after the last change.
const PAUSE: Duration = Duration::from_millis(250);

/// The preview of what is chosen.
#[derive(Clone, Copy)]
pub(super) struct Preview {
    choice: Memo<Choice>,
    /// The last preview that succeeded, with its choice. It stays while a later one is pending or has failed.
    good: RwSignal<Option<(Choice, ForkPreview)>>,
    /// Why the last preview failed, with its choice. None after one that succeeded.
    failed: RwSignal<Option<(Choice, Fault)>>,
}

/// Whether there is a preview of what is chosen now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Pending,
    Good,
    Failed,
}

impl Preview {
    /// Requests a preview after each change while the dialog is open; answers to outdated requests are dropped.
    pub fn follow(
        project: StoredValue<ProjectKey>,
        run: RunNumber,
        choice: Memo<Choice>,
        open: RwSignal<bool>,
    ) -> Self {
        let preview = Self { choice, good: RwSignal::new(None), failed: RwSignal::new(None) };
        let requests = StoredValue::new(0_u32);
        Effect::new(move |_| {
            let choice = choice.get();
            let request = requests.get_value() + 1;
            requests.set_value(request);
            let Some(form) = choice.form().ok().filter(|_| open.get()) else { return };
            let is_newest = move || requests.try_get_value() == Some(request);
            let ask = move || {
                if !is_newest() {
                    return;
                }
                spawn_local(async move {
                    let answer = preview_rerun(project.get_value(), run, form).await;
                    if is_newest() {
                        preview.keep(choice, answer);
                    }
                });
            };
            set_timeout(ask, PAUSE);
        });
        preview
    }

    fn keep(self, choice: Choice, answer: Result<ForkPreview, Fault>) {
        // The preview of a rerun that the engine would reject holds nothing but the problems.
        let (good, failed) = match answer {
            Ok(preview) if preview.errors.is_empty() => (Some((choice, preview)), None),
            Ok(preview) => (None, Some((choice, Fault::Invalid { problems: preview.errors }))),
            Err(fault) => (None, Some((choice, fault))),
        };
        if good.is_some() {
            _ = self.good.try_set(good);
        }
        _ = self.failed.try_set(failed);
    }

    pub fn standing(self) -> Standing {
        let choice = self.choice.read();
        if choice.template_version().is_err()
            || self.failed.read().as_ref().is_some_and(|(of, _)| *of == *choice)
        {
            Standing::Failed
        } else if self.good.read().as_ref().is_some_and(|(of, _)| *of == *choice) {
            Standing::Good
        } else {
            Standing::Pending
        }
    }

    /// Why the last preview failed.
    pub fn fault(self) -> Option<Fault> {
        self.failed.read().as_ref().map(|(_, fault)| fault.clone())
    }

    /// Of each step whether it reruns, by the last preview that succeeded. None if that was of another step to rerun from.
    pub fn reruns(self, from: &str) -> Option<BTreeMap<String, bool>> {
        let good = self.good.read();
        let (_, preview) = good.as_ref().filter(|(choice, _)| choice.from == from)?;
        Some(preview.steps.iter().map(|step| (step.name.clone(), !step.reused)).collect())
    }
}

/// What the preview says beside the fields: a newer version, why it failed, the steps that changed.
#[component]
pub(super) fn Changes(
    preview: Preview,
    fields: Fields,
    fault: Signal<Option<Fault>>,
    prefix: String,
) -> impl IntoView {
    let pending = Memo::new(move |_| preview.standing() == Standing::Pending);
    let newer =
        Memo::new(move |_| preview.good.read().as_ref().and_then(|(_, preview)| preview.newer_version));
    let rows = Memo::new(move |_| {
        let good = preview.good.read();
        rows(good.as_ref().map_or(&[], |(_, preview)| &preview.steps), &preview.choice.read())
    });
    let refused = Memo::new(move |_| error_in(fault.read().as_ref(), "reuse"));
    let lost = Memo::new(move |_| preview.fault().filter(|fault| !matches!(fault, Fault::Invalid { .. })));
    let prefix = StoredValue::new(prefix);
    view! {
        <div class="rerun-preview" aria-busy=move || pending.get().then_some("true")>
            {move || {
                newer
                    .get()
                    .map(|version| view! { <p class="muted">{format!("The template has a newer version, {version}.")}</p> })
            }}
            {move || {
                lost.get()
                    .map(|fault| {
                        view! { <Notice tone=Tone::Warning>{format!("The preview could not be loaded. {fault}")}</Notice> }
                    })
            }}
            <Show when=move || !rows.read().is_empty()>
                <p>"These steps changed since and run again, too:"</p>
                <ul class="rerun-changes">
                    <For each=move || rows.get() key=Clone::clone let:row>
                        <ChangedStep row fields prefix=prefix.get_value()/>
                    </For>
                </ul>
            </Show>
            {move || refused.get().map(|why| view! { <p class="run-step-notice run-step-failed" role="alert">{why}</p> })}
        </div>
    }
    .into_any()
}

#[component]
fn ChangedStep(row: Row, fields: Fields, prefix: String) -> impl IntoView {
    let Row { place, name, why } = row;
    let label = format!("Reuse the output of {name}");
    let ticked = {
        let name = name.clone();
        Memo::new(move |_| fields.reuse.read().contains(&name))
    };
    let bind = RwSignal::new(ticked.get_untracked());
    // Ticks are also taken back from outside: for another version, and when the dialog closes.
    Effect::new(move |_| bind.set(ticked.get()));
    let toggle = {
        let name = name.clone();
        Callback::new(move |wanted: bool| {
            fields.reuse.update(|reuse| {
                if wanted {
                    reuse.insert(name.clone());
                } else {
                    reuse.remove(&name);
                }
            });
        })
    };
    view! {
        <li>
            <span><strong>{name}</strong> {why.map(|why| format!(": {why}"))}</span>
            <Checkbox label name="reuse" id=format!("{prefix}-{place}") bind on_change=toggle/>
        </li>
    }
}

/// A step with a checkbox.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Row {
    /// Unique among the rows.
    place: usize,
    name: String,
    /// Why it reruns or is stale. None for a ticked step of which the preview says nothing.
    why: Option<String>,
}

/// The changed steps, and then every other step that is ticked: a tick that makes the preview fail can be taken back.
fn rows(steps: &[ForkStep], choice: &Choice) -> Vec<Row> {
    let changed =
        steps.iter().enumerate().filter(|(_, step)| is_changed(step) && choice.can_reuse(&step.name));
    let row =
        |(place, step): (usize, &ForkStep)| Row { place, name: step.name.clone(), why: step.why.clone() };
    let mut rows: Vec<_> = changed.map(row).collect();
    for (place, name) in (steps.len()..).zip(&choice.reuse) {
        if choice.can_reuse(name) && !rows.iter().any(|row| row.name == *name) {
            rows.push(Row { place, name: name.clone(), why: None });
        }
    }
    rows
}

/// Whether the step itself changed, rather than only depending on a step that did.
fn is_changed(step: &ForkStep) -> bool {
    use RerunReason::{NoOutput, Start, Upstream};
    match &step.reason {
        None | Some(Start | NoOutput) => false,
        Some(Upstream { .. }) => step.reused,
        Some(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn step(name: &str, reused: bool, reason: Option<RerunReason>) -> ForkStep {
        let why = reason.as_ref().map(ToString::to_string);
        ForkStep { name: name.to_owned(), reused, reason, why, role: None }
    }

    #[test]
    fn every_ticked_step_keeps_its_checkbox() {
        let input = || Some(RerunReason::Input { field: None });
        let upstream = || Some(RerunReason::Upstream { step: "A".to_owned() });
        let steps = [
            step("A", false, input()),
            step("B", false, Some(RerunReason::Start)),
            step("C", false, upstream()),
            step("D", true, upstream()),
        ];
        let names = |steps: &[ForkStep], from: &str, items: Option<Vec<u32>>, reuse: &[&str]| {
            let reuse: BTreeSet<_> = reuse.iter().map(ToString::to_string).collect();
            let choice = Choice { from: from.to_owned(), items, reuse, ..Choice::default() };
            let rows = rows(steps, &choice);
            let places: BTreeSet<_> = rows.iter().map(|row| row.place).collect();
            assert_eq!(places.len(), rows.len(), "places are unique");
            rows.into_iter().map(|row| row.name).collect::<Vec<_>>()
        };
        assert_eq!(names(&steps, "B", None, &["D"]), ["A", "D"]);
        // The version has no step Z: the preview fails because of the tick, or never knew of it.
        assert_eq!(names(&steps, "B", None, &["D", "Z"]), ["A", "D", "Z"]);
        assert_eq!(names(&[], "B", None, &["A"]), ["A"]);
        // The step that the rerun starts from has no output to reuse, but its other items do.
        assert_eq!(names(&steps, "A", None, &["A"]), ["D"]);
        assert_eq!(names(&[], "A", Some(vec![0]), &["A"]), ["A"]);
    }
}
