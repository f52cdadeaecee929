//! The main job by REST only: provider, project, roles, template, preview, execute, events, run, messages, cancel.

use crate::stage::{Stage, events, number};
use reqwest::{Method, header};
use scripted::Rule;
use serde_json::{Value, json};
use std::collections::BTreeSet;

fn keys(value: &Value) -> BTreeSet<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

fn is_time(value: &Value) -> bool {
    let text = value.as_str().unwrap_or_default();
    text.len() == "2026-01-01T00:00:00.000Z".len()
        && text.ends_with('Z')
        && text.parse::<jiff::Timestamp>().is_ok()
}

/// C5, C10: the preview of a launch.
#[tokio::test]
async fn a_preview_tells_each_step_s_role_and_why() {
    let stage = Stage::furnished().await;
    let path = "/api/v1/projects/lab/templates/review/preview";
    let preview = stage
        .made(path, &json!({ "input": { "code": "x" }, "roleAssignments": { "Report": "senior" } }))
        .await;
    let role = |index: usize| &preview["steps"][index]["role"];
    assert_eq!((&role(0)["key"], &role(0)["reason"]), (&"general_worker".into(), &"general_worker".into()));
    assert_eq!((&role(1)["key"], &role(1)["reason"]), (&"senior".into(), &"assigned".into()));
    assert_eq!(preview["warnings"].as_array().unwrap().len(), 1, "{preview}");
    assert_eq!(preview["errors"], json!([]));
    let preview = stage.made(path, &json!({ "roleAssignments": { "Nowhere": "senior" } })).await;
    assert!(preview["errors"].as_array().unwrap().len() >= 2, "the input and the step: {preview}");
    assert!(stage.models.ledger().is_empty(), "no model was called");
}

/// C4, D4: the acknowledgement, then the events in their order, the same as a list and as a stream.
#[tokio::test]
async fn a_run_from_launch_to_end() {
    let stage = Stage::furnished().await;
    stage.models.script(vec![Rule::text("said by {{model}}").chunk_size(5).usage(10, 3)]);
    let body = json!({ "input": { "code": "fn main() {}" }, "roleAssignments": { "Analyze": "senior" } });
    let request = stage.api(Method::POST, "/api/v1/projects/lab/templates/review/execute").json(&body);
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 202);
    let location = response.headers()[header::LOCATION].to_str().unwrap().to_owned();
    let launched: Value = response.json().await.unwrap();
    assert_eq!(keys(&launched), BTreeSet::from(["run", "messageId", "taskId", "eventId", "queuePosition"]));
    assert_eq!(location, format!("/api/v1/projects/lab/runs/{}", launched["run"]));

    let stream = stage.follow(&format!("{location}/events")).await.text().await.unwrap();
    let all = events(&stream);
    let (stored, deltas): (Vec<_>, Vec<_>) = all.iter().partition(|(id, _, _)| id.is_some());
    let kinds: Vec<_> = stored.iter().map(|(_, name, _)| name.as_str()).collect();
    let step = ["ready", "started", "prompt", "finished"];
    let golden = ["acknowledged", "submitted", "rolesResolved"]
        .into_iter()
        .chain(step)
        .chain(step)
        .chain(["completed"]);
    assert_eq!(kinds, golden.collect::<Vec<_>>());
    for (index, (id, name, data)) in stored.iter().enumerate() {
        let seq = index as u64 + 1;
        assert_eq!(id.as_deref(), Some(seq.to_string().as_str()));
        assert_eq!(
            (&data["seq"], &data["kind"], &data["run"]),
            (&seq.into(), &name.as_str().into(), &launched["run"])
        );
        assert!(is_time(&data["at"]), "{data}");
    }
    assert!(deltas.iter().all(|(_, name, data)| name == "delta" && data["text"].is_string()));

    let list = stage.get(&format!("{location}/events?after=0")).await;
    let listed = list["items"].as_array().unwrap();
    assert_eq!(listed.iter().collect::<Vec<_>>(), stored.iter().map(|(_, _, data)| data).collect::<Vec<_>>());
    assert_eq!(list["next"], Value::Null);
    let rest = stage.get(&format!("{location}/events?after={}", listed.len() - 1)).await;
    assert_eq!(rest["items"].as_array().unwrap().len(), 1);
    // A client that has the whole log is told not to reconnect.
    let over =
        stage.api(Method::GET, &format!("{location}/events")).header(header::ACCEPT, "text/event-stream");
    let over = over.header("last-event-id", listed.len().to_string()).send().await.unwrap();
    assert_eq!(over.status(), 204);

    let run = stage.get(&location).await;
    let fields = "number status template input output taskId messageId createdAt finishedAt usage steps";
    assert_eq!(keys(&run), fields.split(' ').collect());
    assert_eq!(run["status"], "completed");
    assert_eq!(run["template"], json!({ "key": "review", "version": 1 }));
    assert_eq!(run["input"], body["input"]);
    assert_eq!(run["output"], "said by general_worker-model");
    assert_eq!(run["usage"], json!({ "inputTokens": 20, "outputTokens": 6 }));
    assert!(is_time(&run["createdAt"]) && is_time(&run["finishedAt"]));
    let step = &run["steps"][0];
    assert_eq!(keys(step), "id name status reused role attempts output usage".split(' ').collect());
    assert_eq!(step["role"], json!({ "key": "senior", "version": 1, "reason": "assigned" }));
    assert_eq!((&step["status"], &step["reused"]), (&"completed".into(), &false.into()));
    assert_eq!(step["output"], "said by senior-model");
    assert_eq!(keys(&step["attempts"][0]), BTreeSet::from(["number", "startedAt", "finishedAt"]));
    assert_eq!(run["steps"][1]["role"]["reason"], "general_worker");

    let listed = stage.get("/api/v1/projects/lab/runs?status=completed&template=review").await;
    assert_eq!(listed["items"][0]["number"], launched["run"]);
    assert_eq!(stage.get("/api/v1/projects/lab/runs?status=failed").await["items"], json!([]));
}

