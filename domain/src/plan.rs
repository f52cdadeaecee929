//! The plan of a template: its steps as one graph, with everything that planning and drawing need.
//!
//! A plan carries no prompts and no expressions, so it is small enough to be part of a run's first event. A plan made
//! by `template::compile` is acyclic, its indexes are those of the document's steps, and every step's wave is greater
//! than the waves of the steps it depends on.

use serde::{Deserialize, Serialize};

/// A template compiled to a graph. The index of a step here is its index in the document.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    pub steps: Vec<PlannedStep>,
}

/// One step, without its texts.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlannedStep {
    pub name: String,
    #[serde(default, skip_serializing_if = "is_default")]
    pub body: Body,
    /// Indexes of the steps that this step depends on, ascending, without repetition.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<u32>,
    /// Whether the step has a condition to evaluate before it starts.
    #[serde(default, skip_serializing_if = "is_default")]
    pub condition: bool,
    /// Whether the step runs once per item of a list.
    #[serde(default, skip_serializing_if = "is_default")]
    pub for_each: bool,
    /// Maximum number of items that run at once; unlimited if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_parallel: Option<u32>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub max_retries: u32,
    /// Time limit per attempt in milliseconds, without the time in a queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub on_failure: OnFailure,
    #[serde(default, skip_serializing_if = "is_default")]
    pub idempotent: bool,
    /// The step's depth in the graph: 0 without dependencies, else one more than the deepest dependency.
    #[serde(default, skip_serializing_if = "is_default")]
    pub wave: u32,
    /// The document's `parallelGroup`, for drawing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
}

/// The effect of a step's final failure on the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OnFailure {
    #[default]
    Fail,
    /// The step's output is null and the run continues, with a warning.
    Continue,
}

/// The kind of work that a step does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Body {
    #[default]
    Prompt,
    Component,
    Tool,
    Template,
    Agent,
    Approval,
    Aggregate,
    Decompose,
}

impl Body {
    /// Whether the step needs a role; only such steps take part in role resolution.
    pub fn needs_role(self) -> bool {
        match self {
            Body::Prompt | Body::Component | Body::Agent | Body::Aggregate | Body::Decompose => true,
            Body::Tool | Body::Template | Body::Approval => false,
        }
    }
}

impl PlannedStep {
    /// Whether a role assignment to `name` applies to this step or, as `Step/Step of the child`, to a step of its
    /// child run.
    pub fn takes(&self, name: &str) -> bool {
        let below = name.strip_prefix(self.name.as_str());
        below.is_some_and(|below| below.is_empty() || (self.body == Body::Template && below.starts_with('/')))
    }
}

impl Plan {
    /// For every step, the indexes of the steps that depend on it, ascending.
    pub fn dependents(&self) -> Vec<Vec<u32>> {
        let mut dependents = vec![Vec::new(); self.steps.len()];
        for (index, step) in (0u32..).zip(&self.steps) {
            for &dependency in &step.depends_on {
                if let Some(waiting) = dependents.get_mut(dependency as usize) {
                    waiting.push(index);
                }
            }
        }
        dependents
    }

    /// The index of the step with this name.
    pub fn position(&self, name: &str) -> Option<u32> {
        (0u32..).zip(&self.steps).find(|(_, step)| step.name == name).map(|(index, _)| index)
    }

    /// The steps that no other step depends on, in document order.
    pub fn sinks(&self) -> Vec<u32> {
        (0u32..)
            .zip(self.dependents())
            .filter(|(_, waiting)| waiting.is_empty())
            .map(|(index, _)| index)
            .collect()
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(name: &str, depends_on: &[u32]) -> PlannedStep {
        PlannedStep { name: name.into(), depends_on: depends_on.into(), ..PlannedStep::default() }
    }

    #[test]
    fn defaults_take_no_room() {
        let plan =
            Plan { steps: vec![step("A", &[]), PlannedStep { wave: 1, max_retries: 2, ..step("B", &[0]) }] };
        let json = serde_json::to_string(&plan).unwrap();
        assert_eq!(json, r#"{"steps":[{"name":"A"},{"name":"B","dependsOn":[0],"maxRetries":2,"wave":1}]}"#);
        assert_eq!(serde_json::from_str::<Plan>(&json).unwrap(), plan);
    }

    #[test]
    fn dependents_and_sinks() {
        let plan = Plan { steps: vec![step("A", &[]), step("B", &[0]), step("C", &[0]), step("D", &[])] };
        assert_eq!(plan.dependents(), vec![vec![1, 2], vec![], vec![], vec![]]);
        assert_eq!(plan.sinks(), vec![1, 2, 3]);
        assert_eq!(plan.position("C"), Some(2));
    }
}
