//! The form side of the editor: the template's own fields, then its steps as cards.

use super::{
    change, focus,
    input::InputFields,
    state::Editor,
    step::{StepCard, filled},
};
use crate::ui::{
    Button, ButtonVariant, ConfirmDialog, Glyph, Notice, Select, SelectOption, TextArea, TextField, Tone,
};
use domain::{key::TemplateKey, template::Template};
use leptos::prelude::*;

#[component]
pub fn FormPane(
    editor: Editor,
    /// The key of a stored template is fixed.
    fixed_key: bool,
) -> impl IntoView {
    let doomed = RwSignal::new(None::<usize>);
    let unreadable = move || {
        (!editor.readable.get()).then(|| {
            view! {
                <Notice tone=Tone::Warning>
                    "The YAML cannot be read as a template just now. The form shows it as it last could be, and follows again once the text is mended."
                </Notice>
            }
        })
    };
    view! {
        <div class="template-form">
            {unreadable}
            <div class="template-form-fields" inert=move || !editor.readable.get()>
                {move || {
                    editor.shape.track();
                    editor.document().map(|document| view! { <Document editor document fixed_key doomed/> })
                }}
            </div>
            <RemoveDialog editor doomed/>
        </div>
    }
}

#[component]
fn Document(
    editor: Editor,
    document: Template,
    fixed_key: bool,
    doomed: RwSignal<Option<usize>>,
) -> impl IntoView {
    let graph = change::is_graph(&document);
    let names: Vec<_> = document.steps.iter().map(|step| step.name.clone()).collect();
    let remove = Callback::new(move |index: usize| {
        let used = editor.with_document(|template| !change::users(template, index).is_empty());
        if used == Some(true) {
            doomed.set(Some(index));
        } else {
            editor.reshape(|template| change::remove(template, index));
        }
    });
    let add = move || {
        let mut place = 0;
        editor.reshape(|template| place = change::add(template, None));
        focus(format!("step-{place}-name"));
    };
    let flows = vec![
        SelectOption::new("row", "One after another, groups together"),
        SelectOption::new("graph", "Each says what it waits for"),
    ];
    let set_flow = move |word: String| {
        editor.reshape(|template| {
            if word == "graph" {
                change::to_graph(template);
            } else {
                change::to_row(template);
            }
        });
    };
    let bad_key = RwSignal::new(None::<String>);
    let set_key = move |text: String| match TemplateKey::parse(&text) {
        Ok(key) => {
            bad_key.set(None);
            editor.edit(|template| template.key = key);
        }
        Err(error) => bad_key.set(Some(crate::form::sentence(&error.to_string()))),
    };
    let cards = document
        .steps
        .iter()
        .cloned()
        .enumerate()
        .map(|(index, step)| view! { <StepCard editor index step names=names.clone() graph on_remove=remove/> })
        .collect_view();
    view! {
        <div class="form-row">
            <TextField
                label="Name"
                name="template-name"
                value=document.name.clone()
                on_input=move |text| editor.edit(|template| template.name = text)
            />
            <TextField
                label="Key"
                name="template-key"
                value=document.key.to_string()
                hint=if fixed_key { "Fixed when the template was made." } else { "Stands in addresses; fixed once saved." }
                error=bad_key
                read_only=fixed_key
                mono=true
                on_input=set_key
            />
        </div>
        <TextArea
            label="Description"
            name="template-description"
            value=document.description.clone().unwrap_or_default()
            rows=2
            on_input=move |text| editor.edit(|template| template.description = filled(text))
        />
        <InputFields editor input=document.input.clone()/>
        <section class="template-part" aria-label="Steps">
            <div class="template-part-head">
                <h2 class="template-part-title">"Steps"</h2>
                <Select
                    label="Flow"
                    hide_label=true
                    name="template-flow"
                    options=flows
                    value=if graph { "graph" } else { "row" }
                    on_change=set_flow
                />
            </div>
            <p class="field-hint">
                "Who does a step is chosen when the template is executed: a template holds no roles."
            </p>
            <ol class="step-cards" role="list">
                {cards}
            </ol>
            <Button glyph=Glyph::Plus on_click=add>
                "Add a step"
            </Button>
        </section>
        <details class="more">
            <summary>"Output of the run"</summary>
            <TextField
                label="Output"
                name="template-output"
                value=document.output.clone().unwrap_or_default()
                placeholder="{{ context['Last step'] }}"
                hint="An expression. Empty: the output of the last step."
                mono=true
                on_input=move |text| editor.edit(|template| template.output = filled(text))
            />
        </details>
    }
}

/// Asks before a step goes that others use.
#[component]
fn RemoveDialog(editor: Editor, doomed: RwSignal<Option<usize>>) -> impl IntoView {
    let open = RwSignal::new(false);
    Effect::new(move |_| open.set(doomed.get().is_some()));
    Effect::new(move |_| {
        // Only a choice that is there: setting none again would go round for ever.
        if !open.get() && doomed.read_untracked().is_some() {
            doomed.set(None);
        }
    });
    let text = Memo::new(move |_| {
        let index = doomed.get()?;
        let users = editor.with_document(|template| change::users(template, index))?;
        Some(format!(
            "Used by {}. Steps that waited for it will wait for what it waited for. Texts that read its output stay as they \
             are: the problems list will name them.",
            users.join(", ")
        ))
    });
    let confirm = move || {
        if let Some(index) = doomed.get_untracked() {
            editor.reshape(|template| change::remove(template, index));
        }
        open.set(false);
    };
    view! {
        <ConfirmDialog
            open
            title="Remove the step?"
            text=Signal::derive(move || text.get().unwrap_or_default())
            confirm="Remove the step"
            variant=ButtonVariant::Danger
            on_confirm=confirm
        />
    }
}
