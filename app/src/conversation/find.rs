//! Search inside a conversation: the number of matching messages, and stepping through them.

use super::{server::find_in_conversation, thread::Thread};
use crate::ui::{Glyph, IconButton};
use domain::id::MessageId;
use leptos::{ev, leptos_dom::helpers::TimeoutHandle, prelude::*, task::spawn_local};
use std::time::Duration;

/// Delay between the last key and the search.
const PAUSE: Duration = Duration::from_millis(200);

#[component]
pub fn Find(thread: Thread) -> impl IntoView {
    let found = RwSignal::new(None::<Vec<MessageId>>);
    let place = RwSignal::new(0_usize);
    let typed = StoredValue::new(String::new());
    let waiting = StoredValue::new(None::<TimeoutHandle>);
    let project = thread.project.get_value();
    let ask = move |words: String| {
        spawn_local(async move {
            let came = find_in_conversation(thread.project.get_value(), thread.task, words.clone()).await;
            // The text has changed since the request.
            if typed.try_get_value() != Some(words) {
                return;
            }
            let came = came.unwrap_or_default();
            place.set(came.len().saturating_sub(1));
            if let Some(last) = came.last() {
                thread.show(*last);
            }
            found.set(Some(came));
        });
    };
    let input = move |event: ev::Event| {
        let words = event_target_value(&event);
        typed.set_value(words.clone());
        if let Some(before) = waiting.try_update_value(Option::take).flatten() {
            before.clear();
        }
        if words.trim().is_empty() {
            found.set(None);
        } else {
            waiting.set_value(set_timeout_with_handle(move || ask(words), PAUSE).ok());
        }
    };
    let step = move |back: bool| {
        let next = found.with_untracked(|found| {
            let found = found.as_ref().filter(|found| !found.is_empty())?;
            let many = found.len();
            let next = if back { place.get_untracked() + many - 1 } else { place.get_untracked() + 1 } % many;
            Some((next, found[next]))
        });
        if let Some((next, message)) = next {
            place.set(next);
            thread.show(message);
        }
    };
    let pressed = move |event: ev::KeyboardEvent| match event.key().as_str() {
        // The newest match is shown first; Enter steps to the one before it.
        "Enter" => {
            event.prevent_default();
            step(!event.shift_key());
        }
        "Escape" => {
            event_target::<web_sys::HtmlInputElement>(&event).set_value("");
            typed.set_value(String::new());
            found.set(None);
        }
        _ => {}
    };
    view! {
        <form class="find" role="search" aria-label="In this conversation" action=format!("/p/{project}/search")>
            <input
                class="input find-words"
                type="search"
                name="q"
                placeholder="Find in conversation"
                aria-label="Find in conversation"
                autocomplete="off"
                on:input=input
                on:keydown=pressed
            />
            <span class="find-count" role="status">
                {move || {
                    found
                        .with(|found| {
                            found.as_ref().map(|found| match found.len() {
                                0 => "None".to_owned(),
                                many => format!("{} of {many}", place.get() + 1),
                            })
                        })
                }}
            </span>
            <Show when=move || found.with(|found| found.as_ref().is_some_and(|found| found.len() > 1))>
                <IconButton glyph=Glyph::ChevronUp label="Find before" on_click=move || step(true)/>
                <IconButton glyph=Glyph::ChevronDown label="Find after" on_click=move || step(false)/>
            </Show>
        </form>
    }
    .into_any()
}
