//! The remaining fields of a step, in collapsible sections. Their open state survives a re-render of the form.

use super::{
    complete::Completing,
    json::JsonField,
    mapping::{Mapping, MappingRows},
    preview::Preview,
    schema::{SchemaBuilder, SchemaOf},
    step::{StepEdit, filled},
};
use crate::{
    form::sentence,
    template::server::Asked,
    ui::{Checkbox, InputKind, Select, SelectOption, TextField},
};
use domain::{
    plan::OnFailure,
    template::{Step, StepType, Uses},
};
use leptos::prelude::*;
use serde_json::Value;

#[component]
pub fn More(edit: StepEdit, step: Step, graph: bool) -> impl IntoView {
    let flow = step.clone();
    let body = step.clone();
    let (input, output) = (step.input_mapping.clone(), step.output_mapping.clone());
    let mapped = input.len() + output.len();
    let flows = [step.condition.is_some(), step.for_each.is_some(), step.parallel_group.is_some()];
    let bodies =
        [step.uses.is_some(), step.with.is_some(), step.output_schema.is_some(), !step.tools.is_empty()];
    let failing = [
        step.max_retries > 0,
        step.timeout.is_some(),
        step.on_failure == OnFailure::Continue,
        step.idempotent,
    ];
    let set = |facts: &[bool]| facts.iter().filter(|fact| **fact).count();
    view! {
        <Fold edit word="flow" title="When it runs" set=set(&flows)>
            <Flow edit step=flow graph/>
        </Fold>
        <Fold edit word="mapping" title="What it reads and gives" set=mapped>
            <MappingRows step=edit mapping=Mapping::Input rows=input/>
            <MappingRows step=edit mapping=Mapping::Output rows=output/>
        </Fold>
        <Fold edit word="body" title="Body and output schema" set=set(&bodies)>
            <Body edit step=body/>
        </Fold>
        <Fold edit word="failing" title="Retries, time and failure" set=set(&failing)>
            <Failing edit step/>
        </Fold>
    }
}

/// A collapsible section; shows the number of its fields that are set.
#[component]
fn Fold(
    edit: StepEdit,
    word: &'static str,
    title: &'static str,
    set: usize,
    children: Children,
) -> impl IntoView {
    let opened = edit.editor.opened;
    let open = opened.with_value(|opened| opened.contains(word));
    let toggled = move |event| {
        let open = event_target::<web_sys::Element>(&event).has_attribute("open");
        opened.update_value(|opened| {
            if open {
                opened.insert(word.to_owned());
            } else {
                opened.remove(word);
            }
        });
    };
    view! {
        <details class="more" open=open on:toggle=toggled>
            <summary>
                {title}
                {(set > 0).then(|| view! { <span class="more-set">{format!("{set} set")}</span> })}
            </summary>
            <div class="step-more">{children()}</div>
        </details>
    }
}

/// Type, order, condition and list of the step.
#[component]
fn Flow(edit: StepEdit, step: Step, graph: bool) -> impl IntoView {
    let condition = RwSignal::new(step.condition.clone().unwrap_or_default());
    let list = RwSignal::new(step.for_each.clone().unwrap_or_default());
    let row = (!graph).then(|| {
        view! {
            <TextField
                label="Parallel group"
                name=edit.id("group")
                value=step.parallel_group.clone().unwrap_or_default()
                hint="Neighbours of one group run together."
                on_input=move |text| edit.edit(|step| step.parallel_group = filled(text))
            />
            <TextField
                label="Order"
                name=edit.id("order")
                kind=InputKind::Number
                value=step.order.map(|order| order.to_string()).unwrap_or_default()
                hint="Empty: its place in the list."
                on_input=move |text: String| edit.edit(|step| step.order = text.parse().ok())
            />
        }
    });
    let kinds = vec![
        SelectOption::new("", "As its fields say"),
        SelectOption::new("sequential", "Sequential"),
        SelectOption::new("parallel", "Parallel"),
        SelectOption::new("conditional", "Conditional"),
    ];
    let kind = match step.step_type {
        None => "",
        Some(StepType::Sequential) => "sequential",
        Some(StepType::Parallel) => "parallel",
        Some(StepType::Conditional) => "conditional",
    };
    let set_kind = move |word: String| {
        edit.edit(|step| {
            step.step_type = match word.as_str() {
                "sequential" => Some(StepType::Sequential),
                "parallel" => Some(StepType::Parallel),
                "conditional" => Some(StepType::Conditional),
                _ => None,
            };
        });
    };
    view! {
        <TextField
            label="Description"
            name=edit.id("description")
            value=step.description.clone().unwrap_or_default()
            on_input=move |text| edit.edit(|step| step.description = filled(text))
            class="wide"
        />
        {row}
        <Select label="Step type" name=edit.id("type") options=kinds value=kind on_change=set_kind/>
        <Completing edit bare=true>
        <TextField
            label="Condition"
            name=edit.id("condition")
            value=step.condition.clone().unwrap_or_default()
            placeholder="context['Score'].value > 7"
            hint="When it is false, the step is skipped and those after it go on."
            mono=true
            on_input=move |text: String| {
                condition.set(text.clone());
                edit.edit(|step| step.condition = filled(text));
            }
        />
        <Preview edit kind=Asked::Condition text=condition/>
        </Completing>
        <Completing edit bare=true>
        <TextField
            label="For each"
            name=edit.id("for-each")
            value=step.for_each.clone().unwrap_or_default()
            placeholder="context.input.files"
            hint="A list: the step runs once per item."
            mono=true
            on_input=move |text: String| {
                list.set(text.clone());
                edit.edit(|step| step.for_each = filled(text));
            }
        />
        <Preview edit kind=Asked::Items text=list/>
        </Completing>
        <TextField
            label="At once, at most"
            name=edit.id("max-parallel")
            kind=InputKind::Number
            min="1"
            value=step.max_parallel.map(|most| most.to_string()).unwrap_or_default()
            hint="For each: how many items run together."
            on_input=move |text: String| edit.edit(|step| step.max_parallel = text.parse().ok())
        />
    }
}

