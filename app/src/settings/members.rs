//! `/settings/members`: who is in the project and what each may do.

use super::{
    server::{Members, SetMember, list_members},
    tabs::SettingsHead,
};
use crate::{
    form::{FaultNotice, FaultPage, error_at, fault_of},
    load::{draw_in_place, load},
    ui::{
        Badge, Button, ButtonKind, ButtonSize, ButtonVariant, Card, Column, EmptyState, Glyph, InputKind,
        Select, SelectOption, Skeleton, SkeletonShape, Table, TextField,
    },
};
use domain::{access::Permission, key::ProjectKey, view::Member};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

#[component]
pub fn MembersPage() -> impl IntoView {
    let query = use_query_map();
    let asked = Memo::new(move |_| query.read().get("project").and_then(|key| ProjectKey::parse(&key).ok()));
    let changes = RwSignal::new(0_u32);
    let members = load(move || (asked.get(), changes.get()), |(project, _)| list_members(project));
    view! {
        <SettingsHead current="members"/>
        <Transition fallback=|| view! { <Skeleton shape=SkeletonShape::Rows count=4/> }>
            {draw_in_place(members, move |answer| match answer {
                Ok(Some(members)) => view! { <All members changes/> }.into_any(),
                Ok(None) => {
                    view! {
                        <EmptyState title="No project yet" glyph=Glyph::Project>
                            "Members belong to a project."
                        </EmptyState>
                    }
                        .into_any()
                }
                Err(fault) => view! { <FaultPage fault/> }.into_any(),
            })}
        </Transition>
    }
    .into_any()
}

fn permissions() -> Vec<SelectOption> {
    [Permission::Viewer, Permission::Editor, Permission::Admin]
        .map(|permission| {
            let about = match permission {
                Permission::Viewer => "Viewer: reads",
                Permission::Editor => "Editor: writes and runs",
                Permission::Admin => "Admin: also members",
            };
            SelectOption::new(permission.as_str(), about)
        })
        .to_vec()
}

#[component]
fn All(members: Members, changes: RwSignal<u32>) -> impl IntoView {
    let Members { project, list } = members;
    let may_change = project.permission == Permission::Admin;
    let key = StoredValue::new(project.key.clone());
    let row = move |member: Member| view! { <Row project=key.get_value() member may_change changes/> };
    let mut columns =
        vec![Column::new("Name"), Column::new("E-mail").wide_only(), Column::new("May").tight()];
    if may_change {
        columns.push(Column::new("Remove").hidden());
    }
    view! {
        <div class="stack">
            <p class="page-fact">"In the project " <strong>{project.name}</strong></p>
            <Table label="Members" columns>
                {list.into_iter().map(row).collect_view()}
            </Table>
            {may_change.then(|| view! { <Add project=key.get_value() changes/> })}
        </div>
    }
}

#[component]
fn Row(project: ProjectKey, member: Member, may_change: bool, changes: RwSignal<u32>) -> impl IntoView {
    let action = ServerAction::<SetMember>::new();
    let fault = fault_of(action);
    Effect::new(move |_| {
        if action.value().get().is_some() {
            changes.update(|changes| *changes += 1);
        }
    });
    let email = StoredValue::new((project, member.email.clone()));
    let set = move |permission: String| {
        let (project, email) = email.get_value();
        action.dispatch(SetMember { project, email, permission });
    };
    let permission = if may_change {
        view! {
            <Select
                label=format!("What {} may do", member.name)
                hide_label=true
                name="permission"
                id=format!("member-{}", member.email)
                options=permissions()
                value=member.permission.as_str()
                on_change=set
            />
        }
        .into_any()
    } else {
        view! { <Badge>{member.permission.as_str()}</Badge> }.into_any()
    };
    let remove = may_change.then(|| {
        let label = format!("Remove {} from the project", member.name);
        view! {
            <td class="tight">
                <Button size=ButtonSize::Small glyph=Glyph::Trash title=label on_click=move || set(String::new())>
                    "Remove"
                </Button>
            </td>
        }
    });
    view! {
        <tr>
            <td class="clip">{member.name.clone()} <FaultNotice fault/></td>
            <td class="muted tight wide-only">{member.email.clone()}</td>
            <td class="tight">{permission}</td>
            {remove}
        </tr>
    }
}

#[component]
fn Add(project: ProjectKey, changes: RwSignal<u32>) -> impl IntoView {
    let action = ServerAction::<SetMember>::new();
    let fault = fault_of(action);
    Effect::new(move |_| {
        if matches!(action.value().get(), Some(Ok(()))) {
            changes.update(|changes| *changes += 1);
        }
    });
    view! {
        <Card title="Add a member">
            <ActionForm action>
                <div class="form">
                    <input type="hidden" name="project" value=project.to_string()/>
                    <FaultNotice fault fields=&["email", "permission"]/>
                    <div class="form-row">
                        <TextField
                            label="E-mail"
                            name="email"
                            kind=InputKind::Email
                            hint="Of somebody who has an account here."
                            error=error_at(fault, "email")
                            required=true
                        />
                        <Select
                            label="May"
                            name="permission"
                            options=permissions()
                            value="editor"
                            error=error_at(fault, "permission")
                        />
                    </div>
                    <div class="form-actions">
                        <Button kind=ButtonKind::Submit variant=ButtonVariant::Primary busy=action.pending()>
                            "Add the member"
                        </Button>
                    </div>
                </div>
            </ActionForm>
        </Card>
    }
}
