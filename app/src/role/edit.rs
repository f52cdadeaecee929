//! Creating and editing a role: the form on the left, trying the role on the right.

use super::{
    model::ModelField,
    server::{DeleteRole, Offered, RoleForm, SaveRole, load_role, offered_models},
    stale::StaleRole,
    try_it::TryIt,
    unsaved::{Unsaved, UnsavedNotice},
};
use crate::{
    fault,
    form::{FaultNotice, FaultPage, error_at, fault_of},
    layout::{PageHeader, use_crumb},
    load::{Loaded, draw, load},
    project::{ReadOnly, use_may_edit, use_project},
    ui::{
        Badge, Button, ButtonKind, ButtonVariant, CodeBlock, ConfirmDialog, Glyph, InputKind, RelativeTime,
        RoleChip, Skeleton, SkeletonShape, TextArea, TextField, use_toasts,
    },
};
use domain::{
    key::{ProjectKey, RoleKey},
    view::Role,
};
use leptos::{html, prelude::*};
use leptos_router::hooks::{use_params_map, use_query_map};

const FIELDS: &[&str] = &["name", "key", "model", "basePrompt", "temperature", "maxTokens"];

#[component]
pub fn NewRolePage() -> impl IntoView {
    let project = use_project();
    let form = use_query_map().with_untracked(|query| RoleForm {
        key: query.get("key").unwrap_or_default(),
        name: query.get("name").unwrap_or_default(),
        base_prompt: "You are ".to_owned(),
        ..RoleForm::default()
    });
    let offered = offered_to_editors();
    view! {
        <PageHeader title="New role"/>
        {if let Some(offered) = offered {
            let on_saved = Callback::new(|_| {});
            view! { <RoleEditor project offered form version=None on_saved/> }.into_any()
        } else {
            view! { <ReadOnly can="make roles"/> }.into_any()
        }}
    }
    .into_any()
}

#[component]
pub fn EditRolePage() -> impl IntoView {
    let project = use_project();
    let params = use_params_map();
    let key = Memo::new(move |_| RoleKey::from_title(&params.read().get("key").unwrap_or_default()));
    let role = load(move || (project.get(), key.get()), |(project, key)| load_role(project, key));
    let offered = offered_to_editors();
    view! {
            <Transition fallback=|| view! { <Skeleton shape=SkeletonShape::Card/> }>
                {draw(role, move |answer| match answer {
                    Ok(role) => view! { <SavedRole project offered role/> }.into_any(),
                    Err(fault) => view! { <FaultPage fault/> }.into_any(),
                })}
            </Transition>
    }
    .into_any()
}

/// The models that an editor may choose from. `None` for viewers, who must not make the server ask the providers.
fn offered_to_editors() -> Option<Loaded<fault::Result<Offered>>> {
    use_may_edit().then(|| load(|| (), |()| offered_models()))
}

/// `offered` is `None` for viewers.
#[component]
fn SavedRole(
    project: Memo<ProjectKey>,
    offered: Option<Loaded<fault::Result<Offered>>>,
    role: Role,
) -> impl IntoView {
    let form = RoleForm::of(&role);
    let version = Some(role.version);
    let key = role.key.clone();
    // A save is reported in place: the fields, their focus and a trial's answer stay.
    let saved = RwSignal::new(role);
    let name = Signal::derive(move || saved.with(|role| role.name.clone()));
    use_crumb(move || Some(name.get()));
    let delete = key.clone();
    let may_delete = offered.is_some();
    let actions = move || may_delete.then(|| view! { <Delete project key=delete name/> });
    let toasts = use_toasts();
    let on_saved = Callback::new(move |role: Role| {
        toasts.success(format!("Saved as version {}", role.version));
        saved.set(role);
    });
    let body = match offered {
        Some(offered) => view! { <RoleEditor project offered form version on_saved/> }.into_any(),
        None => view! { <RoleAsItIs form/> }.into_any(),
    };
    view! {
        <PageHeader title=name actions>
            <RoleChip role=key.to_string()/>
            <Badge>{move || format!("version {}", saved.read().version)}</Badge>
            <span class="page-fact">"saved " <RelativeTime at=Signal::derive(move || saved.read().updated_at)/></span>
        </PageHeader>
        {body}
    }
}

