//! The roles for the steps that rerun, where they shall differ from the parent run's.

use super::{choice::Choice, preview::Preview};
use crate::{
    fault::Fault,
    form::{FaultNotice, error_at},
    live::LiveRun,
    role::list_roles,
    ui::{Select, SelectOption},
};
use domain::{
    key::{ProjectKey, RoleKey},
    plan::Plan,
    view::Role,
};
use leptos::{ev, prelude::*, task::spawn_local};
use std::collections::BTreeMap;

#[derive(Clone, Copy)]
pub(super) struct NewRoles {
    project: StoredValue<ProjectKey>,
    steps: StoredValue<Vec<StepRole>>,
    /// Of all steps of the parent run, in its plan's order: whether the step reruns.
    again: Memo<Vec<bool>>,
    offered: RwSignal<Vec<Role>>,
    /// Why the roles could not be loaded.
    fault: RwSignal<Option<Fault>>,
}

/// A step that had a role in the parent run.
#[derive(Clone)]
struct StepRole {
    place: usize,
    name: String,
    before: RoleKey,
    /// Empty: the same as before.
    chosen: RwSignal<String>,
}

impl NewRoles {
    pub fn of(
        project: StoredValue<ProjectKey>,
        run: LiveRun,
        choice: Memo<Choice>,
        preview: Preview,
    ) -> Self {
        let steps = run.state.with_untracked(|state| {
            let planned = state.plan.steps.iter().zip(&state.steps).enumerate();
            let had_role = planned.filter_map(|(place, (planned, step))| {
                let before = step.role.as_ref()?.key.clone();
                let chosen = RwSignal::new(String::new());
                Some(StepRole { place, name: planned.name.clone(), before, chosen })
            });
            had_role.collect()
        });
        let again = Memo::new(move |_| {
            let (state, choice) = (run.state.read(), choice.read());
            match preview.reruns(&choice.from) {
                Some(reruns) => {
                    let names = state.plan.steps.iter().map(|planned| &planned.name);
                    names.map(|name| reruns.get(name) == Some(&true)).collect()
                }
                None => with_dependents(&state.plan, &choice.from),
            }
        });
        Self {
            project,
            steps: StoredValue::new(steps),
            again,
            offered: RwSignal::new(Vec::new()),
            fault: RwSignal::new(None),
        }
    }

    /// Loads the project's roles, once.
    fn load(self) {
        if !self.offered.read_untracked().is_empty() {
            return;
        }
        let project = self.project.get_value();
        spawn_local(async move {
            let (offered, fault) = match list_roles(project, None).await {
                Ok(page) => (page.items, None),
                Err(fault) => (Vec::new(), Some(fault)),
            };
            _ = self.offered.try_set(offered);
            _ = self.fault.try_set(fault);
        });
    }

    /// The chosen roles of the steps whose fields are shown.
    pub fn chosen(self) -> BTreeMap<String, RoleKey> {
        let again = self.again.get_untracked();
        self.steps.with_value(|steps| {
            let running = steps.iter().filter(|step| again.get(step.place) == Some(&true));
            let chosen = |step: &StepRole| RoleKey::parse(&step.chosen.get_untracked()).ok();
            running.filter_map(|step| Some((step.name.clone(), chosen(step)?))).collect()
        })
    }
}

/// Of all steps of the plan: whether it is the step `from` or depends on it. What is known without a preview.
fn with_dependents(plan: &Plan, from: &str) -> Vec<bool> {
    let dependents = plan.dependents();
    let mut again = vec![false; plan.steps.len()];
    let mut open: Vec<_> = plan.position(from).into_iter().collect();
    while let Some(step) = open.pop() {
        if !std::mem::replace(&mut again[step as usize], true) {
            open.extend(&dependents[step as usize]);
        }
    }
    again
}

#[component]
pub(super) fn RoleFields(roles: NewRoles, fault: Signal<Option<Fault>>, prefix: String) -> impl IntoView {
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
        let shown = Memo::new(move |_| roles.again.read().get(step.place) == Some(&true));
        move || {
            shown.get().then(|| {
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
                <div class="form">
                    <FaultNotice fault=roles.fault/>
                    {fields}
                </div>
            </details>
        }
    })
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::plan::PlannedStep;

    #[test]
    fn without_a_preview_a_step_reruns_with_its_dependents() {
        let step = |name: &str, depends_on: &[u32]| PlannedStep {
            name: name.to_owned(),
            depends_on: depends_on.into(),
            ..PlannedStep::default()
        };
        // A step may depend on a later one.
        let plan = Plan { steps: vec![step("D", &[2]), step("A", &[]), step("C", &[3]), step("B", &[1])] };
        assert_eq!(with_dependents(&plan, "B"), [true, false, true, true]);
        assert_eq!(with_dependents(&plan, "D"), [true, false, false, false]);
        assert_eq!(with_dependents(&plan, "gone"), [false; 4]);
    }
}
