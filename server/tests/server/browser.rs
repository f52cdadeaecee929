//! The routes of the browser: headers, the site's files, the live connection, texts.

use crate::stage::{Stage, events, number, problem};
use futures::StreamExt;
use reqwest::{Method, Response, header};
use scripted::Rule;
use serde_json::{Value, json};
use std::{collections::BTreeSet, time::Duration};

/// Reads until `enough` holds for the text, and returns the text.
async fn read_until(response: Response, enough: impl Fn(&str) -> bool) -> String {
    let mut pieces = response.bytes_stream();
    let mut text = String::new();
    let reading = async {
        while !enough(&text) {
            let piece = pieces.next().await.expect("the stream goes on").unwrap();
            text.push_str(std::str::from_utf8(&piece).unwrap());
        }
    };
    tokio::time::timeout(Duration::from_secs(20), reading).await.expect("it comes");
    text
}

#[tokio::test]
async fn a_page_runs_no_script_but_its_own() {
    let stage = Stage::new().await;
    let mut nonces = BTreeSet::new();
    for _ in 0..2 {
        let page = stage.page(Method::GET, "/sign-in").send().await.unwrap();
        assert_eq!(page.status(), 200);
        let headers = page.headers().clone();
        assert_eq!(headers["x-content-type-options"], "nosniff");
        assert_eq!(headers["referrer-policy"], "same-origin");
        assert_eq!(headers["cross-origin-opener-policy"], "same-origin");
        assert_eq!(headers[header::CACHE_CONTROL], "no-store");
        assert!(headers.contains_key("x-request-id"));
        let policy = headers["content-security-policy"].to_str().unwrap();
        let (_, after) = policy.split_once("script-src 'self' 'nonce-").unwrap();
        let (nonce, _) = after.split_once("' 'wasm-unsafe-eval'").unwrap();
        for part in [
            "default-src 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "object-src 'none'",
            "form-action 'self'",
        ] {
            assert!(policy.contains(part), "{policy}");
        }
        assert!(!policy.contains("unsafe-inline"));
        let html = page.text().await.unwrap();
        let scripts = html.matches("<script").count();
        assert!(scripts > 0);
        assert_eq!(
            html.matches(&format!("nonce=\"{nonce}\"")).count(),
            scripts,
            "every script has the nonce"
        );
        nonces.insert(nonce.to_owned());
    }
    assert_eq!(nonces.len(), 2, "each answer has a nonce of its own");
    let plain = stage.plain(Method::GET, "/health").send().await.unwrap();
    let policy = plain.headers()["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("script-src 'self' 'wasm-unsafe-eval'"), "{policy}");
}

#[tokio::test]
async fn the_gallery_is_there_for_those_who_ask_for_it() {
    for (stage, status) in [(Stage::new().await, 200), (Stage::without_gallery().await, 404)] {
        assert_eq!(stage.page(Method::GET, "/gallery").send().await.unwrap().status(), status);
    }
}

#[tokio::test]
async fn a_page_that_is_none_is_not_found() {
    let stage = Stage::new().await;
    let page = stage.page(Method::GET, "/nowhere/at/all").send().await.unwrap();
    assert_eq!(page.status(), 404);
    assert!(page.headers()[header::CONTENT_TYPE].to_str().unwrap().starts_with("text/html"));
    let posted = stage.page(Method::POST, "/nowhere").send().await.unwrap();
    assert_eq!(problem(posted).await.0, 404);
}

#[tokio::test]
async fn the_site_s_files_are_open_and_cached_by_their_names() {
    let stage = Stage::empty().await;
    for (path, cache) in [
        ("/favicon.svg", "no-cache"),
        ("/pkg/troupe.css", "no-cache"),
        ("/pkg/troupe.0123456789abcdef.css", "public, max-age=31536000, immutable"),
    ] {
        let file = stage.plain(Method::GET, path).send().await.unwrap();
        assert_eq!(file.status(), 200, "{path}");
        assert_eq!(file.headers()[header::CACHE_CONTROL], cache, "{path}");
        let date = file.headers()[header::LAST_MODIFIED].clone();
        let again =
            stage.plain(Method::GET, path).header(header::IF_MODIFIED_SINCE, date).send().await.unwrap();
        assert_eq!(again.status(), 304, "{path}");
    }
    for path in ["/pkg/no.css", "/pkg/../data/secret.key", "/pkg/%2e%2e/%2e%2e/data/secret.key"] {
        let file = stage.plain(Method::GET, path).send().await.unwrap();
        assert!([404, 303].contains(&file.status().as_u16()), "{path}: {}", file.status());
    }
}

/// A4, F4: a tab receives the events that it lacks and then live ones, each with the cursor to continue from.
#[tokio::test]
async fn a_tab_follows_runs_and_its_project_from_its_cursor() {
    let stage = Stage::furnished().await;
    stage.models.script(vec![Rule::text("one two three").chunk_size(4).hold(2)]);
    let start = stage.engine.project_cursor(&user(&stage).await, &"lab".parse().unwrap()).await.unwrap();
    let launched = stage.launch(&json!({ "input": { "code": "x" } })).await;
    let run = number(&launched["run"]);
    stage.models.wait_for(|entries| !entries.is_empty()).await;
    let path = format!("/p/lab/live?after={run}:2,p:{start}");
    let response =
        stage.page(Method::GET, &path).header(header::ACCEPT, "text/event-stream").send().await.unwrap();
    assert_eq!(response.headers()["x-accel-buffering"], "no");
    assert!(!response.headers().contains_key(header::CONTENT_ENCODING));
    let text = read_until(response, |text| text.contains("\"delta\"") && text.contains("\"change\"")).await;
    let frames = events(&text[..text.rfind("\n\n").unwrap() + 2]);
    let seqs: Vec<_> = frames
        .iter()
        .filter_map(|(_, _, data)| data.get("event"))
        .map(|frame| frame["event"]["seq"].as_u64().unwrap())
        .collect();
    assert_eq!(seqs, (3..3 + seqs.len() as u64).collect::<Vec<_>>(), "from the cursor on, without gaps");
    let last = frames.last().unwrap().0.clone().unwrap();
    assert!(last.contains(&format!("{run}:")) && last.contains("p:"), "{last}");

    // A reconnecting tab sends the last id that it received, which overrides its URL.
    stage.models.release();
    stage.models.wait_for(|entries| entries.len() == 2).await;
    stage.models.release();
    let again = stage.page(Method::GET, &path).header("last-event-id", &last).send().await.unwrap();
    let text = read_until(again, |text| text.contains("\"completed\"")).await;
    let frames = events(&text[..text.rfind("\n\n").unwrap() + 2]);
    let first = frames.iter().find_map(|(_, _, data)| data.get("event")).unwrap();
    assert_eq!(first["event"]["seq"].as_u64().unwrap(), seqs.last().unwrap() + 1);
}

#[tokio::test]
async fn a_tab_that_has_missed_changes_is_told_to_read_anew() {
    let stage = Stage::furnished().await;
    let newest = stage.engine.project_cursor(&user(&stage).await, &"lab".parse().unwrap()).await.unwrap();
    // A cursor that this database never issued: the database was restored from a backup.
    let response = stage.page(Method::GET, "/p/lab/live?after=p:999999").send().await.unwrap();
    let text = read_until(response, |text| text.contains("\n\n")).await;
    let (id, _, data) = events(&text).remove(0);
    assert_eq!(id, Some(format!("p:{newest}")), "it goes on from the newest");
    assert_eq!(data, json!({ "change": { "change": { "seq": newest, "subject": "everything" } } }));
}

#[tokio::test]
async fn a_tab_is_told_when_its_session_has_gone() {
    let stage = Stage::furnished().await;
    let response = stage.page(Method::GET, "/p/lab/live?after=p:0").send().await.unwrap();
    stage.engine.sign_out(&stage.session).await.unwrap();
    let text = tokio::time::timeout(Duration::from_secs(30), response.text()).await.unwrap().unwrap();
    let (_, name, data) = events(&text).pop().unwrap();
    assert_eq!((name.as_str(), &data["reason"]), ("gone", &"the session has ended".into()));
}

#[tokio::test]
async fn a_cursor_that_is_none_and_a_project_that_is_none_are_refused() {
    let stage = Stage::furnished().await;
    let (status, _) = problem(stage.page(Method::GET, "/p/lab/live?after=x").send().await.unwrap()).await;
    assert_eq!(status, 400);
    for path in ["/p/elsewhere/live", "/p/Not%20a%20key/live", "/p/lab/live?after=99:0"] {
        assert_eq!(problem(stage.page(Method::GET, path).send().await.unwrap()).await.0, 404, "{path}");
    }
}

/// DESIGN section 6: streams end when the server does, and the server does not wait for them.
#[tokio::test]
async fn stopping_ends_streams() {
    let mut stage = Stage::furnished().await;
    let response = stage.page(Method::GET, "/p/lab/live?after=p:0").send().await.unwrap();
    let reading = tokio::spawn(response.text());
    tokio::time::timeout(Duration::from_secs(4), stage.stop())
        .await
        .expect("it does not wait for the stream");
    reading.await.unwrap().expect("the stream ended as it should");
}

#[tokio::test]
async fn a_role_is_tried_in_place() {
    let stage = Stage::furnished().await;
    stage.models.script(vec![Rule::text("hello there").chunk_size(6).usage(7, 2)]);
    let draft =
        json!({ "key": "new", "name": "New", "basePrompt": "Be brief.", "model": "scripted/new-model" });
    let request =
        stage.page(Method::POST, "/p/lab/roles/try").json(&json!({ "draft": draft, "message": "Hello?" }));
    let response = request.send().await.unwrap();
    assert_eq!(response.headers()[header::CONTENT_TYPE], "text/event-stream");
    let data: Vec<Value> =
        events(&response.text().await.unwrap()).into_iter().map(|(_, _, data)| data).collect();
    let text: String = data.iter().filter_map(|data| data["text"].as_str()).collect();
    assert_eq!(text, "hello there");
    assert_eq!(data.last().unwrap()["usage"], json!({ "inputTokens": 7, "outputTokens": 2 }));
    assert_eq!(stage.models.ledger()[0].system.as_deref(), Some("Be brief."));
}

#[tokio::test]
async fn a_stored_text_comes_in_full_and_plain() {
    let stage = Stage::furnished().await;
    let long = "<script>alert(1)</script>".repeat(4000);
    stage.models.script(vec![Rule::text(&long)]);
    let launched = stage.launch(&json!({ "input": { "code": "x" } })).await;
    let run = stage.ended(&launched["run"]).await;
    let output = &run["steps"][0]["output"];
    assert_eq!(output["bytes"], long.len());
    assert!(long.starts_with(output["head"].as_str().unwrap()));
    let reference = output["ref"].as_str().unwrap();
    let path = format!("runs/{}/content/{reference}", launched["run"]);
    let by_page = stage.page(Method::GET, &format!("/p/lab/{path}")).send().await.unwrap();
    let by_token = stage.api(Method::GET, &format!("/api/v1/projects/lab/{path}")).send().await.unwrap();
    for response in [by_page, by_token] {
        assert_eq!(response.headers()[header::CONTENT_TYPE], "text/plain; charset=utf-8");
        assert_eq!(response.headers()["x-content-type-options"], "nosniff");
        assert_eq!(response.text().await.unwrap(), long);
    }
}

async fn user(stage: &Stage) -> domain::view::User {
    stage.engine.user_of_session(&stage.session).await.unwrap().unwrap()
}
