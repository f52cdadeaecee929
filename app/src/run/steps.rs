//! The steps of a run, one line each, with what a person asks about them: who does it, how it goes, what it says now.

use super::{
    follow::Following,
    nested::Nested,
    rows::{Rows, first_steps},
    status::whole_seconds,
    text::{StoredText, TextKind},
    words::{answer_words, attempt_words, item_words, step_status},
};
use crate::{
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
    /// At most so many; a link leads to the rest.
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
            {(!text_elsewhere).then(|| view! { <Said project=project.get_value() run=number step/> })}
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

/// The text of an open attempt as it comes; gone when the attempt is over, for then there is an output or an error.
#[component]
pub fn LiveOutput(run: LiveRun, id: StepRunId, step: Memo<StepState>) -> impl IntoView {
    // The text of one that is a run of its own streams there.
    let open = Memo::new(move |_| {
        let step = step.read();
        step.open_attempt()
            .filter(|attempt| !run.past && attempt.child.is_none())
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

/// What was said last in a step that has ended without an output.
#[component]
fn Said(project: ProjectKey, run: RunNumber, step: Memo<StepState>) -> impl IntoView {
    let said = Memo::new(move |_| step.read().said().cloned());
    let stopped = move || step.read_untracked().status == StepStatus::Cancelled;
    move || {
        let (project, stopped) = (project.clone(), stopped());
        said.get().map(|text| {
            let label = if stopped { "Said before it was stopped" } else { "Said in vain" };
            view! { <StoredText project run label text kind=TextKind::Plain open=stopped/> }
        })
    }
}

/// How long the step took, or has been taking.
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

/// Somebody or something is at work on it: its time goes on.
pub(super) fn is_under_way(step: &StepState) -> bool {
    matches!(step.status, StepStatus::Running | StepStatus::Waiting)
}

/// What was decided, why it is tried again, why it was skipped, what it failed of.
fn notice(step: &StepState) -> Option<AnyView> {
    if let Some(answer) = step.question.as_ref().and_then(|question| question.answer.as_ref()) {
        let class = match step.status {
            StepStatus::Failed => "run-step-notice run-step-failed",
            _ => "run-step-notice",
        };
        return Some(view! { <p class=class>{answer_words(answer)}</p> }.into_any());
    }
    let failure = step.failure();
    match step.status {
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
            view! { <p class="run-step-notice">{format!("Skipped: {}", sentence(reason))}</p> }.into_any()
        }),
        _ => None,
    }
}

fn sentence(text: &str) -> String {
    if text.ends_with(['.', '!', '?']) { text.to_owned() } else { format!("{text}.") }
}
