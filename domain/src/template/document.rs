//! The template document as data: the fields of the JSON and YAML formats, in the order in which they are written.
//!
//! These types describe only the shape. `template::check` validates limits, names, flow and expressions.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::key::{ComponentKey, TemplateKey};
use crate::{decision::Decision, plan::OnFailure};

/// The only version of the document format.
pub const API_VERSION: &str = "troupe/v1";

/// A workflow that names no roles.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Template {
    /// Always [`API_VERSION`] in a checked document.
    pub api_version: String,
    pub key: TemplateKey,
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// A JSON Schema of the run's input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Value>,
    /// An expression for the run's output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    pub steps: Vec<Step>,
}

/// One node of a template. Role assignments and `context[name]` refer to it by its name.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Step {
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step_type: Option<StepType>,
    /// An empty list differs from `None`: it makes the template a graph.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub depends_on: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parallel_group: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub for_each: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_parallel: Option<u32>,
    /// Name to expression; a value that is not a text is a literal.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub input_mapping: Map<String, Value>,
    /// Context key to expression over `output`; a value that is not a text is a literal.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub output_mapping: Map<String, Value>,
    /// A JSON Schema of the step's output. Without it the output is text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_schema: Option<Value>,
    /// The step's body; a prompt when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uses: Option<Uses>,
    /// Arguments of `uses`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub with: Option<Map<String, Value>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<String>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub max_retries: u32,
    /// Time limit per attempt in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<u64>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub on_failure: OnFailure,
    #[serde(default, skip_serializing_if = "is_default")]
    pub idempotent: bool,
}

impl Step {
    /// `with: {files: true}` on a prompt: the prompt includes the current files, and the answer contains files and
    /// edits.
    pub fn writes_files(&self) -> bool {
        self.uses.is_none() && self.argument("files") == Some(&Value::Bool(true))
    }

    /// `with: {onTimeout: approve | reject}` on an approval: the decision of its time limit, reject by default.
    pub fn on_timeout(&self) -> Decision {
        match self.argument("onTimeout").and_then(Value::as_str) {
            Some("approve") => Decision::Approve,
            _ => Decision::Reject,
        }
    }

    /// An argument of the step's body, as written in the document.
    pub fn argument(&self, name: &str) -> Option<&Value> {
        self.with.as_ref()?.get(name)
    }
}

/// How a step takes part in a template without `dependsOn`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum StepType {
    Sequential,
    Parallel,
    Conditional,
}

/// A step's body other than a prompt, serialised as `agent` or `component:KEY`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Uses {
    Component(ComponentKey),
    Tool(String),
    Template(TemplateKey),
    Agent,
    Approval,
    Aggregate,
    Decompose,
}

/// Why a text is not a valid body of a step.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UsesError(String);

impl Uses {
    /// Parses the text of `uses`.
    pub fn parse(text: &str) -> Result<Self, UsesError> {
        let (word, argument) = match text.split_once(':') {
            Some((word, argument)) => (word, Some(argument.trim())),
            None => (text, None),
        };
        let bad_key = |error| UsesError(format!("'{text}': {error}"));
        match (word.trim(), argument) {
            ("agent", None) => Ok(Uses::Agent),
            ("approval", None) => Ok(Uses::Approval),
            ("aggregate", None) => Ok(Uses::Aggregate),
            ("decompose", None) => Ok(Uses::Decompose),
            ("component", Some(key)) => ComponentKey::parse(key).map(Uses::Component).map_err(bad_key),
            ("template", Some(key)) => TemplateKey::parse(key).map(Uses::Template).map_err(bad_key),
            ("tool", Some(name)) if is_tool_name(name) => Ok(Uses::Tool(name.to_owned())),
            ("tool", Some(_)) => Err(UsesError(format!(
                "'{text}': a tool's name has letters, digits, '.', '_', '-' and '/' only, at most 128 of them"
            ))),
            (word @ ("component" | "template" | "tool"), None) => {
                Err(UsesError(format!("'{text}' names none: write {word}:NAME")))
            }
            _ => Err(UsesError(format!(
                "'{text}' is no body of a step: write component:KEY, tool:NAME, template:KEY, agent, approval, \
                 aggregate or decompose, or leave 'uses' out for a prompt"
            ))),
        }
    }
}

/// Whether a text is a valid tool name.
pub fn is_tool_name(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/');
    (1..=128).contains(&text.len()) && text.chars().all(allowed)
}

impl fmt::Display for Uses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Uses::Component(key) => write!(f, "component:{key}"),
            Uses::Tool(name) => write!(f, "tool:{name}"),
            Uses::Template(key) => write!(f, "template:{key}"),
            Uses::Agent => f.write_str("agent"),
            Uses::Approval => f.write_str("approval"),
            Uses::Aggregate => f.write_str("aggregate"),
            Uses::Decompose => f.write_str("decompose"),
        }
    }
}

impl TryFrom<String> for Uses {
    type Error = UsesError;
    fn try_from(text: String) -> Result<Self, UsesError> {
        Uses::parse(&text)
    }
}

impl From<Uses> for String {
    fn from(uses: Uses) -> String {
        uses.to_string()
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
