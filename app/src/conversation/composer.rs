//! The composer: free text to a role, or a template with its input and roles.
//!
//! Free text is a plain form, which works before the script is loaded.

use super::{
    draft::Draft,
    server::{Choices, SendMessage},
};
use crate::{
    execute::ExecuteForm,
    form::FaultNotice,
    keyboard::send_form,
    ui::{Button, ButtonKind, ButtonSize, ButtonVariant, Glyph, Icon},
};
use domain::{
    branch::Branch,
    event::head,
    id::TaskId,
    key::{ProjectKey, RoleKey, TemplateKey},
    role::GENERAL_WORKER,
    view::Launched,
};
use leptos::{ev, form::ActionForm, html, prelude::*};

/// Maximum size of the quoted text that is shown, in bytes.
const QUOTED: usize = 80;

/// The text of a message, on its way into a template's input form.
#[derive(Clone, Copy)]
pub struct Quoted(pub RwSignal<Option<String>>);

impl Default for Quoted {
    fn default() -> Self {
        Self(RwSignal::new(None))
    }
}

#[component]
pub fn Composer(
    project: ProjectKey,
    /// The conversation to continue; `None` to start a new one.
    task: Option<TaskId>,
    choices: Choices,
    /// The role that answered last in the conversation.
    #[prop(optional_no_strip)]
    last_role: Option<RoleKey>,
    /// The branch to continue.
    #[prop(optional, into)]
    branch: MaybeProp<Branch>,
    /// A message's text, for the template that is chosen next.
    #[prop(optional)]
    quoted: Quoted,
    #[prop(into)] on_launched: Callback<Launched>,
) -> impl IntoView {
    let template = RwSignal::new(None::<TemplateKey>);
    let choose = NodeRef::<html::Select>::new();
    Effect::new(move |_| {
        if quoted.0.with(Option::is_some) {
            template.set(None);
            // By the next frame, the select is rendered.
            request_animation_frame(move || {
                if let Some(choose) = choose.try_get_untracked().flatten() {
                    // Fails only for an element that cannot have the focus.
                    _ = choose.focus();
                }
            });
        }
    });
    let templates = choices.templates.clone();
    let project_for_form = project.clone();
    let launched = Callback::new(move |launched: Launched| {
        template.set(None);
        quoted.0.set(None);
        on_launched.run(launched);
    });
    view! {
        <section class="composer" id="composer" aria-label="Composer">
            <div class="composer-ask" hidden=move || template.read().is_some()>
                <Ask project=project.clone() task branch choices last_role on_launched template quoted choose/>
            </div>
            {move || {
                let key = template.get()?;
                let name = templates.iter().find(|(other, _)| *other == key).map(|(_, name)| name.clone());
                let project = project_for_form.clone();
                Some(
                    view! {
                        <div class="composer-template">
                            <div class="composer-head">
                                <h2>"Run " {name}</h2>
                                <Button
                                    variant=ButtonVariant::Ghost
                                    size=ButtonSize::Small
                                    on_click=move || template.set(None)
                                >
                                    "Back to free text"
                                </Button>
                            </div>
                            <ExecuteForm
                                project
                                template=key
                                task
                                branch
                                given=quoted.0.get_untracked()
                                on_launched=launched
                            />
                        </div>
                    },
                )
            }}
        </section>
    }
    .into_any()
}

