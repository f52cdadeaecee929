//! The value of an expression with the data of a past run, for the expression's author.

use super::mapped::Mapped;
use crate::{Engine, Error, Result, User, store::runs};
use domain::{
    access::Permission,
    expression::{Context, ExpressionError, Item},
    id::RunNumber,
    key::{ProjectKey, TemplateKey},
    run::StepStatus,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// How much of a value is shown, in characters.
const SHOWN: usize = 400;
/// How many of the newest runs are searched for one that has ended.
const LOOKED_AT: u32 = 20;

/// Where an expression is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expression {
    /// A mapping's text.
    Value,
    Condition,
    /// The list of a forEach.
    Items,
}

impl Engine {
    /// Evaluates the expression with the data of the template's newest ended run, or of its newest run if none has
    /// ended; `None` if the template has no run. `for_each`: the list whose first item becomes `item`. The inner error
    /// is the expression's, in words for its author.
    pub async fn preview_expression(
        &self,
        user: &User,
        project: &ProjectKey,
        template: &TemplateKey,
        kind: Expression,
        text: &str,
        for_each: Option<&str>,
    ) -> Result<Option<(RunNumber, std::result::Result<String, String>)>> {
        let project = self.authorise(user, project, Permission::Viewer).await?;
        let db = self.0.store.read();
        let newest = runs::list(db, project, None, Some(template), u32::MAX, LOOKED_AT).await?;
        let mut chosen = None;
        for row in newest {
            let ended = row.summary()?.finished_at.is_some();
            if ended || chosen.is_none() {
                chosen = Some(row);
            }
            if ended {
                break;
            }
        }
        let Some(row) = chosen else { return Ok(None) };
        let run = row.id();
        let state = self.state_of(&row).await?;
        let compiled = self.compiled_of_run(&row, &state.plan).await?;
        let input = self.stored_text(run, row.snapshot.0.input).await?;
        let input: Value = serde_json::from_str(&input).map_err(Error::internal)?;
        let (mut outputs, mut mapped) = (BTreeMap::new(), Mapped::default());
        for (index, (step, planned)) in state.steps.iter().zip(&state.plan.steps).enumerate() {
            let written = compiled.template.steps[index].output_mapping.keys();
            let wanted = std::iter::once(&planned.name).chain(written).any(|name| {
                text.contains(name.as_str()) || for_each.is_some_and(|list| list.contains(name.as_str()))
            });
            let output = match (step.status, &step.output) {
                _ if !wanted => continue,
                (StepStatus::Completed, Some(output)) => {
                    let text = self.stored_text(run, output.id).await?;
                    let output = compiled.outputs[index].of_stored(output.json, text)?;
                    let planned = &compiled.template.steps[index];
                    if let Ok(written) = compiled.evaluator.output_mapping(planned, &output) {
                        mapped.write(&state.plan, index, written);
                    }
                    output
                }
                (StepStatus::Skipped | StepStatus::Failed, _) => Value::Null,
                _ => continue,
            };
            outputs.insert(planned.name.clone(), output);
        }
        let conversation = json!([]);
        let context = Context {
            input: &input,
            outputs: &outputs,
            mapped: mapped.values(),
            conversation: &conversation,
            item: None,
        };
        let _turn = self.0.turns.take(user).await?;
        let evaluate = || -> std::result::Result<Value, ExpressionError> {
            let evaluator = &compiled.evaluator;
            let first = match (kind, for_each) {
                (Expression::Value | Expression::Condition, Some(list)) => {
                    // A condition decides about the step as a whole, but knowing the first item does not hurt it.
                    evaluator.items(list, &context).ok().and_then(|items| items.into_iter().next())
                }
                _ => None,
            };
            let index = json!(0);
            let item = first.as_ref().map(|value| Item { value, index: &index });
            let context = Context { item, ..context };
            match kind {
                Expression::Value => evaluator.value(text, &context),
                Expression::Condition => evaluator.condition(text, &context).map(Value::Bool),
                Expression::Items => evaluator.items(text, &context).map(Value::Array),
            }
        };
        // An author's expression may loop up to its limit.
        let given = compiled.evaluate(usize::MAX, evaluate);
        Ok(Some((row.summary()?.number, given.map(|value| shown(&value)).map_err(|error| error.to_string()))))
    }
}

fn shown(value: &Value) -> String {
    let text = match value {
        Value::Array(items) if !items.is_empty() => format!("{} items: {value}", items.len()),
        other => other.to_string(),
    };
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
