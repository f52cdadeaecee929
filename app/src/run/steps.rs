//! The steps of a run, one line each, and the open questions: role, status and current output.

use super::{
    follow::Following,
    nested::Nested,
    rows::{Rows, first_steps},
    status::whole_seconds,
    text::{StoredText, TextKind},
    words::{attempt_words, item_words, step_status},
};
use crate::{
    form,
    live::{LiveRun, use_live},
    ui::{RoleChip, StatusBadge, format_count, format_duration},
};
use domain::{
    id::{RunNumber, StepRunId},
    key::ProjectKey,
    run::{StepState, StepStatus},
};
use leptos::prelude::*;
use std::sync::Arc;

#[component]
pub fn Steps(
    project: ProjectKey,
    run: LiveRun,
    /// Maximum number of listed steps; a link leads to the rest.
    limit: usize,
    text_elsewhere: bool,
) -> impl IntoView {
    let count = Memo::new(move |_| run.state.read().plan.steps.len());
    let more = format!("/p/{project}/runs/{}", run.number);
    let ids = Memo::new(move |_| first_steps(count.get(), limit));
    let row = move |id: StepRunId| {
        view! { <Step project=project.clone() run index=id.index() text_elsewhere/> }.into_any()
    };
    view! {
        <ol class="run-steps">
            <Rows ids row=Arc::new(row)/>
        </ol>
        {move || {
            (count.get() > limit)
                .then(|| {
                    view! {
                        <p class="run-steps-more">
                            <a class="link" href=more.clone()>"All " {count.get()} " steps"</a>
                        </p>
                    }
                })
        }}
    }
    .into_any()
}

#[component]
fn Step(project: ProjectKey, run: LiveRun, index: usize, text_elsewhere: bool) -> impl IntoView {
    let id = StepRunId::of(index);
    let step = run.step(id);
    let (name, max_retries) = run.state.with_untracked(|state| {
        state.plan.steps.get(index).map(|step| (step.name.clone(), step.max_retries)).unwrap_or_default()
    });
    let status = Memo::new(move |_| step.with(step_status));
    let class = move || format!("run-step run-step-{}", step.read().status.as_str());
    let role = Memo::new(move |_| step.read().role.clone());
    let output = Memo::new(move |_| step.read().output.clone());
    let prompt = Memo::new(move |_| step.read().attempts.last().and_then(|attempt| attempt.prompt.clone()));
    let items = run.items(id);
    let project = StoredValue::new(project);
    let number = run.number;
    view! {
        <li class=class>
            <div class="run-step-line">
                <StatusBadge status icon_only=true/>
                <span class="run-step-name">{name}</span>
                {move || role.get().map(|role| view! { <RoleChip role=role.key.to_string() fallback=role.reason.is_fallback()/> })}
                <span class="run-step-attempt">
                    {move || match items.get() {
                        Some(counts) => Some(item_words(counts)),
                        None => attempt_words(&step.read(), max_retries),
                    }}
                </span>
                <span class="run-step-time">{move || time(run, &step.read())}</span>
                <span class="run-step-tokens">
                    {move || {
                        let total = step.read().usage.total();
                        (total > 0).then(|| format!("{} tok", format_count(total)))
                    }}
                </span>
            </div>
            {move || notice(&step.read())}
            <Nested project=project.get_value() step/>
            {(!text_elsewhere).then(|| view! { <LiveOutput run id step/> })}
            {(!text_elsewhere).then(|| view! { <PartialOutput project=project.get_value() run=number step/> })}
            <div class="run-step-texts">
                {move || {
                    output
                        .get()
                        .map(|text| {
                            view! {
                                <StoredText
                                    project=project.get_value()
                                    run=number
                                    label="Output"
                                    text
                                    kind=TextKind::Plain
                                />
                            }
                        })
                }}
                {move || {
                    prompt
                        .get()
                        .map(|text| {
                            view! {
                                <StoredText
                                    project=project.get_value()
                                    run=number
                                    label="Prompt"
                                    text
                                    kind=TextKind::Prompt
                                />
                            }
                        })
                }}
            </div>
        </li>
    }
    .into_any()
}

