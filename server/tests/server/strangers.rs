//! Every route rejects unauthenticated requests and other sites, except those named as open.

use crate::stage::{Stage, problem};
use reqwest::{Method, header};
use serde_json::Value;
use server::router;

/// A path of the pattern.
fn filled(pattern: &str) -> String {
    let part = |part: &str| match part {
        "{project}" => "lab".to_owned(),
        "{run}" => "1".to_owned(),
        "{content}" | "{task}" => "01890a5d-ac96-774b-bcce-b302099a8057".to_owned(),
        other if other.starts_with('{') => "x".to_owned(),
        other => other.to_owned(),
    };
    pattern.split('/').map(part).collect::<Vec<_>>().join("/")
}

/// The routes that describe the server, and its health check.
const OPEN: [&str; 3] = ["/health", "/api/v1/openapi.json", "/api/v1/schema/template.v1.json"];

/// F6: a client can read the description before it has a token.
#[tokio::test]
async fn the_description_is_open_and_says_what_is() {
    let stage = Stage::new().await;
    let described: Value =
        stage.plain(Method::GET, "/api/v1/openapi.json").send().await.unwrap().json().await.unwrap();
    let operations = described["paths"].as_object().unwrap().iter().flat_map(|(path, operations)| {
        operations.as_object().unwrap().values().map(move |operation| (path.as_str(), operation))
    });
    for (path, operation) in operations {
        let open = OPEN.contains(&path);
        assert_eq!(operation["security"] == serde_json::json!([]), open, "{path}");
        assert_eq!(operation["responses"].get("401").is_none(), open, "{path}");
    }
    // A request with an invalid token can read it too.
    let schema = stage.plain(Method::GET, OPEN[2]).bearer_auth("not-a-token").send().await.unwrap();
    assert_eq!(schema.headers()[header::CONTENT_TYPE], "application/schema+json");
    assert!(schema.json::<Value>().await.unwrap()["properties"]["steps"].is_object());
    assert_eq!(problem(stage.plain(Method::POST, OPEN[1]).send().await.unwrap()).await.0, 405);
}

#[tokio::test]
async fn every_route_refuses_a_stranger() {
    let stage = Stage::new().await;
    for route in router::table() {
        let path = filled(route.path);
        let response =
            stage.plain(route.method.clone(), &path).header(header::ORIGIN, &stage.url).send().await.unwrap();
        if OPEN.contains(&route.path) {
            assert_eq!(response.status(), 200);
            continue;
        }
        let asks = response.headers().get(header::WWW_AUTHENTICATE).is_some();
        let (status, _) = problem(response).await;
        assert_eq!((status, asks), (401, true), "{} {path}", route.method);
        let wrong = stage.plain(route.method.clone(), &path).header(header::ORIGIN, &stage.url);
        let wrong = wrong.bearer_auth("not-a-token").header(header::COOKIE, "troupe_session=not-a-session");
        assert_eq!(wrong.send().await.unwrap().status(), 401, "{} {path}", route.method);
    }
}

#[tokio::test]
async fn every_page_sends_a_stranger_to_sign_in_and_back() {
    let stage = Stage::new().await;
    let (pages, _) = router::pages_and_functions();
    assert!(!pages.is_empty());
    for pattern in pages.iter().map(String::as_str).chain(["/p/lab/nowhere", "/nowhere"]) {
        let path = filled(pattern);
        let response = stage.plain(Method::GET, &path).send().await.unwrap();
        if ["/sign-in", "/first-run"].contains(&pattern) {
            assert_eq!(response.status(), 200, "{path}");
            continue;
        }
        assert_eq!(response.status(), 303, "{path}");
        let location = response.headers()[header::LOCATION].to_str().unwrap();
        match path.as_str() {
            "/" => assert_eq!(location, "/sign-in"),
            path => assert_eq!(location, format!("/sign-in?next={path}")),
        }
    }
    let response = stage.plain(Method::GET, "/p/lab/runs?status=failed&x=a b").send().await.unwrap();
    assert_eq!(
        response.headers()[header::LOCATION],
        "/sign-in?next=/p/lab/runs%3Fstatus%3Dfailed%26x%3Da%2520b"
    );
}

