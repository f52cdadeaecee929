//! C4: launching a run and waiting for its end in one request (`Prefer: wait`, RFC 7240).

use crate::stage::Stage;
use reqwest::{Method, RequestBuilder, Response, StatusCode, header};
use scripted::{Fault, Rule};
use serde_json::{Value, json};

const CHECKED: &str = "
apiVersion: troupe/v1
key: checked
name: Checked
steps:
  - {name: Check, uses: approval, prompt: Good enough?, inputMapping: {draft: a draft}}
  - {name: Publish, prompt: PUBLISH}
";

/// The run ends in the commit that stores it.
const NOTHING: &str = "
apiVersion: troupe/v1
key: nothing
name: Nothing
steps:
  - {name: Never, prompt: x, condition: 'false'}
";

const REVIEW: &str = "review";

fn execute(stage: &Stage, template: &str, prefer: &str) -> RequestBuilder {
    let path = format!("/api/v1/projects/lab/templates/{template}/execute");
    let input = if template == REVIEW { json!({ "code": "x" }) } else { json!({}) };
    stage.api(Method::POST, &path).header("prefer", prefer).json(&json!({ "input": input }))
}

async fn template(stage: &Stage, source: &str) {
    let made = stage.put_template(Method::POST, "/api/v1/projects/lab/templates", source).await;
    assert_eq!(made.status(), 201, "{}", made.text().await.unwrap());
}

/// The finished run in the response: the same document as a later read returns.
async fn finished(stage: &Stage, response: Response) -> Value {
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["preference-applied"], "wait");
    let place = response.headers()[header::CONTENT_LOCATION].to_str().unwrap().to_owned();
    let run: Value = response.json().await.unwrap();
    assert_eq!(place, format!("/api/v1/projects/lab/runs/{}", run["number"]));
    assert_eq!(run, stage.get(&place).await);
    run
}

/// The acknowledgement of a run that continues.
async fn acknowledged(response: Response) -> Value {
    assert_eq!(response.status(), StatusCode::ACCEPTED);
    assert!(response.headers().get("preference-applied").is_none());
    let place = response.headers()[header::LOCATION].to_str().unwrap().to_owned();
    let launched: Value = response.json().await.unwrap();
    assert_eq!(place, format!("/api/v1/projects/lab/runs/{}", launched["run"]));
    launched
}

#[tokio::test]
async fn the_answer_is_the_finished_run() {
    let stage = Stage::furnished().await;
    stage.models.script(vec![Rule::text("said by {{model}}").usage(10, 3)]);
    for prefer in ["wait", "respond-async, wait=30"] {
        let run = finished(&stage, execute(&stage, REVIEW, prefer).send().await.unwrap()).await;
        assert_eq!(
            (&run["status"], &run["output"]),
            (&json!("completed"), &json!("said by general_worker-model"))
        );
        assert_eq!(run["usage"], json!({ "inputTokens": 20, "outputTokens": 6 }));
    }
    // An invalid preference is ignored.
    acknowledged(execute(&stage, REVIEW, "wait=soon").send().await.unwrap()).await;
}

#[tokio::test]
async fn a_run_that_fails_is_finished_too() {
    let stage = Stage::furnished().await;
    stage.models.script(vec![Rule::fault(Fault::status(401))]);
    let run = finished(&stage, execute(&stage, REVIEW, "wait").send().await.unwrap()).await;
    assert_eq!((&run["status"], &run["error"]["step"]), (&json!("failed"), &json!("Analyze")));
    let bad =
        stage.api(Method::POST, "/api/v1/projects/lab/templates/review/execute").header("prefer", "wait");
    assert_eq!(stage.refused(bad.json(&json!({ "input": 1 }))).await.0, 422);
}

#[tokio::test]
async fn a_run_that_ends_at_once() {
    let stage = Stage::furnished().await;
    template(&stage, NOTHING).await;
    let run = finished(&stage, execute(&stage, "nothing", "wait").send().await.unwrap()).await;
    assert_eq!((&run["status"], &run["steps"][0]["status"]), (&json!("completed"), &json!("skipped")));
    assert!(stage.models.ledger().is_empty());
}

