//! A row per step: its role, and the fallback if none is chosen.

use crate::{
    fault::Fault,
    form::error_at,
    run::letter,
    ui::{Badge, RoleChip, Select, SelectOption},
};
use domain::{
    role::Reason,
    template::Step,
    view::{LaunchPreview, Role, RolePreview},
};
use leptos::prelude::*;

/// Whether the step needs a role.
pub fn takes_role(step: &Step) -> bool {
    use domain::template::Uses;
    !matches!(step.uses, Some(Uses::Tool(_) | Uses::Template(_) | Uses::Approval))
}

fn options(roles: &[Role], empty: &str) -> Vec<SelectOption> {
    let option = |role: &Role| SelectOption::new(role.key.as_str(), format!("{} · {}", role.key, role.model));
    std::iter::once(SelectOption::new("", empty)).chain(roles.iter().map(option)).collect()
}

#[component]
pub fn StepRow(
    index: usize,
    step: Step,
    roles: StoredValue<Vec<Role>>,
    chosen: RwSignal<String>,
    /// The step's role in each additional assignment, of which `variants` are in use.
    others: Vec<RwSignal<String>>,
    variants: RwSignal<usize>,
    preview: Signal<LaunchPreview>,
    fault: Signal<Option<Fault>>,
    prefix: &'static str,
) -> impl IntoView {
    let name = step.name.clone();
    let resolved = Memo::new(move |_| {
        let preview = preview.read();
        preview.steps.iter().find(|other| other.name == name)?.role.clone()
    });
    let error = error_at(fault, format!("roleAssignments.{}", step.name));
    let select = takes_role(&step).then(|| {
        let options = roles.with_value(|roles| options(roles, "Nobody chosen"));
        let other_options = options.clone();
        let name = step.name.clone();
        let in_variants = move || {
            let others = others.iter().copied().zip(1..=variants.get());
            others
                .map(|(bind, variant)| {
                    view! {
                        <div class="execute-variant">
                            <span class="compare-letter" aria-hidden="true">{letter(variant).to_string()}</span>
                            <Select
                                label=format!("Role for {name} in {}", letter(variant))
                                hide_label=true
                                name=format!("form[others][v{variant}s{index}]")
                                id=format!("{prefix}-v{variant}s{index}")
                                options=other_options.clone()
                                bind
                            />
                        </div>
                    }
                })
                .collect_view()
        };
        view! {
            <Select
                label=format!("Role for {}", step.name)
                hide_label=true
                name=format!("form[roles][s{index}]")
                id=format!("{prefix}-s{index}")
                options
                bind=chosen
                error
            />
            {move || resolved.get().map(|role| view! { <Resolved role/> })}
            {in_variants}
        }
    });
    let none = (!takes_role(&step)).then(|| {
        let uses = step.uses.as_ref().map(ToString::to_string);
        view! { <p class="field-hint">"Needs no role: " {uses}</p> }
    });
    view! {
        <li class="execute-step">
            <div class="execute-step-head">
                <span class="execute-step-number" aria-hidden="true">
                    {index + 1}
                </span>
                <span class="execute-step-name">{step.name.clone()}</span>
                {step.for_each.is_some().then(|| view! { <Badge>"for each"</Badge> })}
                {step.condition.is_some().then(|| view! { <Badge>"if"</Badge> })}
            </div>
            <div class="execute-step-role">{select} {none}</div>
        </li>
    }
}

#[component]
fn Resolved(role: RolePreview) -> impl IntoView {
    let why = match role.reason {
        Reason::Assigned => None,
        Reason::GeneralWorker => Some("stands in while nobody is chosen"),
        Reason::FirstRole => Some("stands in: there is no general_worker, and it is the first role"),
    };
    view! {
        <p class="execute-resolved">
            <RoleChip role=role.key.to_string() fallback=role.reason.is_fallback()/>
            <span class="execute-model mono">{role.model.to_string()}</span>
            {why.map(|why| view! { <span class="execute-why">{why}</span> })}
        </p>
    }
}

/// Sets one role for all steps.
#[component]
pub fn SameForAll(
    roles: StoredValue<Vec<Role>>,
    chosen: StoredValue<Vec<RwSignal<String>>>,
    prefix: &'static str,
) -> impl IntoView {
    let all = RwSignal::new(String::new());
    let options = roles.with_value(|roles| options(roles, "Choose…"));
    let change = move |key: String| {
        chosen.with_value(|chosen| {
            for one in chosen {
                one.set(key.clone());
            }
        });
    };
    // Shows the role that all steps have in common; empty if they differ.
    Effect::new(move |_| {
        let keys: Vec<_> = chosen.with_value(|chosen| chosen.iter().map(|one| one.get()).collect());
        let common = keys.first().filter(|first| keys.iter().all(|key| key == *first));
        all.set(common.cloned().unwrap_or_default());
    });
    view! {
        <Select
            label="Same for all"
            name="same-for-all"
            id=format!("{prefix}-all")
            options
            bind=all
            on_change=change
            class="execute-all"
        />
    }
}
