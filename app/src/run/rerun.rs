//! Running a part of a run again: from a step on, everything before it taken over. What runs is a run of its own.

use super::{
    server::{RerunForm, RerunFrom, read_text},
    text::indented,
};
use crate::{
    fault::Fault,
    form::{FaultNotice, error_at, fault_of},
    live::{LiveRun, use_live},
    load::parse,
    role::list_roles,
    ui::{
        Button, ButtonSize, ButtonVariant, Dialog, Glyph, InputKind, Select, SelectOption, TextArea,
        TextField,
    },
};
use domain::{
    key::{ProjectKey, RoleKey},
    plan::PlannedStep,
    run::StepStatus,
    view::Role,
};
use leptos::{ev, prelude::*, task::spawn_local};
use leptos_router::hooks::use_navigate;
use serde_json::Value;
use std::collections::BTreeMap;

/// The choice of items that runs those alone which failed.
const FAILED: &str = "failed";

/// The button, once the run has ended. `leave`: go to the page of the new run.
#[component]
pub fn Rerun(
    project: ProjectKey,
    run: LiveRun,
    leave: bool,
    /// For whoever else opens its dialog.
    #[prop(default = RwSignal::new(false))]
    open: RwSignal<bool>,
) -> impl IntoView {
    let live = run.is_live();
    // Made when it is first asked for: a conversation has many runs.
    let wanted = Memo::new(move |wanted: Option<&bool>| wanted == Some(&true) || open.get());
    let project = StoredValue::new(project);
    let ask = move || open.set(true);
    view! {
        {move || {
            (!live.get())
                .then(|| {
                    view! {
                        <Button variant=ButtonVariant::Ghost size=ButtonSize::Small glyph=Glyph::Fork on_click=ask>
                            "Rerun…"
                        </Button>
                    }
                })
        }}
        {move || {
            wanted.get().then(|| view! { <RerunDialog project=project.get_value() run open leave/> })
        }}
    }
    .into_any()
}

