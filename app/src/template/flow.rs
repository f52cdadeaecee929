//! A template's steps as text: wave by wave, with the steps of a wave next to each other.

use crate::{
    form::sentence,
    ui::{Badge, Glyph, Icon, Tone, format_duration},
};
use domain::{
    plan::{Body, Plan},
    template::{Step, Template},
};
use leptos::prelude::*;

#[component]
pub fn Flow(document: Template, plan: Plan, #[prop(into)] chosen: Signal<Option<usize>>) -> impl IntoView {
    let waves = plan.steps.iter().map(|step| step.wave + 1).max().unwrap_or(0);
    let names: Vec<_> = document.steps.iter().map(|step| step.name.clone()).collect();
    let wave = |number: u32| {
        let members = plan
            .steps
            .iter()
            .zip(&document.steps)
            .enumerate()
            .filter(move |(_, (planned, _))| planned.wave == number);
        let cards: Vec<_> = members
            .map(|(index, (planned, step))| {
                let waits: Vec<_> = planned
                    .depends_on
                    .iter()
                    .filter_map(|&index| names.get(index as usize).cloned())
                    .collect();
                view! { <FlowStep index step=step.clone() body=planned.body waits chosen/> }
            })
            .collect();
        let together = cards.len() > 1;
        view! {
            <li class="flow-wave">
                <span class="flow-number" aria-hidden="true">
                    {number + 1}
                </span>
                <div class="flow-steps">
                    {together.then(|| view! { <p class="flow-together">{format!("{} at once", cards.len())}</p> })}
                    {cards}
                </div>
            </li>
        }
    };
    view! { <ol class="flow" role="list">{(0..waves).map(wave).collect_view()}</ol> }
}

/// The element id of the step.
pub fn step_id(index: usize) -> String {
    format!("step-text-{index}")
}

#[component]
fn FlowStep(
    index: usize,
    step: Step,
    body: Body,
    waits: Vec<String>,
    chosen: Signal<Option<usize>>,
) -> impl IntoView {
    let prompt = step.prompt.clone().filter(|prompt| !prompt.trim().is_empty());
    let said = step.description.clone().map(|text| sentence(text.trim()));
    let facts = [
        step.condition.as_ref().map(|condition| format!("only if {condition}")),
        step.for_each.as_ref().map(|list| format!("for each of {list}")),
        (step.max_retries == 1).then(|| "1 retry".to_owned()),
        (step.max_retries > 1).then(|| format!("{} retries", step.max_retries)),
        step.timeout.map(|timeout| format!("times out after {}", format_duration(timeout))),
        step.output_schema.as_ref().map(|_| "structured output".to_owned()),
    ];
    let facts = facts.into_iter().flatten().map(|fact| view! { <Badge>{fact}</Badge> }).collect_view();
    let uses = step.uses.as_ref().map(ToString::to_string);
    let uses = uses.map(|uses| view! { <Badge tone=Tone::Accent>{uses}</Badge> });
    let role = body.needs_role().then(|| {
        view! {
            <span class="flow-role" title="Chosen when the template is executed">
                <Icon glyph=Glyph::Roles/>
                "takes a role"
            </span>
        }
    });
    let after = (waits.len() > 1 || step.depends_on.is_some()) && !waits.is_empty();
    view! {
        <article
            class="flow-step"
            class:flow-step-chosen=move || chosen.get() == Some(index)
            id=step_id(index)
        >
            <header class="flow-step-head">
                <h2 class="flow-step-name">{step.name.clone()}</h2>
                {uses}
                {facts}
                {role}
            </header>
            {said.map(|text| view! { <p class="flow-step-text">{text}</p> })}
            {after.then(|| view! { <p class="flow-step-after">{format!("After {}", waits.join(", "))}</p> })}
            {prompt
                .map(|prompt| {
                    view! {
                        <details class="more">
                            <summary>"Prompt"</summary>
                            <pre class="flow-prompt mono">{prompt}</pre>
                        </details>
                    }
                })}
        </article>
    }
}