/// A1, A2: one user message and one assistant message, which carries the status.
#[tokio::test]
async fn a_run_is_two_messages_of_its_task() {
    let stage = Stage::furnished().await;
    stage.models.script(vec![Rule::text("fine")]);
    let launched = stage.launch(&json!({ "input": { "code": "x" } })).await;
    stage.ended(&launched["run"]).await;
    let task = launched["taskId"].as_str().unwrap();
    let messages = stage.get(&format!("/api/v1/projects/lab/tasks/{task}/messages")).await;
    let [asked, answered] = messages["items"].as_array().unwrap().as_slice() else { panic!("{messages}") };
    for message in [asked, answered] {
        assert_eq!(keys(message), "id author content metadata createdAt".split(' ').collect());
        assert!(is_time(&message["createdAt"]));
    }
    assert_eq!((&asked["author"], &asked["metadata"]), (&"user".into(), &Value::Null));
    assert_eq!((&answered["author"], &answered["id"]), (&"assistant".into(), &launched["messageId"]));
    assert_eq!(answered["content"], "fine");
    let metadata = &answered["metadata"];
    assert_eq!(keys(metadata), BTreeSet::from(["orchestrationStatus", "orchestration"]));
    assert_eq!(keys(&metadata["orchestrationStatus"]), BTreeSet::from(["files", "log", "steps"]));
    for field in ["phase", "elapsed", "bytesGenerated", "filesRequested", "details"] {
        assert!(!metadata["orchestration"][field].is_null(), "{field}: {metadata}");
    }
    assert_eq!(metadata["orchestration"]["phase"], "complete");
    assert_eq!(metadata["orchestration"]["details"]["output"], "fine");
    assert!(is_time(&metadata["orchestrationStatus"]["log"][0]["at"]));

    // A second run in the same task adds two messages and changes none.
    let second = stage.launch(&json!({ "input": { "code": "y" }, "taskId": task })).await;
    stage.ended(&second["run"]).await;
    let messages = stage.get(&format!("/api/v1/projects/lab/tasks/{task}/messages")).await;
    let authors: Vec<_> =
        messages["items"].as_array().unwrap().iter().map(|message| &message["author"]).collect();
    assert_eq!(authors, ["user", "assistant", "user", "assistant"]);
    let path = format!("/api/v1/projects/lab/tasks/{task}");
    let rename = |title: &str| stage.api(Method::PATCH, &path).json(&json!({ "title": title }));
    let renamed: Value = rename(" Bridges ").send().await.unwrap().json().await.unwrap();
    assert_eq!((&renamed["id"], &renamed["title"]), (&task.into(), &"Bridges".into()));
    let (status, problem) = stage.refused(rename("")).await;
    assert_eq!((status, &problem["problems"][0]["path"]), (422, &"title".into()), "{problem}");
    let tasks = stage.get("/api/v1/projects/lab/tasks").await;
    assert_eq!((tasks["items"].as_array().unwrap().len(), &tasks["items"][0]["id"]), (1, &task.into()));
}

