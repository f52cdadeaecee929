//! A stored text on demand: the link that opens the whole works without script, the fold loads it in place.

use super::server::{TEXT_LIMIT, read_text};
use crate::load::parse;
use crate::{fault::Fault, ui::format_bytes};
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

/// What was sent to a model, as its prompt event keeps it.
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
                <span class="stored-text-size">{format_bytes(length)}</span>
            </summary>
            {move || match loaded.get() {
                None if whole_is_head => drawn(&head, kind).into_any(),
                None => view! { <pre class="run-text run-text-head">{head.clone()} "…"</pre> }.into_any(),
                Some(Ok(content)) => drawn(&content.text, kind).into_any(),
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

/// Where the server gives the whole of a stored text.
pub fn content_url(project: &ProjectKey, run: RunNumber, text: &TextRef) -> String {
    format!("/p/{project}/runs/{run}/content/{}", text.id)
}

fn drawn(text: &str, kind: TextKind) -> AnyView {
    match kind {
        // What a step with an output schema answered is JSON, and shown as such.
        TextKind::Plain if !text.starts_with(['{', '[']) => plain(text),
        TextKind::Plain | TextKind::Json => match indented(text) {
            Some(json) => view! { <pre class="run-text run-text-code">{json}</pre> }.into_any(),
            None => plain(text),
        },
        TextKind::Prompt => match parse::<Sent>(text) {
            Ok(sent) => sent_messages(sent).into_any(),
            Err(_) => drawn(text, TextKind::Json),
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
                <pre class="run-text">{turn.text}</pre>
            </div>
        }
    });
    view! {
        <p class="prompt-parameters">{parameters.into_iter().flatten().collect::<Vec<_>>().join(", ")}</p>
        {turns.collect_view()}
    }
}

fn plain(text: &str) -> AnyView {
    view! { <pre class="run-text">{text.to_owned()}</pre> }.into_any()
}

/// JSON with its lines broken; none for any other text.
fn indented(text: &str) -> Option<String> {
    let value: serde_json::Value = parse(text).ok()?;
    serde_json::to_string_pretty(&value).ok()
}
