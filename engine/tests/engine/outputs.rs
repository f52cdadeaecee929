//! Steps whose answer must meet a schema: requested in the provider's structured mode, checked by the engine anyway,
//! and retried with the reason.

use crate::stage::{Stage, status};
use domain::{
    error::ErrorClass,
    event::EventKind,
    run::{RunStatus, StepStatus},
};
use scripted::{Finish, Rule};
use serde_json::json;

const GRADED: &str = "
apiVersion: troupe/v1
key: graded
name: Graded
output: '{{ context.Praise }}'
steps:
  - name: Grade
    prompt: GRADE it
    maxRetries: 2
    outputSchema:
      type: object
      required: [score, reasons]
      properties:
        score: {type: integer, minimum: 0, maximum: 10}
        reasons: {type: array, items: {type: string}}
    outputMapping: {best: '{{ output.reasons[0] }}'}
  - name: Praise
    condition: context.Grade.score > 7
    prompt: 'PRAISE {{ context.Grade.score }} {{ context.best }}'
  - name: Blame
    condition: context['Grade'].score <= 7
    prompt: BLAME
";

const GOOD: &str = r#"{"score": 9, "reasons": ["short", "clear"]}"#;

#[tokio::test]
async fn an_answer_that_breaks_its_schema_is_asked_for_again_with_the_reason() {
    let stage = Stage::new().await;
    stage.models.script(vec![
        Rule::text("I give it a nine.").last_user("GRADE").times(1).usage(100, 10),
        Rule::text(r#"{"score": 90, "reasons": []}"#).last_user("GRADE").times(1),
        Rule::text(format!("Here you are:\n```json\n{GOOD}\n```")).last_user("GRADE"),
        Rule::text("well done: {{last_user}}"),
    ]);
    let detail = stage.run(GRADED, json!({})).await;
    assert_eq!(status(&detail), RunStatus::Completed);
    let states: Vec<_> = detail.state.steps.iter().map(|step| step.status).collect();
    assert_eq!(states, [StepStatus::Completed, StepStatus::Completed, StepStatus::Skipped]);
    let output = detail.state.output.as_ref().unwrap();
    assert!(output.shown.contains("PRAISE 9 short"), "typed fields and mappings are read: {}", output.shown);

    let ledger = stage.models.ledger();
    assert_eq!(ledger.len(), 4, "three times asked for the grade, once for praise");
    let asked: Vec<_> = ledger.iter().map(|entry| entry.messages.last().unwrap().content.as_str()).collect();
    assert!(!asked[0].contains("refused") && asked[0].contains(r#""maximum":10"#), "{}", asked[0]);
    assert!(asked[1].contains("refused: the answer is not JSON"), "{}", asked[1]);
    assert!(asked[2].contains("output.score") && asked[2].contains("refused"), "{}", asked[2]);
    assert_eq!(ledger[0].format.as_ref().unwrap()["required"], json!(["score", "reasons"]));
    assert_eq!(ledger[3].format, None, "a step without a schema answers in text");

    let kinds = stage.kinds(detail.summary.number).await;
    assert_eq!(kinds.iter().filter(|kind| **kind == "stepFailed").count(), 2);
    let events = stage.events(detail.summary.number).await;
    let refused = events.iter().find_map(|event| match &event.kind {
        EventKind::StepFailed { error, retry_at, .. } => Some((error.clone(), *retry_at)),
        _ => None,
    });
    let (error, retry_at) = refused.unwrap();
    assert_eq!(error.class, ErrorClass::InvalidOutput);
    assert!(retry_at.is_some());

    // Rejected answers can be read, and their usage is counted.
    let said = detail.state.steps[0].attempts[0].partial_output.as_ref().unwrap();
    assert_eq!(stage.content(detail.summary.number, said.id).await, "I give it a nine.");
    let spent = |kind: &EventKind| match kind {
        EventKind::PartialOutput { usage, .. } => Some(usage.total()),
        EventKind::Finished { usage, .. } => Some(usage.total()),
        _ => None,
    };
    let spent: Vec<_> = events.iter().filter_map(|event| spent(&event.kind)).collect();
    assert_eq!((spent.len(), spent[0]), (4, 110));
    assert_eq!(detail.state.usage.total(), spent.iter().sum::<u64>());
}

#[tokio::test]
async fn a_schema_that_no_model_can_meet_fails_the_step_with_its_reason() {
    let stage = Stage::new().await;
    stage.models.script(vec![Rule::text(r#"{"score": 9}"#)]);
    let source = "
apiVersion: troupe/v1
key: never
name: Never
steps:
  - name: Grade
    prompt: GRADE it
    maxRetries: 1
    outputSchema: {type: object, properties: {score: {type: integer, minimum: 5, maximum: 4}}}
";
    let detail = stage.run(source, json!({})).await;
    assert_eq!(status(&detail), RunStatus::Failed);
    let failure = detail.state.error.unwrap();
    assert_eq!((failure.error.class, failure.step.as_deref()), (ErrorClass::InvalidOutput, Some("Grade")));
    assert!(failure.error.message.contains("output.score"), "{}", failure.error.message);
    assert_eq!(stage.models.ledger().len(), 2);
}

#[tokio::test]
async fn an_answer_cut_at_its_token_limit_is_no_output_under_a_schema() {
    let stage = Stage::new().await;
    stage.models.script(vec![Rule::text(r#"{"score": 9}"#).finish(Finish::Length)]);
    let source = "
apiVersion: troupe/v1
key: cut
name: Cut
steps:
  - name: Grade
    prompt: GRADE it
    outputSchema: {type: object}
";
    let detail = stage.run(source, json!({})).await;
    assert_eq!(status(&detail), RunStatus::Failed);
    let failure = detail.state.error.unwrap().error;
    assert_eq!(failure.class, ErrorClass::Truncated);
    assert!(failure.message.contains("token limit"), "{}", failure.message);
}

#[tokio::test]
async fn a_structured_output_is_still_structured_after_a_restart() {
    let stage = Stage::new().await;
    stage.models.script(vec![Rule::text(GOOD).last_user("GRADE"), Rule::text("{{last_user}}").hold(0)]);
    let key = stage.template(GRADED).await;
    let launched = stage.launch(&key, json!({})).await;
    stage.models.wait_for(|ledger| ledger.len() == 2).await;
    let stage = stage.restart().await;
    stage.models.wait_for(|ledger| ledger.len() == 3).await;
    stage.models.release();
    let detail = stage.end(launched.run).await;
    assert_eq!(status(&detail), RunStatus::Completed);
    let ledger = stage.models.ledger();
    assert_eq!(ledger.len(), 3, "the grade was not asked for again");
    assert!(ledger[2].messages[0].content.contains("PRAISE 9 short"));
}
