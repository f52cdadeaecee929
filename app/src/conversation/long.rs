//! Long messages: the page has only the beginning, and the whole text is loaded on demand, so that a pasted file does
//! not slow down reading the conversation.

use super::{
    message::Around,
    scroll::Scroller,
    server::{Part, open_conversation},
};
use crate::ui::{Toasts, format_bytes, use_toasts};
use domain::id::MessageId;
use leptos::{ev, prelude::*, task::spawn_local};
use web_sys::Element;

/// Characters and lines from which a message counts as long.
#[cfg(feature = "ssr")]
const LONG: (usize, usize) = (4_000, 30);
/// Characters and lines shown of a long message. Fewer than `LONG`, so that expanding it is worthwhile.
#[cfg(feature = "ssr")]
const SHOWN: (usize, usize) = (3_000, 20);

/// The shown beginning of a long text; `None` for a short one.
#[cfg(feature = "ssr")]
pub fn beginning(text: &str) -> Option<&str> {
    let text = text.trim_end();
    let end = |(characters, lines): (usize, usize)| {
        let last = text.char_indices().nth(characters).map(|(at, _)| at);
        let last_line = text.match_indices('\n').nth(lines - 1).map(|(at, _)| at);
        last.into_iter().chain(last_line).min()
    };
    end(LONG).and_then(|_| end(SHOWN)).map(|at| text[..at].trim_end())
}

#[derive(Clone, Copy)]
pub struct Long {
    around: StoredValue<Around>,
    id: MessageId,
    bytes: u64,
    /// The whole text, once loaded.
    pub whole: RwSignal<Option<String>>,
    reading: StoredValue<bool>,
    open: RwSignal<bool>,
    toasts: Toasts,
}

impl Long {
    pub fn new(around: Around, id: MessageId, bytes: u64) -> Self {
        Self {
            around: StoredValue::new(around),
            id,
            bytes,
            whole: RwSignal::new(None),
            reading: StoredValue::new(false),
            open: RwSignal::new(false),
            toasts: use_toasts(),
        }
    }

    /// Loads the whole text, if needed, and then calls `then`. Does nothing while a load is under way.
    pub fn read(self, then: impl FnOnce() + 'static) {
        if self.whole.with_untracked(Option::is_some) {
            return then();
        }
        if self.reading.get_value() {
            return;
        }
        self.reading.set_value(true);
        let (project, task) = self.around.with_value(|around| (around.project.clone(), around.task));
        let part = Part { message: Some(self.id), whole: Some(self.id), ..Part::default() };
        spawn_local(async move {
            let read = open_conversation(project, task, part).await;
            // The page was left.
            if self.reading.try_set_value(false).is_some() {
                return;
            }
            match read {
                Ok(page) => {
                    let mut entries = page.messages.into_iter();
                    if let Some(entry) = entries.find(|entry| entry.message.id == self.id) {
                        self.whole.set(Some(entry.message.content));
                        then();
                    }
                }
                Err(fault) => self.toasts.error(fault.to_string()),
            }
        });
    }
}

/// Without script, the link leads to a page with the whole text.
#[component]
pub fn LongText(long: Long, beginning: String) -> impl IntoView {
    let Long { id, bytes, whole, open, .. } = long;
    let scroller = use_context::<Scroller>();
    let text = move || match open.get() {
        true => whole.get().unwrap_or_default(),
        false => format!("{beginning}…"),
    };
    let turn = move |held: Option<Element>| {
        if let Some(scroller) = scroller {
            scroller.hold(held, || open.update(|open| *open = !*open));
        }
    };
    let clicked = move |event: ev::MouseEvent| {
        event.prevent_default();
        let link = event_target::<Element>(&event);
        if open.get_untracked() {
            // The clicked link stays at its position.
            turn(Some(link));
        } else {
            long.read(move || turn(link.closest("article").ok().flatten()));
        }
    };
    view! {
        <div class="message-text">{text}</div>
        <a
            class="link message-whole"
            href=format!("?message={id}&whole={id}#m-{id}")
            aria-expanded=move || open.get().to_string()
            on:click=clicked
        >
            {move || if open.get() { "Show less".to_owned() } else { format!("Show all ({})", format_bytes(bytes)) }}
        </a>
    }
    .into_any()
}

#[cfg(all(test, feature = "ssr"))]
mod tests {
    use super::*;

    #[test]
    fn what_is_long_is_folded() {
        let lines = |many: usize| "A line\n".repeat(many);
        let words = "word ".repeat(1_000);
        for (text, shown) in [
            (String::new(), None),
            (lines(30), None),
            (lines(31), Some(lines(20).trim_end())),
            ("ä".repeat(4_000), None),
            ("ä".repeat(4_001), Some(&*"ä".repeat(3_000))),
            (words.clone(), Some(words[..3_000].trim_end())),
        ] {
            assert_eq!(beginning(&text), shown, "{} bytes", text.len());
        }
    }
}