#[component]
fn RerunDialog(project: ProjectKey, run: LiveRun, open: RwSignal<bool>, leave: bool) -> impl IntoView {
    let (names, first, version, input) = run.state.with_untracked(|state| {
        let names: Vec<_> = state.plan.steps.iter().map(|step| step.name.clone()).collect();
        let at = |wanted: fn(StepStatus) -> bool| state.steps.iter().position(|step| wanted(step.status));
        let failed = at(|status| status == StepStatus::Failed);
        let stopped = || at(|status| !matches!(status, StepStatus::Completed | StepStatus::Skipped));
        let first = names.get(failed.or_else(stopped).unwrap_or(0)).cloned().unwrap_or_default();
        let template = state.template.as_ref().filter(|template| template.key.as_ref() != super::ASK);
        (names, first, template.map(|template| template.version), state.input.clone())
    });
    let number = run.number;
    let from = RwSignal::new(first);
    let items = RwSignal::new(FAILED.to_owned());
    let failed = Memo::new(move |_| {
        let state = run.state.read();
        let place = state.plan.position(&from.read());
        let runs =
            place.and_then(|place| state.steps.get(place as usize)).map_or(&[][..], |step| step.item_runs());
        let failed = (0..).zip(runs).filter(|(_, item)| item.status == StepStatus::Failed);
        failed.map(|(item, _)| item).collect::<Vec<u32>>()
    });
    let any_failed = Memo::new(move |_| !failed.read().is_empty());
    let choices = Signal::derive(move || {
        vec![
            SelectOption::new(FAILED, format!("Failed items only ({})", failed.read().len())),
            SelectOption::new("all", "All items"),
        ]
    });
    let roles = NewRoles::of(project.clone(), run, from);
    let wanted_version = RwSignal::new(version.map(|version| version.to_string()).unwrap_or_default());
    let text = RwSignal::new(String::new());
    // The input as it was, once it is here.
    let given = RwSignal::new(None::<String>);
    let stored = StoredValue::new(project);
    let load_input = move |_: ev::Event| {
        let Some(id) = input.as_ref().map(|input| input.id) else { return };
        if given.with_untracked(|given| given.is_some()) {
            return;
        }
        spawn_local(async move {
            if let Ok(content) = read_text(stored.get_value(), number, id).await {
                let shown = parse::<Value>(&content.text).map_or(content.text, |value| indented(&value));
                _ = text.try_set(shown.clone());
                _ = given.try_set(Some(shown));
            }
        });
    };
    let rerun = ServerAction::<RerunFrom>::new();
    let fault = fault_of(rerun);
    // One launch, however often it is sent.
    let key = StoredValue::new(launch_key());
    let send = move || {
        let text = text.get_untracked();
        let changed = given.with_untracked(|given| given.as_ref().is_some_and(|given| *given != text));
        let some_items = !failed.read_untracked().is_empty() && items.read_untracked().as_str() == FAILED;
        let version_given = wanted_version.read_untracked().trim().parse().ok();
        let form = RerunForm {
            from_step: from.get_untracked(),
            items: some_items.then(|| failed.get_untracked()),
            input: changed.then_some(text),
            role_assignments: roles.chosen(),
            template_version: version_given.filter(|_| version.is_some()),
            idempotency_key: key.get_value(),
        };
        rerun.dispatch(RerunFrom { project: stored.get_value(), run: number, form });
    };
    let (live, navigate) = (use_live(), use_navigate());
    Effect::new(move |_| match rerun.value().get() {
        Some(Ok(launched)) => {
            let project = stored.get_value();
            live.expect(&project, launched.run);
            open.set(false);
            key.set_value(launch_key());
            if leave {
                navigate(&format!("/p/{project}/runs/{}", launched.run), Default::default());
            }
        }
        // Refused with this content; another one is another launch.
        Some(Err(Fault::Invalid { .. } | Fault::Conflict { .. })) => key.set_value(launch_key()),
        _ => {}
    });
    let footer = move || {
        view! {
            <Button on_click=move || open.set(false)>"Cancel"</Button>
            <Button variant=ButtonVariant::Primary glyph=Glyph::Play busy=rerun.pending() on_click=send>
                "Rerun"
            </Button>
        }
    };
    let id = move |field: &str| format!("rerun-{number}-{field}");
    let steps: Vec<_> = names.iter().map(|name| SelectOption::new(name, name)).collect();
    view! {
        <Dialog open title=format!("Rerun run {number}") footer>
            <FaultNotice fault fields=&["input", "templateVersion", "items"]/>
            <Select
                label="From step"
                name="from_step"
                id=id("step")
                options=Signal::stored(steps)
                bind=from
                hint="It runs again with all that depends on it. The outputs of the other steps are reused; nothing is called for them."
            />
            {move || {
                any_failed
                    .get()
                    .then(|| {
                        view! {
                            <Select
                                label="Items"
                                name="items"
                                id=id("items")
                                options=choices
                                bind=items
                                error=error_at(fault, "items")
                            />
                        }
                    })
            }}
            {version
                .map(|_| {
                    view! {
                        <TextField
                            label="Template version"
                            name="template_version"
                            id=id("version")
                            kind=InputKind::Number
                            min="1"
                            step="1"
                            bind=wanted_version
                            error=error_at(fault, "templateVersion")
                        />
                    }
                })}
            <RoleFields roles fault prefix=id("role")/>
            <details on:toggle=load_input>
                <summary class="rerun-input">"Change input"</summary>
                <TextArea
                    label="Input"
                    name="input"
                    id=id("input")
                    bind=text
                    rows=6
                    mono=true
                    hint="JSON."
                    disabled=Signal::derive(move || given.read().is_none())
                    error=error_at(fault, "input")
                />
            </details>
        </Dialog>
    }
    .into_any()
}

/// Who does the steps that run again, where it shall be somebody else than before.
#[derive(Clone, Copy)]
struct NewRoles {
    project: StoredValue<ProjectKey>,
    steps: StoredValue<Vec<StepRole>>,
    /// Of all steps of the run: whether it runs again.
    again: Memo<Vec<bool>>,
    offered: RwSignal<Vec<Role>>,
}

