//! The runs of a project, newest first. The filters are the address.

use super::{
    server::{self, list_runs},
    words::status_word,
};
use crate::{
    live::{LiveNotice, Refresh, use_live},
    project::use_project,
    ui::{Ago, EmptyState, FaultPage, RunStatusIcon, Skeleton, duration, tokens},
};
use domain::{
    id::Timestamp,
    key::{ProjectKey, TemplateKey},
    run::RunStatus,
    view::{RunSummary, Subject},
};
use leptos::{ev, prelude::*, task::spawn_local};
use leptos_meta::Title;
use leptos_router::{components::Form, hooks::use_query_map};
use wasm_bindgen::JsCast;

/// What the address asks for.
#[derive(Clone, Debug, Default, PartialEq)]
struct Asked {
    status: Option<RunStatus>,
    template: Option<TemplateKey>,
    cursor: Option<String>,
}

impl Asked {
    /// The address of this list, or of another part of it.
    fn href(&self, base: &str) -> String {
        let status = self.status.map(|status| format!("status={}", status.as_str()));
        let template = self.template.as_ref().map(|template| format!("template={template}"));
        let cursor = self.cursor.as_ref().map(|cursor| format!("cursor={cursor}"));
        let query: Vec<_> = [status, template, cursor].into_iter().flatten().collect();
        if query.is_empty() { base.to_owned() } else { format!("{base}?{}", query.join("&")) }
    }
}

#[component]
pub fn RunsPage() -> impl IntoView {
    let project = use_project();
    let query = use_query_map();
    let asked = Memo::new(move |_| {
        let query = query.read();
        Asked {
            status: query.get("status").and_then(|status| RunStatus::parse(&status)),
            template: query.get("template").and_then(|template| TemplateKey::parse(&template).ok()),
            cursor: query.get("cursor"),
        }
    });
    let drawn = Resource::new(
        move || (project.get(), asked.get()),
        |(project, asked)| async move {
            let Asked { status, template, cursor } = asked;
            list_runs(project, status, template, cursor).await
        },
    );
    view! {
        <Title text="Runs"/>
        <Transition fallback=|| view! { <Skeleton/> }>
            {move || Suspend::new(async move {
                match drawn.await {
                    Ok(list) => {
                        let (project, asked) = (project.get_untracked(), asked.get_untracked());
                        view! { <Runs project asked list/> }.into_any()
                    }
                    Err(fault) => view! { <FaultPage fault/> }.into_any(),
                }
            })}
        </Transition>
    }
    .into_any()
}

#[component]
fn Runs(project: ProjectKey, asked: Asked, list: server::RunList) -> impl IntoView {
    let now = list.now;
    let runs = RwSignal::new(list.page.items);
    let next = RwSignal::new(list.page.next);
    let base = format!("/p/{project}/runs");
    let newest = asked.cursor.as_ref().map(|_| Asked { cursor: None, ..asked.clone() }.href(&base));
    let filtered = asked.status.is_some() || asked.template.is_some();
    let stored = StoredValue::new((project.clone(), asked.clone(), base.clone()));
    let refresh = Refresh::new(move || {
        let (project, asked, _) = stored.get_value();
        spawn_local(async move {
            if let Ok(list) = list_runs(project, asked.status, asked.template, asked.cursor).await {
                _ = runs.try_set(list.page.items);
                _ = next.try_set(list.page.next);
            }
        });
    });
    use_live().watch(&project, list.changes, move |change| {
        if matches!(change.subject, Subject::Run { .. }) {
            refresh.soon();
        }
    });
    let older = move || {
        let (_, asked, base) = stored.get_value();
        next.get().map(|cursor| Asked { cursor: Some(cursor), ..asked }.href(&base))
    };
    let templates_href = format!("/p/{project}/templates");
    let clear = base.clone();
    let key = |run: &RunSummary| (run.number, run.status, run.usage, run.finished_at);
    view! {
        <div class="runs">
            <header class="page-head"><h1>"Runs"</h1></header>
            <LiveNotice/>
            <Filters base=base.clone() asked templates=list.templates/>
            <Show
                when=move || !runs.read().is_empty()
                fallback=move || {
                    if filtered {
                        view! {
                            <EmptyState title="No run matches" text="Runs of another status or template are there, or there are none at all.">
                                <a class="button" href=clear.clone()>"Show all runs"</a>
                            </EmptyState>
                        }
                            .into_any()
                    } else {
                        view! {
                            <EmptyState
                                title="No runs yet"
                                text="A run is one execution of a template, with a role chosen for each step. It is kept here for good."
                            >
                                <a class="button button-primary" href=templates_href.clone()>"Choose a template"</a>
                            </EmptyState>
                        }
                            .into_any()
                    }
                }
            >
                <div class="table-scroll" role="region" aria-label="Runs" tabindex="0">
                    <table class="table runs-table" on:keydown=move_between_rows>
                        <thead>
                            <tr>
                                <th scope="col">"Status"</th>
                                <th scope="col">"Run"</th>
                                <th scope="col">"Template"</th>
                                <th scope="col">"Started by"</th>
                                <th scope="col">"When"</th>
                                <th scope="col" class="number">"Took"</th>
                                <th scope="col" class="number">"Tokens"</th>
                            </tr>
                        </thead>
                        <tbody>
                            <For each=move || runs.get() key=key let:run>
                                <RunRow base=stored.get_value().2 run now/>
                            </For>
                        </tbody>
                    </table>
                </div>
            </Show>
            <nav class="pager" aria-label="Pages">
                {newest.map(|href| view! { <a class="button button-small" href=href>"Newest"</a> })}
                {move || older().map(|href| view! { <a class="button button-small" href=href>"Older"</a> })}
            </nav>
        </div>
    }
}

