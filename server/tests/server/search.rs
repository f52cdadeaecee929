//! Search by REST.

use crate::stage::Stage;
use reqwest::Method;
use serde_json::json;

#[tokio::test]
async fn what_a_run_said_is_found_soon_after() {
    let stage = Stage::furnished().await;
    let launched = stage.launch(&json!({ "input": { "code": "spandrel" } })).await;
    stage.ended(&launched["run"]).await;
    let path = "/api/v1/projects/lab/search?q=spandr";
    let mut found = stage.get(path).await;
    for _ in 0..500 {
        if found["items"].as_array().unwrap().len() >= 2 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        found = stage.get(path).await;
    }
    let message = found["items"].as_array().unwrap().iter().find(|item| item["kind"] == "message").unwrap();
    assert_eq!(message["task"], launched["taskId"]);
    assert!(message["at"].as_str().unwrap().ends_with('Z'));
    let marked: Vec<_> =
        message["excerpt"].as_array().unwrap().iter().filter(|piece| piece["marked"] == true).collect();
    assert_eq!(marked[0]["text"], "spandrel");
    let run = stage.get("/api/v1/projects/lab/search?q=%231").await;
    assert_eq!((&run["items"][0]["kind"], &run["items"][0]["run"]), (&json!("run"), &launched["run"]));
    let hostile = stage.get("/api/v1/projects/lab/search?q=%22)%20OR%20*").await;
    assert_eq!(hostile, json!({ "items": [], "next": null }));
    let without = stage.api(Method::GET, "/api/v1/projects/lab/search");
    assert_eq!(stage.refused(without).await.0, 400);
    let bad = stage.api(Method::GET, "/api/v1/projects/lab/search?q=x&cursor=x");
    assert_eq!(stage.refused(bad).await.0, 422);
}
