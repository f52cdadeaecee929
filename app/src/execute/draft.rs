//! The input of an execute form before its launch, kept in this tab per user and template and restored when the user
//! returns to the form.

use super::{
    again::{Texts, fill, put, texts},
    list::Lists,
    read::WHOLE,
    server::LaunchForm,
};
use crate::kept::Kept;
use domain::{
    id::UserId,
    key::{ProjectKey, TemplateKey},
    schema::{FieldKind, FormField},
};
use leptos::{html, prelude::*};
use serde_json::Value;
use web_sys::HtmlFormElement;

/// Maximum size of a kept input: a tab has some 5 MB of storage in all.
const MOST: usize = 1024 * 1024;

#[derive(Clone, Copy)]
pub struct Draft {
    key: StoredValue<String>,
    fields: StoredValue<Vec<FormField>>,
    form: NodeRef<html::Form>,
    /// The texts that need no draft: initially those of the rendered form, later those of the launch.
    settled: StoredValue<Texts>,
    /// Whether the kept draft has been read. Nothing overwrites it before.
    looked_at: StoredValue<bool>,
    /// Whether a draft was written since the form was rendered.
    pub written: RwSignal<bool>,
}

impl Draft {
    pub fn new(
        owner: UserId,
        project: &ProjectKey,
        template: &TemplateKey,
        fields: StoredValue<Vec<FormField>>,
        form: NodeRef<html::Form>,
    ) -> Self {
        Self {
            key: StoredValue::new(format!("troupe:execute:{owner}:{project}/{template}")),
            fields,
            form,
            settled: StoredValue::new(fields.with_value(|fields| as_drawn(fields))),
            looked_at: StoredValue::new(false),
            written: RwSignal::new(false),
        }
    }

    /// Keeps the form's texts whenever the page is left. Call it once.
    pub fn keep_on_leaving(self) {
        Effect::new(move |_| {
            let leaving = window_event_listener_untyped("pagehide", move |_| _ = self.store());
            on_cleanup(move || leaving.remove());
        });
        on_cleanup(move || _ = self.store());
    }

    /// Fills in the draft, except in fields where the user has already typed. Returns false if there is no draft.
    pub fn restore(self, form: &HtmlFormElement, lists: Lists) -> bool {
        self.looked_at.set_value(true);
        let Some(mut kept) = self.kept() else { return false };
        let now = self.now(form);
        self.settled.with_value(|drawn| {
            kept.retain(|name, text| {
                let here = now.get(name);
                here == drawn.get(name) && here.is_some_and(|here| *here != *text)
            });
        });
        if let Some(text) = kept.get(WHOLE).filter(|_| self.is_whole()) {
            put(form, WHOLE, text);
        }
        self.fields.with_value(|fields| fill(form, fields, lists, &kept));
        !kept.is_empty()
    }

    /// Called when the form is filled in from another source, which needs no draft either.
    pub fn give_way(self) {
        // Lists are rendered by the next frame. If the page is left before, no draft is needed.
        request_animation_frame(move || {
            if let Some(form) = self.form.try_get_untracked().flatten() {
                self.settled.set_value(self.now(&form));
                self.looked_at.set_value(true);
            }
        });
    }

    /// Keeps the form's current texts.
    pub fn keep(self) {
        if self.store() && self.written.try_get_untracked() == Some(false) {
            self.written.set(true);
        }
    }

    /// Returns whether a draft was written. Does nothing on the server, and before the form is rendered.
    fn store(self) -> bool {
        if self.looked_at.try_get_value() != Some(true) {
            return false;
        }
        let Some(form) = self.form.try_get_untracked().flatten() else { return false };
        let now = self.now(&form);
        let key = self.key.get_value();
        if now.is_empty() || self.settled.with_value(|settled| *settled == now) {
            Kept::InTab.forget(&key);
            return false;
        }
        // If the storage is full, the older draft stays; the text is still in its field.
        Kept::InTab.write(&key, &now, MOST)
    }

    /// Called when the form's current texts were launched.
    pub fn launched(self) {
        if let Some(form) = self.form.get_untracked() {
            self.settled.set_value(self.now(&form));
        }
        Kept::InTab.forget(&self.key.get_value());
    }

    fn kept(self) -> Option<Texts> {
        Kept::InTab.read(&self.key.get_value())
    }

    fn now(self, form: &HtmlFormElement) -> Texts {
        if self.is_whole() {
            return LaunchForm::in_page(form).input;
        }
        self.fields.with_value(|fields| texts(fields, form))
    }

    /// Whether the input is entered as JSON, or there is none.
    fn is_whole(self) -> bool {
        self.fields.with_value(|fields| fields.is_empty())
    }
}

/// The texts of the form's fields before any change.
fn as_drawn(fields: &[FormField]) -> Texts {
    if fields.is_empty() {
        return Texts::from([(WHOLE.to_owned(), "{}".to_owned())]);
    }
    fields.iter().map(|field| (field.name.clone(), first_text(field))).collect()
}

fn first_text(field: &FormField) -> String {
    let value = match &field.default {
        None | Some(Value::Null) => return String::new(),
        Some(value) => value,
    };
    let text = match value {
        Value::String(text) => text.replace("\r\n", "\n"),
        value => value.to_string(),
    };
    match &field.kind {
        FieldKind::Boolean if text != "true" => String::new(),
        FieldKind::List(list) => match list.rows(value) {
            Ok(rows) => match list.read(&rows).0 {
                items if items.is_empty() => String::new(),
                items => Value::Array(items).to_string(),
            },
            Err(_) => text,
        },
        _ => text,
    }
}
