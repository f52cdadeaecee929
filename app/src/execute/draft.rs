//! What was put in and not launched yet, kept in this tab under the person and the template: whoever leaves the form and
//! comes back finds it there.

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

/// Longer inputs are not kept: a tab has some 5 MB for all it keeps.
const MOST: usize = 1024 * 1024;

#[derive(Clone, Copy)]
pub struct Draft {
    key: StoredValue<String>,
    fields: StoredValue<Vec<FormField>>,
    form: NodeRef<html::Form>,
    /// What needs no draft: the form as it is drawn, later as it was launched.
    settled: StoredValue<Texts>,
    /// Until what was kept has been looked at, nothing takes its place.
    looked_at: StoredValue<bool>,
    /// Whether something was kept since the form is there.
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

    /// Keeps what stands in the form, whenever one leaves it. Call it once.
    pub fn keep_on_leaving(self) {
        Effect::new(move |_| {
            let leaving = window_event_listener_untyped("pagehide", move |_| _ = self.store());
            on_cleanup(move || leaving.remove());
        });
        on_cleanup(move || _ = self.store());
    }

    /// Fills in what was kept, except where somebody has typed already. False: there was nothing to fill in.
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

    /// The form is filled in with something else, which needs no draft either.
    pub fn give_way(self) {
        // Lists are drawn by then. Whoever leaves before has written nothing that was worth a draft.
        request_animation_frame(move || {
            if let Some(form) = self.form.try_get_untracked().flatten() {
                self.settled.set_value(self.now(&form));
                self.looked_at.set_value(true);
            }
        });
    }

    /// Keeps what stands in the form.
    pub fn keep(self) {
        if self.store() && self.written.try_get_untracked() == Some(false) {
            self.written.set(true);
        }
    }

    /// Whether something was kept. On the server, and before the form is there, it does nothing.
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
        // Without room the older draft stays; the text is still in its field.
        Kept::InTab.write(&key, &now, MOST)
    }

    /// What stands in the form was launched.
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

    /// Whether the input is entered as JSON, or not at all.
    fn is_whole(self) -> bool {
        self.fields.with_value(|fields| fields.is_empty())
    }
}

/// What stands in the form of these fields before anybody has typed.
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
