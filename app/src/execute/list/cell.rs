//! A cell of a list: the control of its kind, and pasting into it.

use super::rows::Rows;
use crate::{
    execute::read::cell_key,
    ui::{InputKind, Select, SelectOption, TextArea, TextField},
};
use domain::schema::{FieldKind, FormField};
use leptos::{ev, prelude::*};
use serde_json::Value;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::HtmlInputElement;

/// Row, column, pasted lines of cells, and the remaining text of the cell before and after them. Returns false if they
/// do not fit.
pub type Paste = Callback<(usize, usize, Vec<Vec<String>>, (String, String)), bool>;

#[component]
pub fn Cell(
    rows: Rows,
    place: usize,
    row: usize,
    column: usize,
    field: FormField,
    text: RwSignal<String>,
    #[prop(into)] error: MaybeProp<String>,
    /// The title of the list.
    title: StoredValue<String>,
    pasted: Paste,
) -> impl IntoView {
    let name = format!("form[input][{}]", cell_key(place, row, column));
    let id = rows.id(row, column);
    let alone = !rows.list.with_value(|list| list.objects);
    let label = if alone { format!("{}, row {}", title.get_value(), row + 1) } else { field.title.clone() };
    let optional = !alone && !field.required;
    let hint = MaybeProp::from(field.description.clone());
    let example = field.example.map(|example| match example {
        Value::String(text) => text,
        example => example.to_string(),
    });
    let placeholder = MaybeProp::from(example);
    let choose = |choices: Vec<SelectOption>| {
        std::iter::once(SelectOption::new("", "Choose…")).chain(choices).collect::<Vec<_>>()
    };
    let single = |kind: InputKind, step: Option<&'static str>| {
        let (name, id, label) = (name.clone(), id.clone(), label.clone());
        view! {
            <TextField
                label
                name
                id
                kind
                step=step.unwrap_or("any")
                bind=text
                hint
                placeholder
                error
                optional
                hide_label=alone
            />
        }
        .into_any()
    };
    let control = match field.kind {
        FieldKind::Text => single(InputKind::Text, None),
        FieldKind::Number => single(InputKind::Number, None),
        FieldKind::Integer => single(InputKind::Number, Some("1")),
        FieldKind::Boolean => {
            let options = choose(vec![SelectOption::new("true", "Yes"), SelectOption::new("false", "No")]);
            view! { <Select label name id options bind=text hint error optional hide_label=alone/> }.into_any()
        }
        FieldKind::Choice(choices) => {
            let options = choose(choices.iter().map(|choice| SelectOption::new(choice, choice)).collect());
            view! { <Select label name id options bind=text hint error optional hide_label=alone/> }.into_any()
        }
        // Nested lists and JSON values have no rows.
        FieldKind::LongText | FieldKind::List(_) | FieldKind::Json => view! {
            <TextArea label name id bind=text hint placeholder error optional hide_label=alone rows=2 submit_on_enter=true/>
        }
        .into_any(),
    };
    let paste = move |event: ev::ClipboardEvent| {
        let Ok(input) = event_target::<web_sys::Element>(&event).dyn_into::<HtmlInputElement>() else {
            return;
        };
        let lines = lines(&pasted_text(&event), alone);
        let several = lines.len() > 1 || lines.first().is_some_and(|cells| cells.len() > 1);
        if several && pasted.run((row, column, lines, around_selection(&input))) {
            event.prevent_default();
        }
    };
    view! { <div class="list-cell" on:paste=paste>{control}</div> }
}

/// The non-empty lines of a pasted text. In rows of several cells, a tab separates cells.
fn lines(text: &str, alone: bool) -> Vec<Vec<String>> {
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    let cells = |line: &str| match alone {
        true => vec![line.to_owned()],
        false => line.split('\t').map(|cell| cell.trim().to_owned()).collect(),
    };
    lines.map(cells).collect()
}

fn pasted_text(event: &ev::ClipboardEvent) -> String {
    // Uses reflection, because the web-sys binding is needed only here.
    let read = || {
        let data = js_sys::Reflect::get(event, &"clipboardData".into()).ok()?;
        let get = js_sys::Reflect::get(&data, &"getData".into()).ok()?;
        get.dyn_into::<js_sys::Function>().ok()?.call1(&data, &JsValue::from_str("text")).ok()?.as_string()
    };
    read().unwrap_or_default()
}

/// The text before and after the selection. A control without selection counts as fully selected.
fn around_selection(input: &HtmlInputElement) -> (String, String) {
    let value: Vec<u16> = input.value().encode_utf16().collect();
    let (Ok(Some(from)), Ok(Some(to))) = (input.selection_start(), input.selection_end()) else {
        return (String::new(), String::new());
    };
    let part = |range: Option<&[u16]>| String::from_utf16_lossy(range.unwrap_or_default());
    (part(value.get(..from as usize)), part(value.get(to as usize..)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_rows_and_tabs_cells() {
        assert_eq!(lines("a\r\n\n b\tc \n", true), [["a"], [" b\tc "]]);
        assert_eq!(lines("Ada\t36\nBob\t", false), [["Ada", "36"], ["Bob", ""]]);
        assert!(lines(" \n", true).is_empty());
    }
}
