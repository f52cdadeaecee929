//! One step of a run, close up: who does it and why, its attempts with their errors and exact prompts, what it gave.

use super::{
    steps::LiveOutput,
    text::{StoredText, TextKind},
    words::{attempt_status, step_status},
};
use crate::{
    live::LiveRun,
    ui::{RoleChip, SidePanel, StatusBadge, format_count, format_duration},
};
use domain::{
    id::{StepRunId, Timestamp},
    key::ProjectKey,
    role::{Reason, StepRole},
    run::Attempt,
};
use leptos::prelude::*;

#[component]
pub fn StepPanel(project: ProjectKey, run: LiveRun, id: StepRunId) -> impl IntoView {
    let step = run.step(id);
    let known = run.state.with_untracked(|state| id.index() < state.plan.steps.len());
    if !known {
        return view! {
            <SidePanel title="Step" close_href="?tab=steps">
                <p>"This run has no such step."</p>
            </SidePanel>
        }
        .into_any();
    }
    let (name, before) = run.state.with_untracked(|state| {
        let planned = &state.plan.steps[id.index()];
        let before =
            planned.depends_on.iter().map(|&index| (index, state.name(StepRunId::of(index as usize))));
        let before: Vec<_> = before.map(|(index, name)| (index, name.to_owned())).collect();
        (planned.name.clone(), before)
    });
    let begun = run.state.read_untracked().acknowledged_at;
    let status = Memo::new(move |_| step.with(step_status));
    let role = Memo::new(move |_| step.read().role.clone());
    let usage = Memo::new(move |_| step.read().usage);
    let output = Memo::new(move |_| step.read().output.clone());
    let skipped = Memo::new(move |_| step.read().skipped.clone());
    let attempts = Memo::new(move |_| step.read().attempts.clone());
    let project = StoredValue::new(project);
    view! {
        <SidePanel title=name close_href="?tab=steps">
            <div class="run-panel">
            <dl class="run-facts">
                <div><dt>"Status"</dt><dd><StatusBadge status/></dd></div>
                {move || role.get().map(role_facts)}
                <div>
                    <dt>"Tokens"</dt>
                    <dd class="mono">
                        {move || {
                            let usage = usage.get();
                            format!("{} in, {} out", format_count(usage.input_tokens), format_count(usage.output_tokens))
                        }}
                    </dd>
                </div>
                <div>
                    <dt>"Waits for"</dt>
                    <dd>
                        {if before.is_empty() {
                            "nothing".into_any()
                        } else {
                            before
                                .into_iter()
                                .map(|(index, name)| {
                                    view! { <a class="run-chip" href=format!("?tab=steps&step={index}")>{name}</a> }
                                })
                                .collect_view()
                                .into_any()
                        }}
                    </dd>
                </div>
            </dl>
            {move || skipped.get().map(|reason| view! { <p class="run-step-notice">"Skipped: " {reason}</p> })}
            <LiveOutput run id step/>
            {move || {
                output
                    .get()
                    .map(|text| {
                        view! {
                            <StoredText
                                project=project.get_value()
                                run=run.number
                                label="Output"
                                text
                                kind=TextKind::Plain
                                open=true
                            />
                        }
                    })
            }}
            <h3>"Attempts"</h3>
            <Show
                when=move || !attempts.read().is_empty()
                fallback=|| view! { <p class="muted">"None yet."</p> }
            >
                <ol class="run-attempts">
                    <For
                        each=move || attempts.get()
                        key=|attempt| (attempt.number, attempt.prompt.is_some(), attempt.end.is_some())
                        let:attempt
                    >
                        <AttemptView project=project.get_value() run attempt begun/>
                    </For>
                </ol>
            </Show>
            </div>
        </SidePanel>
    }
    .into_any()
}

fn role_facts(role: StepRole) -> impl IntoView {
    let why = match role.reason {
        Reason::Assigned => "assigned at launch",
        Reason::GeneralWorker => "stands in: no role was assigned",
        Reason::FirstRole => "stands in: the project's first role, for no role was assigned",
    };
    view! {
        <div><dt>"Role"</dt><dd><RoleChip role=role.key.to_string() fallback=role.reason.is_fallback()/> " v" {role.version} ", " {why}</dd></div>
        <div><dt>"Model"</dt><dd class="mono">{role.model.to_string()}</dd></div>
    }
}

#[component]
fn AttemptView(project: ProjectKey, run: LiveRun, attempt: Attempt, begun: Timestamp) -> impl IntoView {
    let at = format_duration(attempt.started_at.since(begun));
    let took = attempt.finished_at.map(|to| format_duration(to.since(attempt.started_at)));
    let failure = attempt.end.as_ref().and_then(|end| end.failure()).map(|failure| {
        view! { <p class="run-step-notice run-step-failed">{format!("{} ({})", failure.message, failure.class)}</p> }
    });
    let status = attempt_status(&attempt);
    view! {
        <li class="run-attempt">
            <p class="run-attempt-line">
                <strong>"Attempt " {attempt.number}</strong>
                <StatusBadge status plain=true/>
                <span class="mono">"at +" {at}</span>
                {took.map(|took| view! { <span class="mono">"took " {took}</span> })}
            </p>
            {failure}
            {attempt
                .prompt
                .map(|text| {
                    view! { <StoredText project run=run.number label="Exact prompt" text kind=TextKind::Prompt/> }
                })}
        </li>
    }
    .into_any()
}
