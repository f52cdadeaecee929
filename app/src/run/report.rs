//! A printable report of a run: input and output, roles, times and errors of its steps. Rendered on the server only.

use super::words::{attempt_name, run_status, step_status};
use crate::{
    fault::Fault,
    form::sentence,
    ui::{format_count, format_duration, format_iso, format_utc},
};
use domain::{
    event::TextRef,
    id::{RunNumber, StepRunId, Timestamp},
    key::ProjectKey,
    run::{RunState, StepState},
    view::{RunDetail, User},
};
use engine::Engine;
use leptos::{prelude::*, tachys::view::RenderHtml};

/// Maximum number of printed characters, per text and in total.
const TEXT: u32 = 20_000;
const ALL: usize = 1_000_000;
/// Maximum number of printed step runs.
const STEPS: usize = 1_000;

/// A part of the report: a step run with its output, or its partial output instead.
struct Line {
    id: StepRunId,
    output: Option<String>,
    partial: Option<String>,
}

/// Reads the printed texts of a report, within their limit.
struct Texts<'a> {
    engine: &'a Engine,
    user: &'a User,
    project: &'a ProjectKey,
    run: RunNumber,
    left: usize,
}

impl Texts<'_> {
    async fn read(&mut self, text: &TextRef) -> Result<String, Fault> {
        if self.left == 0 {
            return Ok("(left out: the report is as long as it can be)".to_owned());
        }
        let content = self.engine.content(self.user, self.project, self.run, text.id, Some(TEXT)).await?;
        self.left = self.left.saturating_sub(content.text.len());
        Ok(if (content.text.len() as u64) < content.bytes {
            format!("{} …\n(its beginning; it has {} bytes)", content.text, content.bytes)
        } else {
            content.text
        })
    }
}

pub async fn report_html(
    engine: &Engine,
    user: &User,
    project: &ProjectKey,
    detail: RunDetail,
) -> Result<String, Fault> {
    let state = &detail.state;
    let mut texts = Texts { engine, user, project, run: detail.summary.number, left: ALL };
    let input = match &state.input {
        Some(text) => Some(texts.read(text).await?),
        None => None,
    };
    let output = match &state.output {
        Some(output) => Some(texts.read(&output.text).await?),
        None => None,
    };
    let mut lines = Vec::new();
    for id in step_runs(state).take(STEPS) {
        let text = state.step_run(id).and_then(|step| step.output.as_ref());
        // The output of a step with forEach consists of its items' outputs, which are printed separately.
        let text = text.filter(|_| state.step_run(id).is_some_and(|step| step.items.is_none()));
        let output = match text {
            Some(text) => Some(texts.read(text).await?),
            None => None,
        };
        let partial = match state.step_run(id).and_then(StepState::partial_output) {
            Some(text) => Some(texts.read(text).await?),
            None => None,
        };
        lines.push(Line { id, output, partial });
    }
    Ok(crate::session::draw(engine, user, move || drawn(&detail, input, output, lines)).await?)
}

/// Steps in the plan's order, each followed by its items.
fn step_runs(state: &RunState) -> impl Iterator<Item = StepRunId> + '_ {
    state.steps.iter().enumerate().flat_map(|(place, step)| {
        let id = StepRunId::of(place);
        let items = (0..step.item_runs().len() as u32).map(move |item| StepRunId { item: Some(item), ..id });
        std::iter::once(id).chain(items)
    })
}

