//! A box of growing text that stays at its end, unless the reader has scrolled away.

use leptos::{html::Pre, prelude::*};

/// Within this many pixels of its end, the box counts as scrolled to the end.
const NEAR: i32 = 24;

#[component]
pub fn Following(label: String, #[prop(into)] text: Signal<String>) -> impl IntoView {
    let boxed = NodeRef::<Pre>::new();
    let following = StoredValue::new(true);
    let scrolled = move |_| {
        if let Some(boxed) = boxed.get_untracked() {
            let rest = boxed.scroll_height() - boxed.scroll_top() - boxed.client_height();
            following.set_value(rest < NEAR);
        }
    };
    Effect::new(move |_| {
        text.track();
        // After the text is rendered.
        request_animation_frame(move || {
            if let Some(Some(boxed)) = boxed.try_get_untracked()
                && following.try_get_value() == Some(true)
            {
                boxed.set_scroll_top(boxed.scroll_height());
            }
        });
    });
    view! {
        <pre class="run-text run-live-text" node_ref=boxed on:scroll=scrolled tabindex="0" role="region" aria-label=label>
            {move || text.get()}
        </pre>
    }
}
