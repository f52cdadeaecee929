//! Renaming the conversation: a form that unfolds below the page's head, also without script.

use super::{
    server::{RenameConversation, rename_conversation},
    thread::Thread,
};
use crate::{
    fault::Fault,
    form::{FaultNotice, error_at},
    ui::{Button, ButtonKind, ButtonVariant, Glyph, Icon, TextField},
};
use leptos::{ev, html, prelude::*, server_fn::ServerFn, task::spawn_local};
use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlInputElement};

#[component]
pub fn Rename(thread: Thread) -> impl IntoView {
    let fault = RwSignal::new(None::<Fault>);
    let busy = RwSignal::new(false);
    let open = RwSignal::new(false);
    let title = RwSignal::new(thread.title.get_untracked());
    let summary = NodeRef::<html::Summary>::new();
    let close = move || {
        open.set(false);
        if let Some(summary) = summary.get_untracked() {
            // Fails only for an element that cannot have the focus.
            _ = summary.focus();
        }
    };
    let save = move |event: ev::SubmitEvent| {
        event.prevent_default();
        if busy.get_untracked() {
            return;
        }
        busy.set(true);
        let asked = rename_conversation(thread.project.get_value(), thread.task, title.get_untracked());
        spawn_local(async move {
            let saved = asked.await;
            // The page was left.
            if busy.try_set(false).is_some() {
                return;
            }
            if saved.is_ok() {
                close();
                thread.refresh();
            }
            fault.set(saved.err());
        });
    };
    let toggled = move |event: ev::Event| {
        let details = event_target::<Element>(&event);
        let now = details.has_attribute("open");
        if now && !open.get_untracked() {
            title.set(thread.title.get_untracked());
            fault.set(None);
            let field = details.query_selector("[name=title]").ok().flatten();
            if let Some(field) = field.and_then(|field| field.dyn_into::<HtmlInputElement>().ok()) {
                _ = field.focus();
                field.select();
            }
        }
        open.set(now);
    };
    let pressed = move |event: ev::KeyboardEvent| {
        if event.key() == "Escape" {
            close();
        }
    };
    view! {
        <details class="conversation-rename" open=move || open.get() on:toggle=toggled on:keydown=pressed>
            <summary class="button button-ghost button-small" node_ref=summary>
                <Icon glyph=Glyph::Edit/>
                <span class="button-label">"Rename"</span>
            </summary>
            <form class="form" method="post" action=RenameConversation::url() on:submit=save>
                <input type="hidden" name="project" value=thread.project.get_value().to_string()/>
                <input type="hidden" name="task" value=thread.task.to_string()/>
                <FaultNotice fault fields=&["title"]/>
                <TextField
                    label="Title"
                    name="title"
                    id="conversation-title"
                    bind=title
                    required=true
                    max_length=200_u32
                    error=error_at(fault.into(), "title")
                />
                <div class="form-actions">
                    <Button kind=ButtonKind::Submit variant=ButtonVariant::Primary busy>
                        "Save"
                    </Button>
                </div>
            </form>
        </details>
    }
    .into_any()
}