#[tokio::test]
async fn a_run_that_needs_a_person_is_acknowledged_when_the_time_is_over() {
    let stage = Stage::furnished().await;
    template(&stage, CHECKED).await;
    let launched = acknowledged(execute(&stage, "checked", "wait=1").send().await.unwrap()).await;
    let shown = stage.get(&format!("/api/v1/projects/lab/runs/{}", launched["run"])).await;
    assert_eq!(shown["status"], "waiting");
    acknowledged(execute(&stage, "checked", "wait=0").send().await.unwrap()).await;
}

/// A run that waits for a person is not in memory; a client that waits for its end is notified nevertheless.
#[tokio::test]
async fn a_run_that_was_answered_in_time_is_finished() {
    let stage = Stage::furnished().await;
    template(&stage, CHECKED).await;
    let request = execute(&stage, "checked", "wait").header("idempotency-key", "once");
    let waiting = tokio::spawn(request.send());
    let mut stream = loop {
        // The stream exists only once the run is stored.
        let path = "/api/v1/projects/lab/runs/1/events";
        let stream = stage.api(Method::GET, path).header(header::ACCEPT, "text/event-stream");
        let stream = stream.send().await.unwrap();
        if stream.status() == StatusCode::OK {
            break stream;
        }
        tokio::task::yield_now().await;
    };
    let mut heard = String::new();
    while !heard.contains("event: waiting") {
        heard.push_str(&String::from_utf8_lossy(&stream.chunk().await.unwrap().unwrap()));
    }
    // A client that launches it again waits for the same end.
    let again = tokio::spawn(execute(&stage, "checked", "wait").header("idempotency-key", "once").send());
    let answer = json!({ "stepRun": "0", "decision": "approve" });
    stage.made("/api/v1/projects/lab/runs/1/answer", &answer).await;
    let run = finished(&stage, waiting.await.unwrap().unwrap()).await;
    assert_eq!((&run["status"], &run["output"]), (&json!("completed"), &json!("PUBLISH")));
    assert_eq!(finished(&stage, again.await.unwrap().unwrap()).await, run);
    let after = execute(&stage, "checked", "wait").header("idempotency-key", "once");
    assert_eq!(finished(&stage, after.send().await.unwrap()).await, run);
    let other = execute(&stage, REVIEW, "wait").header("idempotency-key", "once");
    assert_eq!(stage.refused(other).await.0, 409);
}

#[tokio::test]
async fn a_client_that_goes_away_leaves_the_run_as_it_is() {
    let stage = Stage::furnished().await;
    stage.models.script(vec![Rule::text("done").hold(0)]);
    let waiting = tokio::spawn(execute(&stage, REVIEW, "wait").send());
    stage.models.wait_for(|calls| calls.len() == 1).await;
    waiting.abort();
    assert!(waiting.await.unwrap_err().is_cancelled());
    stage.models.script(vec![Rule::text("done")]);
    stage.models.release();
    assert_eq!(stage.ended(&json!(1)).await["output"], "done");
}

#[tokio::test]
async fn a_server_that_stops_does_not_keep_its_callers() {
    let mut stage = Stage::furnished().await;
    stage.models.script(vec![Rule::text("done").hold(0)]);
    let waiting = tokio::spawn(execute(&stage, REVIEW, "wait").send());
    stage.models.wait_for(|calls| calls.len() == 1).await;
    stage.stop().await;
    acknowledged(waiting.await.unwrap().unwrap()).await;
}

/// F6
#[tokio::test]
async fn the_description_says_so() {
    let stage = Stage::new().await;
    let described = stage.get("/api/v1/openapi.json").await;
    let execute = &described["paths"]["/api/v1/projects/{project}/templates/{template}/execute"]["post"];
    let parameters = execute["parameters"].as_array().unwrap();
    assert!(parameters.iter().any(|parameter| parameter["in"] == "header" && parameter["name"] == "Prefer"));
    let finished = &execute["responses"]["200"];
    assert!(finished["headers"]["Preference-Applied"].is_object());
    assert_eq!(finished["content"]["application/json"]["schema"]["$ref"], "#/components/schemas/Run");
}
