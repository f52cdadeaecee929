//! One step of a run, close up: who does it and why, its attempts with their errors and exact prompts, what it gave.

use super::{
    steps::LiveOutput,
    text::{StoredText, TextKind},
    words::attempt_end_word,
};
use crate::{
    live::LiveRun,
    ui::{Icon, RoleChip, StepStatusIcon, duration, tokens},
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
            <aside class="panel" aria-label="Step">
                <p>"This run has no such step."</p>
            </aside>
        }
        .into_any();
    }
    let (name, before) = run.state.with_untracked(|state| {
        let planned = &state.plan.steps[id.index()];
        let before = planned.depends_on.iter().map(|&index| (index, state.name(StepRunId::of(index as usize))));
        let before: Vec<_> = before.map(|(index, name)| (index, name.to_owned())).collect();
        (planned.name.clone(), before)
    });
    let begun = run.state.read_untracked().acknowledged_at;
    let status = Signal::derive(move || step.read().status);
    let role = Memo::new(move |_| step.read().role.clone());
    let usage = Memo::new(move |_| step.read().usage);
    let output = Memo::new(move |_| step.read().output.clone());
    let skipped = Memo::new(move |_| step.read().skipped.clone());
    let attempts = Memo::new(move |_| step.read().attempts.clone());
    let project = StoredValue::new(project);
    let label = format!("Step {name}");
    view! {
        <aside class="panel" aria-label=label>
            <header class="panel-head">
                <h2><StepStatusIcon status/><span>{name}</span></h2>
                <a class="button button-small button-quiet" href="?tab=steps" aria-label="Close the step">
                    <Icon name="x"/>
                </a>
            </header>
            <dl class="facts">
                {move || role.get().map(role_facts)}
                <div>
                    <dt>"Tokens"</dt>
                    <dd class="mono">
                        {move || {
                            let usage = usage.get();
                            format!("{} in, {} out", tokens(usage.input_tokens), tokens(usage.output_tokens))
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
                                    view! { <a class="chip" href=format!("?tab=steps&step={index}")>{name}</a> }
                                })
                                .collect_view()
                                .into_any()
                        }}
                    </dd>
                </div>
            </dl>
            {move || skipped.get().map(|reason| view! { <p class="step-notice">"Skipped: " {reason}</p> })}
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
                <ol class="attempts">
                    <For
                        each=move || attempts.get()
                        key=|attempt| (attempt.number, attempt.prompt.is_some(), attempt.end.is_some())
                        let:attempt
                    >
                        <AttemptView project=project.get_value() run attempt begun/>
                    </For>
                </ol>
            </Show>
        </aside>
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
        <div><dt>"Role"</dt><dd><RoleChip key=role.key/> " v" {role.version} ", " {why}</dd></div>
        <div><dt>"Model"</dt><dd class="mono">{role.model.to_string()}</dd></div>
    }
}

#[component]
fn AttemptView(project: ProjectKey, run: LiveRun, attempt: Attempt, begun: Timestamp) -> impl IntoView {
    let at = duration(attempt.started_at.since(begun));
    let took = attempt.finished_at.map(|to| duration(to.since(attempt.started_at)));
    let failure = attempt.end.as_ref().and_then(|end| end.failure()).map(|failure| {
        view! { <p class="step-notice step-failed">{format!("{} ({})", failure.message, failure.class)}</p> }
    });
    let word = attempt_end_word(&attempt);
    view! {
        <li class="attempt">
            <p class="attempt-line">
                <strong>"Attempt " {attempt.number}</strong>
                <span>{word}</span>
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
}
