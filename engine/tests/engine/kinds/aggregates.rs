//! Aggregates: one strict call of `final`.

use super::{output, template};
use crate::stage::Stage;
use domain::error::ErrorClass;
use scripted::{Fault, Rule};
use serde_json::json;

/// D3: an aggregate weighs normalised candidates and answers with one call of `final`; its error is the step's error.
#[tokio::test]
async fn an_aggregate_makes_one_final_call() {
    let stage = Stage::new().await;
    let steps = "
  - {name: One, prompt: ONE, parallelGroup: all}
  - {name: Two, prompt: TWO, parallelGroup: all, onFailure: continue}
  - {name: Best, uses: aggregate}
";
    stage.models.script(vec![
        Rule::fault(Fault::status(401)).last_user("TWO").times(1),
        Rule::text(r#"{"function": "final", "args": {"text": "One it is."}}"#)
            .last_user("### Results")
            .times(1),
        Rule::text("I would rather chat.").last_user("### Results"),
    ]);
    let detail = stage.run(&template("best", steps), json!({})).await;
    assert_eq!(output(&stage, &detail).await, "One it is.");
    let asked = stage.asked(0).pop().unwrap();
    assert!(asked.contains(r#""name": "One""#) && asked.contains(r#""withoutResult": ["#), "{asked}");
    let key = stage.template(&template("best-again", steps)).await;
    let launched = stage.launch(&key, json!({})).await;
    let detail = stage.end(launched.run).await;
    let error = detail.state.error.unwrap();
    assert_eq!((error.step.as_deref(), error.error.class), (Some("Best"), ErrorClass::InvalidOutput));
}