/// Body and output of the step.
#[component]
fn Body(edit: StepEdit, step: Step) -> impl IntoView {
    let wrong = RwSignal::new(None::<String>);
    let set_uses = move |text: String| match text.trim() {
        "" => {
            wrong.set(None);
            edit.edit(|step| step.uses = None);
        }
        text => match Uses::parse(text) {
            Ok(uses) => {
                wrong.set(None);
                edit.edit(|step| step.uses = Some(uses));
            }
            Err(error) => wrong.set(Some(sentence(&error.to_string()))),
        },
    };
    let set_with = Callback::new(move |value: Option<Value>| {
        edit.edit(|step| step.with = value.and_then(|value| value.as_object().cloned()));
    });
    let set_tools = move |text: String| {
        let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
        let tools = words.map(str::to_owned).collect();
        edit.edit(|step| step.tools = tools);
    };
    view! {
        <TextField
            label="Uses"
            name=edit.id("uses")
            value=step.uses.as_ref().map(ToString::to_string).unwrap_or_default()
            placeholder="empty for a prompt"
            hint="component:KEY, tool:NAME, template:KEY, agent, approval, aggregate or decompose."
            error=wrong
            mono=true
            on_input=set_uses
        />
        <TextField
            label="Tools"
            name=edit.id("tools")
            value=step.tools.join(", ")
            hint="Names, separated by commas."
            mono=true
            on_input=set_tools
        />
        <JsonField
            id=edit.id("with")
            label="With"
            value=step.with.clone().map(Value::Object)
            hint="The arguments of uses, as a JSON object."
            on_change=set_with
        />
        <div class="wide" role="group" aria-label="Output schema">
            <span class="field-label">"Output schema"</span>
            <SchemaBuilder
                editor=edit.editor
                of=SchemaOf::Output(edit.index)
                none="The output is text. Add a field for each value that later steps shall read of it."
            />
        </div>
    }
}

/// Failure handling of the step.
#[component]
fn Failing(edit: StepEdit, step: Step) -> impl IntoView {
    let choices = vec![
        SelectOption::new("fail", "The run fails"),
        SelectOption::new("continue", "The run goes on without its output"),
    ];
    let chosen = if step.on_failure == OnFailure::Continue { "continue" } else { "fail" };
    let set = move |word: String| {
        let on_failure = if word == "continue" { OnFailure::Continue } else { OnFailure::Fail };
        edit.edit(|step| step.on_failure = on_failure);
    };
    let retries = if step.max_retries == 0 { String::new() } else { step.max_retries.to_string() };
    view! {
        <TextField
            label="Retries"
            name=edit.id("retries")
            kind=InputKind::Number
            min="0"
            max="100"
            value=retries
            hint="How often a failed attempt is tried again."
            on_input=move |text: String| edit.edit(|step| step.max_retries = text.parse().unwrap_or_default())
        />
        <TextField
            label="Timeout in milliseconds"
            name=edit.id("timeout")
            kind=InputKind::Number
            min="1"
            value=step.timeout.map(|timeout| timeout.to_string()).unwrap_or_default()
            hint="Per attempt. Empty: 10 minutes."
            on_input=move |text: String| edit.edit(|step| step.timeout = text.parse().ok())
        />
        <Select label="When it fails for good" name=edit.id("on-failure") options=choices value=chosen on_change=set/>
        <Checkbox
            label="May safely run twice"
            name=edit.id("idempotent")
            checked=step.idempotent
            hint="Then a server that restarts in the middle tries it again without asking."
            on_change=move |on| edit.edit(|step| step.idempotent = on)
        />
    }
}
