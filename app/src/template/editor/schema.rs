//! A JSON Schema as rows, with its JSON below. Both change only the document, so undo and the YAML include their
//! changes.
//!
//! Invariant: a schema, or a part of one, that rows cannot show is mentioned and stays unchanged.

use super::{anew, focus, json::JsonField, schema_row::RowFields, state::Editor};
use crate::{
    form::sentence,
    ui::{Button, ButtonSize, Glyph},
};
use domain::schema::SchemaRows;
use leptos::prelude::*;
use serde_json::Value;

/// The owner of the schema.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum SchemaOf {
    /// A run's input.
    Input,
    /// The output of the step at this index.
    Output(usize),
}

/// A schema of the document. Typing in a row re-renders neither the rows nor the JSON.
#[derive(Clone, Copy)]
pub struct SchemaEdit {
    editor: Editor,
    pub of: SchemaOf,
    /// Count the re-renders of either view that changes in the other one require.
    rows_drawn: RwSignal<u32>,
    json_drawn: RwSignal<u32>,
}

impl SchemaEdit {
    pub fn id(self, field: &str) -> String {
        match self.of {
            SchemaOf::Input => format!("input-{field}"),
            SchemaOf::Output(step) => format!("step-{step}-schema-{field}"),
        }
    }

    fn read(self) -> Option<Value> {
        let read = |template: &domain::template::Template| match self.of {
            SchemaOf::Input => template.input.clone(),
            SchemaOf::Output(step) => template.steps.get(step)?.output_schema.clone(),
        };
        self.editor.with_document(read).flatten()
    }

    fn write(self, schema: Option<Value>) {
        self.editor.edit(|template| match self.of {
            SchemaOf::Input => template.input = schema,
            SchemaOf::Output(step) => {
                if let Some(step) = template.steps.get_mut(step) {
                    step.output_schema = schema;
                }
            }
        });
    }

    /// Changes the current rows without re-rendering them.
    pub fn edit<T>(self, change: impl FnOnce(&mut SchemaRows) -> T) -> Option<T> {
        let mut rows = SchemaRows::of(self.read().as_ref()).ok()?;
        let changed = change(&mut rows);
        self.write(rows.into_schema());
        self.json_drawn.update(|drawn| *drawn += 1);
        Some(changed)
    }

    /// As `edit`, followed by a re-render of the rows; `then` returns the id of the control to focus.
    pub fn reshape<T>(self, change: impl FnOnce(&mut SchemaRows) -> T, then: impl FnOnce(&T) -> String) {
        if let Some(changed) = self.edit(change) {
            self.rows_drawn.update(|drawn| *drawn += 1);
            focus(then(&changed));
        }
    }
}

#[component]
pub fn SchemaBuilder(editor: Editor, of: SchemaOf, #[prop(into)] none: String) -> impl IntoView {
    let edit = SchemaEdit { editor, of, rows_drawn: RwSignal::new(0), json_drawn: RwSignal::new(0) };
    let none = StoredValue::new(none);
    let drawings = StoredValue::new(0);
    let rows = move || {
        edit.editor.shape.track();
        edit.rows_drawn.track();
        let drawn = match SchemaRows::of(edit.read().as_ref()) {
            Ok(rows) => view! { <Rows edit rows none=none.get_value()/> }.into_any(),
            Err(why) => {
                let why =
                    format!("This schema has no rows: {why}. It stays as it is, and can be changed as JSON.");
                view! { <p class="schema-note">{why}</p> }.into_any()
            }
        };
        anew(drawings, drawn)
    };
    let texts = StoredValue::new(0);
    let json = move || {
        edit.editor.shape.track();
        edit.json_drawn.track();
        let set = Callback::new(move |schema: Option<Value>| {
            edit.write(schema);
            edit.rows_drawn.update(|drawn| *drawn += 1);
        });
        let hint = match of {
            SchemaOf::Input => "What a run's input must be.",
            SchemaOf::Output(_) => "Without it, the output is text.",
        };
        let field = view! {
            <JsonField id=edit.id("json") label="JSON Schema" value=edit.read() hint on_change=set/>
        };
        anew(texts, field.into_any())
    };
    // A schema that has no rows is shown as JSON.
    let open = SchemaRows::of(edit.read().as_ref()).is_err();
    view! {
        <div class="schema">
            {rows}
            <details class="more" open=open>
                <summary>"As JSON Schema"</summary>
                {json}
            </details>
        </div>
    }
    .into_any()
}

#[component]
fn Rows(edit: SchemaEdit, rows: SchemaRows, none: String) -> impl IntoView {
    let beside = rows.other_keywords();
    let rows = rows.rows();
    let count = rows.len();
    let empty = rows.is_empty().then(|| view! { <p class="field-hint">{none}</p> });
    let drawn = rows.into_iter().enumerate();
    let drawn = drawn.map(|(at, row)| view! { <RowFields edit at row last=at + 1 == count/> }).collect_view();
    let add = move || edit.reshape(SchemaRows::add, move |at| edit.id(&format!("{at}-name")));
    let label = if edit.of == SchemaOf::Input { "Fields of the input" } else { "Fields of the output" };
    view! {
        {empty}
        <ol class="schema-rows" role="list" aria-label=label>
            {drawn}
        </ol>
        {(!beside.is_empty())
            .then(|| {
                let text = format!("It also says {}. That stays as it is.", beside.join(", "));
                view! { <p class="schema-note">{sentence(&text)}</p> }
            })}
        <Button size=ButtonSize::Small glyph=Glyph::Plus on_click=add>
            "Add a field"
        </Button>
    }
}
