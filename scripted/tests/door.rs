//! The door for other processes: the script over HTTP, answers that are not streamed, the ledger.

use scripted::{Outcome, Server};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// One request on a connection of its own: status, and body as text.
async fn call(server: &Server, method: &str, path: &str, body: &Value) -> (u16, String) {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let mut connection = TcpStream::connect(server.address()).await.unwrap();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    connection.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, body.to_owned())
}

async fn get(server: &Server, path: &str) -> Value {
    serde_json::from_str(&call(server, "GET", path, &Value::Null).await.1).unwrap()
}

#[tokio::test]
async fn the_script_is_set_and_the_ledger_read_over_http() {
    let server = Server::start().await;
    let script = json!({
        "models": ["one"],
        "rules": [
            {"lastUser": "fail", "times": 1, "fault": {"kind": "status", "status": 429, "retryAfter": "3"}},
            {"model": "one", "text": "{{n}}: {{last_user}} ({{system}})", "usage": {"inputTokens": 5, "outputTokens": 6}},
        ],
    });
    assert_eq!(call(&server, "PUT", "/script", &script).await.0, 204);
    assert_eq!(get(&server, "/v1/models").await["data"][0]["id"], "one");

    let messages = json!([{"role": "system", "content": "s"}, {"role": "user", "content": [{"type": "text", "text": "fail"}]}]);
    let question = json!({"model": "one", "messages": messages});
    assert_eq!(call(&server, "POST", "/v1/chat/completions", &question).await.0, 429);
    let (status, answer) = call(&server, "POST", "/v1/chat/completions", &question).await;
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(status, 200);
    assert_eq!(answer["choices"][0]["message"]["content"], "1: fail (s)");
    assert_eq!(answer["usage"]["total_tokens"], 11);

    let ledger = get(&server, "/ledger").await;
    assert_eq!(ledger.as_array().unwrap().len(), 2);
    assert_eq!(ledger[1]["system"], "s");
    assert_eq!(ledger[1]["messages"], json!([{"role": "user", "content": "fail"}]));
    assert_eq!(ledger[1]["outcome"], "sent");
    assert_eq!(call(&server, "DELETE", "/ledger", &Value::Null).await.0, 204);
    assert_eq!(get(&server, "/ledger").await, json!([]));
}

#[tokio::test]
async fn a_script_with_a_slip_of_the_pen_is_refused() {
    let server = Server::start().await;
    for script in [json!([{"txt": "hello"}]), json!([{"fault": {"kind": "explode"}}]), json!({"rules": 3})] {
        let (status, body) = call(&server, "PUT", "/script", &script).await;
        assert!((400..500).contains(&status), "{script}: {status} {body}");
    }
}

#[tokio::test]
async fn whole_answers_have_each_protocols_form() {
    let server = Server::start().await;
    let turns = json!([{"role": "user", "content": "hello"}]);
    let contents = json!([{"role": "user", "parts": [{"text": "hello"}]}]);
    let table = [
        ("/v1/chat/completions", json!({"model": "m", "messages": turns}), "/choices/0/message/content"),
        ("/v1/messages", json!({"model": "m", "messages": turns, "max_tokens": 9}), "/content/0/text"),
        ("/api/chat", json!({"model": "m", "messages": turns, "stream": false}), "/message/content"),
        (
            "/gemini/v1beta/models/m:generateContent",
            json!({"contents": contents}),
            "/candidates/0/content/parts/0/text",
        ),
    ];
    for (path, body, text) in table {
        let (status, answer) = call(&server, "POST", path, &body).await;
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!((status, answer.pointer(text)), (200, Some(&json!("hello"))), "{path}: {answer}");
    }
    assert!(server.ledger().iter().all(|entry| entry.outcome == Outcome::Sent && entry.model == "m"));
}
