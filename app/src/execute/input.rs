//! The controls of a template's input, derived from its schema.

use super::{
    list::{ListInput, Lists},
    read::{WHOLE, field_key, fields},
};
use crate::{
    fault::Fault,
    form::error_at,
    ui::{Checkbox, InputKind, Select, SelectOption, TextArea, TextField},
};
use domain::{
    schema::{FieldKind, FormField},
    template::Template,
};
use leptos::prelude::*;
use serde_json::Value;

#[component]
pub fn InputControls(
    template: Template,
    fault: Signal<Option<Fault>>,
    /// Makes ids unique if a page has several forms.
    prefix: &'static str,
    /// Receives the form's lists, so that they can be filled in.
    #[prop(optional)]
    lists: Option<Lists>,
    /// Called after a change for which no control fires an event.
    #[prop(optional)]
    changed: Option<Callback<()>>,
) -> impl IntoView {
    let fields = fields(&template);
    if fields.is_empty() {
        let Some(schema) = template.input else {
            return view! { <p class="field-hint">"This template asks for nothing."</p> }.into_any();
        };
        let hint = format!("JSON that fits {schema}");
        return view! {
            <TextArea
                label="Input"
                name=format!("form[input][{WHOLE}]")
                id=format!("{prefix}-input")
                value="{}"
                hint
                error=error_at(fault, "input")
                rows=6
                mono=true
                submit_on_enter=true
            />
        }
        .into_any();
    }
    let control = |(index, field): (usize, FormField)| match &field.kind {
        FieldKind::List(list) => {
            let list = list.clone();
            view! { <ListInput place=index field list fault prefix lists changed/> }.into_any()
        }
        _ => view! { <Control index field fault prefix/> }.into_any(),
    };
    fields.into_iter().enumerate().map(control).collect_view().into_any()
}

#[component]
fn Control(
    index: usize,
    field: FormField,
    fault: Signal<Option<Fault>>,
    prefix: &'static str,
) -> impl IntoView {
    let name = format!("form[input][{}]", field_key(index));
    let id = format!("{prefix}-f{index}");
    let error = error_at(fault, format!("input.{}", field.name));
    let hint = MaybeProp::from(field.description.clone());
    let label = field.title.clone();
    let optional = !field.required;
    let required = field.required;
    let placeholder = MaybeProp::from(field.example.map(|example| match example {
        Value::String(text) => text,
        example => example.to_string(),
    }));
    let value = match field.default {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text,
        Some(value) => value.to_string(),
    };
    match field.kind {
        FieldKind::Text => view! { <TextField label name id value hint placeholder error required optional/> }.into_any(),
        FieldKind::LongText => view! {
            <TextArea label name id value hint placeholder error required optional rows=8 mono=true submit_on_enter=true/>
        }
        .into_any(),
        FieldKind::Number => view! {
            <TextField label name id value hint placeholder error required optional kind=InputKind::Number step="any"/>
        }
        .into_any(),
        FieldKind::Integer => view! {
            <TextField label name id value hint placeholder error required optional kind=InputKind::Number step="1"/>
        }
        .into_any(),
        FieldKind::Boolean => {
            view! { <Checkbox label name id checked={value == "true"} hint error/> }.into_any()
        }
        FieldKind::Choice(choices) => {
            let none = (!required || value.is_empty()).then(|| SelectOption::new("", "Choose…"));
            let choices = choices.iter().map(|choice| SelectOption::new(choice, choice));
            let options: Vec<_> = none.into_iter().chain(choices).collect();
            view! { <Select label name id value options hint error required optional/> }.into_any()
        }
        // A list is rendered as rows.
        FieldKind::List(_) | FieldKind::Json => view! {
            <TextArea label name id value hint placeholder error required optional rows=4 mono=true submit_on_enter=true/>
        }
        .into_any(),
    }
}
