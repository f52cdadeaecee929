//! Unsent texts, kept in this browser per user and per conversation or edited message. A draft survives closing the
//! tab, and a session that expires while its user types.

use crate::kept::Kept;
use domain::{
    id::{MessageId, TaskId, UserId},
    key::ProjectKey,
};
use leptos::{html::Textarea, prelude::*};
use std::fmt::Display;
use web_sys::HtmlTextAreaElement;

/// A field whose text is kept until it is sent. The field is uncontrolled: the script writes into it only to restore a
/// draft and to clear a sent text.
#[derive(Clone, Copy)]
pub struct Draft {
    pub field: NodeRef<Textarea>,
    key: StoredValue<String>,
}

impl Draft {
    /// The draft of the next message of a conversation, or of the first message of a new one. Users of the same
    /// browser have separate drafts.
    pub fn of_conversation(owner: Option<UserId>, project: &ProjectKey, task: Option<TaskId>) -> Self {
        match task {
            Some(task) => Self::new(owner, project, &task),
            None => Self::new(owner, project, &"new"),
        }
    }

    /// The draft of an edited message.
    pub fn of_message(owner: Option<UserId>, project: &ProjectKey, message: MessageId) -> Self {
        Self::new(owner, project, &message)
    }

    fn new(owner: Option<UserId>, project: &ProjectKey, of: &dyn Display) -> Self {
        let owner = owner.map(|owner| owner.to_string()).unwrap_or_default();
        let key = format!("troupe:draft:{owner}:{project}:{of}");
        Self { field: NodeRef::new(), key: StoredValue::new(key) }
    }

    /// Writes the draft into the field once it is rendered, unless the user has already typed into it.
    pub fn restore(self) {
        Effect::new(move |_| {
            if let Some(field) = self.field.get()
                && !changed(&field)
                && let Some(text) = self.kept()
            {
                field.set_value(&text);
            }
        });
    }

    /// The kept text. Only in the browser.
    pub fn kept(self) -> Option<String> {
        Kept::InBrowser.text(&self.key.get_value())
    }

    /// Keeps the field's current text.
    pub fn keep(self) {
        let Some(field) = self.field.get_untracked() else { return };
        let key = self.key.get_value();
        if changed(&field) {
            // If the storage is full, the older draft stays; the text is still in its field.
            Kept::InBrowser.put(&key, &field.value());
        } else {
            Kept::InBrowser.forget(&key);
        }
    }

    /// The role that was chosen for the unsent message. Only in the browser.
    pub fn chosen_role(self) -> Option<String> {
        Kept::InBrowser.text(&self.role_key())
    }

    pub fn choose_role(self, role: &str) {
        Kept::InBrowser.put(&self.role_key(), role);
    }

    fn role_key(self) -> String {
        self.key.with_value(|key| format!("{key}:role"))
    }

    /// Whether the field's text differs from its initial text.
    pub fn is_changed(self) -> bool {
        self.field.get_untracked().is_some_and(|field| changed(&field))
    }

    /// Deletes the draft, because it was sent or discarded.
    pub fn drop(self) {
        if let Some(field) = self.field.get_untracked() {
            field.set_value(&first(&field));
        }
        Kept::InBrowser.forget(&self.key.get_value());
        Kept::InBrowser.forget(&self.role_key());
    }
}

/// The text with which the page was rendered.
fn first(field: &HtmlTextAreaElement) -> String {
    // Never fails for a text area. The browser uses single line breaks; a submitted text has CRLF.
    field.default_value().unwrap_or_default().replace("\r\n", "\n")
}

fn changed(field: &HtmlTextAreaElement) -> bool {
    field.value() != first(field)
}
