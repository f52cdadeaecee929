//! One run's result of a step, and its difference from the first run.

use super::{columns::Table, server::draw_difference};
use crate::{
    live::LiveRun,
    load::ask_in_browser,
    run::{
        steps::{LiveOutput, time},
        text::{StoredText, TextKind},
        words::{attempt_words, step_status},
    },
    ui::{RoleChip, StatusBadge, format_count},
};
use domain::id::{RunNumber, StepRunId};
use leptos::{ev, prelude::*};

#[component]
pub fn StepCell(table: Table, column: usize, run: LiveRun, name: String) -> impl IntoView {
    let place =
        run.state.with_untracked(|state| state.plan.steps.iter().position(|planned| planned.name == name));
    let Some(place) = place else {
        return view! { <div class="compare-cell muted">"No such step."</div> }.into_any();
    };
    let id = StepRunId::of(place);
    let step = run.step(id);
    let max_retries = run.state.with_untracked(|state| state.plan.steps[place].max_retries);
    let status = Memo::new(move |_| step.with(step_status));
    let role = Memo::new(move |_| step.read().role.clone());
    let output = Memo::new(move |_| step.read().output.clone());
    let failure = move || step.read().failure().map(|failure| failure.message.clone());
    let project = table.project;
    let number = run.number;
    let first = table.runs.with_value(|runs| runs[0]);
    let differs = (column > 0).then(|| view! { <Difference table first other=number name output/> });
    view! {
        <div class="compare-cell" role="group" aria-label=format!("Run {}", number.0)>
            <p class="compare-facts">
                <StatusBadge status icon_only=true/>
                {move || role.get().map(|role| {
                    let fallback = role.reason.is_fallback();
                    view! {
                        <RoleChip role=role.key.to_string() fallback/>
                        <span class="compare-model mono">{role.model.to_string()}</span>
                    }
                })}
                <span>{move || time(run, &step.read())}</span>
                {move || {
                    let usage = step.read().usage;
                    let total = usage.total();
                    let cost = usage.cost.map(|cost| view! { <span>{cost.short()}</span> });
                    (total > 0).then(|| view! { <span>{format_count(total)} " tok"</span> {cost} })
                }}
                {move || attempt_words(&step.read(), max_retries).map(|words| view! { <span>{words}</span> })}
            </p>
            {move || failure().filter(|_| output.read().is_none()).map(|text| {
                view! { <p class="run-step-notice run-step-failed">{text}</p> }
            })}
            <LiveOutput run id step/>
            {move || output.get().map(|text| {
                view! {
                    <StoredText
                        project=project.get_value()
                        run=number
                        label="Output"
                        text
                        kind=TextKind::Plain
                        open=table.open
                    />
                }
            })}
            {differs}
        </div>
    }
    .into_any()
}

/// Requested once both runs have an output, and again when either output changes.
#[component]
fn Difference(
    table: Table,
    first: LiveRun,
    other: RunNumber,
    name: String,
    output: Memo<Option<domain::event::TextRef>>,
) -> impl IntoView {
    let place =
        first.state.with_untracked(|state| state.plan.steps.iter().position(|planned| planned.name == name));
    let before = Memo::new(move |_| {
        let state = first.state.read();
        state.steps.get(place?)?.output.as_ref().map(|output| output.id)
    });
    let after = Memo::new(move |_| output.read().as_ref().map(|output| output.id));
    let open = RwSignal::new(table.open);
    let toggled = move |event: ev::Event| {
        open.set(event_target::<web_sys::Element>(&event).has_attribute("open"));
    };
    let name = StoredValue::new(name);
    let drawn = ask_in_browser(move || {
        let wanted = before.get().is_some() && after.get().is_some() && open.get();
        async move {
            if !wanted {
                return None;
            }
            Some(draw_difference(table.project.get_value(), first.number, other, name.get_value()).await)
        }
    });
    let label = format!("Differences from run {}", first.number.0);
    move || {
        let both = before.get().is_some() && after.get().is_some();
        let label = label.clone();
        both.then(|| {
            view! {
                <details class="stored-text compare-difference" open=open.get_untracked() on:toggle=toggled>
                    <summary>{label}</summary>
                    {move || match drawn.get().flatten() {
                        None => None,
                        Some(Ok(None)) => {
                            Some(view! { <p class="muted">"They are the same."</p> }.into_any())
                        }
                        Some(Ok(Some(html))) => Some(view! { <div inner_html=html></div> }.into_any()),
                        Some(Err(fault)) => {
                            let text = fault.to_string();
                            Some(view! { <p class="run-text-fault" role="alert">{text}</p> }.into_any())
                        }
                    }}
                </details>
            }
        })
    }
}