/// The streaming text of an open attempt. Removed when the attempt ends, since then there is an output or an error.
#[component]
pub fn LiveOutput(run: LiveRun, id: StepRunId, step: Memo<StepState>) -> impl IntoView {
    // The text of a child run's attempt is shown in the child run.
    let open = Memo::new(move |_| {
        let step = step.read();
        step.open_attempt()
            .filter(|attempt| !run.past && attempt.link.is_none())
            .map(|attempt| attempt.number)
    });
    let label = run.state.with_untracked(|state| format!("Live text of {}", state.label(id)));
    let text = run.text(id);
    let shown = Signal::derive(move || {
        let attempt = open.get();
        text.with(|live| if Some(live.attempt) == attempt { live.text.clone() } else { String::new() })
    });
    view! {
        <Show when=move || open.get().is_some()>
            <Following label=label.clone() text=shown/>
        </Show>
    }
}

/// The partial output of the last attempt, if the step ended without an output.
#[component]
fn PartialOutput(project: ProjectKey, run: RunNumber, step: Memo<StepState>) -> impl IntoView {
    let partial = Memo::new(move |_| step.read().partial_output().cloned());
    let stopped = move || step.read_untracked().status == StepStatus::Cancelled;
    move || {
        let (project, stopped) = (project.clone(), stopped());
        partial.get().map(|text| {
            let label = if stopped { "Said before it was stopped" } else { "Said in vain" };
            view! { <StoredText project run label text kind=TextKind::Plain open=stopped/> }
        })
    }
}

/// The duration of the step, or its running time so far.
pub(super) fn time(run: LiveRun, step: &StepState) -> Option<String> {
    if step.reused {
        return Some("reused".to_owned());
    }
    let from = step.started_at()?;
    if let Some(to) = step.finished_at() {
        return Some(format_duration(to.since(from)));
    }
    is_under_way(step).then_some(())?;
    run.now().map(|now| whole_seconds(now.since(from)))
}

/// Whether the step's time is still running.
pub(super) fn is_under_way(step: &StepState) -> bool {
    matches!(step.status, StepStatus::Running | StepStatus::Waiting)
}

/// The decision on the step, its child run's question, or why it is retried, was skipped, or failed.
fn notice(step: &StepState) -> Option<AnyView> {
    if let Some(answer) = step.question.as_ref().and_then(|question| question.answer.as_ref()) {
        let class = match step.status {
            StepStatus::Failed => "run-step-notice run-step-failed",
            _ => "run-step-notice",
        };
        return Some(view! { <p class=class>{form::sentence(&answer.to_string())}</p> }.into_any());
    }
    if let Some(question) = &step.child_question {
        let words = form::sentence(&question.waits());
        return Some(view! { <p class="run-step-notice">{words}</p> }.into_any());
    }
    let failure = step.failure();
    let refusals = step.attempts.last().map_or(0, |attempt| attempt.refusals);
    match step.status {
        StepStatus::Ready if refusals > 0 => Some(
            view! {
                <p class="run-step-notice run-step-retry">
                    {format!("Rate limited by the provider; calls refused: {refusals}. The call is queued again.")}
                </p>
            }
            .into_any(),
        ),
        StepStatus::Ready | StepStatus::Running if failure.is_some() => failure.map(|failure| {
            let again = match (step.retry_at, use_live().clock().get()) {
                (Some(at), Some(now)) if at.since(now) >= 1000 => {
                    format!("Tried again in {}.", whole_seconds(at.since(now)))
                }
                (Some(_), _) => "Tried again in a moment.".to_owned(),
                (None, _) => "This is the next try.".to_owned(),
            };
            view! {
                <p class="run-step-notice run-step-retry">
                    {format!("The last attempt failed ({}): {} {again}", failure.class, sentence(&failure.message))}
                </p>
            }
            .into_any()
        }),
        StepStatus::Failed => failure.map(|failure| {
            view! {
                <p class="run-step-notice run-step-failed">
                    {format!("Failed ({}): {}", failure.class, sentence(&failure.message))}
                </p>
            }
            .into_any()
        }),
        StepStatus::Skipped => step.skipped.as_ref().map(|reason| {
            view! { <p class="run-step-notice">{format!("Skipped: {}", sentence(&reason.to_string()))}</p> }.into_any()
        }),
        _ => None,
    }
}

fn sentence(text: &str) -> String {
    if text.ends_with(['.', '!', '?']) { text.to_owned() } else { format!("{text}.") }
}
