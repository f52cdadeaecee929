//! The scroll position in a long conversation: at its end, following new text, or above it, undisturbed.
//!
//! The box of messages is styled so that its scrolling starts at the end: it opens there before any script is loaded,
//! and messages inserted above do not move the text being read.

use super::thread::Thread;
use leptos::{ev, html, prelude::*};
use wasm_bindgen::JsCast;
use web_sys::Element;

/// Within this many pixels of its end, the conversation counts as read to the end.
const NEAR: f64 = 120.0;
/// More messages are loaded when the reader is within this many pixels of either end of the loaded ones.
const AHEAD: f64 = 1_200.0;

#[derive(Clone, Copy)]
pub struct Scroller {
    pub frame: NodeRef<html::Div>,
    /// Whether the reader is away from the end of the conversation.
    pub away: RwSignal<bool>,
}

impl Scroller {
    /// Provides the scroller for the calling page. `away`: the page opens elsewhere than at the end.
    pub fn provide(away: bool) -> Self {
        let scroller = Self { frame: NodeRef::new(), away: RwSignal::new(away) };
        provide_context(scroller);
        scroller
    }

    /// Distances in pixels from the visible part to the top and the bottom of the loaded messages.
    fn room(self) -> Option<(f64, f64)> {
        let frame = self.frame.try_get_untracked().flatten()?;
        let content = frame.first_element_child()?;
        let (frame, content) = (frame.get_bounding_client_rect(), content.get_bounding_client_rect());
        Some((frame.top() - content.top(), content.bottom() - frame.bottom()))
    }

    /// Called after the reader scrolls, or messages were loaded.
    pub fn look(self, thread: Thread) {
        let Some((above, below)) = self.room() else { return };
        let away = below > NEAR || thread.later.get_untracked();
        self.be_away(away);
        if !away {
            thread.fresh.set(0);
        }
        if above < AHEAD && thread.earlier.get_untracked() {
            thread.load(true);
        } else if below < AHEAD && thread.later.get_untracked() {
            thread.load(false);
        }
    }

    pub fn be_away(self, away: bool) {
        if self.away.try_get_untracked().is_some_and(|now| now != away) {
            self.away.set(away);
        }
    }

    /// Called after content has grown: keeps a reader at the end there.
    pub fn stay(self) {
        if self.away.try_get_untracked() == Some(false) {
            self.go();
        }
    }

    pub fn go(self) {
        let frame = self.frame;
        request_animation_frame(move || {
            if let Some(frame) = frame.try_get_untracked().flatten() {
                // The box counts its scroll position from the end.
                frame.set_scroll_top(0);
            }
        });
    }

    /// Makes a change without moving the text being read.
    pub fn keep_place(self, change: impl FnOnce()) {
        self.hold(self.first_seen(), change);
    }

    /// Makes a change that leaves `element` at its position on the screen.
    pub fn hold(self, element: Option<Element>, change: impl FnOnce()) {
        let held = element.map(|element| {
            let top = element.get_bounding_client_rect().top();
            (element, top)
        });
        change();
        let frame = self.frame;
        request_animation_frame(move || {
            let Some((element, top)) = held.filter(|(element, _)| element.is_connected()) else { return };
            if let Some(frame) = frame.try_get_untracked().flatten() {
                let moved = element.get_bounding_client_rect().top() - top;
                if moved.abs() >= 1.0 {
                    frame.set_scroll_top(frame.scroll_top() + moved.round() as i32);
                }
            }
        });
    }

    /// The first message that is at least partly visible.
    fn first_seen(self) -> Option<Element> {
        let frame = self.frame.try_get_untracked().flatten()?;
        let top = frame.get_bounding_client_rect().top();
        let messages = frame.query_selector_all("article").ok()?;
        let mut messages = (0..messages.length()).filter_map(|place| messages.item(place)?.dyn_into().ok());
        messages.find(|message: &Element| message.get_bounding_client_rect().bottom() > top)
    }

    /// Paging keys scroll the conversation while no element has the focus.
    pub fn listen(self) {
        let listening = window_event_listener(ev::keydown, move |event| {
            let nowhere = document().active_element().is_none_or(|active| active.tag_name() == "BODY");
            if event.default_prevented() || !nowhere {
                return;
            }
            let Some(frame) = self.frame.try_get_untracked().flatten() else { return };
            let page = frame.client_height() * 9 / 10;
            let by = match event.key().as_str() {
                "PageUp" => -page,
                "PageDown" => page,
                "Home" => -frame.scroll_height(),
                "End" => frame.scroll_height(),
                _ => return,
            };
            event.prevent_default();
            frame.set_scroll_top(frame.scroll_top() + by);
        });
        on_cleanup(move || listening.remove());
    }
}

/// Keeps the reader at the end whenever the signals that `of` reads change.
pub fn stay_at_end(of: impl Fn() + 'static) {
    let Some(scroller) = use_context::<Scroller>() else { return };
    Effect::new(move |_| {
        of();
        scroller.stay();
    });
}

/// Scrolls to the message and highlights it; false if it is not on the page.
pub fn show(anchor: &str) -> bool {
    let Some(message) = document().get_element_by_id(anchor) else { return false };
    if let Ok(Some(before)) = document().query_selector(".message-named") {
        // Never fails: the element has the class.
        _ = before.class_list().remove_1("message-named");
    }
    _ = message.class_list().add_1("message-named");
    message.scroll_into_view();
    true
}

/// As [`show`], once the new rows are on the page. Calls `missing` if the message is not there after `frames` frames.
pub fn show_soon(anchor: String, frames: u32, missing: impl FnOnce() + 'static) {
    request_animation_frame(move || {
        if show(&anchor) {
            return;
        }
        match frames.checked_sub(1) {
            Some(frames) => show_soon(anchor, frames, missing),
            None => missing(),
        }
    });
}
