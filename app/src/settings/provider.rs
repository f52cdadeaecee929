//! A provider: its settings, its current status, and its edit form.

use super::{
    provider_form::{ProviderFields, forget_key, kind_name},
    server::{DeleteProvider, SaveProvider, ask_provider},
};
use crate::{
    fault,
    form::{FaultNotice, fault_of, sentence},
    load::ask_in_browser,
    ui::{Badge, Button, ButtonSize, Card, ConfirmDialog, Glyph, Icon, Tone},
};
use domain::{
    key::ProviderKey,
    provider::ProviderKind,
    view::{Provider, ProviderOrigin, ProviderStatus},
};
use leptos::{html, prelude::*};

#[component]
pub fn ProviderCard(
    provider: Provider,
    may_change: bool,
    may_ask: bool,
    changes: RwSignal<u32>,
) -> impl IntoView {
    let key = provider.key.clone();
    // Requested from the browser for each provider separately, so that a slow provider delays nothing else.
    let asked = RwSignal::new(0_u32);
    let status = may_ask.then(|| {
        let key = key.clone();
        let status = ask_in_browser(move || {
            asked.track();
            changes.track();
            ask_provider(key.clone())
        });
        view! {
            <div class="provider-status" aria-live="polite">
                {move || match status.get() {
                    Some(outcome) => view! { <Status outcome/> }.into_any(),
                    None => view! { <p class="provider-state">"Asking…"</p> }.into_any(),
                }}
            </div>
        }
    });
    let actions = {
        let stored = may_change && provider.origin == ProviderOrigin::Stored;
        let key = key.clone();
        move || {
            let test = may_ask.then(|| {
                view! {
                    <Button size=ButtonSize::Small glyph=Glyph::Retry on_click=move || asked.update(|asked| *asked += 1)>
                        "Test"
                    </Button>
                }
            });
            view! {
                {test}
                {stored.then(|| view! { <Delete key changes/> })}
            }
        }
    };
    let facts = facts(&provider);
    let edit = (may_change && provider.origin == ProviderOrigin::Stored).then(|| {
        let provider = provider.clone();
        view! { <Edit provider changes/> }
    });
    let local = (provider.kind == ProviderKind::Local).then(|| {
        view! {
            <p class="field-hint">
                "A small model on this machine, started on its first use. For a better one, add a provider, or start the server with TROUPE_LOCAL_MODEL naming a GGUF file."
            </p>
        }
    });
    view! {
        <Card title=key.to_string() actions class="provider">
            {status}
            {facts}
            {local}
            {edit}
        </Card>
    }
}

fn facts(provider: &Provider) -> impl IntoView + use<> {
    let origin = match provider.origin {
        ProviderOrigin::Stored => None,
        ProviderOrigin::Environment => Some("from the environment"),
        ProviderOrigin::BuiltIn => Some("built in"),
    };
    let limit = provider.requests_per_minute.map(|limit| format!(", {limit} requests per minute"));
    let limits = format!("{} calls at once{}", provider.max_concurrent, limit.unwrap_or_default());
    let queue = (provider.active + provider.queued > 0)
        .then(|| format!("{} under way, {} waiting", provider.active, provider.queued));
    let slowdown = provider.slowdown.map(|slowdown| {
        let seconds = slowdown.resumes_in_ms.div_ceil(1000);
        let holds = if seconds > 0 { format!(", no call for {seconds} s") } else { String::new() };
        format!("Slowed down by the provider: {} calls refused{holds}", slowdown.refused)
    });
    let key = provider.has_key.then(|| view! { <Badge glyph=Glyph::Key>"key stored"</Badge> });
    let base_url = provider.base_url.clone();
    let kind = kind_name(provider.kind);
    view! {
        <p class="provider-facts">
            <Badge>{kind}</Badge>
            {origin.map(|origin| view! { <Badge>{origin}</Badge> })}
            {key}
            {base_url.map(|url| view! { <span class="mono provider-url">{url}</span> })}
            <span>{limits}</span>
            {queue.map(|queue| view! { <span>{queue}</span> })}
            {slowdown.map(|slowdown| view! { <Badge glyph=Glyph::Clock>{slowdown}</Badge> })}
        </p>
    }
}

#[component]
fn Status(outcome: fault::Result<ProviderStatus>) -> impl IntoView {
    let count = |models: &[String]| match models.len() {
        1 => "1 model".to_owned(),
        count => format!("{count} models"),
    };
    let (tone, glyph, text, models) = match outcome {
        Ok(ProviderStatus::Reachable { models }) => {
            (Tone::Success, Glyph::CheckCircle, format!("Reachable, {}", count(&models)), models)
        }
        Ok(ProviderStatus::Idle { models }) => {
            (Tone::Neutral, Glyph::Clock, format!("Asleep until its first call, {}", count(&models)), models)
        }
        Ok(ProviderStatus::Failed { message }) => {
            (Tone::Error, Glyph::Failed, sentence(&message), Vec::new())
        }
        Err(fault) => (Tone::Error, Glyph::Failed, fault.to_string(), Vec::new()),
    };
    let models = (!models.is_empty()).then(|| {
        let item = |model: String| view! { <li class="mono">{model}</li> };
        view! {
            <details class="more">
                <summary>"Its models"</summary>
                <ul class="provider-models" role="list">
                    {models.into_iter().map(item).collect_view()}
                </ul>
            </details>
        }
    });
    view! {
        <p class=format!("provider-state {}", tone.class())>
            <Icon glyph/>
            {text}
        </p>
        {models}
    }
}

#[component]
fn Edit(provider: Provider, changes: RwSignal<u32>) -> impl IntoView {
    let action = ServerAction::<SaveProvider>::new();
    let fault = fault_of(action);
    let node = NodeRef::<html::Form>::new();
    Effect::new(move |_| {
        if matches!(action.value().get(), Some(Ok(_))) {
            if let Some(form) = node.get_untracked() {
                forget_key(&form);
            }
            changes.update(|changes| *changes += 1);
        }
    });
    view! {
        <details class="more">
            <summary>"Change"</summary>
            <ActionForm action node_ref=node>
                <ProviderFields existing=Some(provider) fault busy=action.pending()/>
            </ActionForm>
        </details>
    }
}

#[component]
fn Delete(key: ProviderKey, changes: RwSignal<u32>) -> impl IntoView {
    let open = RwSignal::new(false);
    let action = ServerAction::<DeleteProvider>::new();
    let fault = fault_of(action);
    Effect::new(move |_| {
        if matches!(action.value().get(), Some(Ok(()))) {
            changes.update(|changes| *changes += 1);
        }
    });
    let title = format!("Delete the provider {key}?");
    let confirm = move || {
        action.dispatch(DeleteProvider { key: key.clone() });
        open.set(false);
    };
    view! {
        <FaultNotice fault/>
        <Button size=ButtonSize::Small glyph=Glyph::Trash busy=action.pending() on_click=move || open.set(true)>
            "Delete…"
        </Button>
        <ConfirmDialog
            open
            title
            text="Roles that name one of its models fail until they name another. Its stored key is forgotten. This cannot be undone."
            confirm="Delete the provider"
            on_confirm=confirm
        />
    }
}