/// B5: cancelling a run takes effect at once and is recorded.
#[tokio::test]
async fn a_run_is_cancelled() {
    let stage = Stage::furnished().await;
    stage.models.script(vec![Rule::text("never seen").hold(0)]);
    let launched = stage.launch(&json!({ "input": { "code": "x" } })).await;
    stage.models.wait_for(|entries| !entries.is_empty()).await;
    let path = format!("/api/v1/projects/lab/runs/{}", number(&launched["run"]));
    let cancelled = stage.made(&format!("{path}/cancel"), &json!({})).await;
    assert_eq!(cancelled["status"], "cancelled");
    let statuses: Vec<_> =
        cancelled["steps"].as_array().unwrap().iter().map(|step| &step["status"]).collect();
    assert_eq!(statuses, ["cancelled", "cancelled"]);
    let (status, _) = stage.refused(stage.api(Method::POST, &format!("{path}/cancel"))).await;
    assert_eq!(status, 409);
    let stream = stage.follow(&format!("{path}/events?after=3")).await.text().await.unwrap();
    assert_eq!(events(&stream).last().unwrap().1, "cancelled");
}

#[tokio::test]
async fn a_launch_given_twice_is_one_run() {
    let stage = Stage::furnished().await;
    let body = json!({ "input": { "code": "x" }, "idempotencyKey": "k1" });
    let first = stage.launch(&body).await;
    assert_eq!(stage.launch(&body).await, first);
    let execute = || stage.api(Method::POST, "/api/v1/projects/lab/templates/review/execute");
    let by_header = execute().header("idempotency-key", "k1").json(&json!({ "input": { "code": "x" } }));
    assert_eq!(by_header.send().await.unwrap().json::<Value>().await.unwrap(), first);
    let other = execute().header("idempotency-key", "k1").json(&json!({ "input": { "code": "y" } }));
    assert_eq!(stage.refused(other).await.0, 409);
    let differ = execute().header("idempotency-key", "k2").json(&body);
    assert_eq!(stage.refused(differ).await.0, 400);
    assert_eq!(stage.get("/api/v1/projects/lab/runs").await["items"].as_array().unwrap().len(), 1);
}

/// C5: the launch is refused without storing anything or calling a model.
#[tokio::test]
async fn a_launch_that_cannot_be_is_refused_whole() {
    let stage = Stage::furnished().await;
    let execute =
        |body: Value| stage.api(Method::POST, "/api/v1/projects/lab/templates/review/execute").json(&body);
    for (body, path) in [
        (json!({ "input": {} }), "code"),
        (json!({ "input": { "code": "x" }, "roleAssignments": { "Analyze": "nobody" } }), "roleAssignments"),
        (json!({ "input": { "code": "x" }, "roleAssignments": { "Nowhere": "senior" } }), "roleAssignments"),
    ] {
        let (status, refused) = stage.refused(execute(body)).await;
        assert_eq!(status, 422);
        let problem = refused["problems"][0].to_string();
        assert!(problem.contains(path), "{refused}");
    }
    assert_eq!(stage.get("/api/v1/projects/lab/runs").await["items"], json!([]));
    assert_eq!(stage.get("/api/v1/projects/lab/tasks").await["items"], json!([]));
    assert!(stage.models.ledger().is_empty());
}

/// D9: an empty answer of the model fails the run, with the step's name.
#[tokio::test]
async fn a_failed_run_tells_where_and_why() {
    let stage = Stage::furnished().await;
    stage.models.script(vec![Rule::fault(scripted::Fault::Empty)]);
    let launched = stage.launch(&json!({ "input": { "code": "x" } })).await;
    let run = stage.ended(&launched["run"]).await;
    assert_eq!((&run["status"], &run["output"]), (&"failed".into(), &Value::Null));
    assert_eq!((&run["error"]["class"], &run["error"]["step"]), (&"empty".into(), &"Analyze".into()));
    assert_eq!(run["steps"][0]["attempts"][0]["error"]["class"], "empty");
    assert_eq!(run["steps"][1]["status"], "skipped");
}

/// DESIGN section 5: without an expression, the output consists of the last steps' outputs, by name.
#[tokio::test]
async fn several_last_steps_give_an_object() {
    let stage = Stage::furnished().await;
    let fan = "apiVersion: troupe/v1\nkey: fan\nname: Fan\nsteps:\n  - {name: A, prompt: a, dependsOn: []}\n  - {name: B, prompt: b, dependsOn: []}\n";
    assert_eq!(stage.put_template(Method::POST, "/api/v1/projects/lab/templates", fan).await.status(), 201);
    let launched = stage.made("/api/v1/projects/lab/templates/fan/execute", &json!({})).await;
    let run = stage.ended(&launched["run"]).await;
    assert_eq!(run["output"], json!({ "A": "a", "B": "b" }));
}