fn drawn(detail: &RunDetail, input: Option<String>, output: Option<String>, lines: Vec<Line>) -> String {
    let (run, state) = (&detail.summary, &detail.state);
    let left_out = step_runs(state).count().saturating_sub(lines.len());
    let template = format!("{} v{}", run.template.name, run.template.version);
    let tokens =
        format!("{} in, {} out", format_count(run.usage.input_tokens), format_count(run.usage.output_tokens));
    let failure = state.error.as_ref().map(|error| {
        let step = error.step.as_ref().map(|step| format!("{step}: ")).unwrap_or_default();
        view! { <p class="report-error">{format!("{step}{} ({})", error.error.message, error.error.class)}</p> }
    });
    let warnings: Vec<_> =
        state.warnings.iter().map(|warning| view! { <li>{warning.text(state)}</li> }).collect();
    let warnings = (!warnings.is_empty()).then(|| {
        view! {
            <h3>"Warnings"</h3>
            <ul>{warnings}</ul>
        }
    });
    let rows = lines.iter().map(|line| row(state, line)).collect_view();
    let outputs = lines.into_iter().map(|line| told(state, line)).collect_view();
    view! {
        <article class="report" aria-label="Report">
            <header>
                <p class="report-of">{format!("Run {}", run.number)}</p>
                <h2>{template}</h2>
                <dl class="run-facts">
                    {fact("Status", run_status(state).label().to_owned())}
                    {fact("Started by", run.by.clone())}
                    {fact("Started", when(run.created_at))}
                    {run.finished_at.map(|at| fact("Ended", when(at)))}
                    {fact("Took", format_duration(state.elapsed_ms()))}
                    {fact("Tokens", tokens)}
                </dl>
            </header>
            {failure}
            {warnings}
            <h3>"Input"</h3>
            {text(input, "It was given nothing.")}
            <h3>"Output"</h3>
            {text(output, "It has none.")}
            <h3>"Steps"</h3>
            <table class="report-steps">
                <thead>
                    <tr>
                        <th scope="col">"Step"</th>
                        <th scope="col">"Status"</th>
                        <th scope="col">"Role"</th>
                        <th scope="col" class="num">"Attempts"</th>
                        <th scope="col" class="num">"Took"</th>
                        <th scope="col" class="num">"Tokens"</th>
                    </tr>
                </thead>
                <tbody>{rows}</tbody>
            </table>
            {(left_out > 0).then(|| view! { <p class="muted">{format!("{left_out} more step runs are left out.")}</p> })}
            {outputs}
        </article>
    }
    .to_html()
}

fn fact(name: &'static str, value: impl IntoView) -> impl IntoView {
    view! { <div><dt>{name}</dt><dd>{value}</dd></div> }
}

/// The page that shows the report converts this time to the reader's time zone.
fn when(at: Timestamp) -> impl IntoView {
    view! { <time datetime=format_iso(at)>{format_utc(at)}</time> }
}

fn text(text: Option<String>, none: &'static str) -> AnyView {
    match text.filter(|text| !text.is_empty()) {
        // The HTML parser drops a line break right after the tag.
        Some(text) => view! { <pre class="run-text">"\n" {text}</pre> }.into_any(),
        None => view! { <p class="muted">{none}</p> }.into_any(),
    }
}

fn row(state: &RunState, line: &Line) -> AnyView {
    let Some(step) = state.step_run(line.id) else { return ().into_any() };
    let role = step.role.as_ref().map(|role| role.key.to_string()).unwrap_or_default();
    let class = if line.id.item.is_some() { "report-item" } else { "" };
    view! {
        <tr class=class>
            <th scope="row">{state.label(line.id)}</th>
            <td>{step_status(step).label()}</td>
            <td>{role}</td>
            <td class="num">{step.current_try()}</td>
            <td class="num">{took(step)}</td>
            <td class="num">{format_count(step.usage.total())}</td>
        </tr>
    }
    .into_any()
}

fn took(step: &StepState) -> String {
    match (step.reused, step.started_at(), step.finished_at()) {
        (true, ..) => "reused".to_owned(),
        (_, Some(from), Some(to)) => format_duration(to.since(from)),
        _ => String::new(),
    }
}

/// The output of a step, the decisions on it, and its errors.
fn told(state: &RunState, line: Line) -> AnyView {
    let Some(step) = state.step_run(line.id) else { return ().into_any() };
    let failures: Vec<_> = step
        .attempts
        .iter()
        .filter_map(|attempt| {
            let failure = attempt.failure()?;
            Some(format!("{}: {} ({})", attempt_name(attempt), failure.message, failure.class))
        })
        .chain(step.error.as_ref().map(|error| format!("{} ({})", error.message, error.class)))
        .collect();
    let answer = step.question.as_ref().and_then(|question| question.answer.as_ref());
    let answer = answer.map(|answer| sentence(&answer.to_string()));
    let skipped = step.skipped.clone();
    if failures.is_empty()
        && answer.is_none()
        && skipped.is_none()
        && line.output.is_none()
        && line.partial.is_none()
    {
        return ().into_any();
    }
    let partial = line.partial.map(|partial| {
        view! {
            <p>"Said, but not taken as its output:"</p>
            {text(Some(partial), "")}
        }
    });
    view! {
        <section class="report-step">
            <h4>{state.label(line.id)}</h4>
            {skipped.map(|reason| view! { <p>"Skipped: " {reason.to_string()}</p> })}
            {answer.map(|answer| view! { <p>{answer}</p> })}
            {failures.into_iter().map(|failure| view! { <p class="report-error">{failure}</p> }).collect_view()}
            {line.output.map(|output| text(Some(output), ""))}
            {partial}
        </section>
    }
    .into_any()
}
