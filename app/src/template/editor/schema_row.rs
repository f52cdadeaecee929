//! A field of a schema: its name, kind, whether it is required, and its description.

use super::schema::{SchemaEdit, SchemaOf};
use crate::{
    form::sentence,
    ui::{ButtonSize, Checkbox, Glyph, IconButton, Select, SelectOption, TextField},
};
use domain::schema::{ItemKind, Row, RowKind, SchemaRows};
use leptos::{ev, prelude::*};
use serde_json::Value;

const KINDS: [(&str, &str, RowKind); 9] = [
    ("text", "Text", RowKind::Text),
    ("long", "Long text", RowKind::LongText),
    ("number", "Number", RowKind::Number),
    ("integer", "Whole number", RowKind::Integer),
    ("boolean", "Yes or no", RowKind::Boolean),
    ("choice", "Choice", RowKind::Choice),
    ("list", "List", RowKind::List(ItemKind::Text)),
    ("object", "Object", RowKind::Object),
    ("any", "Anything", RowKind::Any),
];

const ITEMS: [(&str, &str, ItemKind); 6] = [
    ("text", "of texts", ItemKind::Text),
    ("number", "of numbers", ItemKind::Number),
    ("integer", "of whole numbers", ItemKind::Integer),
    ("boolean", "of yes or no", ItemKind::Boolean),
    ("object", "of objects", ItemKind::Object),
    ("any", "of anything", ItemKind::Any),
];

#[component]
pub fn RowFields(
    edit: SchemaEdit,
    at: usize,
    row: Row,
    /// Whether it is the last row.
    last: bool,
) -> impl IntoView {
    let id = move |field: &str| edit.id(&format!("{at}-{field}"));
    let name = RwSignal::new(row.name.clone());
    let of_it = move |what: &'static str| Signal::derive(move || format!("{what} of {}", name.get()));
    let taken = RwSignal::new(None::<String>);
    let renamed = move |event: ev::Event| {
        let new = event_target_value(&event).trim().to_owned();
        match edit.edit(|rows| rows.rename(at, &new)) {
            Some(true) => {
                taken.set(None);
                name.set(new);
            }
            _ if new.is_empty() => taken.set(Some("A field needs a name.".to_owned())),
            _ => taken.set(Some(format!("There is a field '{new}' already."))),
        }
    };
    let kinds: Vec<_> = KINDS.map(|(word, label, _)| SelectOption::new(word, label)).to_vec();
    let kind = row.kind;
    let set_kind = move |word: String| {
        if let Some((.., kind)) = KINDS.into_iter().find(|(known, ..)| *known == word) {
            edit.reshape(|rows| rows.set_kind(at, kind), move |()| id("kind"));
        }
    };
    let shift = move |down: bool| {
        edit.reshape(
            |rows| rows.shift(at, down),
            move |_| {
                let to = if down { at + 1 } else { at.saturating_sub(1) };
                edit.id(&format!("{to}-name"))
            },
        );
    };
    let remove = move || {
        edit.reshape(
            |rows: &mut SchemaRows| {
                rows.remove(at);
                rows.rows().len()
            },
            move |left| edit.id(&format!("{}-name", at.min(left.saturating_sub(1)))),
        );
    };
    let more = (!row.more.is_empty()).then(|| {
        let text =
            format!("it also says {}. That stays as it is, unless its kind changes", row.more.join(", "));
        view! { <p class="schema-note">{sentence(&text)}</p> }
    });
    let input = edit.of == SchemaOf::Input;
    let own = match kind {
        RowKind::Choice => {
            view! { <Choices edit at id=id("choices") choices=row.choices.clone()/> }.into_any()
        }
        RowKind::List(item) => view! { <Items edit at id=id("items") item label=of_it("Items")/> }.into_any(),
        _ => ().into_any(),
    };
    let said = input.then(|| {
        view! {
            <Said edit at kind id=id("default") label=of_it("Default") placeholder="Default" value=row.default.clone() set=SchemaRows::set_default/>
            <Said edit at kind id=id("example") label=of_it("Example") placeholder="Example" value=row.example.clone() set=SchemaRows::set_example/>
        }
    });
    view! {
        <li class="schema-row">
            <div class="schema-row-head">
                <div class="schema-row-name" on:change=renamed>
                    <TextField
                        label=of_it("Name")
                        hide_label=true
                        name=id("name")
                        id=id("name")
                        value=row.name.clone()
                        error=taken
                        mono=true
                    />
                </div>
                <Select
                    label=of_it("Kind")
                    hide_label=true
                    name=id("kind")
                    id=id("kind")
                    options=kinds
                    value=kind_word(kind)
                    on_change=set_kind
                />
                <Checkbox
                    label="Required"
                    name=id("required")
                    id=id("required")
                    checked=row.required
                    on_change=move |required| _ = edit.edit(|rows| rows.require(at, required))
                />
                <span class="schema-row-tools">
                    <IconButton glyph=Glyph::ChevronUp label=Signal::derive(move || format!("Move {} up", name.get())) size=ButtonSize::Small disabled={at == 0} on_click=move || shift(false)/>
                    <IconButton glyph=Glyph::ChevronDown label=Signal::derive(move || format!("Move {} down", name.get())) size=ButtonSize::Small disabled=last on_click=move || shift(true)/>
                    <IconButton glyph=Glyph::Trash label=Signal::derive(move || format!("Remove the field {}", name.get())) size=ButtonSize::Small on_click=remove/>
                </span>
            </div>
            <div class="schema-row-more">
                {own}
                <TextField
                    label=of_it("Description")
                    hide_label=true
                    name=id("description")
                    id=id("description")
                    value=row.description.clone()
                    placeholder=if input { "Description: stands under the field" } else { "Description: what the model shall put here" }
                    class=if input { "schema-row-said" } else { "schema-row-wide" }
                    on_input=move |text: String| _ = edit.edit(|rows| rows.describe(at, &text))
                />
                {said}
            </div>
            {more}
        </li>
    }
    .into_any()
}

