//! What was put in last time, kept in this browser: one press fills it in again. The way from the palette does so by itself.

use super::server::LaunchForm;
use crate::{
    load::parse,
    ui::{Button, ButtonSize, ButtonVariant, Glyph},
};
use domain::key::{ProjectKey, TemplateKey};
use leptos::{html, prelude::*};
use leptos_router::hooks::use_query_map;
use std::collections::BTreeMap;
use wasm_bindgen::JsCast;
use web_sys::{HtmlFormElement, HtmlInputElement, HtmlSelectElement, HtmlTextAreaElement};

/// Longer inputs are not kept: the storage of a browser is small.
const MOST: usize = 64 * 1024;

/// Field name to text.
type Texts = BTreeMap<String, String>;

fn place((project, template): &(ProjectKey, TemplateKey)) -> String {
    format!("troupe:input:{project}/{template}")
}

fn read(of: &(ProjectKey, TemplateKey)) -> Texts {
    let storage = window().local_storage().ok().flatten();
    let text = storage.and_then(|storage| storage.get_item(&place(of)).ok().flatten());
    text.and_then(|text| parse(&text).ok()).unwrap_or_default()
}

/// Keeps what stands in the form. `names`: of its fields, in their order.
pub fn keep(of: &(ProjectKey, TemplateKey), names: &[String], form: &HtmlFormElement) {
    let texts = LaunchForm::in_page(form).input;
    let text = |(index, name): (usize, &String)| {
        // A box that is not ticked is not sent at all.
        (name.clone(), texts.get(&format!("f{index}")).cloned().unwrap_or_default())
    };
    let kept: Texts = names.iter().enumerate().map(text).collect();
    if let (Ok(Some(storage)), Ok(text)) = (window().local_storage(), serde_json::to_string(&kept))
        && text.len() <= MOST
    {
        // A full or forbidden storage costs the memory of an input, nothing else.
        _ = storage.set_item(&place(of), &text);
    }
}

fn fill(form: &HtmlFormElement, names: &[String], kept: &Texts) {
    for (index, name) in names.iter().enumerate() {
        let Some(text) = kept.get(name) else { continue };
        let Ok(Some(field)) = form.query_selector(&format!("[name=\"form[input][f{index}]\"]")) else {
            continue;
        };
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
}

/// Offers to fill in what was put in last time; with `?again` in the address it is there already.
#[component]
pub fn AsLastTime(
    of: StoredValue<(ProjectKey, TemplateKey)>,
    names: StoredValue<Vec<String>>,
    form: NodeRef<html::Form>,
    on_filled: Callback<()>,
) -> impl IntoView {
    let kept = RwSignal::new(Texts::new());
    let filled = RwSignal::new(false);
    let query = use_query_map();
    let fill_in = move || {
        if let Some(form) = form.get_untracked() {
            names.with_value(|names| kept.with_untracked(|kept| fill(&form, names, kept)));
            filled.set(true);
            on_filled.run(());
        }
    };
    Effect::new(move |ran: Option<bool>| {
        let there = form.get().is_some();
        if there && ran != Some(true) {
            let last = of.with_value(read);
            // What is not there any more is no offer, and neither is nothing.
            let some = names.with_value(|names| {
                names.iter().any(|name| last.get(name).is_some_and(|text| !text.is_empty()))
            });
            if some {
                kept.set(last);
                if query.with_untracked(|query| query.get("again").is_some()) {
                    fill_in();
                }
            }
        }
        there || ran == Some(true)
    });
    view! {
        <Show when=move || !kept.read().is_empty() && !filled.get()>
            <Button size=ButtonSize::Small variant=ButtonVariant::Ghost glyph=Glyph::Retry on_click=fill_in>
                "As last time"
            </Button>
        </Show>
    }
}
