//! The JSON shapes of the REST interface that differ from those of `domain::view`: times are texts here (RFC 3339,
//! with milliseconds), and the fields are a stable contract.

mod comparison;
mod event;
mod lists;
mod run;

pub use comparison::{Comparison, ComparisonEntry, VerdictShape};
pub use event::{delta, event};
pub use lists::{
    Found, InboxItem, Message, Role, RunFile, RunSummary, Task, TemplateDetail, TemplateRef, TemplateSummary,
};
pub use run::Run;

use domain::{id::Timestamp, problem::Problem, usage::Usage, view};
use serde::{Serialize, Serializer};

/// A point in time, formatted as `2026-01-31T12:00:00.000Z`.
pub struct Time(pub Timestamp);

impl Time {
    pub fn text(&self) -> String {
        let time = jiff::Timestamp::from_millisecond(self.0.0).unwrap_or_default();
        format!("{time:.3}")
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text())
    }
}

/// Token usage. The cost is in US dollars, and omitted unless all of it is known.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UsageShape {
    input_tokens: u64,
    output_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    cost: Option<f64>,
}

impl From<Usage> for UsageShape {
    fn from(usage: Usage) -> Self {
        let Usage { input_tokens, output_tokens, cost } = usage;
        Self { input_tokens, output_tokens, cost: cost.map(|cost| cost.0 as f64 / 1e9) }
    }
}

/// The effects of a launch, computed before it.
#[derive(Serialize)]
pub struct LaunchPreview {
    steps: Vec<view::StepPreview>,
    warnings: Vec<String>,
    errors: Vec<Problem>,
    #[serde(skip_serializing_if = "Option::is_none")]
    estimate: Option<Estimate>,
}

/// The usage of past runs, at the current prices of the chosen models.
#[derive(Serialize)]
struct Estimate {
    runs: u32,
    usage: UsageShape,
}

impl From<view::LaunchPreview> for LaunchPreview {
    fn from(preview: view::LaunchPreview) -> Self {
        let view::LaunchPreview { steps, warnings, errors, estimate } = preview;
        let estimate =
            estimate.map(|estimate| Estimate { runs: estimate.runs, usage: estimate.usage.into() });
        Self { steps, warnings, errors, estimate }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_milliseconds_always() {
        assert_eq!(Time(Timestamp(0)).text(), "1970-01-01T00:00:00.000Z");
        assert_eq!(Time(Timestamp(1_767_225_600_120)).text(), "2026-01-01T00:00:00.120Z");
    }
}