#[component]
fn Ask(
    project: ProjectKey,
    task: Option<TaskId>,
    branch: MaybeProp<Branch>,
    choices: Choices,
    last_role: Option<RoleKey>,
    on_launched: Callback<Launched>,
    template: RwSignal<Option<TemplateKey>>,
    quoted: Quoted,
    choose: NodeRef<html::Select>,
) -> impl IntoView {
    let send = ServerAction::<SendMessage>::new();
    let draft = Draft::of_conversation(choices.owner, &project, task);
    let sending = send.pending();
    draft.restore();
    Effect::new(move |_| {
        if let Some(Ok(launched)) = send.value().get() {
            draft.drop();
            on_launched.run(launched);
        }
    });
    let pressed = move |event: ev::KeyboardEvent| {
        if !sending.get_untracked() {
            send_form(&event);
        }
    };
    let chosen = move |event: ev::Event| {
        let select = event_target::<web_sys::HtmlSelectElement>(&event);
        template.set(TemplateKey::parse(&select.value()).ok());
        select.set_value("");
    };
    let fault = move || send.value().get().and_then(Result::err);
    let roles = choices.roles;
    let no_roles = roles.is_empty();
    let last = roles.iter().find(|(key, _)| Some(key) == last_role.as_ref());
    // The fallback role is preselected visibly, so that free text runs without a fallback warning.
    let general = roles.iter().find(|(key, _)| key.as_str() == GENERAL_WORKER);
    let usual = last.or(general).or(roles.first());
    let usual = usual.map(|(key, _)| key.clone());
    let keys: Vec<_> = roles.iter().map(|(key, _)| key.to_string()).collect();
    let drawn = usual.as_ref().map(|key| key.to_string()).unwrap_or_default();
    let role = NodeRef::<html::Select>::new();
    Effect::new(move |_| {
        let Some(select) = role.get() else { return };
        if select.value() != drawn {
            // The user chose a role before the script was loaded.
            draft.choose_role(&select.value());
        } else if let Some(chosen) = draft.chosen_role().filter(|chosen| keys.contains(chosen)) {
            select.set_value(&chosen);
        }
    });
    let roles_href = format!("/p/{project}/roles/new");
    view! {
        <ActionForm action=send attr:class="composer-form">
            <input type="hidden" name="project" value=project.to_string()/>
            {task.map(|task| view! { <input type="hidden" name="task" value=task.to_string()/> })}
            {move || branch.get().map(|branch| view! { <input type="hidden" name="branch" value=branch.to_string()/> })}
            <label class="visually-hidden" for="composer-text">"Message"</label>
            <textarea
                id="composer-text"
                class="composer-text"
                name="text"
                rows="3"
                required
                placeholder="Ask, or run a template"
                node_ref=draft.field
                aria-describedby="composer-fault"
                on:input=move |_| draft.keep()
                on:keydown=pressed
            ></textarea>
            {move || {
                quoted
                    .0
                    .get()
                    .map(|text| {
                        let beginning = head(text.trim(), QUOTED).to_owned();
                        view! {
                            <p class="composer-quoted">
                                <span>"For the template that you choose: " <q>{beginning} "…"</q></span>
                                <Button
                                    variant=ButtonVariant::Ghost
                                    size=ButtonSize::Small
                                    on_click=move || quoted.0.set(None)
                                >
                                    "Leave it out"
                                </Button>
                            </p>
                        }
                    })
            }}
            <div class="composer-bar">
                <label class="composer-choice">
                    <span>"Role"</span>
                    <div class="select"><select
                        name="role"
                        class="input"
                        node_ref=role
                        on:change=move |event: ev::Event| draft.choose_role(&event_target_value(&event))
                    >
                        {roles
                                .into_iter()
                                .map(|(key, name)| {
                                    let selected = Some(&key) == usual.as_ref();
                                    view! {
                                        <option value=key.to_string() selected=selected>
                                            {name}
                                        </option>
                                    }
                                })
                                .collect_view()}
                        </select><Icon glyph=Glyph::ChevronDown/></div>
                </label>
                {(!choices.templates.is_empty())
                    .then(|| {
                        view! {
                            <div class="select"><select class="input" aria-label="Run a template" node_ref=choose on:change=chosen>
                                <option value="">"Run template…"</option>
                                {choices
                                    .templates
                                    .into_iter()
                                    .map(|(key, name)| view! { <option value=key.to_string()>{name}</option> })
                                    .collect_view()}
                            </select><Icon glyph=Glyph::ChevronDown/></div>
                        }
                    })}
                <span class="composer-hint">"Ctrl Enter sends"</span>
                <Button
                    kind=ButtonKind::Submit
                    variant=ButtonVariant::Primary
                    glyph=Glyph::Send
                    busy=sending
                >
                    "Send"
                </Button>
            </div>
            <div id="composer-fault" class="composer-fault">
                <FaultNotice fault=Signal::derive(fault)/>
                {no_roles
                    .then(|| {
                        view! {
                            <p>"This project has no roles yet. " <a class="link" href=roles_href>"Make the first one"</a></p>
                        }
                    })}
            </div>
        </ActionForm>
    }
    .into_any()
}
