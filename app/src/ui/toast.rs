//! Short messages about recent actions. They are announced politely; errors stay until they are dismissed.

use std::time::Duration;

use leptos::prelude::*;

use super::{
    button::{Button, ButtonSize, ButtonVariant, IconButton},
    icon::{Glyph, Icon},
    status::Tone,
};

/// Maximum number shown at once; the oldest is removed for a newer one.
const MOST: usize = 3;
/// Long enough to read two lines.
const SHOWN_FOR: Duration = Duration::from_secs(6);

#[derive(Clone, Debug)]
pub struct Toast {
    tone: Tone,
    text: String,
    action: Option<(String, Callback<()>)>,
}

impl Toast {
    pub fn new(tone: Tone, text: impl Into<String>) -> Self {
        Self { tone, text: text.into(), action: None }
    }

    /// A button on the toast, such as "Undo".
    pub fn action(mut self, label: impl Into<String>, run: impl Fn() + Send + Sync + 'static) -> Self {
        self.action = Some((label.into(), Callback::new(move |()| run())));
        self
    }
}

/// The toasts of this page. Get it with `use_toasts()`.
#[derive(Clone, Copy)]
pub struct Toasts {
    shown: RwSignal<Vec<(u64, Toast)>>,
    next: StoredValue<u64>,
}

impl Toasts {
    pub fn provide() -> Self {
        let toasts = Self { shown: RwSignal::new(Vec::new()), next: StoredValue::new(0) };
        provide_context(toasts);
        toasts
    }

    /// Call it only from event handlers and effects.
    pub fn show(self, toast: Toast) {
        let id = self.next.get_value();
        self.next.set_value(id + 1);
        let stays = toast.tone == Tone::Error || toast.action.is_some();
        self.shown.update(|shown| {
            shown.push((id, toast));
            shown.drain(..shown.len().saturating_sub(MOST));
        });
        if !stays {
            set_timeout(move || self.dismiss(id), SHOWN_FOR);
        }
    }

    pub fn success(self, text: impl Into<String>) {
        self.show(Toast::new(Tone::Success, text));
    }

    pub fn info(self, text: impl Into<String>) {
        self.show(Toast::new(Tone::Info, text));
    }

    pub fn error(self, text: impl Into<String>) {
        self.show(Toast::new(Tone::Error, text));
    }

    fn dismiss(self, id: u64) {
        self.shown.try_update(|shown| shown.retain(|(shown_id, _)| *shown_id != id));
    }
}

pub fn use_toasts() -> Toasts {
    expect_context()
}

/// Render it once per page, in `App`.
#[component]
pub fn ToastRegion() -> impl IntoView {
    let toasts = use_toasts();
    view! {
        <div class="toasts" role="region" aria-label="Messages" aria-live="polite">
            <For each=move || toasts.shown.get() key=|(id, _)| *id let((id, toast))>
                <div class=format!("toast {}", toast.tone.class())>
                    <Icon glyph=toast.tone.glyph()/>
                    <span class="toast-text">{toast.text}</span>
                    {toast.action.map(|(label, run)| view! {
                        <Button
                            variant=ButtonVariant::Ghost
                            size=ButtonSize::Small
                            on_click=move || { run.run(()); toasts.dismiss(id) }
                        >
                            {label}
                        </Button>
                    })}
                    <IconButton
                        glyph=Glyph::Close
                        label="Dismiss"
                        size=ButtonSize::Small
                        on_click=move || toasts.dismiss(id)
                    />
                </div>
            </For>
        </div>
    }
}
