//! Differences between a step as a past run executed it and as a launch would execute it now. If there are any, the old
//! output is stale.
//!
//! Two things are not compared: the conversation, because a run sees only the messages before it, which never change;
//! and fields that only say when, how often or how many at once a step runs.

use super::super::compiled::CompiledTemplate;
use domain::{
    fork::RerunReason,
    template::{Step, Uses},
};
use serde_json::{Map, Value};

/// Fields of a step that do not affect its output.
const WITHOUT_EFFECT: [&str; 11] = [
    "name",
    "order",
    "stepType",
    "parallelGroup",
    "dependsOn",
    "maxParallel",
    "maxRetries",
    "timeout",
    "onFailure",
    "idempotent",
    // The mapping is applied again to a reused output.
    "outputMapping",
];

/// A template version and an input for it.
pub(super) struct Given<'r> {
    pub compiled: &'r CompiledTemplate,
    pub version: u32,
    pub input: &'r Value,
}

/// Why the step, at index `was` in the past run and `is` now, would be executed differently now.
pub(super) fn change(before: &Given<'_>, now: &Given<'_>, was: u32, is: u32) -> Option<RerunReason> {
    let fields = changed_fields(before, now, was, is);
    if !fields.is_empty() {
        return Some(RerunReason::Definition { fields, version: now.version });
    }
    let reads = &now.compiled.reads[is as usize];
    if reads.whole_input && before.input != now.input {
        return Some(RerunReason::Input { field: None });
    }
    let changed = reads.input_fields.iter().find(|field| before.input.get(field) != now.input.get(field));
    if let Some(field) = changed {
        return Some(RerunReason::Input { field: Some(field.clone()) });
    }
    let mapped = |name: &&String| writers(before.compiled, name) != writers(now.compiled, name);
    let name = reads.mapped.iter().find(mapped)?.clone();
    Some(RerunReason::Mapping { name, version: now.version })
}

fn changed_fields(before: &Given<'_>, now: &Given<'_>, was: u32, is: u32) -> Vec<String> {
    let (old, new) =
        (&before.compiled.template.steps[was as usize], &now.compiled.template.steps[is as usize]);
    if old == new && !weighs_upstream(new) {
        return Vec::new();
    }
    let (old_fields, new_fields) = (fields(old), fields(new));
    let names = old_fields.keys().chain(new_fields.keys().filter(|name| !old_fields.contains_key(*name)));
    let mut changed: Vec<_> =
        names.filter(|name| old_fields.get(*name) != new_fields.get(*name)).cloned().collect();
    if weighs_upstream(new) && upstream(before.compiled, was) != upstream(now.compiled, is) {
        changed.push("dependsOn".to_owned());
    }
    changed
}

fn fields(step: &Step) -> Map<String, Value> {
    let Ok(Value::Object(mut fields)) = serde_json::to_value(step) else { return Map::new() };
    fields.retain(|name, _| !WITHOUT_EFFECT.contains(&name.as_str()));
    // A step with a prompt sends the prompt only, not the description.
    if step.prompt.is_some() {
        fields.remove("description");
    }
    fields
}

/// Whether the step is an aggregate that weighs the steps that it depends on.
fn weighs_upstream(step: &Step) -> bool {
    step.uses == Some(Uses::Aggregate)
        && step.argument("candidates").is_none()
        && step.input_mapping.is_empty()
}

fn upstream(compiled: &CompiledTemplate, step: u32) -> Vec<&str> {
    let steps = &compiled.plan.steps;
    steps[step as usize].depends_on.iter().map(|on| steps[*on as usize].name.as_str()).collect()
}

/// The steps that write this context name, with the written expressions; the last one wins.
fn writers<'c>(compiled: &'c CompiledTemplate, name: &str) -> Vec<(&'c str, &'c Value)> {
    let steps = compiled.template.steps.iter().zip(&compiled.plan.steps).enumerate();
    let mut writers: Vec<_> = steps
        .filter_map(|(place, (step, planned))| {
            Some(((planned.wave, place), step.name.as_str(), step.output_mapping.get(name)?))
        })
        .collect();
    writers.sort_unstable_by_key(|(order, ..)| *order);
    writers.into_iter().map(|(_, step, expression)| (step, expression)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::template::{Format, parse};
    use serde_json::json;

    fn compiled(steps: &str) -> CompiledTemplate {
        let source = format!("apiVersion: troupe/v1\nkey: k\nname: K\nsteps:\n{steps}");
        CompiledTemplate::new(parse(&source, Format::Yaml).unwrap(), &std::sync::Arc::default()).unwrap()
    }

    /// Why the last step of `now` would be executed differently than in `before`.
    fn last(before: &str, now: &str, input: &Value) -> Option<String> {
        let (old, new) = (compiled(before), compiled(now));
        let last = |compiled: &CompiledTemplate| compiled.plan.steps.len() as u32 - 1;
        let (was, is) = (last(&old), last(&new));
        let given = json!({"q": 1, "other": [1]});
        let before = Given { compiled: &old, version: 1, input: &given };
        let now = Given { compiled: &new, version: 2, input };
        change(&before, &now, was, is).map(|reason| reason.to_string())
    }

    #[test]
    fn what_made_an_output_counts_and_nothing_else() {
        let same = json!({"other": [1], "q": 1});
        let step = |more: &str| format!("  - {{name: A, prompt: 'a {{{{ context.input.q }}}}', {more}}}\n");
        let plain = step("");
        for (more, changed) in [
            ("", None),
            ("maxRetries: 3, timeout: 50, onFailure: continue", None),
            ("description: only for readers", None),
            ("outputMapping: {x: '{{ output }}'}", None),
            ("outputSchema: {type: string}", Some("outputSchema changed in version 2")),
            ("inputMapping: {m: 1}", Some("inputMapping changed in version 2")),
            ("condition: 'context.input.q > 0'", Some("condition changed in version 2")),
        ] {
            assert_eq!(last(&plain, &step(more), &same).as_deref(), changed, "{more}");
        }
        assert_eq!(last(&plain, &plain, &json!({"q": 1, "other": 2})), None, "it does not read that");
        assert_eq!(last(&plain, &plain, &json!({"q": 2})).as_deref(), Some("reads input.q, which changed"));
        let whole = "  - {name: A, prompt: '{{ context.input }}'}\n";
        assert_eq!(
            last(whole, whole, &json!({"q": 1, "other": 2})).as_deref(),
            Some("reads the input, which changed")
        );
    }

    #[test]
    fn mapped_names_and_weighed_steps_count() {
        let same = json!({"q": 1, "other": [1]});
        let reader = |expression: &str| {
            format!(
                "  - {{name: W, prompt: w, outputMapping: {{x: '{expression}'}}}}\n  - {{name: R, prompt: '{{{{ context.x }}}}'}}\n"
            )
        };
        let (upper, plain) = (reader("{{ output | upper }}"), reader("{{ output }}"));
        assert_eq!(last(&plain, &plain, &same), None);
        assert_eq!(
            last(&plain, &upper, &same).as_deref(),
            Some("reads context.x, which is mapped differently in version 2")
        );
        let weighed = |on: &str| {
            format!(
                "  - {{name: A, prompt: a, dependsOn: []}}\n  - {{name: B, prompt: b, dependsOn: []}}\n  - {{name: C, uses: aggregate, dependsOn: [{on}]}}\n"
            )
        };
        assert_eq!(last(&weighed("A, B"), &weighed("A, B"), &same), None);
        assert_eq!(
            last(&weighed("A, B"), &weighed("A"), &same).as_deref(),
            Some("dependsOn changed in version 2")
        );
    }
}