/// A step that somebody did.
#[derive(Clone)]
struct StepRole {
    place: usize,
    name: String,
    before: RoleKey,
    /// Empty: the same as before.
    chosen: RwSignal<String>,
}

impl NewRoles {
    fn of(project: ProjectKey, run: LiveRun, from: RwSignal<String>) -> Self {
        let steps = run.state.with_untracked(|state| {
            let planned = state.plan.steps.iter().zip(&state.steps).enumerate();
            let had_role = planned.filter_map(|(place, (planned, step))| {
                let before = step.role.as_ref()?.key.clone();
                Some(StepRole {
                    place,
                    name: planned.name.clone(),
                    before,
                    chosen: RwSignal::new(String::new()),
                })
            });
            had_role.collect()
        });
        let again = Memo::new(move |_| {
            let state = run.state.read();
            let first = state.plan.position(&from.read());
            // Steps may wait for later ones, so once through is not enough.
            let mut again: Vec<_> =
                (0..).take(state.plan.steps.len()).map(|place| Some(place) == first).collect();
            loop {
                let waits = |planned: &PlannedStep| planned.depends_on.iter().any(|on| again[*on as usize]);
                let more: Vec<_> = state.plan.steps.iter().map(waits).collect();
                let grown: Vec<_> = again.iter().zip(more).map(|(one, other)| *one || other).collect();
                if grown == again {
                    return again;
                }
                again = grown;
            }
        });
        Self {
            project: StoredValue::new(project),
            steps: StoredValue::new(steps),
            again,
            offered: RwSignal::new(Vec::new()),
        }
    }

    /// Asks who there is, once.
    fn load(self) {
        if !self.offered.read_untracked().is_empty() {
            return;
        }
        let project = self.project.get_value();
        spawn_local(async move {
            if let Ok(page) = list_roles(project, None).await {
                _ = self.offered.try_set(page.items);
            }
        });
    }

    fn chosen(self) -> BTreeMap<String, RoleKey> {
        let again = self.again.get_untracked();
        self.steps.with_value(|steps| {
            let running = steps.iter().filter(|step| again.get(step.place) == Some(&true));
            let chosen = |step: &StepRole| RoleKey::parse(&step.chosen.get_untracked()).ok();
            running.filter_map(|step| Some((step.name.clone(), chosen(step)?))).collect()
        })
    }
}

#[component]
fn RoleFields(roles: NewRoles, fault: Signal<Option<Fault>>, prefix: String) -> impl IntoView {
    let opened = RwSignal::new(false);
    let open = move |_: ev::Event| {
        opened.set(true);
        roles.load();
    };
    let field = move |step: StepRole| {
        let before = format!("As before: {}", step.before);
        let options = Signal::derive(move || {
            let offered = roles.offered.read();
            let role =
                |role: &Role| SelectOption::new(role.key.as_str(), format!("{} · {}", role.key, role.model));
            let same = SelectOption::new("", before.clone());
            std::iter::once(same).chain(offered.iter().map(role)).collect::<Vec<_>>()
        });
        let (id, label) = (format!("{prefix}-{}", step.place), format!("Role for {}", step.name));
        let path = format!("roleAssignments.{}", step.name);
        move || {
            let runs = roles.again.read().get(step.place) == Some(&true);
            runs.then(|| {
                view! {
                    <Select
                        label=label.clone()
                        name="role"
                        id=id.clone()
                        options
                        bind=step.chosen
                        error=error_at(fault, path.clone())
                    />
                }
            })
        }
    };
    let fields = move || opened.get().then(|| roles.steps.get_value().into_iter().map(&field).collect_view());
    let any = roles.steps.with_value(|steps| !steps.is_empty());
    any.then(|| {
        view! {
            <details on:toggle=open>
                <summary class="rerun-input">"Change roles"</summary>
                <div class="form">{fields}</div>
            </details>
        }
    })
    .into_any()
}

fn launch_key() -> String {
    format!("rerun-{}-{}", js_sys::Date::now(), js_sys::Math::random())
}
