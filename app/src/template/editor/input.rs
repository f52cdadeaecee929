//! The input side of the editor: the schema's fields on the left, and on the right a preview of the form, rendered by
//! the same code as the execute form.

use super::{
    anew,
    schema::{SchemaBuilder, SchemaOf},
    state::{Editor, Side},
};
use crate::{
    execute::InputControls,
    fault::Fault,
    ui::{Button, ButtonSize, Glyph},
};
use domain::schema::form_fields;
use leptos::prelude::*;

/// The pane of this side.
#[component]
pub fn InputPane(editor: Editor) -> impl IntoView {
    // Created when it is first shown, and then kept with its opened parts.
    let wanted = Memo::new(move |was: Option<&bool>| was == Some(&true) || editor.side.get() == Side::Input);
    let pane = move || {
        wanted.get().then(|| {
            view! {
                <section class="schema-pane" aria-label="Input">
                    <h2 class="section-title">"What a run asks for"</h2>
                    <SchemaBuilder
                        editor
                        of=SchemaOf::Input
                        none="A run of this template asks for nothing. Add a field that its steps can read, as context.input.name."
                    />
                </section>
                <FormPreview editor/>
            }
        })
    };
    view! {
        <div class="designer-input" inert=move || !editor.readable.get() || !editor.awake.get()>
            {pane}
        </div>
    }
}

#[component]
fn FormPreview(editor: Editor) -> impl IntoView {
    let drawings = StoredValue::new(0);
    let nothing_wrong = Signal::stored(None::<Fault>);
    let form = move || {
        editor.drawn.track();
        let template = editor.document()?;
        Some(anew(
            drawings,
            view! { <InputControls template fault=nothing_wrong prefix="preview"/> }.into_any(),
        ))
    };
    view! {
        <section class="schema-preview" aria-label="Preview of the form">
            <h2 class="section-title">"The form people fill in"</h2>
            <div class="schema-form">{form}</div>
            <p class="field-hint">"Try it: nothing that is written here is kept."</p>
        </section>
    }
}

/// The input's summary among the template's fields.
#[component]
pub fn InputSummary(editor: Editor) -> impl IntoView {
    let words = move || {
        // Changing a row does not re-render the inspector.
        editor.drawn.track();
        let input = editor.with_document(|template| template.input.clone()).flatten();
        let fields = input.as_ref().map(form_fields).unwrap_or_default();
        let names: Vec<_> = fields.into_iter().map(|field| field.name).collect();
        match (names.as_slice(), input) {
            ([], None) => "A run asks for nothing.".to_owned(),
            ([], Some(_)) => "A run asks for JSON.".to_owned(),
            (names, _) if names.len() > 6 => format!("A run asks for {} fields.", names.len()),
            (names, _) => format!("A run asks for {}.", names.join(", ")),
        }
    };
    view! {
        <div class="step-waits" role="group" aria-label="Input">
            <span class="field-label">"Input"</span>
            <p class="field-hint">{words}</p>
            <Button size=ButtonSize::Small glyph=Glyph::Edit on_click=move || editor.side.set(Side::Input)>
                "Make the form"
            </Button>
        </div>
    }
}
