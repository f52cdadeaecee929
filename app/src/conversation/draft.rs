//! What was typed and not sent yet, kept in this browser under the person and the conversation or message it is for: it
//! outlives the tab, and a session that ends while somebody types.

use crate::kept::Kept;
use domain::{
    id::{MessageId, TaskId, UserId},
    key::ProjectKey,
};
use leptos::{html::Textarea, prelude::*};
use std::fmt::Display;
use web_sys::HtmlTextAreaElement;

/// A field whose text is kept until it is sent. The field is the browser's own: the script writes into it only to restore
/// a draft, and to clear what was sent.
#[derive(Clone, Copy)]
pub struct Draft {
    pub field: NodeRef<Textarea>,
    key: StoredValue<String>,
}

impl Draft {
    /// Of what goes on with a conversation, or begins one. Whoever signs in here next has their own.
    pub fn of_conversation(owner: Option<UserId>, project: &ProjectKey, task: Option<TaskId>) -> Self {
        match task {
            Some(task) => Self::new(owner, project, &task),
            None => Self::new(owner, project, &"new"),
        }
    }

    /// Of a message that is edited.
    pub fn of_message(owner: Option<UserId>, project: &ProjectKey, message: MessageId) -> Self {
        Self::new(owner, project, &message)
    }

    fn new(owner: Option<UserId>, project: &ProjectKey, of: &dyn Display) -> Self {
        let owner = owner.map(|owner| owner.to_string()).unwrap_or_default();
        let key = format!("troupe:draft:{owner}:{project}:{of}");
        Self { field: NodeRef::new(), key: StoredValue::new(key) }
    }

    /// Puts the draft, if there is one, into the field once that is there, unless somebody has typed into it already.
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

    /// What is kept. In the browser alone.
    pub fn kept(self) -> Option<String> {
        Kept::InBrowser.text(&self.key.get_value())
    }

    /// Keeps what stands in the field.
    pub fn keep(self) {
        let Some(field) = self.field.get_untracked() else { return };
        let key = self.key.get_value();
        if changed(&field) {
            // Without room the older draft stays; the text is still in its field.
            Kept::InBrowser.put(&key, &field.value());
        } else {
            Kept::InBrowser.forget(&key);
        }
    }

    /// Who is to be asked, where that was chosen and nothing sent since. In the browser alone.
    pub fn chosen_role(self) -> Option<String> {
        Kept::InBrowser.text(&self.role_key())
    }

    pub fn choose_role(self, role: &str) {
        Kept::InBrowser.put(&self.role_key(), role);
    }

    fn role_key(self) -> String {
        self.key.with_value(|key| format!("{key}:role"))
    }

    /// Whether something else stands in the field than at first.
    pub fn is_changed(self) -> bool {
        self.field.get_untracked().is_some_and(|field| changed(&field))
    }

    /// It was sent, or is not wanted any more.
    pub fn drop(self) {
        if let Some(field) = self.field.get_untracked() {
            field.set_value(&first(&field));
        }
        Kept::InBrowser.forget(&self.key.get_value());
        Kept::InBrowser.forget(&self.role_key());
    }
}

/// What the page was drawn with.
fn first(field: &HtmlTextAreaElement) -> String {
    // It fails for no text area. The browser's own breaks are single characters, those of a text that was sent are not.
    field.default_value().unwrap_or_default().replace("\r\n", "\n")
}

fn changed(field: &HtmlTextAreaElement) -> bool {
    field.value() != first(field)
}
