//! Dialogs over the native `<dialog>`: the browser traps the focus, closes on Esc, and restores the focus.

use leptos::{ev::MouseEvent, html, prelude::*};

use super::{
    button::{Button, ButtonVariant, IconButton},
    icon::Glyph,
};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DialogSize {
    /// 400 px.
    Small,
    /// 560 px.
    #[default]
    Medium,
    /// 880 px.
    Large,
}

/// Opens and closes with `open`. The footer holds the buttons, the confirming one last.
#[component]
pub fn Dialog(
    open: RwSignal<bool>,
    #[prop(into)] title: Signal<String>,
    #[prop(optional)] size: DialogSize,
    #[prop(optional, into)] footer: Option<ViewFnOnce>,
    children: Children,
) -> impl IntoView {
    let node = NodeRef::<html::Dialog>::new();
    Effect::new(move |_| {
        let wanted = open.get();
        let Some(dialog) = node.get() else { return };
        if wanted && !dialog.open() {
            // Fails only for a dialog outside the document; a mounted one is inside.
            let _ = dialog.show_modal();
        } else if !wanted && dialog.open() {
            dialog.close();
        }
    });
    let on_backdrop = move |event: MouseEvent| {
        let dialog = node.get_untracked().map(|dialog| web_sys::EventTarget::from((*dialog).clone()));
        if event.target() == dialog {
            open.set(false);
        }
    };
    // The `close` event arrives later: by then the dialog may have been reopened.
    let closed = move |_| open.set(node.get_untracked().is_some_and(|dialog| dialog.open()));
    let class = match size {
        DialogSize::Small => "dialog dialog-small",
        DialogSize::Medium => "dialog dialog-medium",
        DialogSize::Large => "dialog dialog-large",
    };
    view! {
        <dialog
            node_ref=node
            class=class
            aria-label=move || title.get()
            on:close=closed
            on:click=on_backdrop
        >
            <div class="dialog-frame">
                <header class="dialog-header">
                    <h2 class="dialog-title">{move || title.get()}</h2>
                </header>
                <div class="dialog-body">{children()}</div>
                {footer.map(|footer| view! { <footer class="dialog-footer">{footer.run()}</footer> })}
                // Last in the document, so that the focus starts at the content.
                <IconButton glyph=Glyph::Close label="Close" class="dialog-close" on_click=move || open.set(false)/>
            </div>
        </dialog>
    }
}

/// Asks for confirmation before an irreversible action.
#[component]
pub fn ConfirmDialog(
    open: RwSignal<bool>,
    #[prop(into)] title: Signal<String>,
    #[prop(into)] text: Signal<String>,
    /// The verb on the button, such as "Delete role".
    #[prop(into)]
    confirm: String,
    #[prop(default = ButtonVariant::Danger)] variant: ButtonVariant,
    #[prop(optional, into)] busy: Signal<bool>,
    #[prop(into)] on_confirm: Callback<()>,
) -> impl IntoView {
    let footer = move || {
        view! {
            <Button on_click=move || open.set(false)>"Keep"</Button>
            <Button variant busy on_click=on_confirm>{confirm}</Button>
        }
    };
    view! {
        <Dialog open title size=DialogSize::Small footer>
            <p>{move || text.get()}</p>
        </Dialog>
    }
}
