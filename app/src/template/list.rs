//! The templates of a project.

use super::server::list_templates;
use crate::{
    form::FaultPage,
    layout::{PageHeader, new_link},
    load::{draw, load},
    project::{use_may_edit, use_project},
    ui::{
        Column, EmptyState, Glyph, IconLink, Pager, RelativeTime, RowLink, Skeleton, SkeletonShape, Table,
        format_count,
    },
};
use domain::{
    key::ProjectKey,
    view::{Page, TemplateSummary},
};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

#[component]
pub fn TemplatesPage() -> impl IntoView {
    let project = use_project();
    let query = use_query_map();
    let cursor = Memo::new(move |_| query.read().get("cursor"));
    let templates =
        load(move || (project.get(), cursor.get()), |(project, cursor)| list_templates(project, cursor));
    view! {
        <Transition fallback=|| view! { <Skeleton shape=SkeletonShape::Rows count=6/> }>
            {draw(templates, move |answer| match answer {
                Ok(page) => {
                    let first = cursor.get_untracked().is_none();
                    view! { <Templates project=project.get_untracked() first page/> }.into_any()
                }
                Err(fault) => view! { <FaultPage fault/> }.into_any(),
            })}
        </Transition>
    }
    .into_any()
}

#[component]
fn Templates(project: ProjectKey, first: bool, page: Page<TemplateSummary>) -> impl IntoView {
    let new = new_link("New template", format!("/p/{project}/templates/new"));
    let list = if first && page.items.is_empty() {
        view! {
            <EmptyState title="No templates yet" glyph=Glyph::Templates action=new>
                "A template is a workflow: steps, what each asks, and what flows between them. Who does a step, the role, is chosen each time it is executed."
            </EmptyState>
        }
            .into_any()
    } else {
        view! { <TemplateTable project may_edit=use_may_edit() page/> }.into_any()
    };
    view! {
        <PageHeader title="Templates" actions=new/>
        {list}
    }
}

#[component]
fn TemplateTable(project: ProjectKey, may_edit: bool, page: Page<TemplateSummary>) -> impl IntoView {
    let next = page.next.map(|cursor| format!("?cursor={cursor}"));
    let row = move |template: TemplateSummary| {
        let href = format!("/p/{project}/templates/{}", template.key);
        let execute = format!("{href}/execute");
        let label = format!("Execute {}", template.name);
        view! {
            <tr>
                <td class="clip">
                    <RowLink href>{template.name}</RowLink>
                </td>
                <td class="mono muted clip wide-only">{template.key.to_string()}</td>
                <td class="num">{template.steps}</td>
                <td class="num wide-only">{template.version}</td>
                <td class="num">{format_count(u64::from(template.runs))}</td>
                <td class="muted tight wide-only">
                    <RelativeTime at=template.updated_at/>
                </td>
                <td class="muted clip wide-only">{template.updated_by}</td>
                {may_edit
                    .then(|| {
                        view! {
                            <td class="tight">
                                <IconLink glyph=Glyph::Play href=execute label/>
                            </td>
                        }
                    })}
            </tr>
        }
    };
    let mut columns = vec![
        Column::new("Name"),
        Column::new("Key").wide_only(),
        Column::new("Steps").num(),
        Column::new("Version").num().wide_only(),
        Column::new("Runs").num(),
        Column::new("Updated").tight().wide_only(),
        Column::new("By").wide_only(),
    ];
    if may_edit {
        columns.push(Column::new("Execute").hidden());
    }
    view! {
        <Table label="Templates" columns>
            {page.items.into_iter().map(row).collect_view()}
        </Table>
        <Pager next/>
    }
}
