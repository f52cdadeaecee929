//! The first run: creates the admin, then shows that a model responds.

use super::{
    greeting::Greeting,
    server::{CompleteFirstRun, first_run_valid},
};
use crate::{
    form::{FaultNotice, FaultPage, error_at, fault_of},
    load::{draw_in_place, load},
    session::current_user,
    ui::{Button, ButtonKind, ButtonLink, ButtonSize, ButtonVariant, InputKind, TextField},
};
use leptos::prelude::*;
use leptos_meta::Title;
use leptos_router::hooks::use_query_map;

#[component]
pub fn FirstRunPage() -> impl IntoView {
    let query = use_query_map();
    let token = Memo::new(move |_| query.read().get("token").unwrap_or_default());
    let made = Memo::new(move |_| query.read().get("made").is_some());
    let valid = load(
        move || (token.get(), made.get()),
        |(token, made)| async move {
            // The user who created the account is signed in; for everybody else the link has been used.
            if made { current_user().await.map(|user| user.is_some()) } else { first_run_valid(token).await }
        },
    );
    view! {
        <Title text="Welcome"/>
        <main class="sign-in" id="main">
            <section class="sign-in-card" aria-labelledby="first-run-title">
                <p class="sign-in-product">"Troupe"</p>
                <Transition>
                    {draw_in_place(valid, move |answer| match answer {
                        Ok(true) if made.get_untracked() => view! { <Greeting/> }.into_any(),
                        Ok(true) => view! { <MakeAdmin token=token.get_untracked()/> }.into_any(),
                        Ok(false) => view! { <Used/> }.into_any(),
                        Err(fault) => view! { <FaultPage fault/> }.into_any(),
                    })}
                </Transition>
            </section>
        </main>
    }
    .into_any()
}

#[component]
fn MakeAdmin(token: String) -> impl IntoView {
    let action = ServerAction::<CompleteFirstRun>::new();
    let fault = fault_of(action);
    let pending = action.pending();
    view! {
        <h1 class="sign-in-title" id="first-run-title">
            "Make the first account"
        </h1>
        <p class="sign-in-help">"It administers this installation. This link works once."</p>
        <ActionForm action>
            <div class="form">
                <input type="hidden" name="token" value=token/>
                <FaultNotice fault fields=&["email", "name", "password"]/>
                <TextField
                    label="Name"
                    name="name"
                    error=error_at(fault, "name")
                    autocomplete="name"
                    required=true
                />
                <TextField
                    label="E-mail"
                    name="email"
                    kind=InputKind::Email
                    error=error_at(fault, "email")
                    autocomplete="username"
                    required=true
                />
                <TextField
                    label="Password"
                    name="password"
                    kind=InputKind::Password
                    error=error_at(fault, "password")
                    autocomplete="new-password"
                    hint="At least 10 characters."
                    required=true
                />
                <Button
                    kind=ButtonKind::Submit
                    variant=ButtonVariant::Primary
                    size=ButtonSize::Large
                    class="button-wide"
                    busy=pending
                >
                    {move || if pending.get() { "Making the account…" } else { "Make the account" }}
                </Button>
            </div>
        </ActionForm>
    }
}

#[component]
fn Used() -> impl IntoView {
    view! {
        <h1 class="sign-in-title" id="first-run-title">
            "This link no longer works"
        </h1>
        <p class="sign-in-help">
            "It works once, until the first account is made, and is made anew at every start of the server: the newest one stands in its log."
        </p>
        <ButtonLink href="/sign-in" variant=ButtonVariant::Primary size=ButtonSize::Large class="button-wide">
            "Sign in"
        </ButtonLink>
    }
}