#[tokio::test]
async fn every_server_function_refuses_a_stranger_but_those_of_the_sign_in_pages() {
    let stage = Stage::new().await;
    let (_, functions) = router::pages_and_functions();
    assert!(!functions.is_empty());
    for (path, method) in functions {
        let name = path.trim_start_matches("/api/").trim_end_matches(|c: char| c.is_ascii_digit());
        let open = ["sign_in", "first_run_valid", "complete_first_run", "current_user"].contains(&name);
        let request = || stage.plain(method.clone(), path).header(header::ORIGIN, &stage.url);
        let response = request().send().await.unwrap();
        assert_eq!(response.status() == 401, !open, "{path}");
        if !open {
            let fault: Value = response.json().await.unwrap();
            assert!(fault["unauthenticated"]["message"].is_string(), "{path}: {fault}");
            // A form posted without script is redirected to the sign-in page, and from there back to its page.
            let form = request()
                .header(header::ACCEPT, "text/html")
                .header(header::REFERER, format!("{}/p/lab/roles", stage.url));
            let response = form.send().await.unwrap();
            assert_eq!(response.status(), 303);
            assert_eq!(response.headers()[header::LOCATION], "/sign-in?next=/p/lab/roles");
        }
    }
    let unknown = stage.plain(Method::POST, "/api/no_such_function").header(header::ORIGIN, &stage.url);
    assert_eq!(unknown.send().await.unwrap().status(), 401);
}

#[tokio::test]
async fn what_changes_something_must_come_from_a_page_of_this_site() {
    let stage = Stage::new().await;
    let unsafe_routes = router::table().into_iter().filter(|route| route.method != Method::GET);
    let (_, functions) = router::pages_and_functions();
    let all = unsafe_routes
        .map(|route| (filled(route.path), route.method))
        .chain(functions.into_iter().map(|(path, method)| (path.to_owned(), method)))
        .filter(|(_, method)| method != Method::GET);
    for (path, method) in all {
        let cookie = format!("troupe_session={}", stage.session);
        let request = || stage.plain(method.clone(), &path).header(header::COOKIE, &cookie);
        for foreign in [
            request(),
            request().header(header::ORIGIN, "http://evil.example"),
            request().header(header::ORIGIN, "null"),
            request().header("sec-fetch-site", "cross-site"),
            request().header("sec-fetch-site", "same-site").header(header::ORIGIN, &stage.url),
        ] {
            assert_eq!(foreign.send().await.unwrap().status(), 403, "{method} {path}");
        }
        if path.starts_with("/api/sign_out") {
            // The request would succeed, and end the session that the other requests need.
            continue;
        }
        let own = request().header(header::ORIGIN, &stage.url).send().await.unwrap();
        assert_ne!(own.status(), 403, "{method} {path}");
        assert_ne!(own.status(), 401, "{method} {path}");
    }
}

#[tokio::test]
async fn a_token_needs_no_origin_and_opens_no_page() {
    let stage = Stage::new().await;
    let foreign = stage.api(Method::POST, "/api/v1/projects").header(header::ORIGIN, "http://evil.example");
    let made = foreign.json(&serde_json::json!({ "key": "lab", "name": "Lab" })).send().await.unwrap();
    assert_eq!(made.status(), 201);
    assert_eq!(stage.api(Method::GET, "/").send().await.unwrap().status(), 303);
    assert_eq!(stage.api(Method::GET, "/p/lab/live").send().await.unwrap().status(), 401);
}

/// B10: secrets are never returned.
#[tokio::test]
async fn a_provider_s_key_never_comes_out() {
    let stage = Stage::furnished().await;
    for path in ["/api/v1/providers", "/api/v1/providers/scripted", "/api/v1/providers/scripted/status"] {
        let text = stage.get(path).await.to_string();
        assert!(!text.contains("sk-very-secret"), "{text}");
    }
    assert_eq!(stage.get("/api/v1/providers/scripted").await["hasKey"], true);
}