/// The role without controls, for viewers.
#[component]
fn RoleAsItIs(form: RoleForm) -> impl IntoView {
    let RoleForm { base_prompt, model, temperature, max_tokens, tools, .. } = form;
    let facts = [
        ("Model", model),
        ("Temperature", temperature),
        ("Most tokens per answer", max_tokens),
        ("Tools", tools),
    ];
    let fact = |(term, said): (&'static str, String)| view! { <div><dt>{term}</dt><dd>{said}</dd></div> };
    let facts = facts.into_iter().filter(|(_, said)| !said.is_empty()).map(fact).collect_view();
    view! {
        <div class="stack">
            <dl class="run-facts">{facts}</dl>
            <CodeBlock text=base_prompt title="Base prompt" wrap=true/>
        </div>
    }
}

/// `version` is `None` for a new role.
#[component]
fn RoleEditor(
    project: Memo<ProjectKey>,
    offered: Loaded<fault::Result<Offered>>,
    form: RoleForm,
    version: Option<u32>,
    on_saved: Callback<Role>,
) -> impl IntoView {
    let action = ServerAction::<SaveRole>::new();
    let based_on = RwSignal::new(version);
    let is_new = version.is_none();
    let node = NodeRef::<html::Form>::new();
    let unsaved = Unsaved::new(&project.get_untracked(), node, form.clone(), based_on);
    unsaved.restore(offered);
    Effect::new(move |_| {
        if let Some(Ok(role)) = action.value().get() {
            unsaved.saved(role.version);
            if !is_new {
                based_on.set(Some(role.version));
            }
            on_saved.run(role);
        }
    });
    let fault = fault_of(action);
    let pending = action.pending();
    view! {
        <div class="role-editor">
            <ActionForm action node_ref=node>
                <div class="form" on:input=move |_| unsaved.keep() on:change=move |_| unsaved.keep()>
                    <UnsavedNotice unsaved/>
                    <input type="hidden" name="project" value=move || project.get().to_string()/>
                    {move || {
                        based_on
                            .get()
                            .map(|version| view! { <input type="hidden" name="based_on" value=version.to_string()/> })
                    }}
                    <StaleRole project fault based_on form=node/>
                    <FaultNotice fault fields=FIELDS/>
                    <div class="form-row">
                        <TextField
                            label="Name"
                            name="role[name]"
                            value=form.name
                            error=error_at(fault, "name")
                            required=true
                        />
                        <TextField
                            label="Key"
                            name="role[key]"
                            value=form.key
                            error=error_at(fault, "key")
                            hint=if is_new {
                                "Left empty, it is made of the name. It cannot be changed later."
                            } else {
                                "Fixed when the role was made."
                            }
                            read_only=!is_new
                            optional=is_new
                            mono=true
                        />
                    </div>
                    <TextArea
                        label="Base prompt"
                        name="role[base_prompt]"
                        value=form.base_prompt
                        error=error_at(fault, "basePrompt")
                        hint="Who this role is. It goes before every step's prompt, as the system message."
                        rows=14
                        class="role-prompt"
                    />
                    <ModelField offered value=form.model error=error_at(fault, "model")/>
                    <div class="form-row">
                        <TextField
                            label="Temperature"
                            name="role[temperature]"
                            kind=InputKind::Number
                            min="0"
                            max="2"
                            step="any"
                            value=form.temperature
                            error=error_at(fault, "temperature")
                            hint="0 to 2. Empty: the model's own."
                            optional=true
                        />
                        <TextField
                            label="Most tokens per answer"
                            name="role[max_tokens]"
                            kind=InputKind::Number
                            min="1"
                            step="1"
                            value=form.max_tokens
                            error=error_at(fault, "maxTokens")
                            hint="Empty: no limit."
                            optional=true
                        />
                    </div>
                    <input type="hidden" name="role[tools]" value=form.tools/>
                    <div class="form-actions">
                        <Button kind=ButtonKind::Submit variant=ButtonVariant::Primary busy=pending>
                            {move || match (pending.get(), based_on.get()) {
                                (true, _) => "Saving…".to_owned(),
                                (false, None) => "Make the role".to_owned(),
                                (false, Some(version)) => format!("Save as version {}", version + 1),
                            }}
                        </Button>
                    </div>
                </div>
            </ActionForm>
            <TryIt project form=node/>
        </div>
    }
}

#[component]
fn Delete(project: Memo<ProjectKey>, key: RoleKey, name: Signal<String>) -> impl IntoView {
    let open = RwSignal::new(false);
    let action = ServerAction::<DeleteRole>::new();
    let fault = fault_of(action);
    let confirm = move || {
        action.dispatch(DeleteRole { project: project.get_untracked(), key: key.clone() });
        open.set(false);
    };
    let text = "Runs that use it go on with the version they have, and past runs stay as they are. New runs can no \
                longer choose it: steps that would have had it get their fallback. This cannot be undone.";
    view! {
        <FaultNotice fault/>
        <Button glyph=Glyph::Trash busy=action.pending() on_click=move || open.set(true)>
            "Delete…"
        </Button>
        <ConfirmDialog
            open
            title=Signal::derive(move || format!("Delete the role {}?", name.get()))
            text
            confirm="Delete the role"
            on_confirm=confirm
        />
    }
}
