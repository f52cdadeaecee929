//! The template editor: a form and the YAML side by side, two ways into one document.

mod change;
mod compare;
mod document;
mod draft;
mod input;
mod json;
mod mapping;
mod more;
mod page;
mod problems;
mod stale;
mod state;
mod step;
mod yaml;

pub use page::TemplateEditor;

use leptos::prelude::{document, request_animation_frame};
use wasm_bindgen::JsCast;

/// Gives the focus to a control that is about to be drawn.
fn focus(id: String) {
    request_animation_frame(move || {
        let element = document().get_element_by_id(&id);
        if let Some(element) = element.and_then(|element| element.dyn_into::<web_sys::HtmlElement>().ok()) {
            let _ = element.focus();
        }
    });
}

/// Forgets the draft of a template that has just been saved.
pub fn forget_draft(project: &domain::key::ProjectKey, key: &domain::key::TemplateKey, source: &str) {
    for place in [Some(key), None] {
        if draft::read(project, place).is_some_and(|draft| draft.source.trim_end() == source.trim_end()) {
            draft::forget(project, place);
        }
    }
}
