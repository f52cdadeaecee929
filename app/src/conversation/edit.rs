//! Editing a sent message: it is sent again, and the previous version and its answers stay as another branch. Unsent
//! changes are kept as a draft.

use super::{
    draft::Draft,
    message::Around,
    server::{SendMessage, href_of},
};
use crate::{
    form::FaultNotice,
    keyboard::send_form,
    live::use_live,
    ui::{Button, ButtonKind, ButtonSize, ButtonVariant, Glyph},
};
use domain::{id::MessageId, key::RoleKey};
use leptos::{ev, form::ActionForm, prelude::*};
use leptos_router::hooks::use_navigate;

#[component]
pub fn EditForm(around: Around, id: MessageId, text: String, role: Option<RoleKey>) -> impl IntoView {
    let Around { project, task, editing, me, .. } = around;
    let send = ServerAction::<SendMessage>::new();
    let sending = send.pending();
    let draft = Draft::of_message(me, &project, id);
    let field = draft.field;
    draft.restore();
    let live = use_live();
    let navigate = use_navigate();
    let here = project.clone();
    Effect::new(move |_| {
        if let Some(Ok(launched)) = send.value().get() {
            live.expect(&here, launched.run);
            draft.drop();
            editing.set(None);
            navigate(&href_of(&here, &launched), Default::default());
        }
    });
    Effect::new(move |_| {
        // A form that a draft opened does not take the focus from the reader.
        if let Some(field) = field.get()
            && draft.kept().is_none()
        {
            // Fails only for a field that cannot have the focus.
            _ = field.focus();
        }
    });
    let cancel = move || {
        draft.drop();
        editing.set(None);
    };
    let pressed = move |event: ev::KeyboardEvent| {
        // Escape does not discard changes.
        if event.key() == "Escape" && !draft.is_changed() {
            cancel();
        } else if !sending.get_untracked() {
            send_form(&event);
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
                on:input=move |_| draft.keep()
                on:keydown=pressed
            >{text}</textarea>
            <div class="composer-bar">
                <span class="composer-hint">"What followed stays, as another version"</span>
                <Button size=ButtonSize::Small on_click=cancel>"Cancel"</Button>
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
