//! Renders every page on the server. A separate process, like the product: pages are rendered by one executor per
//! process, while each test of the other binary has its own runtime.

#[allow(dead_code, reason = "the other binary uses the rest of it")]
#[path = "server/stage.rs"]
mod stage;

use domain::access::Permission;
use reqwest::Method;
use secrecy::{ExposeSecret, SecretString};
use server::router;
use stage::Stage;

/// Every page renders for users with access, for any content of the project: for an admin, and for a viewer, whose pages
/// must not request what only editors may see.
#[tokio::test]
async fn every_page_is_drawn() {
    let mut stage = Stage::furnished().await;
    let launched = stage.launch(&serde_json::json!({ "input": { "code": "x" } })).await;
    stage.ended(&launched["run"]).await;
    let task = launched["taskId"].as_str().unwrap();
    let run = launched["run"].to_string();
    let path = |pattern: &str| {
        let fill = |part: &str| match part {
            "{project}" => "lab".to_owned(),
            "{run}" | "{number}" => run.clone(),
            "{task}" | "{id}" => task.to_owned(),
            "{template}" => "review".to_owned(),
            "{role}" => "senior".to_owned(),
            "{key}" if pattern.contains("/roles/") => "senior".to_owned(),
            "{key}" => "review".to_owned(),
            other => other.to_owned(),
        };
        let path = pattern.split('/').map(fill).collect::<Vec<_>>().join("/");
        assert!(!path.contains('{'), "{path}: say what to put there");
        path
    };
    let (pages, _) = router::pages_and_functions();
    let paths: Vec<_> = pages.iter().map(|pattern| path(pattern)).collect();
    draws(&stage, &paths).await;
    stage.session = viewer(&stage).await;
    draws(&stage, &paths).await;
}

/// The session token of a new viewer in the project.
async fn viewer(stage: &Stage) -> String {
    let (email, password) = ("vera@example.org", SecretString::from("a-long-enough-password"));
    stage.engine.create_user(email, "Vera", password.clone(), false).await.unwrap();
    let root = stage.engine.user_of_api_token(&stage.token).await.unwrap().unwrap();
    let lab = "lab".parse().unwrap();
    stage.engine.set_member(&root, &lab, email, Some(Permission::Viewer)).await.unwrap();
    let session = stage.engine.sign_in(email, password, "test", None).await.unwrap();
    session.token.expose_secret().to_owned()
}

async fn draws(stage: &Stage, paths: &[String]) {
    let mut drawn = 0;
    for path in paths {
        let response = stage.page(Method::GET, path).send().await.unwrap();
        let status = response.status();
        assert!(status == 200 || status.is_redirection(), "{path}: {status}");
        // A redirect to the sign-in would hide that the session does not work.
        let location = response.headers().get("location").map(|to| to.to_str().unwrap().to_owned());
        let signed_out = location.is_some_and(|to| to.contains("sign-in"));
        assert!(!signed_out, "{path} asks for a sign-in");
        if status == 200 {
            drawn += 1;
            let html = response.text().await.unwrap();
            assert!(html.contains("</html>"), "{path}");
            assert!(!html.contains(" style=\""), "{path}: the content policy refuses inline style");
        }
    }
    assert!(drawn > paths.len() / 2, "{drawn} of {} pages were drawn", paths.len());
}
