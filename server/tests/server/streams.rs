//! How many event streams a credential and a person may have open.

use crate::stage::{Stage, number, problem};
use futures::{StreamExt, stream};
use reqwest::{Method, Response, header};
use scripted::Rule;
use secrecy::ExposeSecret;
use serde_json::json;

/// What the README says: per token or session, and per person.
const PER_CREDENTIAL: usize = 500;
const PER_PERSON: usize = 1_000;

#[tokio::test]
async fn a_token_and_a_person_may_have_so_many_streams_and_are_told() {
    let stage = Stage::furnished().await;
    stage.models.script(vec![Rule::text("one two").chunk_size(4).hold(1)]);
    let run = number(&stage.launch(&json!({ "input": { "code": "x" } })).await["run"]);
    let (stage, path) = (&stage, &format!("/api/v1/projects/lab/runs/{run}/events"));
    let open = |token: &str, count: usize| {
        let token = token.to_owned();
        async move {
            let request = || stage.plain(Method::GET, path).header(header::ACCEPT, "text/event-stream");
            let opened = stream::iter(0..count).map(|_| request().bearer_auth(&token).send());
            opened.buffer_unordered(32).map(Result::unwrap).collect::<Vec<Response>>().await
        }
    };
    let mut first = open(&stage.token, PER_CREDENTIAL).await;
    assert!(first.iter().all(|answer| answer.status() == 200));
    let one_more = open(&stage.token, 1).await.pop().unwrap();
    assert!(one_more.headers()[header::RETRY_AFTER].to_str().unwrap().parse::<u64>().unwrap() > 0);
    let (status, told) = problem(one_more).await;
    assert_eq!(status, 429, "{told}");
    assert!(told["detail"].as_str().unwrap().contains("500 event streams"), "{told}");
    // Closing one makes room for another.
    drop(first.pop());
    let again = async {
        loop {
            let one = open(&stage.token, 1).await.pop().unwrap();
            if one.status() == 200 {
                break one;
            }
        }
    };
    first.push(tokio::time::timeout(std::time::Duration::from_secs(10), again).await.expect("there is room"));

    let mut all = vec![first];
    let token = async |name| stage.engine.create_api_token(crate::stage::EMAIL, name).await.unwrap();
    let second = token("second").await.expose_secret().to_owned();
    all.push(open(&second, PER_PERSON - PER_CREDENTIAL).await);
    assert!(all[1].iter().all(|answer| answer.status() == 200));
    let third = token("third").await.expose_secret().to_owned();
    let (status, told) = problem(open(&third, 1).await.pop().unwrap()).await;
    assert_eq!(status, 429, "{told}");
    assert!(told["detail"].as_str().unwrap().contains("1000 event streams"), "{told}");
    // A page is refused alike, and is told so when it asks why: a stream of a browser does not say.
    let page = stage.page(Method::GET, "/p/lab/live?after=p:0").send().await.unwrap();
    assert_eq!(problem(page).await.0, 429);
    let pulse = stage.page(Method::POST, crate::stage::function("pulse"));
    let pulse = pulse.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded").body("project=lab");
    let pulse = pulse.send().await.unwrap();
    assert_eq!(pulse.status(), 429);
    assert!(pulse.text().await.unwrap().contains("event streams"));
}
