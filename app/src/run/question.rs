//! What waits for a person: the question, what it is about, and the answer. It stands wherever the run's status does, and
//! gives way when somebody has answered.

use super::{
    rows::Rows,
    server::AnswerStep,
    text::{TextKind, drawn, indented, read_whole},
};
use crate::{
    fault::{self, Fault},
    form::{FaultNotice, error_at, fault_of},
    live::LiveRun,
    load::parse,
    ui::{Button, ButtonKind, ButtonVariant, RelativeTime, TextArea, TimeLeft, use_toasts},
};
use domain::{event::Decision, id::StepRunId, key::ProjectKey, view::Content};
use leptos::{form::ActionForm, prelude::*};
use serde_json::Value;
use std::sync::Arc;

/// How many questions of one run are shown at once.
const SHOWN: usize = 5;

#[component]
pub fn Questions(
    project: ProjectKey,
    run: LiveRun,
    may_edit: bool,
    /// Whose answers are heard: what an answer came to is told although its question is gone by then. None: as long as
    /// these questions are there.
    #[prop(optional)]
    heard_by: Option<Owner>,
) -> impl IntoView {
    let heard_by = heard_by.or_else(Owner::current).unwrap_or_default();
    let ids = Memo::new(move |_| run.state.read().waiting.iter().copied().take(SHOWN).collect::<Vec<_>>());
    let more = Memo::new(move |_| run.state.read().waiting.len().saturating_sub(SHOWN));
    let row = move |id| {
        view! { <Asked project=project.clone() run id may_edit heard_by=heard_by.clone()/> }.into_any()
    };
    view! {
        <Rows ids row=Arc::new(row)/>
        {move || {
            let more = more.get();
            (more > 0)
                .then(|| view! { <p class="question-more">{more} " more wait for an answer after these."</p> })
        }}
    }
    .into_any()
}

#[component]
fn Asked(project: ProjectKey, run: LiveRun, id: StepRunId, may_edit: bool, heard_by: Owner) -> impl IntoView {
    let asked = run.state.with_untracked(|state| {
        let question = state.step_run(id)?.question.clone()?;
        Some((state.label(id), question))
    });
    let Some((label, question)) = asked else { return ().into_any() };
    let words = read_whole(project.clone(), run.number, &question.question);
    let proposal = read_whole(project.clone(), run.number, &question.proposal);
    let limit = question.until.map(|until| {
        let words =
            if question.on_timeout == Decision::Reject { "Rejects by itself" } else { "Approves by itself" };
        view! { <TimeLeft at=until words/> }
    });
    let shown = move || match proposal.get() {
        None => {
            view! { <pre class="run-text" tabindex="0">{question.proposal.head.clone()} "…"</pre> }.into_any()
        }
        // Nothing is proposed but to go on.
        Some(Ok(content)) if content.text == "true" => ().into_any(),
        Some(Ok(content)) => drawn(&content.text, TextKind::Json, true),
        Some(Err(fault)) => {
            view! { <p class="run-text-fault" role="alert">{fault.to_string()}</p> }.into_any()
        }
    };
    let (title, head) = (format!("{label} waits for a person"), question.question.head.clone());
    view! {
        <section class="question" aria-label=title>
            <p class="question-head">
                <span><strong>{label}</strong> " waits for a decision"</span>
                <span class="muted">"asked " <RelativeTime at=question.asked_at/></span>
                {limit}
            </p>
            <p class="question-words">
                {move || match words.get() {
                    Some(Ok(content)) => content.text,
                    _ => head.clone(),
                }}
            </p>
            {shown}
            {if may_edit {
                view! { <AnswerForm project run id proposal heard_by/> }.into_any()
            } else {
                view! { <p class="muted">"An editor of the project answers it."</p> }.into_any()
            }}
        </section>
    }
    .into_any()
}

#[component]
fn AnswerForm(
    project: ProjectKey,
    run: LiveRun,
    id: StepRunId,
    proposal: ReadSignal<Option<fault::Result<Content>>>,
    heard_by: Owner,
) -> impl IntoView {
    let answer = heard_by.with(ServerAction::<AnswerStep>::new);
    let fault = fault_of(answer);
    let busy = Signal::derive(move || answer.pending().get() || matches!(answer.value().get(), Some(Ok(()))));
    let toasts = use_toasts();
    heard_by.with(|| {
        Effect::new(move |_| {
            // Somebody else was faster: this form is about to go, so it is said where it stays.
            if let Some(Err(fault @ Fault::Conflict { .. })) = answer.value().get() {
                toasts.error(fault.to_string());
            }
        });
    });
    let changing = RwSignal::new(false);
    let output = RwSignal::new(String::new());
    // The proposal as it is changed: a text as text, any other value as JSON.
    let editable = Memo::new(move |_| {
        let proposal = proposal.read();
        let content = proposal.as_ref()?.as_ref().ok()?;
        match parse::<Value>(&content.text).ok()? {
            Value::String(text) => Some((text, true)),
            value => Some((indented(&value), false)),
        }
    });
    let change = move || {
        if let Some((text, _)) = editable.get_untracked() {
            output.set(text);
            changing.update(|changing| *changing = !*changing);
        }
    };
    let place = format!("{}-{id}", run.number);
    let output_id = format!("output-{place}");
    view! {
        <ActionForm action=answer attr:class="question-form">
            <input type="hidden" name="project" value=project.to_string()/>
            <input type="hidden" name="run" value=run.number.to_string()/>
            <input type="hidden" name="step" value=id.to_string()/>
            <FaultNotice fault fields=&["output"]/>
            {move || {
                changing
                    .get()
                    .then(|| {
                        let is_text = editable.read_untracked().as_ref().is_some_and(|(_, text)| *text);
                        view! {
                            <input type="hidden" name="as_text" value=is_text.to_string()/>
                            <TextArea
                                label="What the step gives instead"
                                name="output"
                                id=output_id.clone()
                                bind=output
                                rows=6
                                mono=!is_text
                                hint=if is_text { "Text, as it goes on." } else { "JSON." }
                                error=error_at(fault, "output")
                            />
                        }
                    })
            }}
            <TextArea label="Note" name="note" id=format!("note-{place}") rows=1 optional=true/>
            <div class="question-actions">
                {move || {
                    let (label, decision) =
                        if changing.get() { ("Approve as changed", "edit") } else { ("Approve", "approve") };
                    view! {
                        <Button kind=ButtonKind::Submit variant=ButtonVariant::Primary name="decision" value=decision busy>
                            {label}
                        </Button>
                    }
                }}
                <Button kind=ButtonKind::Submit name="decision" value="reject" busy>
                    "Reject"
                </Button>
                <Button
                    variant=ButtonVariant::Ghost
                    disabled=Signal::derive(move || editable.read().is_none())
                    on_click=change
                >
                    {move || if changing.get() { "Keep the proposal" } else { "Change…" }}
                </Button>
            </div>
        </ActionForm>
    }
    .into_any()
}
