//! The dialog of Rerun: its fields, and beneath them what would rerun.

use super::{
    super::{server::read_text, text::indented},
    choice::{FAILED, Fields},
    launch::Launch,
    preview::{Changes, Preview},
    roles::{NewRoles, RoleFields},
};
use crate::{
    fault::Fault,
    form::{FaultNotice, error_at, error_in},
    live::LiveRun,
    load::parse,
    ui::{Button, ButtonVariant, Dialog, Glyph, Select, SelectOption, TextArea, TextField},
};
use domain::key::ProjectKey;
use leptos::{ev, prelude::*, task::spawn_local};
use serde_json::Value;

#[component]
pub(super) fn RerunDialog(
    project: ProjectKey,
    run: LiveRun,
    open: RwSignal<bool>,
    leave: bool,
) -> impl IntoView {
    let (number, project) = (run.number, StoredValue::new(project));
    let fields = Fields::of(run);
    let choice = fields.choice();
    let preview = Preview::follow(project, number, choice, open);
    let roles = NewRoles::of(project, run, choice, preview);
    let launch = Launch::of(project, number, choice, preview, roles);
    launch.follow(open, leave);
    Effect::new(move |before: Option<String>| {
        let version = fields.version.get();
        if !open.get() || before.is_some_and(|before| before != version) {
            fields.forget_reuse();
        }
        version
    });
    let fault = launch.fault();
    let footer = move || {
        view! {
            <Button on_click=move || open.set(false)>"Cancel"</Button>
            <Button
                variant=ButtonVariant::Primary
                glyph=Glyph::Play
                busy=launch.is_busy()
                on_click=move || launch.click()
            >
                "Rerun"
            </Button>
        }
    };
    let id = move |field: &str| format!("rerun-{number}-{field}");
    let steps = run.state.with_untracked(|state| {
        state.plan.steps.iter().map(|step| SelectOption::new(&step.name, &step.name)).collect::<Vec<_>>()
    });
    let has_versions = !fields.version.read_untracked().is_empty();
    view! {
        <Dialog open title=format!("Rerun run {number}") footer>
            <FaultNotice fault fields=&["fromStep", "input", "templateVersion", "items", "reuse"]/>
            <Select
                label="From step"
                name="from_step"
                id=id("step")
                options=Signal::stored(steps)
                bind=fields.from
                hint="It runs again with all that depends on it. The outputs of other steps are reused where nothing that made them has changed."
                error=error_at(fault, "fromStep")
            />
            <ItemsField fields fault id=id("items")/>
            {has_versions
                .then(|| {
                    // Not a number field: the browser gives an empty text for what it cannot read as a number.
                    view! {
                        <TextField
                            label="Template version"
                            name="template_version"
                            id=id("version")
                            input_mode="numeric"
                            bind=fields.version
                            hint="Empty: the run's version."
                            error=error_at(fault, "templateVersion")
                        />
                    }
                })}
            <Changes preview fields fault prefix=id("reuse")/>
            <RoleFields roles fault prefix=id("role")/>
            <InputField project run fields fault id=id("input")/>
        </Dialog>
    }
    .into_any()
}

/// Whether all items rerun, where some have failed.
#[component]
fn ItemsField(fields: Fields, fault: Signal<Option<Fault>>, id: String) -> impl IntoView {
    let any_failed = Memo::new(move |_| !fields.failed_items.read().is_empty());
    let options = Signal::derive(move || {
        vec![
            SelectOption::new(FAILED, format!("Failed items only ({})", fields.failed_items.read().len())),
            SelectOption::new("all", "All items"),
        ]
    });
    move || {
        any_failed.get().then(|| {
            view! {
                <Select
                    label="Items"
                    name="items"
                    id=id.clone()
                    options
                    bind=fields.items
                    error=error_at(fault, "items")
                />
            }
        })
    }
}

/// The input, loaded when the field is first opened.
#[component]
fn InputField(
    project: StoredValue<ProjectKey>,
    run: LiveRun,
    fields: Fields,
    fault: Signal<Option<Fault>>,
    id: String,
) -> impl IntoView {
    let content = run.state.with_untracked(|state| state.input.as_ref().map(|input| input.id));
    let lost = RwSignal::new(None::<Fault>);
    let load = move |_: ev::Event| {
        let Some(content) = content.filter(|_| fields.loaded_input.read_untracked().is_none()) else {
            return;
        };
        spawn_local(async move {
            match read_text(project.get_value(), run.number, content).await {
                Ok(content) => {
                    let shown = parse::<Value>(&content.text).map_or(content.text, |value| indented(&value));
                    // First the field: a text that differs from what was loaded is a change.
                    _ = fields.input.try_set(shown.clone());
                    _ = fields.loaded_input.try_set(Some(shown));
                    _ = lost.try_set(None);
                }
                Err(fault) => _ = lost.try_set(Some(fault)),
            }
        });
    };
    let error = Signal::derive(move || {
        let lost = lost.read().as_ref().map(|fault| format!("The input could not be loaded. {fault}"));
        lost.or_else(|| error_in(fault.read().as_ref(), "input"))
    });
    view! {
        <details on:toggle=load>
            <summary class="rerun-input">"Change input"</summary>
            <TextArea
                label="Input"
                name="input"
                id
                bind=fields.input
                rows=6
                mono=true
                hint="JSON."
                disabled=Signal::derive(move || fields.loaded_input.read().is_none())
                error
            />
        </details>
    }
}
