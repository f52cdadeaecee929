//! A step that weighs the results of other steps: a model call whose answer is one strict call of `final`.

use domain::{
    expression::{Context, Evaluator, ExpressionError},
    plan::PlannedStep,
    template::Step,
};
use serde_json::{Map, Value, json};

/// The prompt of an aggregate that has none.
const RECONCILE: &str = "Several workers were given the same task. Weigh their results against each other, settle where \
                         they differ, and give one final answer. Use nothing but what stands in the results.";

/// The prompt: the step's question, then the results.
pub fn prompt(
    evaluator: &Evaluator,
    step: &Step,
    mapped: &Map<String, Value>,
    plan: &[PlannedStep],
    context: &Context<'_>,
) -> Result<String, ExpressionError> {
    let candidates = candidates(evaluator, step, mapped, plan, context)?;
    let question = if step.prompt.is_some() || step.description.is_some() {
        evaluator.question(step, mapped, context)?
    } else {
        RECONCILE.to_owned()
    };
    Ok(format!("{question}\n\n### Results\n\n{candidates:#}"))
}

/// The results that an aggregate weighs, normalised: a list of `{name, output}` with trimmed texts; those without an
/// output are omitted and named at the end. The source is the argument `candidates`, else the mapped inputs, else the
/// steps that this step depends on.
fn candidates(
    evaluator: &Evaluator,
    step: &Step,
    mapped: &Map<String, Value>,
    plan: &[PlannedStep],
    context: &Context<'_>,
) -> Result<Value, ExpressionError> {
    let given = evaluator.arguments(step, context)?.remove("candidates");
    let named: Vec<(String, Value)> = match given {
        Some(Value::Array(items)) => {
            (1..).zip(items).map(|(number, item)| (format!("Result {number}"), item)).collect()
        }
        Some(Value::Object(map)) => map.into_iter().collect(),
        Some(other) => vec![("Result".to_owned(), other)],
        None if !mapped.is_empty() => mapped.clone().into_iter().collect(),
        None => {
            let own = plan.iter().find(|planned| planned.name == step.name);
            let upstream = own.into_iter().flat_map(|own| &own.depends_on);
            let names = upstream.filter_map(|&index| plan.get(index as usize)).map(|planned| &planned.name);
            names.map(|name| (name.clone(), context.outputs.get(name).cloned().unwrap_or_default())).collect()
        }
    };
    let (mut results, mut absent) = (Vec::new(), Vec::new());
    for (name, output) in named {
        let output = match output {
            Value::String(text) => Value::from(text.trim()),
            other => other,
        };
        match output {
            Value::Null => absent.push(name),
            Value::String(text) if text.is_empty() => absent.push(name),
            output => results.push(json!({ "name": name, "output": output })),
        }
    }
    if results.is_empty() {
        return Err(ExpressionError {
            path: "candidates".to_owned(),
            line: None,
            message: "there is nothing to aggregate: none of them has an output".to_owned(),
        });
    }
    Ok(if absent.is_empty() {
        json!(results)
    } else {
        json!({ "results": results, "withoutResult": absent })
    })
}
