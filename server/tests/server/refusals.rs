//! Invalid requests are refused in one format, with the place of the problem.

use crate::stage::{REVIEW, Stage, problem};
use reqwest::{Method, header};
use serde_json::{Value, json};
use std::collections::BTreeSet;

#[tokio::test]
async fn what_is_nowhere_or_not_done_that_way() {
    let stage = Stage::furnished().await;
    for path in [
        "/api/v1/nowhere",
        "/api/v1/projects/elsewhere",
        "/api/v1/projects/lab/runs/99",
        "/api/v1/projects/lab/runs/x",
        "/api/v1/projects/lab/roles/Nobody",
        "/api/v1/projects/lab/templates/review@9",
        "/api/v1/projects/lab/templates/review@x",
        "/api/v1/projects/lab/tasks/01890a5d-ac96-774b-bcce-b302099a8057/messages",
        "/api/v1/providers/nobody",
    ] {
        assert_eq!(stage.refused(stage.api(Method::GET, path)).await.0, 404, "{path}");
    }
    let response = stage.api(Method::PATCH, "/api/v1/projects").send().await.unwrap();
    let allowed = response.headers()[header::ALLOW].to_str().unwrap().to_owned();
    assert!(allowed.contains("GET") && allowed.contains("POST"), "{allowed}");
    assert_eq!(problem(response).await.0, 405);
}

