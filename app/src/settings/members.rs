//! `/settings/members`: the members of the project and their permissions.

use super::{
    server::{Members, SetMember, list_members, set_member},
    tabs::SettingsHead,
};
use crate::{
    fault,
    form::{FaultNotice, FaultPage, error_at, fault_of},
    layout::Preferences,
    load::{draw_in_place, load},
    ui::{
        Badge, Button, ButtonKind, ButtonSize, ButtonVariant, Card, Column, ConfirmDialog, EmptyState, Glyph,
        InputKind, Select, SelectOption, Skeleton, SkeletonShape, Table, TextField,
    },
};
use domain::{access::Permission, key::ProjectKey, view::Member};
use leptos::{html, prelude::*};
use leptos_router::hooks::use_query_map;
use wasm_bindgen::JsCast;
use web_sys::HtmlSelectElement;

/// State that outlives the table, which is re-rendered after every change.
#[derive(Clone, Copy)]
struct Changing {
    /// Changes of members in the table. Not a `ServerAction`: without script, only the form's fault is in the URL.
    change: Action<SetMember, fault::Result<()>>,
    add: ServerAction<SetMember>,
    add_form: NodeRef<html::Form>,
    /// The member to be removed, and the project, until the removal is confirmed.
    leaving: RwSignal<Option<(ProjectKey, Member)>>,
    confirming: RwSignal<bool>,
}

#[component]
pub fn MembersPage() -> impl IntoView {
    let query = use_query_map();
    let asked = Memo::new(move |_| query.read().get("project").and_then(|key| ProjectKey::parse(&key).ok()));
    let preferences = expect_context::<Preferences>();
    // The last project of this tab: the cookie may belong to another tab by now.
    let last = untrack(|| preferences.last_project());
    // The page keeps the project that it was rendered for.
    let drawn = RwSignal::new(None::<ProjectKey>);
    let changes = RwSignal::new(0_u32);
    let members = load(
        move || (asked.get(), changes.get()),
        move |(asked, _)| list_members(asked.or_else(|| drawn.get_untracked()), last.clone()),
    );
    let changing = Changing {
        change: Action::new(|given: &SetMember| {
            set_member(given.project.clone(), given.email.clone(), given.permission.clone())
        }),
        add: ServerAction::new(),
        add_form: NodeRef::new(),
        leaving: RwSignal::new(None),
        confirming: RwSignal::new(false),
    };
    let outcome = changing.change.value();
    let fault = Signal::derive(move || {
        outcome.with(|value| value.as_ref().and_then(|outcome| outcome.as_ref().err().cloned()))
    });
    // Reloads after a refusal too, which resets the select to the stored permission.
    Effect::new(move |_| {
        if changing.change.value().get().is_some() {
            changes.update(|changes| *changes += 1);
        }
    });
    Effect::new(move |_| {
        if matches!(changing.add.value().get(), Some(Ok(()))) {
            if let Some(form) = changing.add_form.get_untracked() {
                form.reset();
            }
            changing.change.clear();
            changes.update(|changes| *changes += 1);
        }
    });
    view! {
        <SettingsHead current="members" project=drawn/>
        <div class="stack">
            <FaultNotice fault/>
            <Transition fallback=|| view! { <Skeleton shape=SkeletonShape::Rows count=4/> }>
                {draw_in_place(members, move |answer| match answer {
                    Ok(Some(members)) => {
                        let shown = drawn.try_get_untracked().flatten();
                        if shown.as_ref() != Some(&members.project.key) {
                            drawn.try_set(Some(members.project.key.clone()));
                        }
                        view! { <All members changing/> }.into_any()
                    }
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
        </div>
        <Remove changing/>
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
fn All(members: Members, changing: Changing) -> impl IntoView {
    let Members { project, list } = members;
    let may_change = project.permission == Permission::Admin;
    let key = StoredValue::new(project.key.clone());
    let row = move |member: Member| view! { <Row project=key.get_value() member may_change changing/> };
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
            {may_change.then(|| view! { <Add project=key.get_value() changing/> })}
        </div>
    }
}

#[component]
fn Row(project: ProjectKey, member: Member, may_change: bool, changing: Changing) -> impl IntoView {
    let stored = StoredValue::new((project, member.clone()));
    let set = move |permission: String| {
        let (project, member) = stored.get_value();
        changing.change.dispatch(SetMember { project, email: member.email, permission });
    };
    let remove = move || {
        changing.leaving.set(Some(stored.get_value()));
        changing.confirming.set(true);
    };
    let may = member.permission;
    let cell = NodeRef::<html::Td>::new();
    // A row is patched in place, and a select keeps its chosen value.
    Effect::new(move |_| {
        let Some(cell) = cell.get() else { return };
        let Ok(Some(found)) = cell.query_selector("select") else { return };
        if let Some(select) = found.dyn_ref::<HtmlSelectElement>() {
            select.set_value(may.as_str());
        }
    });
    let permission = if may_change {
        view! {
            <Select
                label=format!("What {} may do", member.name)
                hide_label=true
                name="permission"
                id=format!("member-{}", member.email)
                options=permissions()
                value=may.as_str()
                on_change=set
            />
        }
        .into_any()
    } else {
        view! { <Badge>{may.as_str()}</Badge> }.into_any()
    };
    let remove = may_change.then(|| {
        let label = format!("Remove {} from the project", member.name);
        view! {
            <td class="tight">
                <Button size=ButtonSize::Small glyph=Glyph::Trash title=label on_click=remove>
                    "Remove…"
                </Button>
            </td>
        }
    });
    view! {
        <tr>
            <td class="clip">{member.name.clone()}</td>
            <td class="muted tight wide-only">{member.email.clone()}</td>
            <td node_ref=cell class="tight">{permission}</td>
            {remove}
        </tr>
    }
}

#[component]
fn Remove(changing: Changing) -> impl IntoView {
    let Changing { change, leaving, confirming, .. } = changing;
    let title = Signal::derive(move || {
        let name = leaving.get().map(|(_, member)| member.name).unwrap_or_default();
        format!("Remove {name} from the project?")
    });
    let confirm = move || {
        if let Some((project, member)) = leaving.get_untracked() {
            change.dispatch(SetMember { project, email: member.email, permission: String::new() });
        }
        confirming.set(false);
    };
    view! {
        <ConfirmDialog
            open=confirming
            title
            text="They can no longer open it. What they made in it stays, and they can be added again."
            confirm="Remove the member"
            on_confirm=confirm
        />
    }
}

#[component]
fn Add(project: ProjectKey, changing: Changing) -> impl IntoView {
    let (action, node) = (changing.add, changing.add_form);
    let fault = fault_of(action);
    view! {
        <Card title="Add a member">
            <ActionForm action node_ref=node>
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
                    <p class="field-hint">
                        "No account yet? An administrator makes one on the server: "
                        <code>"troupe user add EMAIL"</code>
                    </p>
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
