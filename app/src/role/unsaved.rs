//! Unsaved changes of a role's form, kept in this browser per user and restored when the user returns.

use super::server::{Offered, RoleForm};
use crate::{
    fault,
    kept::Kept,
    load::Loaded,
    ui::{Button, ButtonSize, Notice},
};
use domain::key::ProjectKey;
use leptos::{html, prelude::*};
use serde::{Deserialize, Serialize};
use wasm_bindgen::JsCast;
use web_sys::{HtmlFormElement, HtmlInputElement, HtmlSelectElement, HtmlTextAreaElement};

/// The fields' names in [`RoleForm`]. The key is fixed once there is a version.
const FIELDS: [&str; 6] = ["name", "key", "base_prompt", "model", "temperature", "max_tokens"];

#[derive(Serialize, Deserialize)]
struct Changed {
    based_on: Option<u32>,
    form: RoleForm,
}

#[derive(Clone, Copy)]
pub struct Unsaved {
    node: NodeRef<html::Form>,
    role: StoredValue<String>,
    /// The storage key, once the user is known.
    place: StoredValue<Option<String>>,
    /// The form's saved values, and their version.
    saved: StoredValue<(RoleForm, Option<u32>)>,
    based_on: RwSignal<Option<u32>>,
    /// Whether the form shows restored changes.
    back: RwSignal<bool>,
}

impl Unsaved {
    pub fn new(
        project: &ProjectKey,
        node: NodeRef<html::Form>,
        saved: RoleForm,
        based_on: RwSignal<Option<u32>>,
    ) -> Self {
        // '+' is not valid in a role's key, so no role has this name.
        let key = if based_on.get_untracked().is_some() { &saved.key } else { "+new" };
        Self {
            node,
            role: StoredValue::new(format!("{project}/{key}")),
            place: StoredValue::new(None),
            saved: StoredValue::new((saved, based_on.get_untracked())),
            based_on,
            back: RwSignal::new(false),
        }
    }

    /// Restores the kept changes in the browser, and again once the models are available.
    pub fn restore(self, offered: Loaded<fault::Result<Offered>>) {
        Effect::new(move |_| {
            let there = self.node.get().is_some();
            let Some(Ok(Offered { me: Some(me), .. })) = offered.get() else { return };
            self.place.set_value(Some(format!("troupe:role-draft:{me}:{}", self.role.get_value())));
            if there {
                request_animation_frame(move || self.fill_in());
            }
        });
    }

    fn fill_in(self) {
        let Some(form) = self.node.try_get_untracked().flatten() else { return };
        let Some(kept) = self.kept() else { return };
        // If another user has saved since, saving shows both versions.
        self.based_on.set(kept.based_on);
        fill(&form, &kept.form);
        self.back.set(true);
    }

    fn kept(self) -> Option<Changed> {
        Kept::InBrowser.read(&self.place.get_value()?)
    }

    /// Keeps the form's current values.
    pub fn keep(self) {
        let Some(form) = self.node.get_untracked() else { return };
        let form = RoleForm::in_page(&form);
        if self.saved.with_value(|(saved, _)| *saved == form) {
            return self.forget();
        }
        if let Some(place) = self.place.get_value() {
            let changed = Changed { based_on: self.based_on.get_untracked(), form };
            Kept::InBrowser.write(&place, &changed, usize::MAX);
        }
    }

    /// Called when the form's current values were saved as this version.
    pub fn saved(self, version: u32) {
        if let Some(form) = self.node.get_untracked() {
            self.saved.set_value((RoleForm::in_page(&form), Some(version)));
        }
        self.forget();
    }

    fn forget(self) {
        self.back.set(false);
        if let Some(place) = self.place.get_value() {
            Kept::InBrowser.forget(&place);
        }
    }
}

/// The notice that the form shows unsaved changes.
#[component]
pub fn UnsavedNotice(unsaved: Unsaved) -> impl IntoView {
    let discard = move || {
        unsaved.forget();
        let (saved, version) = unsaved.saved.get_value();
        unsaved.based_on.set(version);
        if let Some(form) = unsaved.node.get_untracked() {
            fill(&form, &saved);
        }
    };
    let action = move || view! { <Button size=ButtonSize::Small on_click=discard>"Discard it"</Button> };
    move || {
        unsaved.back.get().then(|| {
            view! { <Notice title="Not saved yet" action>"What you had changed here is back in the form."</Notice> }
        })
    }
}

fn fill(form: &HtmlFormElement, wanted: &RoleForm) {
    let texts = [
        &wanted.name,
        &wanted.key,
        &wanted.base_prompt,
        &wanted.model,
        &wanted.temperature,
        &wanted.max_tokens,
    ];
    for (field, text) in FIELDS.into_iter().zip(texts) {
        let Ok(Some(field)) = form.query_selector(&format!("[name=\"role[{field}]\"]")) else { continue };
        if let Some(area) = field.dyn_ref::<HtmlTextAreaElement>() {
            if area.value() != *text {
                area.set_value(text);
            }
        } else if let Some(select) = field.dyn_ref::<HtmlSelectElement>() {
            let before = select.value();
            select.set_value(text);
            // The select no longer offers this value.
            if select.value() != *text {
                select.set_value(&before);
            }
        } else if let Some(input) = field.dyn_ref::<HtmlInputElement>()
            && input.value() != *text
        {
            input.set_value(text);
        }
    }
}
