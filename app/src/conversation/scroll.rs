//! Where a reader is in a long page: at its end, following what comes, or somewhere above, undisturbed.

use leptos::{ev, prelude::*};

/// Within so many pixels of its end a page counts as read to the end.
const NEAR: i32 = 120;

/// Knows whether the reader is at the end. It learns that from their scrolling, not from what grows.
#[derive(Clone, Copy)]
pub struct PageEnd {
    reached: StoredValue<bool>,
}

impl PageEnd {
    /// For the page that calls this and all it shows.
    pub fn provide() -> Self {
        let end = Self { reached: StoredValue::new(true) };
        provide_context(end);
        Effect::new(move |_| {
            let listening = window_event_listener(ev::scroll, move |_| end.look());
            on_cleanup(move || listening.remove());
        });
        end
    }

    fn look(self) {
        if let Some(page) = document().scrolling_element() {
            let below = page.scroll_height() - page.scroll_top() - page.client_height();
            self.reached.try_set_value(below < NEAR);
        }
    }

    /// After something has grown: shows the end to those who were there.
    pub fn stay(self) {
        if self.reached.try_get_value() == Some(true) {
            self.go();
        }
    }

    pub fn go(self) {
        self.reached.try_set_value(true);
        request_animation_frame(|| {
            if let Some(page) = document().scrolling_element() {
                page.set_scroll_top(page.scroll_height());
            }
        });
    }
}

/// Follows the page's end with every change of what `of` reads.
pub fn stay_at_end(of: impl Fn() + 'static) {
    let Some(end) = use_context::<PageEnd>() else { return };
    Effect::new(move |_| {
        of();
        end.stay();
    });
}

/// Makes a change above the reader without moving what they read.
pub fn keep_place(change: impl FnOnce()) {
    let page = document().scrolling_element();
    let below = page.as_ref().map(|page| page.scroll_height() - page.scroll_top());
    change();
    request_animation_frame(move || {
        if let (Some(page), Some(below)) = (page, below) {
            page.set_scroll_top(page.scroll_height() - below);
        }
    });
}
