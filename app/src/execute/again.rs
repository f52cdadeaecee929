//! The input of the last launch, kept in this browser: one button fills it in again. The search palette's link fills
//! it in at once.

use super::{
    draft::Draft,
    list::Lists,
    read::{field_key, list_text},
    server::LaunchForm,
};
use crate::{
    kept::Kept,
    ui::{Button, ButtonSize, ButtonVariant, Glyph},
};
use domain::{
    key::{ProjectKey, TemplateKey},
    schema::{FieldKind, FormField},
};
use leptos::{html, prelude::*};
use leptos_router::{hooks::use_query_map, params::ParamsMap};
use std::collections::BTreeMap;
use wasm_bindgen::JsCast;
use web_sys::{HtmlFormElement, HtmlInputElement, HtmlSelectElement, HtmlTextAreaElement};

/// Maximum size of a kept input: browser storage is small.
const MOST: usize = 64 * 1024;

/// Field name to text.
pub type Texts = BTreeMap<String, String>;

fn place((project, template): &(ProjectKey, TemplateKey)) -> String {
    format!("troupe:input:{project}/{template}")
}

fn read(of: &(ProjectKey, TemplateKey)) -> Texts {
    Kept::InBrowser.read(&place(of)).unwrap_or_default()
}

/// The current texts of the form's fields.
pub fn texts(fields: &[FormField], form: &HtmlFormElement) -> Texts {
    let texts = LaunchForm::in_page(form).input;
    let text = |(index, field): (usize, &FormField)| {
        let text = match &field.kind {
            FieldKind::List(list) => list_text(index, list, &texts),
            // An unchecked box is not submitted.
            _ => texts.get(&field_key(index)).cloned().unwrap_or_default(),
        };
        (field.name.clone(), text)
    };
    fields.iter().enumerate().map(text).collect()
}

/// Keeps the current texts of the form's fields.
pub fn keep(of: &(ProjectKey, TemplateKey), fields: &[FormField], form: &HtmlFormElement) {
    Kept::InBrowser.write(&place(of), &texts(fields, form), MOST);
}

pub fn fill(form: &HtmlFormElement, fields: &[FormField], lists: Lists, kept: &Texts) {
    for (index, field) in fields.iter().enumerate() {
        let Some(text) = kept.get(&field.name) else { continue };
        if !lists.fill(index, text) {
            put(form, &field_key(index), text);
        }
    }
}

/// Writes a text into the form's control with this key.
pub fn put(form: &HtmlFormElement, key: &str, text: &str) {
    let name = format!("[name=\"form[input][{key}]\"]");
    let Ok(Some(field)) = form.query_selector(&name) else { return };
    if let Some(area) = field.dyn_ref::<HtmlTextAreaElement>() {
        area.set_value(text);
    } else if let Some(select) = field.dyn_ref::<HtmlSelectElement>() {
        select.set_value(text);
    } else if let Some(input) = field.dyn_ref::<HtmlInputElement>() {
        if input.type_() == "checkbox" {
            input.set_checked(!text.is_empty());
        } else {
            input.set_value(text);
        }
    }
}

/// The URL without `?again`.
fn answered(mut query: ParamsMap) -> String {
    _ = query.remove("again");
    match query.to_query_string() {
        // Without a query the path must be given: an empty URL would change nothing.
        empty if empty.is_empty() => window().location().pathname().unwrap_or_default(),
        query => query,
    }
}

/// Offers to fill in the input of the last launch; `?again` in the URL fills it in at once. Otherwise restores the
/// draft.
#[component]
pub fn AsLastTime(
    of: StoredValue<(ProjectKey, TemplateKey)>,
    fields: StoredValue<Vec<FormField>>,
    lists: Lists,
    form: NodeRef<html::Form>,
    draft: Draft,
    /// A text that takes precedence over all kept inputs; it is written into the first text field, preferably a
    /// multi-line one.
    given: StoredValue<Option<String>>,
    on_filled: Callback<()>,
) -> impl IntoView {
    let kept = RwSignal::new(Texts::new());
    let filled = RwSignal::new(false);
    let query = use_query_map();
    let fill_in = move || {
        if let Some(form) = form.get_untracked() {
            fields.with_value(|fields| kept.with_untracked(|kept| fill(&form, fields, lists, kept)));
            filled.set(true);
            on_filled.run(());
        }
    };
    Effect::new(move |ran: Option<bool>| {
        let element = form.get();
        let there = element.is_some();
        if let Some(element) = element.filter(|_| ran != Some(true)) {
            let asked = query.with_untracked(|query| query.get("again").is_some());
            let last = of.with_value(read);
            // Fields that no longer exist and empty texts are not offered.
            let some = fields.with_value(|fields| {
                fields.iter().any(|field| last.get(&field.name).is_some_and(|text| !text.is_empty()))
            });
            if some {
                kept.set(last);
            }
            if some && asked {
                fill_in();
                draft.give_way();
            } else if draft.restore(&element, lists) {
                on_filled.run(());
            }
            if let Some(text) = given.get_value() {
                let first = fields.with_value(|fields| {
                    let place = |kind: FieldKind| fields.iter().position(|field| field.kind == kind);
                    place(FieldKind::LongText).or_else(|| place(FieldKind::Text))
                });
                if let Some(first) = first {
                    put(&element, &field_key(first), &text);
                    on_filled.run(());
                }
            }
        }
        there || ran == Some(true)
    });
    // Once the user has changed the form, returning to this URL must restore the draft instead.
    Effect::new(move |_| {
        if draft.written.get() && query.with_untracked(|query| query.get("again").is_some()) {
            // Bypasses the router, which would re-render the form.
            if let Ok(history) = window().history()
                && let Ok(state) = history.state()
            {
                let address = answered(query.get_untracked());
                _ = history.replace_state_with_url(&state, "", Some(&address));
            }
        }
    });
    view! {
        <Show when=move || !kept.read().is_empty() && !filled.get()>
            <Button size=ButtonSize::Small variant=ButtonVariant::Ghost glyph=Glyph::Retry on_click=fill_in>
                "As last time"
            </Button>
        </Show>
    }
}
