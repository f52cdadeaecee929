//! The fields of the template itself.

use super::{change, input::InputSummary, state::Editor, step::filled};
use crate::ui::{Select, SelectOption, TextArea, TextField};
use domain::{key::TemplateKey, template::Template};
use leptos::prelude::*;

#[component]
pub fn TemplateFields(
    editor: Editor,
    document: Template,
    /// The key of a stored template is fixed.
    fixed_key: bool,
) -> impl IntoView {
    let graph = change::is_graph(&document);
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
        <InputSummary editor/>
        <Select
            label="Flow"
            name="template-flow"
            options=flows
            value=if graph { "graph" } else { "row" }
            hint="Who does a step is chosen when the template is executed: a template holds no roles."
            on_change=set_flow
        />
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
