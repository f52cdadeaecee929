//! Displaying and copying text: code, Markdown, keyboard keys.

use std::time::Duration;

use leptos::{ev, prelude::*, task::spawn_local};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{Element, HtmlDocument, HtmlTextAreaElement};

use super::{
    button::{ButtonSize, ButtonVariant, IconButton},
    icon::Glyph,
    toast::use_toasts,
};

/// A key or a key combination, as printed on the keyboard: `Ctrl K`, `?`.
#[component]
pub fn Kbd(#[prop(into)] keys: String) -> impl IntoView {
    keys.split(' ').map(|key| view! { <kbd class="kbd">{key.to_owned()}</kbd> }).collect_view()
}

/// Copies `text`, and confirms it for a moment.
#[component]
pub fn CopyButton(
    #[prop(into)] text: Signal<String>,
    #[prop(default = "Copy".into(), into)] label: String,
    #[prop(optional)] size: ButtonSize,
) -> impl IntoView {
    let toasts = use_toasts();
    let copied = RwSignal::new(false);
    let copy = move || {
        spawn_local(async move {
            if write_clipboard(text.get_untracked()).await.is_err() {
                toasts.error("The browser refused to copy. Select the text and copy it by hand.");
                return;
            }
            copied.try_set(true);
            set_timeout(
                move || {
                    copied.try_set(false);
                },
                Duration::from_millis(1_500),
            );
        });
    };
    view! {
        <span class="copy">
            {move || {
                let (glyph, label) = if copied.get() {
                    (Glyph::Check, "Copied".to_owned())
                } else {
                    (Glyph::Copy, label.clone())
                };
                view! { <IconButton glyph label variant=ButtonVariant::Ghost size on_click=copy/> }
            }}
        </span>
    }
}

/// The clipboard API exists only on HTTPS and localhost; elsewhere the deprecated copy command still works.
pub async fn write_clipboard(text: String) -> Result<(), JsValue> {
    let window = web_sys::window().ok_or(JsValue::NULL)?;
    let navigator = window.navigator();
    if js_sys::Reflect::get(&navigator, &"clipboard".into())?.is_object() {
        wasm_bindgen_futures::JsFuture::from(navigator.clipboard().write_text(&text)).await?;
        return Ok(());
    }
    let document: HtmlDocument = window.document().ok_or(JsValue::NULL)?.dyn_into()?;
    let area: HtmlTextAreaElement = document.create_element("textarea")?.dyn_into()?;
    area.set_value(&text);
    document.body().ok_or(JsValue::NULL)?.append_child(&area)?;
    area.select();
    let done = document.exec_command("copy");
    area.remove();
    if done? { Ok(()) } else { Err(JsValue::NULL) }
}

/// Code or other verbatim text: keeps its lines, scrolls, and has a copy button. `wrap` wraps long lines.
#[component]
pub fn CodeBlock(
    #[prop(into)] text: Signal<String>,
    #[prop(optional, into)] title: MaybeProp<String>,
    #[prop(optional)] wrap: bool,
) -> impl IntoView {
    let label = move || title.get().unwrap_or_else(|| "Code".into());
    view! {
        <figure class="code">
            {move || title.get().map(|title| view! { <figcaption class="code-title">{title}</figcaption> })}
            <pre class=if wrap { "code-text code-wrap" } else { "code-text" } tabindex="0" role="region" aria-label=label>
                <code>{move || text.get()}</code>
            </pre>
            <div class="code-copy"><CopyButton text size=ButtonSize::Small/></div>
        </figure>
    }
}

/// HTML that the server generated from Markdown and sanitised. Never pass any other HTML.
#[component]
pub fn Markdown(#[prop(into)] html: Signal<String>) -> impl IntoView {
    let toasts = use_toasts();
    let clicked = move |event: ev::MouseEvent| {
        let target = event.target().and_then(|target| target.dyn_into::<Element>().ok());
        let Some(button) = target.filter(|target| target.has_attribute("data-take")) else { return };
        let Some(code) = button.next_element_sibling().and_then(|code| code.text_content()) else { return };
        spawn_local(async move {
            if write_clipboard(code).await.is_err() {
                toasts.error("The browser refused to copy. Select the text and copy it by hand.");
                return;
            }
            button.set_text_content(Some("Copied"));
            set_timeout(move || button.set_text_content(Some("Copy")), Duration::from_millis(1_500));
        });
    };
    view! { <div class="markdown" on:click=clicked inner_html=move || html.get()></div> }
}
