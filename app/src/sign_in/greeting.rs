//! The end of the first run: a model of this installation generates a sentence, or the page explains why none can.

use crate::{
    load::{draw_in_place, load},
    role::{Trial, load_role},
    ui::{Button, ButtonLink, ButtonSize, ButtonVariant, Notice, Tone},
};
use domain::{
    key::{ProjectKey, RoleKey},
    role::GENERAL_WORKER,
    view::{Role, RoleDraft},
};
use leptos::prelude::*;

const DEMO: &str = "demo";
const MESSAGE: &str = "Say hello to somebody who opens this app for the first time, in one short sentence.";

#[component]
pub fn Greeting() -> impl IntoView {
    let role = load(
        || (),
        |()| async {
            let project = ProjectKey::from_title(DEMO);
            load_role(project, RoleKey::from_title(GENERAL_WORKER)).await.ok()
        },
    );
    view! {
        <h1 class="sign-in-title" id="first-run-title">
            "You are in"
        </h1>
        <Transition>
            {draw_in_place(role, move |answer| match answer {
                Some(role) => view! { <Speaks role/> }.into_any(),
                None => {
                    view! {
                        <p class="sign-in-help">"This installation has no demo project. Make your own."</p>
                        <ButtonLink href="/" variant=ButtonVariant::Primary size=ButtonSize::Large class="button-wide">
                            "Go on"
                        </ButtonLink>
                    }
                        .into_any()
                }
            })}
        </Transition>
    }
}

#[component]
fn Speaks(role: Role) -> impl IntoView {
    let model = role.model.to_string();
    let local = role.model.provider().as_str() == "local";
    let draft = RoleDraft {
        key: role.key,
        name: role.name,
        base_prompt: role.base_prompt,
        model: role.model,
        temperature: role.temperature,
        max_tokens: Some(60),
        tools: Vec::new(),
    };
    let trial = Trial::idle();
    let ask = move || trial.start(&ProjectKey::from_title(DEMO), &draft, MESSAGE);
    let ask = StoredValue::new(ask);
    Effect::new(move |_| ask.with_value(|ask| ask()));
    let text = Memo::new(move |_| trial.answer.read().text.trim().to_owned());
    let error = Memo::new(move |_| trial.answer.read().error.clone());
    view! {
        <p class="sign-in-help">
            "The roles of the demo project answer with " <code class="mono">{model}</code>
            {if local { ", a small model on this machine that needs no key. It says:" } else { ". It says:" }}
        </p>
        <blockquote class="greeting" aria-live="polite" aria-busy=move || trial.running.get().to_string()>
            {move || match (error.get(), text.get()) {
                (None, text) if text.is_empty() => view! { <span class="greeting-wait">"Waking up…"</span> }.into_any(),
                (_, text) => view! { <span>{text}</span> }.into_any(),
            }}
        </blockquote>
        {move || {
            error
                .get()
                .map(|error| {
                    view! {
                        <Notice tone=Tone::Error title="The model did not answer">
                            {error}
                            <p class="greeting-ways">
                                <Button on_click=move || ask.with_value(|ask| ask())>"Ask again"</Button>
                                <ButtonLink href="/settings/models">"See the models"</ButtonLink>
                            </p>
                        </Notice>
                    }
                })
        }}
        <ButtonLink
            href=format!("/p/{DEMO}/conversations")
            variant=ButtonVariant::Primary
            size=ButtonSize::Large
            class="button-wide"
        >
            "Go to the demo project"
        </ButtonLink>
        <p class="sign-in-help">
            "A larger model answers better: add a provider in " <a href="/settings/models">"Settings, Models"</a> "."
        </p>
    }
}
