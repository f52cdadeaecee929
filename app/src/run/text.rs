//! A stored text on demand: the link that opens the whole works without script, the fold loads it in place.

use super::server::{TEXT_LIMIT, read_text};
use crate::{fault::Fault, ui::bytes};
use domain::{event::TextRef, id::RunNumber, key::ProjectKey, view::Content};
use leptos::{ev, prelude::*, task::spawn_local};
use serde::Deserialize;

/// What a stored text is, for how it is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextKind {
    /// Text as a model wrote it.
    Plain,
    /// JSON, shown indented.
    Json,
    /// The messages of a model call, as JSON.
    Prompt,
}

/// One message of a prompt, as it was sent.
#[derive(Deserialize)]
struct PromptMessage {
    role: String,
    content: String,
}

#[component]
pub fn StoredText(
    project: ProjectKey,
    run: RunNumber,
    label: &'static str,
    text: TextRef,
    kind: TextKind,
    /// Loaded and shown at once, instead of on demand.
    #[prop(optional)]
    open: bool,
) -> impl IntoView {
    let loaded = RwSignal::new(None::<Result<Content, Fault>>);
    let href = content_url(&project, run, &text);
    let id = text.id;
    let load = move || {
        let project = project.clone();
        if loaded.with_untracked(|loaded| !matches!(loaded, Some(Ok(_)))) {
            spawn_local(async move {
                let read = read_text(project, run, id).await;
                _ = loaded.try_set(Some(read));
            });
        }
    };
    if open {
        let load = load.clone();
        Effect::new(move |_| load());
    }
    let toggled = move |event: ev::Event| {
        if event_target::<web_sys::Element>(&event).has_attribute("open") {
            load();
        }
    };
    let whole_is_head = text.bytes as usize <= text.head.len();
    let (head, length) = (text.head, text.bytes);
    view! {
        <details class="stored-text" open=open on:toggle=toggled>
            <summary>
                {label} " "
                <span class="stored-text-size">{bytes(length)}</span>
            </summary>
            {move || match loaded.get() {
                None if whole_is_head => drawn(&head, kind).into_any(),
                None => view! { <pre class="text text-head">{head.clone()} "…"</pre> }.into_any(),
                Some(Ok(content)) => drawn(&content.text, kind).into_any(),
                Some(Err(fault)) => view! { <p class="text-fault" role="alert">{fault.to_string()}</p> }.into_any(),
            }}
            <p class="stored-text-foot">
                <a href=href rel="external">"Open the whole text"</a>
                {(length as usize > TEXT_LIMIT)
                    .then(|| format!(" The first {} are shown here.", bytes(TEXT_LIMIT as u64)))}
            </p>
        </details>
    }
}

/// Where the server gives the whole of a stored text.
pub fn content_url(project: &ProjectKey, run: RunNumber, text: &TextRef) -> String {
    format!("/p/{project}/runs/{run}/content/{}", text.id)
}

fn drawn(text: &str, kind: TextKind) -> AnyView {
    match kind {
        TextKind::Plain => view! { <pre class="text">{text.to_owned()}</pre> }.into_any(),
        TextKind::Json => view! { <pre class="text text-code">{indented(text)}</pre> }.into_any(),
        TextKind::Prompt => match serde_json::from_str::<Vec<PromptMessage>>(text) {
            Ok(messages) => messages
                .into_iter()
                .map(|message| {
                    view! {
                        <div class="prompt-message">
                            <span class="prompt-role">{message.role}</span>
                            <pre class="text">{message.content}</pre>
                        </div>
                    }
                })
                .collect_view()
                .into_any(),
            Err(_) => drawn(text, TextKind::Json),
        },
    }
}

/// JSON with its lines broken; any other text as it is.
fn indented(text: &str) -> String {
    serde_json::from_str::<serde_json::Value>(text)
        .ok()
        .and_then(|value| serde_json::to_string_pretty(&value).ok())
        .unwrap_or_else(|| text.to_owned())
}
