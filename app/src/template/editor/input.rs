//! The fields of a run's input, as rows over the template's JSON Schema. What a row does not know of a field stays as
//! the schema has it.

use super::{focus, json::JsonField, state::Editor};
use crate::{
    load::parse,
    ui::{Button, ButtonSize, Checkbox, Glyph, IconButton, Select, SelectOption, TextField},
};
use domain::{
    schema::{FieldKind, FormField, form_fields},
    template::Template,
};
use leptos::prelude::*;
use serde_json::{Map, Value, json};

/// Word, label and schema of each kind of field.
const KINDS: [(&str, &str, &str); 7] = [
    ("text", "Text", r#"{"type":"string"}"#),
    ("long", "Long text", r#"{"type":"string","format":"textarea"}"#),
    ("number", "Number", r#"{"type":"number"}"#),
    ("integer", "Whole number", r#"{"type":"integer"}"#),
    ("boolean", "Yes or no", r#"{"type":"boolean"}"#),
    ("choice", "Choice", r#"{"enum":["one","two"]}"#),
    ("json", "JSON", r#"{}"#),
];

fn word(kind: &FieldKind) -> &'static str {
    match kind {
        FieldKind::Text => "text",
        FieldKind::LongText => "long",
        FieldKind::Number => "number",
        FieldKind::Integer => "integer",
        FieldKind::Boolean => "boolean",
        FieldKind::Choice(_) => "choice",
        FieldKind::Json => "json",
    }
}

#[component]
pub fn InputFields(editor: Editor, input: Option<Value>) -> impl IntoView {
    let fields = input.as_ref().map(form_fields).unwrap_or_default();
    let count = fields.len();
    let none = fields.is_empty().then(|| {
        view! { <p class="field-hint">"A run of this template asks for nothing. Add a field that its steps can read."</p> }
    });
    let rows = fields
        .into_iter()
        .enumerate()
        .map(|(index, field)| view! { <Row editor index field/> })
        .collect_view();
    let add = move || {
        editor.reshape(|template| {
            with_properties(template, |properties| {
                let name = (1..).map(|n| if n == 1 { "text".to_owned() } else { format!("text{n}") });
                let free = name.into_iter().find(|name| !properties.contains_key(name)).unwrap_or_default();
                properties.insert(free, json!({"type": "string"}));
            });
        });
        focus(format!("input-{count}-name"));
    };
    let set = Callback::new(move |input: Option<Value>| {
        editor.edit(|template| template.input = input);
    });
    view! {
        <fieldset class="template-part">
            <legend class="template-part-title">"Input"</legend>
            {none}
            <div class="input-rows">{rows}</div>
            <Button size=ButtonSize::Small glyph=Glyph::Plus on_click=add>
                "Add a field"
            </Button>
            <details class="more">
                <summary>"As JSON Schema"</summary>
                <JsonField
                    id="template-input"
                    label="JSON Schema of the input"
                    value=input
                    on_change=set
                />
            </details>
        </fieldset>
    }
}

#[component]
fn Row(editor: Editor, index: usize, field: FormField) -> impl IntoView {
    let name = StoredValue::new(field.name.clone());
    let choices = match &field.kind {
        FieldKind::Choice(choices) => Some(choices.join(", ")),
        _ => None,
    };
    let options: Vec<_> = KINDS.iter().map(|(word, label, _)| SelectOption::new(*word, *label)).collect();
    let renamed = move |event| {
        let new: String = event_target_value::<leptos::ev::Event>(&event).trim().to_owned();
        let old = name.get_value();
        if !new.is_empty() && new != old {
            editor.reshape(|template| rename(template, &old, &new));
        }
    };
    let set_kind = move |kind: String| {
        let name = name.get_value();
        editor.reshape(|template| with_property(template, &name, |property| set_kind(property, &kind)));
    };
    let set_choices = move |text: String| {
        let name = name.get_value();
        let words: Vec<_> =
            text.split(',').map(str::trim).filter(|word| !word.is_empty()).map(Value::from).collect();
        editor.edit(|template| {
            with_property(template, &name, |property| {
                property.insert("enum".to_owned(), Value::Array(words));
            });
        });
    };
    let set_required = move |required: bool| {
        let name = name.get_value();
        editor.edit(|template| require(template, &name, required));
    };
    let remove_row = move || {
        let name = name.get_value();
        editor.reshape(|template| remove(template, &name));
    };
    view! {
        <div class="input-row">
            <div class="input-row-name" on:change=renamed>
                <TextField
                    label="Name"
                    hide_label=true
                    name=format!("input-{index}-name")
                    id=format!("input-{index}-name")
                    value=field.name.clone()
                    mono=true
                />
            </div>
            <Select
                label=format!("Kind of {}", field.name)
                hide_label=true
                name=format!("input-{index}-kind")
                options
                value=word(&field.kind)
                on_change=set_kind
            />
            <Checkbox
                label="Required"
                name=format!("input-{index}-required")
                checked=field.required
                on_change=set_required
            />
            <IconButton
                glyph=Glyph::Trash
                label=format!("Remove the field {}", field.name)
                size=ButtonSize::Small
                on_click=remove_row
            />
            {choices
                .map(|choices| {
                    view! {
                        <TextField
                            label="Choices, separated by commas"
                            name=format!("input-{index}-choices")
                            value=choices
                            on_input=set_choices
                            class="input-row-choices"
                        />
                    }
                })}
        </div>
    }
}

fn with_schema(template: &mut Template, change: impl FnOnce(&mut Map<String, Value>)) {
    let schema = template.input.get_or_insert_with(|| json!({"type": "object"}));
    if let Value::Object(schema) = schema {
        change(schema);
    }
}

fn with_properties(template: &mut Template, change: impl FnOnce(&mut Map<String, Value>)) {
    with_schema(template, |schema| {
        let properties = schema.entry("properties").or_insert_with(|| json!({}));
        if let Value::Object(properties) = properties {
            change(properties);
        }
    });
}

fn with_property(template: &mut Template, name: &str, change: impl FnOnce(&mut Map<String, Value>)) {
    with_properties(template, |properties| {
        if let Some(Value::Object(property)) = properties.get_mut(name) {
            change(property);
        }
    });
}

fn set_kind(property: &mut Map<String, Value>, kind: &str) {
    let Some((_, _, schema)) = KINDS.iter().find(|(word, _, _)| *word == kind) else { return };
    let said =
        ["title", "description"].map(|word| property.remove(word).map(|value| (word.to_owned(), value)));
    property.clear();
    property.extend(said.into_iter().flatten());
    if let Ok(Value::Object(schema)) = parse(schema) {
        property.extend(schema);
    }
}

fn require(template: &mut Template, name: &str, required: bool) {
    with_schema(template, |schema| {
        let list = schema.entry("required").or_insert_with(|| json!([]));
        if let Value::Array(list) = list {
            list.retain(|other| other != name);
            if required {
                list.push(name.into());
            }
        }
    });
}

fn rename(template: &mut Template, old: &str, new: &str) {
    with_properties(template, |properties| {
        if properties.contains_key(new) {
            return;
        }
        let renamed = |(name, value)| (if name == old { new.to_owned() } else { name }, value);
        *properties = std::mem::take(properties).into_iter().map(renamed).collect();
    });
    with_schema(template, |schema| {
        for name in schema.get_mut("required").and_then(Value::as_array_mut).into_iter().flatten() {
            if name == old {
                *name = new.into();
            }
        }
    });
}

fn remove(template: &mut Template, name: &str) {
    with_properties(template, |properties| drop(properties.shift_remove(name)));
    require(template, name, false);
    let empty = form_fields(template.input.as_ref().unwrap_or(&Value::Null)).is_empty();
    if empty {
        template.input = None;
    }
}
