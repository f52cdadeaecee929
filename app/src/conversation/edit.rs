//! Editing what one has asked: it is asked anew, and what was said before stays beside it as another branch.

use super::{
    message::Around,
    server::{SendMessage, href_of},
};
use crate::{
    form::FaultNotice,
    live::use_live,
    ui::{Button, ButtonKind, ButtonSize, ButtonVariant, Glyph},
};
use domain::{id::MessageId, key::RoleKey};
use leptos::{ev, form::ActionForm, html::Textarea, prelude::*};
use leptos_router::hooks::use_navigate;

#[component]
pub fn EditForm(around: Around, id: MessageId, text: String, role: Option<RoleKey>) -> impl IntoView {
    let Around { project, task, editing, .. } = around;
    let send = ServerAction::<SendMessage>::new();
    let sending = send.pending();
    let field = NodeRef::<Textarea>::new();
    let live = use_live();
    let navigate = use_navigate();
    let here = project.clone();
    Effect::new(move |_| {
        if let Some(Ok(launched)) = send.value().get() {
            live.expect(&here, launched.run);
            editing.set(None);
            navigate(&href_of(&here, &launched), Default::default());
        }
    });
    Effect::new(move |_| {
        if let Some(field) = field.get() {
            // It fails only for a field that cannot have it.
            _ = field.focus();
        }
    });
    let pressed = move |event: ev::KeyboardEvent| {
        if event.key() == "Escape" {
            editing.set(None);
        } else if crate::keyboard::sends(&event) {
            event.prevent_default();
            if let Some(form) = field.get_untracked().and_then(|field| field.form())
                && !sending.get_untracked()
            {
                // It fails only for a button of another form.
                _ = form.request_submit();
            }
        }
    };
    let fault = move || send.value().get().and_then(Result::err);
    view! {
        <ActionForm action=send attr:class="composer composer-form message-edit">
            <input type="hidden" name="project" value=project.to_string()/>
            <input type="hidden" name="task" value=task.to_string()/>
            <input type="hidden" name="replaces" value=id.to_string()/>
            {role.map(|role| view! { <input type="hidden" name="role" value=role.to_string()/> })}
            <textarea
                class="composer-text"
                name="text"
                rows="3"
                required
                aria-label="Edit the message"
                node_ref=field
                on:keydown=pressed
            >{text}</textarea>
            <div class="composer-bar">
                <span class="composer-hint">"What followed stays, as another version"</span>
                <Button size=ButtonSize::Small on_click=move || editing.set(None)>"Cancel"</Button>
                <Button
                    kind=ButtonKind::Submit
                    variant=ButtonVariant::Primary
                    size=ButtonSize::Small
                    glyph=Glyph::Send
                    busy=sending
                >
                    "Send"
                </Button>
            </div>
            <FaultNotice fault=Signal::derive(fault)/>
        </ActionForm>
    }
    .into_any()
}
