//! A long message: its beginning is on the page, the whole of it when somebody asks. What is not seen is not sent, so
//! that a pasted file weighs nothing for those who read on.

use super::{
    message::Around,
    scroll::Scroller,
    server::{Part, open_conversation},
};
use crate::ui::{Toasts, format_bytes, use_toasts};
use domain::id::MessageId;
use leptos::{ev, prelude::*, task::spawn_local};
use web_sys::Element;

/// From how many characters or lines on a message is long.
#[cfg(feature = "ssr")]
const LONG: (usize, usize) = (4_000, 30);
/// How much of a long one is shown: less than that, so that unfolding is worth it.
#[cfg(feature = "ssr")]
const SHOWN: (usize, usize) = (3_000, 20);

/// How a long text begins; none: it is short.
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
    /// Once it was read.
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

    /// Reads the whole text, unless it is here, and then goes on. Not while it is being read already.
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
            // Nobody looks at it any more when this fails.
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

/// Without script the link leads to the page that has the whole text.
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
            // It stays where the hand is.
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
