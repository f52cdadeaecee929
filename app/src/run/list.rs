//! The runs of a project, newest first. The URL holds the filters.

use super::{
    server::{self, list_runs},
    status::whole_seconds,
};
use crate::{
    form::FaultPage,
    layout::PageHeader,
    live::{Refresh, use_live},
    load::{draw, load},
    project::use_project,
    ui::{
        ButtonLink, ButtonVariant, Column, EmptyState, Glyph, Icon, Pager, RelativeTime, RowLink, Skeleton,
        SkeletonShape, Status, StatusBadge, Table, format_count, format_duration,
    },
};
use domain::{
    id::Timestamp,
    key::{ProjectKey, TemplateKey},
    price::Money,
    run::RunStatus,
    view::RunSummary,
};
use leptos::{ev, prelude::*, task::spawn_local};
use leptos_router::{components::Form, hooks::use_query_map};

/// The filters in the URL.
#[derive(Clone, Debug, Default, PartialEq)]
struct Asked {
    status: Option<RunStatus>,
    template: Option<TemplateKey>,
    cursor: Option<String>,
}

impl Asked {
    /// The URL of the list with these filters.
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
    let drawn = load(
        move || (project.get(), asked.get()),
        |(project, asked)| async move {
            let Asked { status, template, cursor } = asked;
            list_runs(project, status, template, cursor).await
        },
    );
    view! {
        <Transition fallback=|| view! { <Skeleton shape=SkeletonShape::Rows count=8/> }>
            {draw(drawn, move |answer| match answer {
                Ok(list) => {
                    let (project, asked) = (project.get_untracked(), asked.get_untracked());
                    view! { <Runs project asked list/> }.into_any()
                }
                Err(fault) => view! { <FaultPage fault/> }.into_any(),
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
        if change.subject.is_run() {
            refresh.soon();
        }
    });
    let older = move || {
        let (_, asked, base) = stored.get_value();
        next.get().map(|cursor| Asked { cursor: Some(cursor), ..asked }.href(&base))
    };
    let templates_href = StoredValue::new(format!("/p/{project}/templates"));
    let clear = StoredValue::new(base.clone());
    let all = move || view! { <ButtonLink href=clear.get_value()>"Show all runs"</ButtonLink> };
    let choose = move || {
        view! {
            <ButtonLink href=templates_href.get_value() variant=ButtonVariant::Primary>"Choose a template"</ButtonLink>
        }
    };
    let compare_href = format!("/p/{project}/compare");
    let compare = move || {
        view! { <ButtonLink href=compare_href glyph=Glyph::Compare>"Compare"</ButtonLink> }
    };
    let key = |run: &RunSummary| (run.number, run.status, run.usage, run.finished_at);
    view! {
        <div class="runs">
            <PageHeader title="Runs" actions=compare/>
            <Filters base=base.clone() asked templates=list.templates/>
            <Show
                when=move || !runs.read().is_empty()
                fallback=move || {
                    if filtered {
                        view! {
                            <EmptyState title="No run matches" glyph=Glyph::Filter action=all>
                                "Runs of another status or template are there, or there are none at all."
                            </EmptyState>
                        }
                            .into_any()
                    } else {
                        view! {
                            <EmptyState title="No runs yet" glyph=Glyph::Runs action=choose>
                                "A run is one execution of a template, with a role chosen for each step. It is kept here for good."
                            </EmptyState>
                        }
                            .into_any()
                    }
                }
            >
                <Table
                    label="Runs"
                    columns=vec![
                        Column::new("Status").tight(),
                        Column::new("Run").tight(),
                        Column::new("Template"),
                        Column::new("Started by").wide_only(),
                        Column::new("When").tight(),
                        Column::new("Took").num(),
                        Column::new("Tokens").num().wide_only(),
                        Column::new("Cost").num().wide_only(),
                    ]
                >
                    <For each=move || runs.get() key=key let:run>
                        <RunRow base=stored.get_value().2 run now/>
                    </For>
                </Table>
            </Show>
            <Pager
                previous=Signal::stored(newest)
                next=Signal::derive(older)
            />
        </div>
    }
    .into_any()
}

#[component]
fn Filters(base: String, asked: Asked, templates: Vec<(TemplateKey, String)>) -> impl IntoView {
    let statuses = std::iter::once(None).chain(RunStatus::ALL.map(Some));
    let chips = statuses
        .map(|status| {
            let href = Asked { status, template: asked.template.clone(), cursor: None }.href(&base);
            let chosen = status == asked.status;
            view! {
                <a class="run-chip" href=href aria-current=chosen.then_some("true")>
                    {status.map(|status| view! { <Icon glyph=Status::from(status).glyph()/> })}
                    {status.map_or("All", |status| Status::from(status).label())}
                </a>
            }
        })
        .collect_view();
    let chosen = asked.template.clone();
    let change = move |event: ev::Event| {
        let select = event_target::<web_sys::HtmlSelectElement>(&event);
        if let Some(form) = select.form() {
            // Fails only for a button of another form.
            _ = form.request_submit();
        }
    };
    view! {
        <div class="run-filters" role="group" aria-label="Filters">
            {chips}
            {(!templates.is_empty())
                .then(|| {
                    view! {
                        <Form method="GET" action=base attr:class="run-filters-form">
                            {asked
                                .status
                                .map(|status| {
                                    view! { <input type="hidden" name="status" value=status.as_str()/> }
                                })}
                            <div class="select"><select class="input" name="template" aria-label="Template" on:change=change>
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
                            </select><Icon glyph=Glyph::ChevronDown/></div>
                            <noscript>
                                <button class="button button-small">"Filter"</button>
                            </noscript>
                        </Form>
                    }
                })}
        </div>
    }
    .into_any()
}

#[component]
fn RunRow(base: String, run: RunSummary, now: Timestamp) -> impl IntoView {
    let clock = use_live().clock();
    let (created, finished) = (run.created_at, run.finished_at);
    let took = move || match finished {
        Some(finished) => format_duration(finished.since(created)),
        None => whole_seconds(clock.get().unwrap_or(now).since(created)),
    };
    // An unknown cost is not zero, so nothing is shown.
    let cost = run.usage.cost.map(Money::short);
    let template = if run.template.key.as_ref() == super::ASK {
        run.template.name.clone()
    } else {
        format!("{} v{}", run.template.name, run.template.version)
    };
    view! {
        <tr>
            <td class="tight"><StatusBadge status=Status::from(run.status) plain=true/></td>
            <td class="mono tight">
                <RowLink href=format!("{base}/{}", run.number)>{run.number.0}</RowLink>
            </td>
            <td class="clip">
                {template}
                {(run.warnings > 0)
                    .then(|| {
                        let words = if run.warnings == 1 { " warning" } else { " warnings" };
                        view! { <span class="runs-note">{run.warnings} {words}</span> }
                    })}
                {run.caller.map(|caller| view! { <span class="runs-note">"in run " {caller.0}</span> })}
                {run.error.map(|error| view! { <span class="runs-note runs-error">{error}</span> })}
            </td>
            <td class="wide-only clip">{run.by}</td>
            <td class="tight muted"><RelativeTime at=created/></td>
            <td class="num">
                {took}
                // A phone has no room for a column.
                {cost.clone().map(|cost| view! { <span class="runs-note narrow-only">{cost}</span> })}
            </td>
            <td class="num wide-only">{format_count(run.usage.total())}</td>
            <td class="num wide-only">{cost}</td>
        </tr>
    }
    .into_any()
}