fn kind_word(kind: RowKind) -> &'static str {
    let same = |known: RowKind| match (known, kind) {
        (RowKind::List(_), RowKind::List(_)) => true,
        (known, kind) => known == kind,
    };
    KINDS.into_iter().find(|(.., known)| same(*known)).map_or("any", |(word, ..)| word)
}

#[component]
fn Choices(edit: SchemaEdit, at: usize, id: String, choices: Vec<String>) -> impl IntoView {
    let set = move |text: String| {
        let words = text.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned);
        let words = words.collect();
        edit.edit(|rows| rows.set_choices(at, words));
    };
    view! {
        <TextField
            label="Choices, separated by commas"
            name=id.clone()
            id
            value=choices.join(", ")
            on_input=set
            class="schema-row-wide"
        />
    }
}

#[component]
fn Items(
    edit: SchemaEdit,
    at: usize,
    id: String,
    item: ItemKind,
    #[prop(into)] label: Signal<String>,
) -> impl IntoView {
    let options: Vec<_> = ITEMS.map(|(word, label, _)| SelectOption::new(word, label)).to_vec();
    let value = ITEMS.into_iter().find(|(.., kind)| *kind == item).map_or("any", |(word, ..)| word);
    let own = StoredValue::new(id.clone());
    let set = move |word: String| {
        if let Some((.., item)) = ITEMS.into_iter().find(|(known, ..)| *known == word) {
            edit.reshape(|rows| rows.set_kind(at, RowKind::List(item)), move |()| own.get_value());
        }
    };
    view! {
        <div class="schema-row-own">
            <Select label hide_label=true name=id.clone() id options value on_change=set/>
        </div>
    }
}

/// A text field for a value, in the notation that people type.
#[component]
fn Said(
    edit: SchemaEdit,
    at: usize,
    kind: RowKind,
    id: String,
    #[prop(into)] label: Signal<String>,
    placeholder: &'static str,
    value: Option<Value>,
    set: fn(&mut SchemaRows, usize, Option<Value>),
) -> impl IntoView {
    let text = value.map(|value| kind.written(&value)).unwrap_or_default();
    if kind == RowKind::Boolean {
        let options = vec![
            SelectOption::new("", format!("No {}", placeholder.to_lowercase())),
            SelectOption::new("true", "Yes"),
            SelectOption::new("false", "No"),
        ];
        let change = move |word: String| {
            let value = kind.read(&word).ok().flatten();
            edit.edit(|rows| set(rows, at, value));
        };
        return view! { <Select label hide_label=true name=id.clone() id options value=text on_change=change/> }
            .into_any();
    }
    let error = RwSignal::new(None::<String>);
    let input = move |text: String| match kind.read(&text) {
        Ok(value) => {
            error.set(None);
            edit.edit(|rows| set(rows, at, value));
        }
        Err(why) => error.set(Some(sentence(why))),
    };
    view! {
        <TextField label hide_label=true name=id.clone() id value=text placeholder=placeholder error on_input=input/>
    }
    .into_any()
}
