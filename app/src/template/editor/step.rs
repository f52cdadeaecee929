//! The fields of a step: name, prompt, dependencies, and the rest in collapsible sections.

use super::{
    change,
    complete::Completing,
    focus, focus_canvas,
    more::More,
    state::{Editor, Side},
};
use crate::ui::{Button, ButtonSize, Glyph, IconButton, Select, SelectOption, TextArea, TextField};
use domain::template::{Step, Template, waits};
use leptos::{ev, prelude::*};

/// A step of the document, by index.
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

    /// As `edit`, for changes that require a re-render of the form.
    pub fn reshape(self, change: impl FnOnce(&mut Step)) {
        self.editor.reshape(|template| self.change(template, change));
    }

    fn change(self, template: &mut Template, change: impl FnOnce(&mut Step)) {
        if let Some(step) = template.steps.get_mut(self.index) {
            change(step);
        }
    }
}

/// An empty text stands for an omitted field.
pub fn filled(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

#[component]
pub fn StepFields(editor: Editor, index: usize, step: Step, document: Template) -> impl IntoView {
    let edit = StepEdit { editor, index };
    let renamed = move |event: ev::Event| {
        let name = event_target_value(&event).trim().to_owned();
        // No other field of the form shows the name, so the form is not re-rendered and the cursor stays.
        editor.edit(|template| change::rename(template, index, &name));
    };
    // Returns the focus to the canvas, where the next step is added. Leaving the field applies the typed text.
    let back = move |event: ev::KeyboardEvent| {
        let held = event.ctrl_key() || event.meta_key() || event.alt_key() || event.shift_key();
        let leaves = !held && !event.is_composing() && matches!(event.key().as_str(), "Enter" | "Escape");
        if leaves && editor.side.get_untracked() == Side::Canvas {
            event.prevent_default();
            focus_canvas();
        }
    };
    let graph = change::is_graph(&document);
    let prompt = step.prompt.clone().unwrap_or_default();
    view! {
        <div on:change=renamed on:keydown=back>
            <TextField label="Step name" name=edit.id("name") id=edit.id("name") value=step.name.clone()/>
        </div>
        <Completing edit>
            <TextArea
                label="Prompt"
                name=edit.id("prompt")
                id=edit.id("prompt")
                value=prompt
                placeholder="What this step asks. {{ context.input.text }} and {{ context['Other step'] }} stand for values."
                hint="Type {{ to be offered what can be read here."
                rows=6
                mono=true
                on_input=move |text| edit.edit(|step| step.prompt = filled(text))
            />
        </Completing>
        <Waits edit graph document/>
        <More edit step graph/>
    }
}

/// The step's dependencies: editable in a graph, otherwise implied by its position.
#[component]
fn Waits(edit: StepEdit, graph: bool, document: Template) -> impl IntoView {
    let own = waits(&document).get(edit.index).cloned().unwrap_or_default();
    let names: Vec<_> = document.steps.iter().map(|step| step.name.clone()).collect();
    let before: Vec<_> = own.iter().filter_map(|&index| names.get(index as usize).cloned()).collect();
    if !graph {
        let words = match before.as_slice() {
            [] => "It runs first.".to_owned(),
            [.., _] if before.len() > 6 => {
                format!("It waits for {} steps, as its place in the list says.", before.len())
            }
            _ => format!("It waits for {}, as its place in the list says.", before.join(", ")),
        };
        let choose = move || {
            edit.editor.reshape(change::to_graph);
            focus(edit.id("waits"));
        };
        return view! {
            <div class="step-waits" role="group" aria-label="Waits for">
                <span class="field-label">"Waits for"</span>
                <p class="field-hint">{words}</p>
                <Button size=ButtonSize::Small on_click=choose>"Choose for each step"</Button>
            </div>
        }
        .into_any();
    }
    let own_name = names.get(edit.index).cloned().unwrap_or_default();
    let listed = document.steps.get(edit.index).and_then(|step| step.depends_on.clone()).unwrap_or_default();
    let first = SelectOption::new("", "Add a step to wait for…");
    let free = names.into_iter().filter(|name| *name != own_name && !listed.contains(name));
    let options: Vec<_> =
        std::iter::once(first).chain(free.map(|name| SelectOption::new(name.clone(), name))).collect();
    let add = move |name: String| {
        if !name.is_empty() {
            edit.reshape(|step| step.depends_on.get_or_insert_default().push(name));
            focus(edit.id("waits"));
        }
    };
    let chip = move |name: String| {
        let label = format!("Do not wait for {name}");
        let gone = name.clone();
        let remove = move || {
            let gone = gone.clone();
            edit.reshape(move |step| step.depends_on.get_or_insert_default().retain(|other| *other != gone));
            focus(edit.id("waits"));
        };
        view! {
            <li class="wait">
                <span class="wait-name">{name}</span>
                <IconButton glyph=Glyph::Close label size=ButtonSize::Small on_click=remove/>
            </li>
        }
    };
    view! {
        <div class="step-waits">
            <Select label="Waits for" name=edit.id("waits") id=edit.id("waits") options value="" on_change=add/>
            <ul class="waits" role="list" aria-label="Waits for">{listed.into_iter().map(chip).collect_view()}</ul>
        </div>
    }
    .into_any()
}
