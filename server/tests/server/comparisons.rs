//! Comparisons by REST: launched together, read side by side, judged, totalled (C7).

use crate::stage::Stage;
use reqwest::{Method, header};
use scripted::Rule;
use serde_json::{Value, json};

const COMPARE: &str = "/api/v1/projects/lab/templates/review/compare";
const KEPT: &str = "/api/v1/projects/lab/comparisons";

/// Numbers of two ended runs of the template on one input.
async fn two(stage: &Stage) -> (Value, Value) {
    let step =
        stage.get("/api/v1/projects/lab/templates/review").await["document"]["steps"][0]["name"].clone();
    let step = step.as_str().unwrap();
    let body = json!({
        "input": {"code": "fn main() {}"},
        "assignments": [{step: "general_worker"}, {step: "senior"}],
    });
    // The maximum length of a key.
    let key = "k".repeat(200);
    let ask = |body: &Value| stage.api(Method::POST, COMPARE).header("idempotency-key", &key).json(body);
    let launch = || ask(&body);
    let response = launch().send().await.unwrap();
    assert_eq!(response.status(), 202);
    let location = response.headers()[header::LOCATION].to_str().unwrap().to_owned();
    let started: Value = response.json().await.unwrap();
    let again: Value = launch().send().await.unwrap().json().await.unwrap();
    assert_eq!(started, again, "a lost answer: the same again launches nothing");
    let mut more = body.clone();
    more["assignments"].as_array_mut().unwrap().push(json!({step: "senior"}));
    assert_eq!(ask(&more).send().await.unwrap().status(), 409, "another request under the same key");
    let [one, other] = [0, 1].map(|place| started["launched"][place]["run"].clone());
    assert_eq!(location, format!("{KEPT}/{one},{other}"));
    assert_eq!(started["launched"][0]["taskId"], started["launched"][1]["taskId"]);
    for run in [&one, &other] {
        assert_eq!(stage.ended(run).await["status"], "completed");
    }
    (one, other)
}

#[tokio::test]
async fn one_input_and_two_assignments_are_launched_read_and_judged() {
    let stage = Stage::furnished().await;
    stage.models.script(vec![Rule::text("{{model}} says so")]);
    let (one, other) = two(&stage).await;
    let list = stage.get(KEPT).await;
    assert_eq!((&list["items"][0]["runs"], &list["next"]), (&json!([one, other]), &Value::Null));
    assert!(list["items"][0]["createdAt"].as_str().unwrap().ends_with('Z'));

    // In the order of the URL, step by step.
    let there = stage.get(&format!("{KEPT}/{other},{one}")).await;
    assert_eq!([&there["runs"][0]["number"], &there["runs"][1]["number"]], [&other, &one]);
    assert!(there["runs"][0]["usage"]["inputTokens"].is_u64());
    let steps = there["steps"].as_array().unwrap();
    let planned = stage.get(&format!("/api/v1/projects/lab/runs/{one}")).await["steps"].clone();
    assert_eq!(steps.len(), planned.as_array().unwrap().len());
    let step = steps[0]["name"].as_str().unwrap();
    assert_eq!(step, planned[0]["name"]);
    let roles = [0, 1].map(|column| steps[0]["runs"][column]["role"]["key"].clone());
    assert_eq!(roles, [json!("senior"), json!("general_worker")]);
    assert_eq!(steps[0]["runs"][0]["output"], "senior-model says so");
    assert_eq!(there["verdicts"], json!([]));

    let verdict = format!("{KEPT}/{one},{other}/verdict");
    let judge = async |body: Value| {
        let response = stage.api(Method::PUT, &verdict).json(&body).send().await.unwrap();
        assert_eq!(response.status(), 200);
        response.json::<Value>().await.unwrap()
    };
    judge(json!({"step": step, "winner": one})).await;
    let all = judge(json!({"step": step, "winner": other, "note": "clearer"})).await;
    let said = &all["items"][0];
    assert_eq!(all["items"].as_array().unwrap().len(), 1, "the later one stands in place of the first");
    assert_eq!((&said["winner"], &said["note"], &said["mine"]), (&other, &json!("clearer"), &json!(true)));
    assert_eq!(stage.get(&format!("{KEPT}/{one},{other}")).await["verdicts"], all["items"]);

    let totals = stage.get(&format!("{KEPT}/totals?template=review")).await;
    let senior = totals["roles"].as_array().unwrap().iter().find(|total| total["role"] == "senior").unwrap();
    assert_eq!((&senior["step"], &senior["score"]), (&json!(step), &json!({"won": 1, "lost": 0, "same": 0})));
    assert!(!totals["models"].as_array().unwrap().is_empty());
    assert_eq!(totals["versions"][0]["template"], "review");
    let none = stage.get(&format!("{KEPT}/totals?template=another")).await;
    assert_eq!(none, json!({"roles": [], "models": [], "versions": []}));

    let back = || stage.api(Method::DELETE, &format!("{verdict}?step={step}"));
    assert_eq!(back().send().await.unwrap().status(), 204);
    assert_eq!(stage.refused(back()).await.0, 404);
}

