//! Rows of names and expressions: a step's inputMapping or outputMapping.

use super::{complete::Completing, focus, preview::Preview, step::StepEdit};
use crate::{
    load::parse,
    template::server::Asked,
    ui::{Button, ButtonSize, Glyph, IconButton, TextField},
};
use domain::template::Step;
use leptos::{ev, prelude::*};
use serde_json::{Map, Value};

/// The two kinds of mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mapping {
    Input,
    Output,
}

impl Mapping {
    fn word(self) -> &'static str {
        match self {
            Self::Input => "inputMapping",
            Self::Output => "outputMapping",
        }
    }

    fn of(self, step: &mut Step) -> &mut Map<String, Value> {
        match self {
            Self::Input => &mut step.input_mapping,
            Self::Output => &mut step.output_mapping,
        }
    }
}

#[component]
pub fn MappingRows(step: StepEdit, mapping: Mapping, rows: Map<String, Value>) -> impl IntoView {
    let (title, hint) = match mapping {
        Mapping::Input => ("Input mapping", "A name for the prompt, and the expression that it stands for."),
        Mapping::Output => ("Output mapping", "A key of the context, and an expression over output."),
    };
    let count = rows.len();
    let add = move || {
        step.reshape(move |step| {
            let map = mapping.of(step);
            let names = (1..).map(|n| if n == 1 { "value".to_owned() } else { format!("value{n}") });
            let free = names.into_iter().find(|name| !map.contains_key(name)).unwrap_or_default();
            let expression = if mapping == Mapping::Input { "{{ context.input }}" } else { "{{ output }}" };
            map.insert(free, expression.into());
        });
        focus(step.id(&format!("{}-{count}-name", mapping.word())));
    };
    let rows = rows
        .into_iter()
        .enumerate()
        .map(|(index, (name, value))| view! { <Row step mapping index name value/> })
        .collect_view();
    view! {
        <div class="mapping" role="group" aria-label=title>
            <span class="field-label">{title}</span>
            <p class="field-hint">{hint}</p>
            {rows}
            <Button size=ButtonSize::Small glyph=Glyph::Plus on_click=add>
                "Add a mapping"
            </Button>
        </div>
    }
}

#[component]
fn Row(step: StepEdit, mapping: Mapping, index: usize, name: String, value: Value) -> impl IntoView {
    let key = StoredValue::new(name.clone());
    let is_text = value.is_string();
    let shown = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let shown_text = RwSignal::new(shown.clone());
    let renamed = move |event: ev::Event| {
        let new = event_target_value(&event).trim().to_owned();
        let old = key.get_value();
        step.reshape(move |step| {
            let map = mapping.of(step);
            if new.is_empty() || map.contains_key(&new) {
                return;
            }
            let rename = |(name, value)| (if name == old { new.clone() } else { name }, value);
            *map = std::mem::take(map).into_iter().map(rename).collect();
        });
    };
    let set = move |text: String| {
        shown_text.set(text.clone());
        let name = key.get_value();
        // A literal of another type keeps its type as long as the text is valid JSON.
        let literal = (!is_text).then(|| parse(&text).ok()).flatten();
        step.edit(move |step| drop(mapping.of(step).insert(name, literal.unwrap_or(Value::String(text)))));
    };
    let removed = move || {
        let name = key.get_value();
        step.reshape(move |step| drop(mapping.of(step).shift_remove(&name)));
    };
    let preview = (is_text && mapping == Mapping::Input)
        .then(|| view! { <Preview edit=step kind=Asked::Value text=shown_text/> });
    let id = step.id(&format!("{}-{index}", mapping.word()));
    let label = format!("Expression of {name}");
    view! {
        <div class="mapping-row">
            <div on:change=renamed>
                <TextField
                    label="Name"
                    hide_label=true
                    name=format!("{id}-name")
                    id=format!("{id}-name")
                    value=name.clone()
                    mono=true
                />
            </div>
            <Completing edit=step output=mapping == Mapping::Output>
            <TextField
                label=label
                hide_label=true
                name=format!("{id}-value")
                id=format!("{id}-value")
                value=shown
                on_input=set
                mono=true
            />
            </Completing>
            <IconButton
                glyph=Glyph::Trash
                label=format!("Remove the mapping {name}")
                size=ButtonSize::Small
                on_click=removed
            />
            {preview}
        </div>
    }
}
