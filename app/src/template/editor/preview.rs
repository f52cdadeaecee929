//! The value of an expression, evaluated with the data of the template's last run.

use super::step::StepEdit;
use crate::{
    load::ask_in_browser,
    template::server::{Asked, preview_value},
};
use domain::key::{ProjectKey, TemplateKey};
use leptos::prelude::*;
use std::time::Duration;

/// Delay between the last key and the request.
const PAUSE: Duration = Duration::from_millis(400);

/// The template being edited. A new template has no key and no runs.
#[derive(Clone, Copy)]
pub struct Origin {
    pub project: Memo<ProjectKey>,
    pub key: StoredValue<Option<TemplateKey>>,
}

/// Follows `text`. Shows nothing for a template without runs.
#[component]
pub fn Preview(edit: StepEdit, kind: Asked, #[prop(into)] text: Signal<String>) -> impl IntoView {
    let origin = use_context::<Origin>();
    // The text to evaluate, once typing pauses.
    let settled = RwSignal::new(text.get_untracked());
    let timer = StoredValue::new(None::<leptos::leptos_dom::helpers::TimeoutHandle>);
    Effect::new(move |first: Option<()>| {
        let text = text.get();
        if first.is_none() {
            return;
        }
        let later = set_timeout_with_handle(move || drop(settled.try_set(text.clone())), PAUSE).ok();
        if let Some(before) = timer.try_update_value(|held| std::mem::replace(held, later)).flatten() {
            before.clear();
        }
    });
    let answer = ask_in_browser(move || {
        let text = settled.get();
        let asked = origin.and_then(|origin| Some((origin.project.get_untracked(), origin.key.get_value()?)));
        let for_each =
            edit.editor.with_document(|template| template.steps.get(edit.index)?.for_each.clone()).flatten();
        async move {
            let (project, key) = asked?;
            let text = Some(text).filter(|text| !text.trim().is_empty())?;
            preview_value(project, key, kind, text, for_each).await.ok().flatten()
        }
    });
    move || {
        answer.get().flatten().map(|shown| {
            let run = format!("In run {}: ", shown.run);
            match shown.error {
                None => view! { <p class="preview"><span class="preview-run">{run}</span><code>{shown.value}</code></p> },
                Some(error) => view! { <p class="preview"><span class="preview-run">{run}</span><code>{error}</code></p> },
            }
        })
    }
}
