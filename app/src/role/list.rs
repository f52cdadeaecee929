//! The roles of a project.

use super::server::list_roles;
use crate::{
    form::FaultPage,
    layout::{PageHeader, new_link},
    load::{draw, load},
    project::{use_may_edit, use_project},
    ui::{
        ButtonLink, ButtonVariant, Column, EmptyState, Glyph, Notice, Pager, RelativeTime, RoleChip, RowLink,
        Skeleton, SkeletonShape, Table, Tone,
    },
};
use domain::{
    key::ProjectKey,
    role::GENERAL_WORKER,
    view::{Page, Role},
};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

#[component]
pub fn RolesPage() -> impl IntoView {
    let project = use_project();
    let query = use_query_map();
    let cursor = Memo::new(move |_| query.read().get("cursor"));
    let roles = load(move || (project.get(), cursor.get()), |(project, cursor)| list_roles(project, cursor));
    view! {
            <Transition fallback=|| view! { <Skeleton shape=SkeletonShape::Rows count=6/> }>
                {draw(roles, move |answer| match answer {
                    Ok(page) => {
                        let first = cursor.get_untracked().is_none();
                        view! { <Roles project=project.get_untracked() first page/> }.into_any()
                    }
                    Err(fault) => view! { <FaultPage fault/> }.into_any(),
                })}
            </Transition>
    }
    .into_any()
}

#[component]
fn Roles(project: ProjectKey, first: bool, page: Page<Role>) -> impl IntoView {
    let new = new_link("New role", format!("/p/{project}/roles/new"));
    let list = if first && page.items.is_empty() {
        view! { <NoRoles project may_edit=use_may_edit()/> }.into_any()
    } else {
        view! { <RoleTable project page/> }.into_any()
    };
    view! {
        <PageHeader title="Roles" actions=new/>
        {list}
    }
}

#[component]
fn RoleTable(project: ProjectKey, page: Page<Role>) -> impl IntoView {
    let next = page.next.map(|cursor| format!("?cursor={cursor}"));
    let general = page.items.iter().any(|role| role.key.as_str() == GENERAL_WORKER) || next.is_some();
    let row = move |role: Role| {
        let href = format!("/p/{project}/roles/{}", role.key);
        view! {
            <tr>
                <td class="tight">
                    <RoleChip role=role.key.to_string()/>
                </td>
                <td class="clip">
                    <RowLink href>{role.name}</RowLink>
                </td>
                <td class="mono tight wide-only">{role.model.to_string()}</td>
                <td class="num wide-only">{role.version}</td>
                <td class="muted tight wide-only">
                    <RelativeTime at=role.updated_at/>
                </td>
            </tr>
        }
    };
    let columns = vec![
        Column::new("Role").tight(),
        Column::new("Name"),
        Column::new("Model").wide_only(),
        Column::new("Version").num().wide_only(),
        Column::new("Updated").tight().wide_only(),
    ];
    view! {
        {(!general)
            .then(|| {
                view! {
                    <Notice tone=Tone::Warning>
                        "There is no role " <code class="mono">{GENERAL_WORKER}</code>
                        ": a step without an assigned role gets the first role of this list."
                    </Notice>
                }
            })}
        <Table label="Roles" columns>
            {page.items.into_iter().map(row).collect_view()}
        </Table>
        <Pager next/>
    }
}

#[component]
fn NoRoles(project: ProjectKey, may_edit: bool) -> impl IntoView {
    let href = format!("/p/{project}/roles/new?key={GENERAL_WORKER}&name=General%20worker");
    let action = move || {
        may_edit.then(|| {
            view! {
                <ButtonLink href variant=ButtonVariant::Primary glyph=Glyph::Plus>
                    "Make the general worker"
                </ButtonLink>
            }
        })
    };
    view! {
        <EmptyState title="No roles yet" glyph=Glyph::Roles action>
            "A role is an identity that a model takes on: a base prompt, a model, its parameters. Each step of a run gets one. "
            "Begin with " <code class="mono">{GENERAL_WORKER}</code>
            ": it stands in for every step that has none assigned."
        </EmptyState>
    }
}
