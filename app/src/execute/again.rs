//! What was put in last time, kept in this browser: one press fills it in again. The way from the palette does so by itself.

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

/// Longer inputs are not kept: the storage of a browser is small.
const MOST: usize = 64 * 1024;

/// Field name to text.
pub type Texts = BTreeMap<String, String>;

fn place((project, template): &(ProjectKey, TemplateKey)) -> String {
    format!("troupe:input:{project}/{template}")
}

fn read(of: &(ProjectKey, TemplateKey)) -> Texts {
    Kept::InBrowser.read(&place(of)).unwrap_or_default()
}

/// What stands in the form of these fields.
pub fn texts(fields: &[FormField], form: &HtmlFormElement) -> Texts {
    let texts = LaunchForm::in_page(form).input;
    let text = |(index, field): (usize, &FormField)| {
        let text = match &field.kind {
            FieldKind::List(list) => list_text(index, list, &texts),
            // A box that is not ticked is not sent at all.
            _ => texts.get(&field_key(index)).cloned().unwrap_or_default(),
        };
        (field.name.clone(), text)
    };
    fields.iter().enumerate().map(text).collect()
}

/// Keeps what stands in the form of these fields.
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

/// Puts a text into the control that the form has under this key.
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

/// The address without its `?again`.
fn answered(mut query: ParamsMap) -> String {
    _ = query.remove("again");
    match query.to_query_string() {
        // Without a question the address has to be named: an empty one would change nothing.
        empty if empty.is_empty() => window().location().pathname().unwrap_or_default(),
        query => query,
    }
}

/// Offers to fill in what was put in last time; with `?again` in the address it is there already. Otherwise what was being
/// written when one left is.
#[component]
pub fn AsLastTime(
    of: StoredValue<(ProjectKey, TemplateKey)>,
    fields: StoredValue<Vec<FormField>>,
    lists: Lists,
    form: NodeRef<html::Form>,
    draft: Draft,
    /// Goes before all that is kept, into the first text field; rather into one of several lines.
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
            // What is not there any more is no offer, and neither is nothing.
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
    // Whoever comes back to this address later wants what they have made of it since.
    Effect::new(move |_| {
        if draft.written.get() && query.with_untracked(|query| query.get("again").is_some()) {
            // Past the router, which would draw the form anew.
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
