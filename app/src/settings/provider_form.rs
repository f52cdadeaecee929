//! The fields of a provider. The key is write-only: the stored key is never sent to the browser.

use crate::{
    fault::Fault,
    form::{FaultNotice, error_at},
    ui::{Button, ButtonKind, ButtonVariant, Checkbox, InputKind, Select, SelectOption, TextField},
};
use domain::{provider::ProviderKind, view::Provider};
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::{HtmlFormElement, HtmlInputElement};

/// The name of each kind, its default base URL, and whether it requires a key.
fn facts(kind: ProviderKind) -> (&'static str, &'static str, &'static str) {
    match kind {
        ProviderKind::OpenAi => ("OpenAI", "https://api.openai.com/v1/", "Needed."),
        ProviderKind::OpenAiCompatible => {
            ("OpenAI-compatible", "http://localhost:8000/v1/", "If the server asks for one.")
        }
        ProviderKind::Anthropic => ("Anthropic", "https://api.anthropic.com/v1/", "Needed."),
        ProviderKind::Gemini => ("Gemini", "https://generativelanguage.googleapis.com/v1beta/", "Needed."),
        ProviderKind::Ollama => ("Ollama", "http://localhost:11434/", "Not needed, as a rule."),
        ProviderKind::Local => ("Local model", "", "Not needed."),
    }
}

pub fn kind_name(kind: ProviderKind) -> &'static str {
    facts(kind).0
}

const FIELDS: &[&str] = &["key", "kind", "baseUrl", "apiKey", "maxConcurrent", "requestsPerMinute"];

/// Clears the key's fields after a save.
pub fn forget_key(form: &HtmlFormElement) {
    for selector in ["input[type=password]", "input[type=checkbox]"] {
        let Ok(Some(found)) = form.query_selector(selector) else { continue };
        if let Some(input) = found.dyn_ref::<HtmlInputElement>() {
            if input.type_() == "checkbox" {
                input.set_checked(false);
            } else {
                input.set_value("");
            }
        }
    }
}

/// The controls of the form; `existing` is `None` for a new provider.
#[component]
pub fn ProviderFields(
    existing: Option<Provider>,
    fault: Signal<Option<Fault>>,
    #[prop(into)] busy: Signal<bool>,
) -> impl IntoView {
    let is_new = existing.is_none();
    let prefix = existing.as_ref().map_or_else(|| "new".to_owned(), |provider| provider.key.to_string());
    let id = |field: &str| format!("provider-{prefix}-{field}");
    let kind =
        RwSignal::new(existing.as_ref().map_or(ProviderKind::OpenAi, |provider| provider.kind).to_string());
    let about = Memo::new(move |_| facts(kind.read().parse().unwrap_or(ProviderKind::OpenAi)));
    let kinds = ProviderKind::ALL.into_iter().filter(|kind| *kind != ProviderKind::Local);
    let kinds: Vec<_> = kinds.map(|kind| SelectOption::new(kind.as_str(), kind_name(kind))).collect();
    let has_key = existing.as_ref().is_some_and(|provider| provider.has_key);
    let base_url = existing.as_ref().and_then(|provider| provider.base_url.clone()).unwrap_or_default();
    let concurrent =
        existing.as_ref().map(|provider| provider.max_concurrent.to_string()).unwrap_or_default();
    let per_minute = existing.as_ref().and_then(|provider| provider.requests_per_minute);
    let key_hint = Signal::derive(move || {
        let needed = about.get().2;
        if has_key { "A key is stored. Leave this empty to keep it.".to_owned() } else { needed.to_owned() }
    });
    let key_field = match &existing {
        None => view! {
            <TextField
                label="Key"
                name="provider[key]"
                id=id("key")
                hint="How roles name it: key/model. Left empty, it is the kind."
                error=error_at(fault, "key")
                mono=true
                optional=true
            />
        }
        .into_any(),
        Some(provider) => {
            view! { <input type="hidden" name="existing" value=provider.key.to_string()/> }.into_any()
        }
    };
    let remove = has_key.then(|| {
        view! { <Checkbox label="Remove the stored key" name="provider[remove_key]" id=id("remove")/> }
    });
    view! {
        <div class="form">
            <FaultNotice fault fields=FIELDS/>
            <div class="form-row">
                <Select
                    label="Kind"
                    name="provider[kind]"
                    id=id("kind")
                    options=kinds
                    bind=kind
                    error=error_at(fault, "kind")
                />
                {key_field}
            </div>
            <TextField
                label="Base URL"
                name="provider[base_url]"
                id=id("url")
                kind=InputKind::Url
                value=base_url
                placeholder=Signal::derive(move || about.get().1.to_owned())
                hint="Empty: the kind's own, where it has one."
                error=error_at(fault, "baseUrl")
                mono=true
            />
            <TextField
                label="API key"
                name="provider[api_key]"
                id=id("api-key")
                kind=InputKind::Password
                autocomplete="off"
                hint=key_hint
                error=error_at(fault, "apiKey")
                mono=true
            />
            {remove}
            <div class="form-row">
                <TextField
                    label="Calls at once"
                    name="provider[max_concurrent]"
                    id=id("concurrent")
                    kind=InputKind::Number
                    min="1"
                    value=concurrent
                    hint="Empty: 1,000. The others wait in a queue."
                    error=error_at(fault, "maxConcurrent")
                />
                <TextField
                    label="Requests per minute"
                    name="provider[requests_per_minute]"
                    id=id("per-minute")
                    kind=InputKind::Number
                    min="1"
                    value=per_minute.map(|limit| limit.to_string()).unwrap_or_default()
                    hint="Empty: no limit."
                    error=error_at(fault, "requestsPerMinute")
                />
            </div>
            <div class="form-actions">
                <Button kind=ButtonKind::Submit variant=ButtonVariant::Primary busy>
                    {if is_new { "Add the provider" } else { "Save" }}
                </Button>
            </div>
        </div>
    }
}
