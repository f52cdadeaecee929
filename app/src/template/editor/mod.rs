//! The designer: a canvas, the YAML and an inspector, three ways into one document.

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

use crate::ui::focus::focus_drawn;
use leptos::prelude::*;
use web_sys::{HtmlElement, HtmlInputElement};

/// Gives the focus to a control that is about to be drawn.
fn focus(id: String) {
    focus_drawn(id, |_: &HtmlElement| {});
}

/// Fields that a person has typed in keep their text when they are used again: each drawing has its own, by turns of two
/// types.
fn anew(drawings: StoredValue<u32>, drawn: AnyView) -> AnyView {
    let odd = drawings.try_update_value(|count| {
        *count += 1;
        *count % 2 == 1
    });
    if odd == Some(true) { (drawn,).into_any() } else { (drawn, ()).into_any() }
}

/// As [`focus`], to the name of a step, which whatever is typed replaces.
fn focus_name(step: usize) {
    focus_drawn(format!("step-{step}-name"), HtmlInputElement::select);
}

/// Forgets the draft of a template that has just been saved.
pub fn forget_draft(project: &domain::key::ProjectKey, key: &domain::key::TemplateKey, source: &str) {
    for place in [Some(key), None] {
        if draft::read(project, place).is_some_and(|draft| draft.source.trim_end() == source.trim_end()) {
            draft::forget(project, place);
        }
    }
}
