//! How many conversations have news, beside their name in the sidebar.

use crate::standing::use_standing;
use leptos::prelude::*;

#[component]
pub fn UnreadCount() -> impl IntoView {
    let standing = use_standing();
    let unread = move || standing.get().map(|(_, standing)| standing.unread).filter(|unread| *unread > 0);
    view! {
        <Transition>
            {move || {
                unread()
                    .map(|unread| {
                        view! {
                            <span class="nav-count nav-count-quiet">{unread}<span class="visually-hidden">" unread"</span></span>
                        }
                    })
            }}
        </Transition>
    }
    .into_any()
}
