//! Every kind of step other than the plain prompt: forEach, approval, aggregate, child runs, files; and forks.

mod aggregates;
mod approvals;
mod children;
mod files;
mod forks;
mod items;
use crate::stage::Stage;
use domain::{event::Decision, view::RunDetail};
use engine::{AnswerDraft, Fork};
use serde_json::Value;

fn template(key: &str, steps: &str) -> String {
    format!("apiVersion: troupe/v1\nkey: {key}\nname: {key}\nsteps:\n{steps}")
}

/// The complete text of a run's output.
async fn output(stage: &Stage, detail: &RunDetail) -> String {
    let output = detail.state.output.as_ref().unwrap_or_else(|| panic!("{:?}", detail.state.error));
    stage.content(detail.summary.number, output.text.id).await
}

fn fork(from: &str) -> Fork {
    Fork { from_step: from.to_owned(), ..Fork::default() }
}

const CHAIN: &str = "
  - {name: A, prompt: 'A {{ context.input.x }}'}
  - {name: B, prompt: 'B {{ context.A }}'}
  - {name: C, prompt: 'C {{ context.B }}'}
";

const APPROVAL: &str = "
  - {name: Draft, prompt: DRAFT}
  - name: Check
    uses: approval
    prompt: 'Is this good enough for {{ context.input.who }}?'
    inputMapping: {draft: '{{ context.Draft }}'}
  - {name: Publish, prompt: 'PUBLISH {{ context.Check }}'}
";

fn answer(decision: Decision, output: Option<Value>, text: &str) -> AnswerDraft {
    let text = Some(text.to_owned()).filter(|text| !text.is_empty());
    AnswerDraft { step_run: "1".to_owned(), decision, output, text }
}

const FAN: &str = "
  - name: List
    prompt: LIST
    outputSchema: {type: array, items: {type: string}}
  - name: Each
    forEach: context.List
    maxParallel: 2
    prompt: 'EACH {{ index }} {{ item }}'
  - name: Join
    prompt: \"JOIN {{ context.Each | join('+') }}\"
";
