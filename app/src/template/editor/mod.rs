//! The designer: canvas, YAML and inspector, three views of one document.

mod address;
mod change;
mod compare;
mod complete;
mod designer;
mod document;
mod draft;
mod history;
mod input;
mod inspector;
mod json;
mod mapping;
mod more;
mod page;
mod presence;
mod preview;
mod problems;
mod schema;
mod schema_row;
mod stale;
mod state;
mod step;
mod tools;
mod wiring;
mod yaml;

pub use page::TemplateEditor;

use crate::{keyboard::something_floats, ui::focus::focus_drawn};
use leptos::{ev, prelude::*};
use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlElement, HtmlInputElement};

/// Focuses a control that is about to be rendered.
fn focus(id: String) {
    focus_drawn(id, |_: &HtmlElement| {});
}

/// Forces a rebuild by alternating between two view types: a reused field would keep the text that the user typed.
fn anew(drawings: StoredValue<u32>, drawn: AnyView) -> AnyView {
    let odd = drawings.try_update_value(|count| {
        *count += 1;
        *count % 2 == 1
    });
    if odd == Some(true) { (drawn,).into_any() } else { (drawn, ()).into_any() }
}

/// As [`focus`], for the name of a step, with its text selected.
fn focus_name(step: usize) {
    focus_drawn(format!("step-{step}-name"), HtmlInputElement::select);
}

/// Returns the focus to the canvas.
fn focus_canvas() {
    if let Ok(Some(canvas)) = document().query_selector(".designer-canvas .canvas-view") {
        // An SVG element has the same `focus` method as an HTML element.
        let canvas: &HtmlElement = canvas.unchecked_ref();
        _ = canvas.focus();
    }
}

/// Handles keys that are pressed while no element has the focus.
fn hear_loose_keys(heard: impl Fn(ev::KeyboardEvent) + Clone + 'static) {
    Effect::new(move |_| {
        let heard = heard.clone();
        let listening = window_event_listener(ev::keydown, move |event: ev::KeyboardEvent| {
            if !event.default_prevented() && is_loose(&event) && !something_floats() {
                heard(event);
            }
        });
        on_cleanup(move || listening.remove());
    });
}

fn is_loose(event: &ev::KeyboardEvent) -> bool {
    let target = event.target().and_then(|target| target.dyn_into::<Element>().ok());
    // After navigation, the page's main part has the focus.
    target.is_some_and(|element| element.matches("body, main").unwrap_or(false))
}

/// Deletes the draft of a template that has just been saved.
pub fn forget_draft(project: &domain::key::ProjectKey, key: &domain::key::TemplateKey, source: &str) {
    for place in [Some(key), None] {
        let mut drafts = draft::read(project, place);
        let before = drafts.len();
        drafts.retain(|draft| draft.source.trim_end() != source.trim_end());
        if drafts.len() < before {
            draft::write(project, place, &drafts);
        }
    }
}
