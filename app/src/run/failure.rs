//! The explanation of a failed run: what happened, where, what was kept, and what to do next.

use super::words::kept_words;
use crate::{
    form::sentence,
    project::use_may_edit,
    ui::{Button, ButtonLink, ButtonSize},
};
use domain::{
    error::ErrorClass,
    event::Decision,
    key::ProjectKey,
    run::{Answer, RunState, StepState},
};
use leptos::prelude::*;

#[component]
pub fn Failure(
    project: ProjectKey,
    #[prop(into)] state: Signal<RunState>,
    /// Opens the dialog for a partial rerun, if the user may edit.
    rerun: Option<RwSignal<bool>>,
) -> impl IntoView {
    let told = Memo::new(move |_| state.with(Told::from_state));
    let may_edit = use_may_edit();
    move || {
        let project = project.clone();
        told.get().map(|told| {
            let (label, href) = next_action(&project, &told);
            view! {
                <div class="run-failure" role="group" aria-label="What went wrong">
                    <p class="run-failure-what">
                        <strong>{told.place}</strong>
                        {told.message}
                    </p>
                    <p class="run-failure-kept">{told.kept}</p>
                    <p class="run-failure-advice">
                        <span>{told.advice}</span>
                        {if told.rejected {
                            let again = |open: RwSignal<bool>| {
                                view! {
                                    <Button size=ButtonSize::Small on_click=move || open.set(true)>
                                        "Rerun from a step…"
                                    </Button>
                                }
                            };
                            rerun.map(again).into_any()
                        } else {
                            may_edit
                                .then(|| view! { <ButtonLink href size=ButtonSize::Small>{label}</ButtonLink> })
                                .into_any()
                        }}
                    </p>
                </div>
            }
        })
    }
}

/// The parts of the explanation.
#[derive(Clone, Debug, PartialEq)]
struct Told {
    class: ErrorClass,
    /// "Analyze Code, attempt 3: ", or empty if no step caused the failure.
    place: String,
    message: String,
    kept: String,
    advice: &'static str,
    /// Whether a person or the time limit rejected the step: models and roles need no fix.
    rejected: bool,
    template: Option<String>,
    task_role: Option<String>,
}

impl Told {
    fn from_state(state: &RunState) -> Option<Self> {
        let failure = state.error.as_ref()?;
        let step = failure.step.as_ref().and_then(|name| state.plan.position(name));
        let step = step.and_then(|index| state.steps.get(index as usize));
        let place = match (&failure.step, step.and_then(|step| step.attempts.last())) {
            (Some(name), Some(attempt)) => format!("{name}, attempt {}: ", attempt.number),
            (Some(name), None) => format!("{name}: "),
            (None, _) => String::new(),
        };
        let rejection = step.and_then(rejection);
        let (message, advice) = match rejection {
            Some(answer) => (
                sentence(&answer.to_string()),
                if answer.by.is_some() {
                    "Rerun from the step that is to do better, or from this one to be asked again."
                } else {
                    "Nobody answered in time. A rerun from this step asks again."
                },
            ),
            None => (failure.error.message.clone(), advice(failure.error.class)),
        };
        Some(Self {
            class: failure.error.class,
            place,
            message,
            kept: kept_words(state),
            advice,
            rejected: rejection.is_some(),
            template: state.template.as_ref().map(|template| template.key.to_string()),
            task_role: step.and_then(|step| step.role.as_ref()).map(|role| role.key.to_string()),
        })
    }
}

/// The answer that rejected the step or one of its items.
fn rejection(step: &StepState) -> Option<&Answer> {
    fn rejected(step: &StepState) -> Option<&Answer> {
        step.question.as_ref()?.answer.as_ref().filter(|answer| answer.decision == Decision::Reject)
    }
    rejected(step).or_else(|| step.item_runs().iter().find_map(rejected))
}

/// Advice by error class.
fn advice(class: ErrorClass) -> &'static str {
    match class {
        ErrorClass::RateLimit | ErrorClass::Overload => {
            "The provider had too much to do; later it may answer."
        }
        ErrorClass::Network => "See whether the provider can be reached.",
        ErrorClass::Auth => "The provider does not accept the key.",
        ErrorClass::Timeout => "It took longer than the step may take.",
        ErrorClass::Truncated => "The answer was cut off: the role's limit on tokens may be too low.",
        ErrorClass::Empty | ErrorClass::InvalidOutput | ErrorClass::Refused => {
            "Another role or prompt may do better."
        }
        ErrorClass::BadRequest => "The role names a model or a parameter that the provider does not take.",
        ErrorClass::Expression => "An expression of the template does not fit its data.",
        ErrorClass::NoRoles => "The project needs a role first.",
        ErrorClass::Limit => "A limit of this installation was reached.",
        ErrorClass::Cancelled | ErrorClass::Interrupted => "It can be run again.",
    }
}

/// The label and the link of the next action.
fn next_action(project: &ProjectKey, told: &Told) -> (&'static str, String) {
    match told.class {
        ErrorClass::Network | ErrorClass::Auth => ("Check the providers", "/settings/models".to_owned()),
        ErrorClass::Truncated | ErrorClass::BadRequest | ErrorClass::Refused | ErrorClass::Empty => {
            match &told.task_role {
                Some(role) => ("Edit the role", format!("/p/{project}/roles/{role}")),
                None => ("See the roles", format!("/p/{project}/roles")),
            }
        }
        ErrorClass::NoRoles => ("Make a role", format!("/p/{project}/roles/new")),
        ErrorClass::Expression => match template(told) {
            Some(key) => ("Edit the template", format!("/p/{project}/templates/{key}")),
            None => ("See the templates", format!("/p/{project}/templates")),
        },
        _ => match template(told) {
            Some(key) => ("Run it again", format!("/p/{project}/templates/{key}/execute")),
            None => ("Ask again", "#composer".to_owned()),
        },
    }
}

/// The template, unless it is the built-in template of free text.
fn template(told: &Told) -> Option<&str> {
    told.template.as_deref().filter(|key| *key != super::ASK)
}
