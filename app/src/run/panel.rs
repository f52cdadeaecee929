//! The panel of a step run: its role and why, the decision on it, its attempts with their errors and exact prompts,
//! and its output.

use super::{
    nested::ChildRun,
    steps::LiveOutput,
    text::{StoredText, TextKind},
    words::{attempt_name, attempt_status, item_words, reused_words, step_status},
};
use crate::{
    form::sentence,
    live::LiveRun,
    ui::{RoleChip, SidePanel, StatusBadge, format_count, format_duration},
};
use domain::{
    event::ChildQuestion,
    id::{RunNumber, StepRunId, Timestamp},
    key::ProjectKey,
    role::{Reason, StepRole},
    run::{Attempt, Question, StepStatus},
};
use leptos::prelude::*;

/// Maximum number of failed items with a link.
const FAILED: usize = 20;

#[component]
pub fn StepPanel(
    project: ProjectKey,
    run: LiveRun,
    id: StepRunId,
    /// The URL of the tab below the panel.
    #[prop(default = "?tab=steps")]
    close_href: &'static str,
) -> impl IntoView {
    let step = run.step(id);
    let known = run.state.with_untracked(|state| state.step_run(id).is_some());
    if !known {
        return view! {
            <SidePanel title="Step" close_href>
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
        (state.label(id), before)
    });
    let of = id.item.map(|_| {
        let step = StepRunId { item: None, ..id };
        let name = run.state.with_untracked(|state| state.name(step).to_owned());
        view! { <div><dt>"Item of"</dt><dd><a class="run-chip" href=format!("?tab=steps&step={step}")>{name}</a></dd></div> }
    });
    let items = run.items(id);
    let question = Memo::new(move |_| step.read().question.clone());
    let child_question = Memo::new(move |_| step.read().child_question.clone());
    let begun = run.state.read_untracked().acknowledged_at;
    let status = Memo::new(move |_| step.with(step_status));
    let role = Memo::new(move |_| step.read().role.clone());
    let usage = Memo::new(move |_| step.read().usage);
    let output = Memo::new(move |_| step.read().output.clone());
    let skipped = Memo::new(move |_| step.read().skipped.as_ref().map(ToString::to_string));
    let reused = Memo::new(move |_| step.with(reused_words));
    let rerun = Memo::new(move |_| step.with(|step| step.rerun.as_ref().map(ToString::to_string)));
    let attempts = Memo::new(move |_| step.read().attempts.clone());
    let project = StoredValue::new(project);
    view! {
        <SidePanel title=name close_href>
            <div class="run-panel">
            <dl class="run-facts">
                <div><dt>"Status"</dt><dd><StatusBadge status/></dd></div>
                {of}
                {move || {
                    items.get().map(|counts| view! { <div><dt>"Items"</dt><dd>{item_words(counts)}</dd></div> })
                }}
                {move || failed_items(run, id)}
                {move || role.get().map(role_facts)}
                <div>
                    <dt>"Tokens"</dt>
                    <dd class="mono">
                        {move || {
                            let usage = usage.get();
                            let cost = usage.cost.map(|cost| format!(", {}", cost.short())).unwrap_or_default();
                            format!(
                                "{} in, {} out{cost}",
                                format_count(usage.input_tokens),
                                format_count(usage.output_tokens),
                            )
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
            {move || rerun.get().map(|reason| view! { <p class="run-step-notice">"Runs again: " {reason}</p> })}
            {move || skipped.get().map(|reason| view! { <p class="run-step-notice">"Skipped: " {reason}</p> })}
            {move || {
                question.get().map(|question| view! { <Asked project=project.get_value() run=run.number question/> })
            }}
            {move || {
                child_question
                    .get()
                    .map(|question| view! { <AskedByChild project=project.get_value() question=*question/> })
            }}
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
            {move || reused.get().map(|words| view! { <p class="muted">{words}</p> })}
            <Show when=move || !attempts.read().is_empty()>
                <h3>"Attempts"</h3>
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

/// Links to the first failed items.
fn failed_items(run: LiveRun, id: StepRunId) -> Option<impl IntoView> {
    let state = run.state.read();
    let runs = (0..).zip(state.step_run(id)?.item_runs());
    let failed = runs.filter(|(_, item)| item.status == StepStatus::Failed).take(FAILED);
    let links: Vec<_> = failed
        .map(|(item, _)| {
            let id = StepRunId { item: Some(item), ..id };
            view! { <a class="run-chip" href=format!("?tab=steps&step={id}")>{format!("[{item}]")}</a> }
        })
        .collect();
    (!links.is_empty())
        .then(|| view! { <div><dt>"Failed items"</dt><dd class="run-roles">{links}</dd></div> })
}

/// The question to a person, the proposal, and the answer. The texts are stored with `run`, which asked.
#[component]
fn Asked(project: ProjectKey, run: RunNumber, question: Question) -> impl IntoView {
    let answer = question.answer.as_ref().map(|answer| sentence(&answer.to_string()));
    view! {
        <h3>"Question"</h3>
        <p class="question-words">{question.question.head}</p>
        <StoredText project run label="Proposal" text=question.proposal kind=TextKind::Json/>
        {answer.map(|answer| view! { <p class="question-answer">{answer}</p> })}
    }
    .into_any()
}

/// The open question of the step's child run.
#[component]
fn AskedByChild(project: ProjectKey, question: ChildQuestion) -> impl IntoView {
    view! {
        <Asked project=project.clone() run=question.run question=Question::from(&question)/>
        <p class="muted">{format!("Asked by {} in ", question.name)} <ChildRun project child=question.run/></p>
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
    let took = attempt.finished_at().map(|to| format_duration(to.since(attempt.started_at)));
    let failure = attempt.failure().map(|failure| {
        let kind = if attempt.is_throttled() { "run-step-retry" } else { "run-step-failed" };
        view! { <p class=format!("run-step-notice {kind}")>{format!("{} ({})", failure.message, failure.class)}</p> }
    });
    let status = attempt_status(&attempt);
    view! {
        <li class="run-attempt">
            <p class="run-attempt-line">
                <strong>{attempt_name(&attempt)}</strong>
                <StatusBadge status plain=true/>
                <span class="mono">"at +" {at}</span>
                {took.map(|took| view! { <span class="mono">"took " {took}</span> })}
                {attempt.child().map(|child| view! { <ChildRun project=project.clone() child/> })}
            </p>
            {failure}
            {attempt
                .partial_output
                .filter(|partial| partial.bytes > 0)
                .map(|text| {
                    let project = project.clone();
                    view! { <StoredText project run=run.number label="What it said" text kind=TextKind::Plain/> }
                })}
            {attempt
                .prompt
                .map(|text| {
                    view! { <StoredText project run=run.number label="Exact prompt" text kind=TextKind::Prompt/> }
                })}
        </li>
    }
    .into_any()
}