#[tokio::test]
async fn runs_are_put_side_by_side_afterwards() {
    let stage = Stage::furnished().await;
    stage.models.script(vec![Rule::text("So.")]);
    let mut runs = Vec::new();
    for code in ["a", "b"] {
        let launched = stage.launch(&json!({"input": {"code": code}})).await;
        stage.ended(&launched["run"]).await;
        runs.push(launched["run"].clone());
    }
    let keep = || stage.api(Method::POST, KEPT).json(&json!({"runs": runs}));
    let kept = keep().send().await.unwrap();
    assert_eq!(kept.status(), 201);
    let location = kept.headers()[header::LOCATION].to_str().unwrap().to_owned();
    let kept: Value = kept.json().await.unwrap();
    assert_eq!(kept, stage.get(&location).await);
    assert_eq!(keep().send().await.unwrap().status(), 200, "it is there already");
    assert_eq!(stage.get(KEPT).await["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn what_cannot_be_compared_is_refused_with_its_place() {
    let stage = Stage::furnished().await;
    stage.models.script(vec![Rule::text("So.")]);
    let post = |path: &str, body: Value| stage.api(Method::POST, path).json(&body);
    let place = |problem: &Value| problem["problems"][0]["path"].clone();
    let input = json!({"code": "x"});

    let (status, problem) = stage.refused(post(COMPARE, json!({"input": input, "assignments": [{}]}))).await;
    assert_eq!((status, place(&problem)), (422, json!("assignments")));
    let bad = json!({"input": input, "assignments": [{}, {"No such step": "senior"}]});
    let (status, problem) = stage.refused(post(COMPARE, bad)).await;
    assert_eq!((status, place(&problem)), (422, json!("assignments.1.No such step")));
    assert_eq!(stage.refused(post(COMPARE, json!({"input": input}))).await.0, 422);
    assert_eq!(stage.get("/api/v1/projects/lab/runs").await["items"], json!([]), "nothing was launched");

    let launched = stage.launch(&json!({"input": input})).await;
    stage.ended(&launched["run"]).await;
    let (status, problem) = stage.refused(post(KEPT, json!({"runs": [1]}))).await;
    assert_eq!((status, place(&problem)), (422, json!("runs")));
    assert_eq!(stage.refused(post(KEPT, json!({"runs": [1, 99]}))).await.0, 404);
    for (path, expected) in [("1,99", 404), ("one,two", 404), ("1", 422), ("1,2,3,4,5", 422)] {
        let request = stage.api(Method::GET, &format!("{KEPT}/{path}"));
        assert_eq!(stage.refused(request).await.0, expected, "{path}");
    }
    let launched = stage.launch(&json!({"input": input})).await;
    stage.ended(&launched["run"]).await;
    for (runs, expected) in [("1,2", 422), ("1,99", 404)] {
        let wrong = stage.api(Method::PUT, &format!("{KEPT}/{runs}/verdict")).json(&json!({"winner": 3}));
        assert_eq!(stage.refused(wrong).await.0, expected, "{runs}");
    }
    let request = stage.api(Method::GET, &format!("{KEPT}?cursor=x"));
    assert_eq!(stage.refused(request).await.0, 422);
}
