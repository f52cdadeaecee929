//! The sign-in page: a card that works without script.

use super::server::SignIn;
use crate::{
    form::{FaultNotice, error_at, fault_of},
    ui::{Button, ButtonKind, ButtonSize, ButtonVariant, InputKind, TextField},
};
use leptos::prelude::*;
use leptos_meta::Title;
use leptos_router::hooks::use_query_map;

#[component]
pub fn SignInPage() -> impl IntoView {
    let action = ServerAction::<SignIn>::new();
    let fault = fault_of(action);
    let next = use_query_map().with_untracked(|query| query.get("next").unwrap_or_default());
    let pending = action.pending();
    view! {
        <Title text="Sign in"/>
        <main class="sign-in" id="main">
            <section class="sign-in-card" aria-labelledby="sign-in-title">
                <p class="sign-in-product">"Troupe"</p>
                <h1 class="sign-in-title" id="sign-in-title">
                    "Sign in"
                </h1>
                <ActionForm action>
                    <div class="form">
                        <input type="hidden" name="next" value=next/>
                        <FaultNotice fault fields=&["email", "password"]/>
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
                            autocomplete="current-password"
                            required=true
                        />
                        <Button
                            kind=ButtonKind::Submit
                            variant=ButtonVariant::Primary
                            size=ButtonSize::Large
                            class="button-wide"
                            busy=pending
                        >
                            {move || if pending.get() { "Signing in…" } else { "Sign in" }}
                        </Button>
                    </div>
                </ActionForm>
                <p class="sign-in-help">
                    "No account? An administrator of this installation can make one."
                </p>
            </section>
        </main>
    }
    .into_any()
}