#[component]
fn Filters(base: String, asked: Asked, templates: Vec<(TemplateKey, String)>) -> impl IntoView {
    let statuses = std::iter::once(None).chain(RunStatus::ALL.map(Some));
    let chips = statuses
        .map(|status| {
            let href = Asked { status, template: asked.template.clone(), cursor: None }.href(&base);
            let chosen = status == asked.status;
            view! {
                <a class="chip" href=href aria-current=chosen.then_some("true")>
                    {status.map(|status| view! { <RunStatusIcon status/> })}
                    {status.map_or("All", status_word)}
                </a>
            }
        })
        .collect_view();
    let chosen = asked.template.clone();
    let change = move |event: ev::Event| {
        let select = event_target::<web_sys::HtmlSelectElement>(&event);
        if let Some(form) = select.form() {
            // It fails only for a button of another form.
            _ = form.request_submit();
        }
    };
    view! {
        <div class="filters" role="group" aria-label="Filters">
            {chips}
            {(!templates.is_empty())
                .then(|| {
                    view! {
                        <Form method="GET" action=base attr:class="filters-form">
                            {asked
                                .status
                                .map(|status| {
                                    view! { <input type="hidden" name="status" value=status.as_str()/> }
                                })}
                            <select class="select" name="template" aria-label="Template" on:change=change>
                                <option value="">"Any template"</option>
                                {templates
                                    .into_iter()
                                    .map(|(key, name)| {
                                        let selected = Some(&key) == chosen.as_ref();
                                        view! {
                                            <option value=key.to_string() selected=selected>
                                                {name}
                                            </option>
                                        }
                                    })
                                    .collect_view()}
                            </select>
                            <noscript>
                                <button class="button button-small">"Filter"</button>
                            </noscript>
                        </Form>
                    }
                })}
        </div>
    }
}

#[component]
fn RunRow(base: String, run: RunSummary, now: Timestamp) -> impl IntoView {
    let clock = use_live().clock();
    let (created, finished) = (run.created_at, run.finished_at);
    let took = move || match finished {
        Some(finished) => duration(finished.since(created)),
        None => duration(clock.get().unwrap_or(now).since(created) / 1000 * 1000),
    };
    let template = if run.template.key.as_ref() == super::ASK {
        run.template.name.clone()
    } else {
        format!("{} v{}", run.template.name, run.template.version)
    };
    view! {
        <tr class="runs-row">
            <td>
                <span class="runs-status">
                    <RunStatusIcon status=run.status/>
                    <span>{status_word(run.status)}</span>
                </span>
            </td>
            <td class="mono"><a class="row-link" href=format!("{base}/{}", run.number)>{run.number.0}</a></td>
            <td>
                <span class="runs-template">{template}</span>
                {(run.warnings > 0)
                    .then(|| view! { <span class="runs-note">{run.warnings} " with a stand-in or a warning"</span> })}
                {run.error.map(|error| view! { <span class="runs-note runs-error">{error}</span> })}
            </td>
            <td>{run.by}</td>
            <td><Ago at=created now/></td>
            <td class="number">{took}</td>
            <td class="number">{tokens(run.usage.total())}</td>
        </tr>
    }
}

/// Arrows, J and K go from row to row; Enter follows the row's own link.
fn move_between_rows(event: ev::KeyboardEvent) {
    let forward = match event.key().as_str() {
        "ArrowDown" | "j" => true,
        "ArrowUp" | "k" => false,
        _ => return,
    };
    let Some(row) = event_target::<web_sys::Element>(&event).closest("tr").ok().flatten() else { return };
    let to = if forward { row.next_element_sibling() } else { row.previous_element_sibling() };
    let link = to.and_then(|row| row.query_selector("a.row-link").ok().flatten());
    if let Some(link) = link.and_then(|link| link.dyn_into::<web_sys::HtmlElement>().ok()) {
        event.prevent_default();
        // An element that cannot take the focus leaves it where it is.
        _ = link.focus();
    }
}
