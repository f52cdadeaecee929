//! A field with JSON text. Invalid text stays in the field with its error, and does not change the document.

use crate::{load::parse, ui::TextArea};
use leptos::prelude::*;
use serde_json::Value;

#[component]
pub fn JsonField(
    #[prop(into)] id: String,
    #[prop(into)] label: String,
    value: Option<Value>,
    #[prop(optional, into)] hint: MaybeProp<String>,
    /// Called with `None` if the field is empty.
    on_change: Callback<Option<Value>>,
) -> impl IntoView {
    let error = RwSignal::new(None::<String>);
    let text =
        value.map(|value| serde_json::to_string_pretty(&value).unwrap_or_default()).unwrap_or_default();
    let input = move |text: String| match text.trim() {
        "" => {
            error.set(None);
            on_change.run(None);
        }
        text => match parse(text) {
            Ok(value) => {
                error.set(None);
                on_change.run(Some(value));
            }
            Err(wrong) => error.set(Some(format!("Is no JSON yet: {wrong}."))),
        },
    };
    view! { <TextArea name=id.clone() id label value=text hint error rows=4 mono=true on_input=input/> }
}
