//! Open questions of a run: the question, the proposal, and the answer form. Shown wherever the run's status is, and
//! removed once answered.

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
use domain::{
    event::{Decision, TextRef},
    id::{RunNumber, StepRunId},
    key::ProjectKey,
    plan::PlannedStep,
    run::{Question, RunState},
    view::Content,
};
use leptos::{form::ActionForm, prelude::*};
use serde_json::Value;
use std::sync::Arc;

/// Maximum number of questions of one run shown at once.
const SHOWN: usize = 5;

#[component]
pub fn Questions(
    project: ProjectKey,
    run: LiveRun,
    may_edit: bool,
    /// The owner of the answer actions. It must outlive the question, so that the result of an answer is reported
    /// although its question is gone. Defaults to the calling component.
    #[prop(optional)]
    heard_by: Option<Owner>,
) -> impl IntoView {
    let heard_by = heard_by.or_else(Owner::current).unwrap_or_default();
    let ids = Memo::new(move |_| {
        let state = run.state.read();
        state.waiting.union(&state.asking).copied().take(SHOWN).collect::<Vec<_>>()
    });
    let more = Memo::new(move |_| {
        let state = run.state.read();
        (state.waiting.len() + state.asking.len()).saturating_sub(SHOWN)
    });
    let row = move |id| {
        let (project, heard_by) = (project.clone(), heard_by.clone());
        // A child run may ask several questions in turn.
        let asked = Memo::new(move |_| {
            let state = run.state.read();
            let question = state.step_run(id).and_then(|step| step.child_question.as_ref());
            question.map(|question| (question.run, question.step, question.asked_at))
        });
        let drawn = move || {
            asked.track();
            view! { <Asked project=project.clone() run id may_edit heard_by=heard_by.clone()/> }
        };
        drawn.into_any()
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
        let (step, planned) = (state.step_run(id)?, state.plan.steps.get(id.index())?);
        if let Some(asked) = &step.child_question {
            let label = format!("{}: {} of run {}", state.label(id), asked.name, asked.run);
            let question = Question::from(&**asked);
            let wordless = question.question.head == asked.name;
            return Some(((asked.run, asked.step), label, question, wordless, Vec::new()));
        }
        let question = step.question.clone()?;
        // If the step only asks to continue, the decision is about the preceding outputs.
        let before = if question.proposal.head == "true" { before(state, planned) } else { Vec::new() };
        // A step without a prompt uses its name as the question.
        let wordless = question.question.head == planned.name;
        Some(((run.number, id), state.label(id), question, wordless, before))
    });
    let Some(((asking, id), label, question, wordless, before)) = asked else { return ().into_any() };
    let words = read_whole(project.clone(), asking, &question.question);
    let proposal = read_whole(project.clone(), asking, &question.proposal);
    let shown = (question.proposal.head != "true").then(|| to_read(proposal, &question.proposal.head, true));
    let before = before.into_iter().map(|(name, text)| {
        let read = read_whole(project.clone(), run.number, &text);
        view! {
            <div>
                <p class="muted">{name}</p>
                {to_read(read, &text.head, text.json)}
            </div>
        }
    });
    let before = before.collect_view();
    let limit = question.until.map(|until| {
        let words =
            if question.on_timeout == Decision::Reject { "Rejects by itself" } else { "Approves by itself" };
        view! { <TimeLeft at=until words/> }
    });
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
                    _ if wordless => "It asks nothing in particular: once it is approved, the run goes on.".to_owned(),
                    Some(Ok(content)) => content.text,
                    _ => head.clone(),
                }}
            </p>
            {shown}
            {before}
            {if may_edit {
                view! { <AnswerForm project run=asking id proposal heard_by/> }.into_any()
            } else {
                view! { <p class="muted">"An editor of the project answers it."</p> }.into_any()
            }}
        </section>
    }
    .into_any()
}

/// The texts before a step: the outputs of the steps it depends on, or the run's input.
fn before(state: &RunState, planned: &PlannedStep) -> Vec<(String, TextRef)> {
    let outputs = planned.depends_on.iter().filter_map(|on| {
        let output = state.steps.get(*on as usize)?.output.clone()?;
        Some((format!("{} gave", state.plan.steps[*on as usize].name), output))
    });
    let mut before: Vec<_> = outputs.take(SHOWN).collect();
    if before.is_empty() {
        // An empty input is not shown.
        let input = state.input.clone().filter(|input| input.head != "{}");
        before.extend(input.map(|input| ("The run was given".to_owned(), input)));
    }
    before
}

/// A text to decide on: its head, until the rest is loaded.
fn to_read(
    read: ReadSignal<Option<fault::Result<Content>>>,
    head: &str,
    json: bool,
) -> impl Fn() -> AnyView + Send + use<> {
    let head = if json { beginning(head) } else { head.to_owned() };
    move || match read.get() {
        None => view! { <pre class="run-text" tabindex="0">{head.clone()} "…"</pre> }.into_any(),
        Some(Ok(content)) => drawn(&content.text, TextKind::Plain, json),
        Some(Err(fault)) => {
            view! { <p class="run-text-fault" role="alert">{fault.to_string()}</p> }.into_any()
        }
    }
}

/// The readable head of a JSON value: a string without its quotes and escapes.
fn beginning(head: &str) -> String {
    // The head may end within an escape sequence.
    let ends = (0..6).filter_map(|less| head.get(..head.len().checked_sub(less)?));
    ends.filter_map(|head| parse::<String>(&format!("{head}\"")).ok())
        .next()
        .unwrap_or_else(|| head.to_owned())
}

#[component]
fn AnswerForm(
    project: ProjectKey,
    /// The run with the question, which may be a child of the shown run.
    run: RunNumber,
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
            // Another user answered first. This form is about to be removed, so a toast reports it.
            if let Some(Err(fault @ Fault::Conflict { .. })) = answer.value().get() {
                toasts.error(fault.to_string());
            }
        });
    });
    let changing = RwSignal::new(false);
    let output = RwSignal::new(String::new());
    // The proposal for editing: a string as text, any other value as JSON.
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
    let place = format!("{run}-{id}");
    let output_id = format!("output-{place}");
    view! {
        <ActionForm action=answer attr:class="question-form">
            <input type="hidden" name="project" value=project.to_string()/>
            <input type="hidden" name="run" value=run.to_string()/>
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_of_a_text_is_read_without_its_quotes() {
        for (head, shown) in [
            (r#""A bridge.\nOf st"#, "A bridge.\nOf st"),
            (r#""It ends within \"#, "It ends within "),
            (r#""or within \u00"#, "or within "),
            (r#"{"score": "a"#, r#"{"score": "a"#),
            ("tru", "tru"),
        ] {
            assert_eq!(beginning(head), shown, "{head}");
        }
    }
}
