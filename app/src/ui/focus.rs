//! Moves the keyboard's focus among the items of a list, a menu or a table.

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
    /// What a key means in a vertical list.
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

/// Focuses the item that `step` leads to among those in `container` that match `selector`. Stops at both ends.
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
