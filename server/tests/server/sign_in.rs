//! Signing in and out, and the first run, with the forms of the pages and without script.

use crate::stage::{EMAIL, PASSWORD, Stage, function};
use reqwest::{Method, RequestBuilder, Response, header};
use secrecy::ExposeSecret;

/// A form as a browser without script posts it from the page `from`.
fn form(stage: &Stage, name: &str, from: &str, fields: &[(&str, &str)]) -> RequestBuilder {
    let encoded: Vec<_> = fields.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
    stage
        .plain(Method::POST, function(name))
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(header::ACCEPT, "text/html,application/xhtml+xml")
        .header(header::ORIGIN, &stage.url)
        .header(header::REFERER, format!("{}{from}", stage.url))
        .body(encoded.join("&"))
}

fn encode(text: &str) -> String {
    let kept = |byte: u8| byte.is_ascii_alphanumeric();
    text.bytes()
        .map(|byte| if kept(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

/// The session cookie that the response sets, as the browser sends it back.
fn cookie(response: &Response) -> Option<String> {
    let set = response.headers().get(header::SET_COOKIE)?.to_str().unwrap();
    for part in ["HttpOnly", "SameSite=Lax", "Path=/"] {
        assert!(set.contains(part), "{set}");
    }
    Some(set.split(';').next().unwrap().to_owned())
}

fn location(response: &Response) -> &str {
    response.headers()[header::LOCATION].to_str().unwrap()
}

async fn status_of(stage: &Stage, path: &str, cookie: &str) -> u16 {
    stage.plain(Method::GET, path).header(header::COOKIE, cookie).send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn one_signs_in_goes_where_one_wanted_and_signs_out() {
    let stage = Stage::furnished().await;
    let fields = [("email", EMAIL), ("password", PASSWORD), ("next", "/p/lab/roles")];
    let response = form(&stage, "sign_in", "/sign-in", &fields).send().await.unwrap();
    assert!(response.status().is_redirection(), "{}", response.status());
    assert_eq!(location(&response), "/p/lab/roles");
    let cookie = cookie(&response).unwrap();
    assert_eq!(status_of(&stage, "/p/lab/roles", &cookie).await, 200);

    let out =
        form(&stage, "sign_out", "/p/lab/roles", &[]).header(header::COOKIE, &cookie).send().await.unwrap();
    assert_eq!(location(&out), "/sign-in");
    assert_eq!(status_of(&stage, "/p/lab/roles", &cookie).await, 303, "the session has ended");
}

#[tokio::test]
async fn a_wrong_password_and_a_foreign_page_sign_nobody_in() {
    let stage = Stage::new().await;
    let wrong = [("email", EMAIL), ("password", "not the password"), ("next", "")];
    let response = form(&stage, "sign_in", "/sign-in", &wrong).send().await.unwrap();
    assert!(cookie(&response).is_none());
    assert!(location(&response).contains("/sign-in"), "{}", location(&response));
    assert!(!location(&response).contains("not%20the%20password"));
    let right = [("email", EMAIL), ("password", PASSWORD), ("next", "//evil.example")];
    let elsewhere = form(&stage, "sign_in", "/sign-in", &right).send().await.unwrap();
    assert_eq!(location(&elsewhere), "/");
    let request = form(&stage, "sign_in", "/sign-in", &right).build().unwrap();
    let mut foreign = request;
    foreign.headers_mut().insert(header::ORIGIN, "http://evil.example".parse().unwrap());
    let response = reqwest::Client::new().execute(foreign).await.unwrap();
    assert_eq!(response.status(), 403);
    assert!(cookie(&response).is_none());
}

#[tokio::test]
async fn the_first_run_link_makes_one_admin_and_dies() {
    let stage = Stage::empty().await;
    let token = stage.engine.first_run_token().await.unwrap().unwrap().expose_secret().to_owned();
    let page = format!("/first-run?token={token}");
    assert_eq!(status_of(&stage, &page, "").await, 200);
    let fields =
        |email| [("token", token.as_str()), ("email", email), ("name", "Ada"), ("password", PASSWORD)];
    let response = form(&stage, "complete_first_run", &page, &fields(EMAIL)).send().await.unwrap();
    let admin = cookie(&response).expect("signed in");
    assert_eq!(status_of(&stage, "/api/v1/providers", &admin).await, 200);

    assert!(stage.engine.first_run_token().await.unwrap().is_none());
    let again = form(&stage, "complete_first_run", &page, &fields("eve@example.org")).send().await.unwrap();
    assert!(cookie(&again).is_none(), "the link is dead");
}

#[tokio::test]
async fn bodies_of_strangers_are_small() {
    let stage = Stage::new().await;
    let long = "x".repeat(100_000);
    let fields = [("email", EMAIL), ("password", long.as_str()), ("next", "")];
    let response = form(&stage, "sign_in", "/sign-in", &fields).send().await.unwrap();
    assert_eq!(response.status(), 413);
}
