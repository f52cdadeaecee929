//! A notice in the top bar of every page while the page may be outdated; nothing is shown while the connection works.

use super::{Link, use_live};
use leptos::prelude::*;
use leptos_router::hooks::use_location;

#[component]
pub fn LiveNotice() -> impl IntoView {
    let link = use_live().link();
    let location = use_location();
    view! {
        <div class="live-notice" role="status">
            {move || match link.get() {
                Link::Fine => ().into_any(),
                Link::Reconnecting => {
                    view! {
                        <p class="live-notice-text" title="What happens meanwhile is kept and will appear.">
                            "Reconnecting" <span class="live-notice-more">". What happens meanwhile is kept and will appear."</span>
                        </p>
                    }
                        .into_any()
                }
                Link::Offline => {
                    view! {
                        <p class="live-notice-text" title="What you typed stays here; the page goes on once the network is back.">
                            "You are offline"
                            <span class="live-notice-more">". What you typed stays here; the page goes on once the network is back."</span>
                        </p>
                    }
                        .into_any()
                }
                Link::TooMany => {
                    view! {
                        <p class="live-notice-text" title="Too many tabs or programs of yours are connected. Close some; the page goes on by itself.">
                            "Not updated now"
                            <span class="live-notice-more">": too many tabs or programs of yours are connected. Close some; the page goes on by itself."</span>
                        </p>
                    }
                        .into_any()
                }
                Link::Gone => {
                    let href = format!("/sign-in?next={}", location.pathname.get_untracked());
                    view! {
                        <p class="live-notice-text live-notice-gone">
                            "No longer updated"
                            <span class="live-notice-more">": you are signed out, or no longer a member. What you typed stays here."</span>
                            " "
                            <a class="link" href=href rel="external" target="_blank">"Sign in"</a>
                        </p>
                    }
                        .into_any()
                }
            }}
        </div>
    }
}
