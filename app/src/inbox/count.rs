//! How much waits, beside the word in the sidebar.

use crate::standing::{count_words, use_standing};
use leptos::prelude::*;

#[component]
pub fn InboxCount() -> impl IntoView {
    let standing = use_standing();
    let waiting = move || standing.get().map(|(_, standing)| standing.inbox).filter(|waiting| *waiting > 0);
    view! {
        <Transition>
            {move || {
                waiting()
                    .map(|waiting| {
                        view! {
                            <span class="nav-count">{count_words(waiting)}<span class="visually-hidden">" waiting"</span></span>
                        }
                    })
            }}
        </Transition>
    }
    .into_any()
}
