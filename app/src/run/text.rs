//! A stored text on demand: without script, a link opens the whole text; with script, it is loaded in place.

use super::server::{TEXT_LIMIT, read_text};
use crate::load::parse;
use crate::{fault::Fault, ui::format_bytes};
use domain::{event::TextRef, id::RunNumber, key::ProjectKey, view::Content};
use leptos::{ev, prelude::*, task::spawn_local};
use serde::Deserialize;
use serde_json::Value;

/// The kind of a stored text, which determines how it is rendered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextKind {
    /// Text as a model wrote it.
    Plain,
    /// JSON, shown indented.
    Json,
    /// The messages of a model call, as JSON.
    Prompt,
}

/// A request to a model, as its prompt event stores it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sent {
    model: String,
    system: Option<String>,
    turns: Vec<Turn>,
    temperature: Option<f64>,
    max_tokens: Option<u32>,
}

#[derive(Deserialize)]
struct Turn {
    author: String,
    text: String,
}

#[component]
pub fn StoredText(
    project: ProjectKey,
    run: RunNumber,
    label: &'static str,
    text: TextRef,
    kind: TextKind,
    /// Load and show the text at once instead of on demand.
    #[prop(optional)]
    open: bool,
) -> impl IntoView {
    let loaded = RwSignal::new(None::<Result<Content, Fault>>);
    let href = content_url(&project, run, &text);
    let id = text.id;
    let whole_is_head = text.bytes as usize <= text.head.len();
    let load = move || {
        let project = project.clone();
        if !whole_is_head && loaded.with_untracked(|loaded| !matches!(loaded, Some(Ok(_)))) {
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
    let (head, length, json) = (text.head, text.bytes, text.json);
    view! {
        <details class="stored-text" open=open on:toggle=toggled>
            <summary>
                {label} " "
                <span class="stored-text-size">{format_bytes(length)}</span>
            </summary>
            {move || match loaded.get() {
                None if whole_is_head => drawn(&head, kind, json),
                None => view! { <pre class="run-text run-text-head" tabindex="0">{head.clone()} "…"</pre> }.into_any(),
                Some(Ok(content)) => drawn(&content.text, kind, json),
                Some(Err(fault)) => view! { <p class="run-text-fault" role="alert">{fault.to_string()}</p> }.into_any(),
            }}
            <p class="stored-text-foot">
                <a class="link" href=href rel="external">"Open the whole text"</a>
                {(length > u64::from(TEXT_LIMIT)).then_some(" Its beginning is shown here.")}
            </p>
        </details>
    }
    .into_any()
}

/// The URL of a whole stored text.
pub fn content_url(project: &ProjectKey, run: RunNumber, text: &TextRef) -> String {
    format!("/p/{project}/runs/{run}/content/{}", text.id)
}

/// `json`: the text is the JSON of a value; a string value is rendered without quotes.
pub(super) fn drawn(text: &str, kind: TextKind, json: bool) -> AnyView {
    match kind {
        // Older runs did not record `json`: the JSON output of a step with an output schema is stored like any text.
        TextKind::Plain if !json && !text.starts_with(['{', '[']) => plain(text),
        TextKind::Plain | TextKind::Json => match parse::<Value>(text) {
            Ok(Value::String(text)) if json => plain(&text),
            Ok(value) => {
                view! { <pre class="run-text run-text-code" tabindex="0">{indented(&value)}</pre> }.into_any()
            }
            Err(_) => plain(text),
        },
        TextKind::Prompt => match parse::<Sent>(text) {
            Ok(sent) => sent_messages(sent).into_any(),
            Err(_) => drawn(text, TextKind::Json, json),
        },
    }
}

fn sent_messages(sent: Sent) -> impl IntoView {
    let parameters = [
        Some(sent.model),
        sent.temperature.map(|temperature| format!("temperature {temperature}")),
        sent.max_tokens.map(|most| format!("at most {most} tokens")),
    ];
    let system = sent.system.map(|text| Turn { author: "system".to_owned(), text });
    let turns = system.into_iter().chain(sent.turns).map(|turn| {
        view! {
            <div class="prompt-message">
                <span class="prompt-author">{turn.author}</span>
                <pre class="run-text" tabindex="0">{turn.text}</pre>
            </div>
        }
    });
    view! {
        <p class="prompt-parameters">{parameters.into_iter().flatten().collect::<Vec<_>>().join(", ")}</p>
        {turns.collect_view()}
    }
}

fn plain(text: &str) -> AnyView {
    view! { <pre class="run-text" tabindex="0">{text.to_owned()}</pre> }.into_any()
}

/// JSON with indentation.
pub(super) fn indented(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

/// A stored text, limited to the size that a page shows: available at once if its head is the whole text, otherwise
/// loaded by the browser.
pub fn read_whole(
    project: ProjectKey,
    run: RunNumber,
    text: &TextRef,
) -> ReadSignal<Option<Result<Content, Fault>>> {
    let (id, bytes) = (text.id, text.bytes);
    let at_hand = text.head.len() as u64 == bytes;
    let (read, set_read) = signal(at_hand.then(|| Ok(Content { text: text.head.clone(), bytes })));
    if !at_hand {
        Effect::new(move |_| {
            let asked = read_text(project.clone(), run, id);
            spawn_local(async move {
                _ = set_read.try_set(Some(asked.await));
            });
        });
    }
    read
}
