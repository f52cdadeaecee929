//! Moves the keyboard focus: among the items of a list, a menu or a table, and to newly rendered elements.

use leptos::prelude::{document, queue_microtask, request_animation_frame};
use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlElement};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    Next,
    Previous,
    First,
    Last,
}

impl Move {
    /// The move of a key in a vertical list.
    pub fn from_key(key: &str) -> Option<Self> {
        match key {
            "ArrowDown" => Some(Self::Next),
            "ArrowUp" => Some(Self::Previous),
            "Home" => Some(Self::First),
            "End" => Some(Self::Last),
            _ => None,
        }
    }
}

pub fn active_element() -> Option<HtmlElement> {
    web_sys::window()?.document()?.active_element()?.dyn_into().ok()
}

/// Focuses the item that `step` leads to, among those in `container` that match `selector`. Stops at both ends.
pub fn move_focus(container: &Element, selector: &str, step: Move) -> bool {
    let Ok(list) = container.query_selector_all(selector) else { return false };
    let items: Vec<HtmlElement> =
        (0..list.length()).filter_map(|index| list.get(index)?.dyn_into().ok()).collect();
    let active = active_element();
    let at = active.and_then(|active| items.iter().position(|item| *item == active));
    let last = items.len().saturating_sub(1);
    let target = match (step, at) {
        (Move::First, _) | (Move::Next, None) => 0,
        (Move::Last, _) | (Move::Previous, None) => last,
        (Move::Next, Some(index)) => (index + 1).min(last),
        (Move::Previous, Some(index)) => index.saturating_sub(1),
    };
    items.get(target).is_some_and(|item| item.focus().is_ok())
}

/// Focuses a control that is about to be rendered, and then calls `and`, before the next key event, so that continued
/// typing goes into the control.
pub fn focus_drawn<C: JsCast + AsRef<HtmlElement> + 'static>(id: String, and: impl Fn(&C) + 'static) {
    let go = move || {
        let control = document().get_element_by_id(&id).and_then(|control| control.dyn_into::<C>().ok());
        if let Some(control) = &control {
            // Fails only for elements that cannot be focused, which is harmless.
            let element: &HtmlElement = control.as_ref();
            _ = element.focus();
            and(control);
        }
        control.is_some()
    };
    // Effects of a signal render in microtasks; this one runs after them.
    queue_microtask(move || {
        let found = go();
        request_animation_frame(move || {
            // Tries again for a control that was rendered later, or rendered again.
            let lost = || active_element().is_none_or(|active| active.tag_name() == "BODY");
            if !found || lost() {
                go();
            }
        });
    });
}