#[tokio::test]
async fn bodies_that_cannot_be_read() {
    let stage = Stage::furnished().await;
    let roles = || stage.api(Method::POST, "/api/v1/projects/lab/roles");
    let json = |body: &str| roles().header(header::CONTENT_TYPE, "application/json").body(body.to_owned());
    let (status, problem) = stage.refused(json("{\n \"key\": \"a\",\n \"name\" \"A\"}")).await;
    assert_eq!((status, &problem["problems"][0]["line"]), (400, &3.into()), "{problem}");
    let (status, problem) =
        stage.refused(json(r#"{"key": "a", "name": "A", "basePrompt": "x", "model": "none"}"#)).await;
    assert_eq!((status, &problem["problems"][0]["path"]), (422, &"model".into()), "{problem}");
    let (status, _) = stage.refused(roles().header(header::CONTENT_TYPE, "text/plain").body("{}")).await;
    assert_eq!(status, 415);
    let (status, _) =
        stage.refused(stage.api(Method::POST, "/api/v1/projects/lab/templates").body("x")).await;
    assert_eq!(status, 415);
    let (status, problem) = stage
        .refused(json(r#"{"key": "a", "name": "A", "basePrompt": "x", "model": "a/b", "role": 1}"#))
        .await;
    assert_eq!(status, 422);
    assert!(problem["detail"].as_str().unwrap().contains("unknown field `role`"), "{problem}");
}

#[tokio::test]
async fn a_template_s_problems_have_their_places() {
    let stage = Stage::furnished().await;
    let broken =
        "apiVersion: troupe/v1\nkey: b\nname: B\nsteps:\n  - name: A\n    roleId: 7\n    prompt: x\n";
    let response = stage.put_template(Method::POST, "/api/v1/projects/lab/templates", broken).await;
    let (status, refused) = problem(response).await;
    assert_eq!(status, 422);
    assert_eq!(refused["problems"][0]["line"], 6, "{refused}");
    assert!(refused["problems"][0]["path"].as_str().unwrap().starts_with("steps[0]"), "{refused}");
}

#[tokio::test]
async fn bodies_that_are_too_large() {
    let stage = Stage::furnished().await;
    let padding = "# padding\n".repeat(110_000);
    let large = format!("{REVIEW}{padding}");
    assert!(large.len() > 1024 * 1024);
    let response = stage.put_template(Method::PUT, "/api/v1/projects/lab/templates/review", &large).await;
    let (status, refused) = problem(response).await;
    assert_eq!(status, 413);
    assert!(refused["detail"].as_str().unwrap().contains("1 MB"), "{refused}");
    // The client writes 9 MB before it reads, and must still receive the response.
    let huge = json!({ "input": { "code": "x".repeat(9 * 1024 * 1024) } });
    let request = stage.api(Method::POST, "/api/v1/projects/lab/templates/review/execute").json(&huge);
    assert_eq!(stage.refused(request).await.0, 413);
    assert!(stage.get("/api/v1/projects/lab/runs").await["items"].as_array().unwrap().is_empty());
}

/// ETags: a change that another user saved in between is never overwritten silently.
#[tokio::test]
async fn a_stale_save_is_refused() {
    let stage = Stage::furnished().await;
    let path = "/api/v1/projects/lab/templates/review";
    let shown = stage.api(Method::GET, path).send().await.unwrap();
    let tag = shown.headers()[header::ETAG].clone();
    assert_eq!(tag, "\"1\"");
    let same = stage.api(Method::GET, path).header(header::IF_NONE_MATCH, &tag).send().await.unwrap();
    assert_eq!(same.status(), 304);
    let save = |text: &str| {
        let request = stage.api(Method::PUT, path).header(header::IF_MATCH, &tag);
        request.header(header::CONTENT_TYPE, "application/yaml").body(REVIEW.replace("name: Review", text))
    };
    let saved = save("name: Mine").send().await.unwrap();
    assert_eq!((saved.status().as_u16(), saved.headers()[header::ETAG].to_str().unwrap()), (200, "\"2\""));
    let (status, refused) = stage.refused(save("name: Theirs")).await;
    assert_eq!((status, refused["type"].as_str().unwrap()), (412, "urn:troupe:problem:stale"));
    let any = stage.put_template(Method::PUT, path, &REVIEW.replace("name: Review", "name: Ours")).await;
    assert_eq!(any.json::<Value>().await.unwrap(), json!({ "key": "review", "version": 3 }));
    let old = stage.get("/api/v1/projects/lab/templates/review@2").await;
    assert_eq!(old["document"]["name"], "Mine");

    let role = "/api/v1/projects/lab/roles/senior";
    let draft = json!({ "name": "Senior", "basePrompt": "Be strict.", "model": "scripted/senior-model" });
    let put = |tag: &'static str| stage.api(Method::PUT, role).header(header::IF_MATCH, tag).json(&draft);
    assert_eq!(put("\"1\"").send().await.unwrap().status(), 200);
    assert_eq!(stage.refused(put("\"1\"")).await.0, 412);
    assert_eq!(stage.refused(put("1")).await.0, 400);
    let renamed = json!({ "key": "other", "name": "X", "basePrompt": "x", "model": "a/b" });
    let (status, refused) = stage.refused(stage.api(Method::PUT, role).json(&renamed)).await;
    assert_eq!((status, refused["problems"][0]["path"].as_str().unwrap()), (422, "key"));
}

#[tokio::test]
async fn a_key_in_use_is_a_conflict() {
    let stage = Stage::furnished().await;
    let response = stage.put_template(Method::POST, "/api/v1/projects/lab/templates", REVIEW).await;
    assert_eq!(problem(response).await.0, 409);
    let again = stage.api(Method::POST, "/api/v1/projects").json(&json!({ "key": "lab", "name": "Again" }));
    assert_eq!(stage.refused(again).await.0, 409);
}

#[tokio::test]
async fn filters_that_are_none_are_refused() {
    let stage = Stage::furnished().await;
    for query in ["status=done", "template=No", "cursor=x"] {
        let request = stage.api(Method::GET, &format!("/api/v1/projects/lab/runs?{query}"));
        assert!([400, 422].contains(&stage.refused(request).await.0), "{query}");
    }
}

/// F6: the description and the routes agree.
#[tokio::test]
async fn the_description_has_exactly_the_routes_there_are() {
    let stage = Stage::new().await;
    let described = stage.get("/api/v1/openapi.json").await;
    let mut paths = BTreeSet::new();
    for (path, operations) in described["paths"].as_object().unwrap() {
        for method in operations.as_object().unwrap().keys() {
            paths.insert(format!("{} {path}", method.to_uppercase()));
        }
    }
    // A path with a wildcard is described like any other.
    let path = |route: &server::router::Route| route.path.replace("{*", "{");
    let table = server::routes::all().into_iter().map(|route| format!("{} {}", route.method, path(&route)));
    assert_eq!(paths, table.collect());
    // Every reference in the description resolves.
    let text = described.to_string();
    for reference in text.split("\"$ref\":\"#").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        assert!(described.pointer(reference).is_some(), "{reference}");
    }
    let schema = stage.get("/api/v1/schema/template.v1.json").await;
    assert!(schema["properties"]["steps"].is_object(), "{schema}");
}
