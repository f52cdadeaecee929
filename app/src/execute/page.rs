//! `/p/demo/templates/code-review/execute`, with `?task=` for an existing conversation.

use super::form::ExecuteForm;
use crate::project::use_project;
use domain::{key::TemplateKey, view::Launched};
use leptos::prelude::*;
use leptos_router::hooks::{use_navigate, use_params_map, use_query_map};

#[component]
pub fn ExecutePage() -> impl IntoView {
    let project = use_project();
    let params = use_params_map();
    let query = use_query_map();
    let key = Memo::new(move |_| TemplateKey::from_title(&params.read().get("key").unwrap_or_default()));
    let navigate = use_navigate();
    let launched = Callback::new(move |launched: Launched| {
        let project = project.get_untracked();
        navigate(&format!("/p/{project}/conversations/{}", launched.task_id), Default::default());
    });
    view! {
        {move || {
            let (project, template) = (project.get(), key.get());
            let task = query.read().get("task").and_then(|task| task.parse().ok());
            view! { <ExecuteForm project template task page=true on_launched=launched/> }
        }}
    }
    .into_any()
}
