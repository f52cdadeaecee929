//! Creating and editing a template.

use super::{
    address::use_template,
    editor::TemplateEditor,
    examples,
    server::{check_template, load_template},
};
use crate::{
    form::FaultPage,
    layout::{PageHeader, use_crumb},
    load::{draw, load},
    project::{ReadOnly, use_may_edit, use_project},
    ui::{Badge, ButtonLink, Skeleton, SkeletonShape},
};
use domain::key::TemplateKey;
use leptos::prelude::*;
use leptos_router::{
    NavigateOptions,
    components::Redirect,
    hooks::{use_navigate, use_query_map},
};

/// `/templates/new`: the choice of a starting point, then the editor (`?from=blank`).
#[component]
pub fn NewTemplatePage() -> impl IntoView {
    let project = use_project();
    let query = use_query_map();
    let from = Memo::new(move |_| query.read().get("from"));
    let begun = load(
        move || (project.get(), from.get()),
        |(project, from)| async move {
            match from {
                None => Ok(None),
                Some(word) => {
                    let source = examples::source(&word);
                    check_template(project, source.clone()).await.map(|checked| Some((source, checked)))
                }
            }
        },
    );
    view! {
        <PageHeader title="New template"/>
        <Transition fallback=|| view! { <Skeleton shape=SkeletonShape::Card count=2/> }>
            {draw(begun, move |answer| match answer {
                Ok(_) if !use_may_edit() => view! { <ReadOnly can="make templates"/> }.into_any(),
                Ok(None) => view! { <Choose/> }.into_any(),
                Ok(Some((source, checked))) => {
                    view! { <TemplateEditor project key=None source checked version=None/> }.into_any()
                }
                Err(fault) => view! { <FaultPage fault/> }.into_any(),
            })}
        </Transition>
    }
    .into_any()
}

#[component]
fn Choose() -> impl IntoView {
    let card = |example: &'static examples::Example| {
        view! {
            <li>
                <a class="example" href=format!("?from={}", example.word)>
                    <span class="example-name">{example.name}</span>
                    <span class="example-text">{example.text}</span>
                </a>
            </li>
        }
    };
    view! {
        <p class="field-hint">"Begin with one of these; all of it can be changed."</p>
        <ul class="examples" role="list">
            {examples::ALL.iter().map(card).collect_view()}
        </ul>
    }
}

/// Viewers see the template's page instead.
#[component]
pub fn EditTemplatePage() -> impl IntoView {
    let (project, at) = (use_project(), use_template());
    let loaded = load(
        move || (project.get(), at.get().key),
        |(project, key)| async move {
            let detail = load_template(project.clone(), key, None).await?;
            let checked = check_template(project, detail.source.clone()).await?;
            Ok((detail, checked))
        },
    );
    let navigate = use_navigate();
    let on_made_anew = Callback::new(move |key: TemplateKey| {
        if key == at.get_untracked().key {
            loaded.refetch();
            return;
        }
        // Keeps the editor's side and step in the URL. Replaces the entry, because the old URL leads to a deleted
        // template.
        let looked_at = window().location().search().unwrap_or_default();
        let to = format!("/p/{}/templates/{key}/edit{looked_at}", project.get_untracked());
        let options = NavigateOptions { replace: true, ..NavigateOptions::default() };
        navigate(&to, options);
    });
    view! {
        <Transition fallback=|| view! { <Skeleton shape=SkeletonShape::Card count=2/> }>
            {draw(loaded, move |answer| match answer {
                Ok((detail, _)) if !use_may_edit() => {
                    let path = format!("/p/{}/templates/{}", project.get_untracked(), detail.key);
                    let options = NavigateOptions { replace: true, ..NavigateOptions::default() };
                    view! { <Redirect path options/> }.into_any()
                }
                Ok((detail, checked)) => {
                    let version = detail.version;
                    let name = detail.document.name.clone();
                    use_crumb(move || Some(name.clone()));
                    let href = format!("/p/{}/templates/{}", project.get_untracked(), detail.key);
                    let actions = move || view! { <ButtonLink href>"Close"</ButtonLink> };
                    view! {
                        <PageHeader title=format!("Edit {}", detail.document.name) actions>
                            <Badge>{format!("from version {version}")}</Badge>
                        </PageHeader>
                        <TemplateEditor
                            project
                            key=Some(detail.key)
                            source=detail.source
                            checked
                            version=Some(version)
                            on_made_anew
                        />
                    }
                        .into_any()
                }
                Err(fault) => view! { <FaultPage fault/> }.into_any(),
            })}
        </Transition>
    }
    .into_any()
}
