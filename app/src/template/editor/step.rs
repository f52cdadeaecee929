//! One step as a card: its name, what it asks, what it waits for; all else folded.

use super::{change, focus, more::More, state::Editor};
use crate::ui::{Badge, ButtonSize, Checkbox, Glyph, IconButton, TextArea, TextField, Tone};
use domain::template::{Step, Template};
use leptos::{ev, prelude::*};

/// A step of the document, by its place.
#[derive(Clone, Copy)]
pub struct StepEdit {
    pub editor: Editor,
    pub index: usize,
}

impl StepEdit {
    pub fn id(self, field: &str) -> String {
        format!("step-{}-{field}", self.index)
    }

    pub fn edit(self, change: impl FnOnce(&mut Step)) {
        self.editor.edit(|template| self.change(template, change));
    }

    /// As `edit`, for changes that the form must be drawn anew for.
    pub fn reshape(self, change: impl FnOnce(&mut Step)) {
        self.editor.reshape(|template| self.change(template, change));
    }

    fn change(self, template: &mut Template, change: impl FnOnce(&mut Step)) {
        if let Some(step) = template.steps.get_mut(self.index) {
            change(step);
        }
    }
}

/// An empty text stands for a field that is left out.
pub fn filled(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

#[component]
pub fn StepCard(
    editor: Editor,
    index: usize,
    step: Step,
    /// The names of all steps, in document order.
    names: Vec<String>,
    graph: bool,
    on_remove: Callback<usize>,
) -> impl IntoView {
    let edit = StepEdit { editor, index };
    let last = index + 1 == names.len();
    let shift = move |down: bool| {
        let mut place = None;
        editor.reshape(|template| place = change::shift(template, index, down));
        if let Some(place) = place {
            focus(format!("step-{place}-name"));
        }
    };
    let duplicate = move || {
        let mut place = None;
        editor.reshape(|template| place = change::duplicate(template, index));
        if let Some(place) = place {
            focus(format!("step-{place}-name"));
        }
    };
    let keydown = move |event: ev::KeyboardEvent| {
        let moved = match event.key().as_str() {
            "ArrowUp" if event.alt_key() => Some(false),
            "ArrowDown" if event.alt_key() => Some(true),
            _ => None,
        };
        if let Some(down) = moved {
            event.prevent_default();
            shift(down);
        } else if event.alt_key() && event.code() == "KeyD" {
            event.prevent_default();
            duplicate();
        }
    };
    let renamed = move |event: ev::Event| {
        let name = event_target_value(&event).trim().to_owned();
        editor.reshape(|template| change::rename(template, index, &name));
    };
    let badges = badges(&step);
    let waits = graph.then(|| {
        let chosen = step.depends_on.clone().unwrap_or_default();
        let others = names.iter().enumerate().filter(move |(other, _)| *other != index);
        let boxes = others
            .map(|(other, name)| {
                let depends = chosen.contains(name);
                let name = name.clone();
                let label = name.clone();
                let set = move |waits: bool| {
                    let name = name.clone();
                    edit.edit(move |step| {
                        let list = step.depends_on.get_or_insert_default();
                        list.retain(|other| *other != name);
                        if waits {
                            list.push(name);
                        }
                    });
                };
                view! {
                    <Checkbox
                        label
                        name=edit.id(&format!("waits-{other}"))
                        checked=depends
                        on_change=set
                    />
                }
            })
            .collect_view();
        view! {
            <fieldset class="step-waits">
                <legend class="field-label">"Waits for"</legend>
                {boxes}
                {(names.len() == 1).then_some(view! { <p class="field-hint">"There is no other step."</p> })}
            </fieldset>
        }
    });
    let label = step.name.clone();
    view! {
        <li class="step-card" on:keydown=keydown aria-label=format!("Step {label}")>
            <header class="step-card-head">
                <span class="step-card-number" aria-hidden="true">
                    {index + 1}
                </span>
                <div class="step-card-name" on:change=renamed>
                    <TextField
                        label=format!("Name of step {}", index + 1)
                        hide_label=true
                        name=edit.id("name")
                        id=edit.id("name")
                        value=step.name.clone()
                    />
                </div>
                <span class="step-card-badges">{badges}</span>
                <span class="step-card-actions">
                    <IconButton
                        glyph=Glyph::ChevronUp
                        label=format!("Move {label} up (Alt+Up)")
                        size=ButtonSize::Small
                        disabled=index == 0
                        on_click=move || shift(false)
                    />
                    <IconButton
                        glyph=Glyph::ChevronDown
                        label=format!("Move {label} down (Alt+Down)")
                        size=ButtonSize::Small
                        disabled=last
                        on_click=move || shift(true)
                    />
                    <IconButton
                        glyph=Glyph::Copy
                        label=format!("Duplicate {label} (Alt+D)")
                        size=ButtonSize::Small
                        on_click=duplicate
                    />
                    <IconButton
                        glyph=Glyph::Trash
                        label=format!("Remove {label}")
                        size=ButtonSize::Small
                        on_click=move || on_remove.run(index)
                    />
                </span>
            </header>
            <TextArea
                label="Prompt"
                name=edit.id("prompt")
                id=edit.id("prompt")
                value=step.prompt.clone().unwrap_or_default()
                placeholder="What this step asks. {{ context.input.text }} and {{ context['Other step'] }} stand for values."
                rows=4
                mono=true
                on_input=move |text| edit.edit(|step| step.prompt = filled(text))
            />
            {waits}
            <More edit step graph/>
        </li>
    }
}

fn badges(step: &Step) -> impl IntoView + use<> {
    let uses = step.uses.as_ref().map(ToString::to_string);
    let words = [
        uses,
        step.for_each.as_ref().map(|_| "for each".to_owned()),
        step.condition.as_ref().map(|_| "if".to_owned()),
        step.parallel_group.as_ref().map(|group| format!("group {group}")),
        (step.max_retries > 0).then(|| format!("{} retries", step.max_retries)),
        step.output_schema.as_ref().map(|_| "schema".to_owned()),
    ];
    words.into_iter().flatten().map(|word| view! { <Badge tone=Tone::Neutral>{word}</Badge> }).collect_view()
}
