//! Calls to models over HTTP, to a server that answers and fails as scripted.

use std::error::Error as _;
use std::time::Duration;

use domain::error::ErrorClass;
use domain::provider::ProviderKind;
use domain::usage::Usage;
use engine::models::{
    ChatMessage, FinishReason, Http, ModelClient, ModelError, ModelEvent, ModelRequest, ModelStream,
    ProviderClient,
};
use futures::StreamExt;
use scripted::{Fault, Finish, Message, Outcome, Rule, Server};

const KEY: &str = "sk-very-secret-0123456789";

/// Every protocol once; `local` is `openai-compatible` with another address.
pub const KINDS: [ProviderKind; 5] = [
    ProviderKind::OpenAi,
    ProviderKind::OpenAiCompatible,
    ProviderKind::Anthropic,
    ProviderKind::Gemini,
    ProviderKind::Ollama,
];

pub fn base_url(kind: ProviderKind, server: &Server) -> String {
    match kind {
        ProviderKind::OpenAi | ProviderKind::OpenAiCompatible | ProviderKind::Local => server.openai_url(),
        ProviderKind::Anthropic => server.anthropic_url(),
        ProviderKind::Gemini => server.gemini_url(),
        ProviderKind::Ollama => server.ollama_url(),
    }
}

pub fn client(kind: ProviderKind, base_url: &str) -> ProviderClient {
    ProviderClient::new(kind, Some(base_url), Some(KEY.into()), &Http::new()).unwrap()
}

/// An answer that was read to its end.
#[derive(Debug, Default)]
pub struct Heard {
    pub text: String,
    pub usage: Option<Usage>,
    pub finish: Option<FinishReason>,
    pub error: Option<ModelError>,
}

pub async fn ask(client: &ProviderClient, request: ModelRequest) -> Heard {
    hear(client.stream(request).await.unwrap()).await
}

async fn hear(mut stream: ModelStream) -> Heard {
    let mut heard = Heard::default();
    while let Some(item) = stream.next().await {
        assert!(heard.finish.is_none() && heard.error.is_none(), "something came after the end: {item:?}");
        match item {
            Ok(ModelEvent::Text(text)) => heard.text.push_str(&text),
            Ok(ModelEvent::Reasoning(_) | ModelEvent::Alive) => {}
            Ok(ModelEvent::Usage(usage)) => heard.usage = Some(usage),
            Ok(ModelEvent::Finish(reason)) => heard.finish = Some(reason),
            Err(error) => heard.error = Some(error),
        }
    }
    assert!(heard.finish.is_some() || heard.error.is_some(), "the stream ended without an end");
    heard
}

#[tokio::test]
async fn an_answer_comes_with_usage_and_a_reason_to_end() {
    for kind in KINDS {
        for slash in ["", "/"] {
            let server = Server::start().await;
            server.script(vec![Rule::text("Grüße an {{last_user}}, 你好").chunk_size(3).usage(11, 7)]);
            let client = client(kind, &format!("{}{slash}", base_url(kind, &server)));
            let request = ModelRequest {
                model: "scripted".into(),
                system: Some("Be kind.".into()),
                messages: vec![
                    ChatMessage::user("Hello"),
                    ChatMessage::assistant("Yes?"),
                    ChatMessage::user("Ada\nLovelace"),
                ],
                temperature: Some(0.5),
                max_tokens: Some(100),
                schema: None,
            };
            let heard = ask(&client, request).await;
            assert!(heard.error.is_none(), "{kind}: {:?}", heard.error);
            assert_eq!(heard.text, "Grüße an Ada\nLovelace, 你好", "{kind}");
            assert_eq!(heard.usage, Some(Usage::new(11, 7)), "{kind}");
            assert_eq!(heard.finish, Some(FinishReason::Stop), "{kind}");

            let ledger = server.ledger();
            let [entry] = ledger.as_slice() else { panic!("{kind}: not one request: {ledger:?}") };
            let message = |role: &str, content: &str| Message { role: role.into(), content: content.into() };
            let assistant = if kind == ProviderKind::Gemini { "model" } else { "assistant" };
            assert_eq!(entry.model, "scripted", "{kind}");
            assert_eq!(entry.system.as_deref(), Some("Be kind."), "{kind}");
            assert_eq!(entry.api_key.as_deref(), Some(KEY), "{kind}");
            assert_eq!(
                entry.messages,
                [message("user", "Hello"), message(assistant, "Yes?"), message("user", "Ada\nLovelace")],
                "{kind}"
            );
        }
    }
}

#[tokio::test]
async fn each_fault_has_its_class_and_is_one_request() {
    use ErrorClass::{Auth, BadRequest, Empty, Network, Overload, RateLimit, Timeout, Truncated};
    let said =
        |status, message: &str| Fault::Status { status, retry_after: None, message: Some(message.into()) };
    let page = "not a model's answer";
    // Fault, class, a part of the message, text that arrived before.
    let table = [
        (Fault::rate_limit("7"), RateLimit, "slow down (HTTP 429)", ""),
        (Fault::status(500), Overload, "(HTTP 500): the script says no", ""),
        (Fault::status(502), Overload, "(HTTP 502)", ""),
        (Fault::status(529), Overload, "(HTTP 529)", ""),
        (Fault::status(401), Auth, "(HTTP 401)", ""),
        (Fault::status(403), Auth, "(HTTP 403): the script says no", ""),
        (said(404, "no such model"), BadRequest, "(HTTP 404): no such model", ""),
        (Fault::status(400), BadRequest, "(HTTP 400)", ""),
        (Fault::status(422), BadRequest, "(HTTP 422)", ""),
        (Fault::status(302), BadRequest, "redirects are not followed (HTTP 302)", ""),
        (Fault::status(408), Timeout, "(HTTP 408)", ""),
        (Fault::Html, Network, page, ""),
        (Fault::Empty, Empty, "empty", ""),
        (Fault::Cut { after: 0 }, Truncated, "broke", ""),
        (Fault::Cut { after: 2 }, Truncated, "broke", "one tw"),
        (Fault::EndEarly { after: 2 }, Truncated, "broke off", "one tw"),
        (Fault::EndEarly { after: 9 }, Truncated, "broke off", "one two"),
        (Fault::BadJson { after: 1 }, Network, "cannot be read", "one"),
        (Fault::BadUtf8 { after: 1 }, Network, "cannot be read", "one"),
        (Fault::ErrorEvent { after: 1, message: None }, Overload, "Overloaded", "one"),
    ];
    let server = Server::start().await;
    for kind in KINDS {
        let client = client(kind, &base_url(kind, &server));
        for (fault, class, words, text) in &table {
            server.clear_ledger();
            server.script(vec![Rule {
                text: Some("one two".into()),
                ..Rule::fault(fault.clone()).chunk_size(3)
            }]);
            let heard = ask(&client, ModelRequest::new("scripted", "Count")).await;
            let error = heard.error.unwrap_or_else(|| panic!("{kind}, {fault:?}: no error"));
            assert_eq!(error.class, *class, "{kind}, {fault:?}: {error}");
            assert!(error.message.contains(words), "{kind}, {fault:?}: {error}");
            assert_eq!(heard.text, *text, "{kind}, {fault:?}");
            let wait = matches!(fault, Fault::Status { status: 429, .. }).then_some(Duration::from_secs(7));
            assert_eq!(error.retry_after, wait, "{kind}, {fault:?}");
            assert_eq!(server.ledger().len(), 1, "{kind}, {fault:?}: tried again in silence");
        }
    }
}

#[tokio::test]
async fn a_fault_for_the_first_calls_gives_way_to_an_answer() {
    let server = Server::start().await;
    let client = client(ProviderKind::OpenAi, &server.openai_url());
    server.script(vec![
        Rule::fault(Fault::status(503)).times(2),
        Rule::text("second rule, call {{n}}").model("scripted").system("kind"),
        Rule::text("third rule").last_user("please"),
    ]);
    for _ in 0..2 {
        let heard = ask(&client, ModelRequest::new("scripted", "now")).await;
        assert_eq!(heard.error.map(|error| error.class), Some(ErrorClass::Overload));
    }
    let mut request = ModelRequest::new("scripted", "now please");
    assert_eq!(ask(&client, request.clone()).await.text, "third rule");
    request.system = Some("be kind".into());
    assert_eq!(ask(&client, request).await.text, "second rule, call 1");
    let echo = ask(&client, ModelRequest::new("scripted", "now")).await;
    assert_eq!(echo.text, "now", "an echo when no rule applies");
}

#[tokio::test]
async fn other_endings_are_told_apart() {
    let server = Server::start().await;
    for kind in KINDS {
        let client = client(kind, &base_url(kind, &server));
        for (finish, reason, class) in [
            (Finish::Length, Some(FinishReason::Length), None),
            (Finish::ContentFilter, None, Some(ErrorClass::Refused)),
        ] {
            server.script(vec![Rule::text("half a sen").finish(finish)]);
            let heard = ask(&client, ModelRequest::new("scripted", "Go on")).await;
            assert_eq!(heard.text, "half a sen", "{kind}");
            assert_eq!(heard.finish, reason, "{kind}: {:?}", heard.error);
            assert_eq!(heard.error.as_ref().map(|error| error.class), class, "{kind}: {:?}", heard.error);
        }
    }
}

/// Without a finish reason the protocol's end mark shows that the answer is complete; Gemini has no mark.
#[tokio::test]
async fn without_a_word_the_end_mark_decides() {
    let server = Server::start().await;
    for kind in KINDS {
        let client = client(kind, &base_url(kind, &server));
        for end_mark in [true, false] {
            let rule = Rule::text("some words").finish(Finish::None);
            server.script(vec![if end_mark { rule } else { rule.no_end_mark() }]);
            let heard = ask(&client, ModelRequest::new("scripted", "Go on")).await;
            let class = heard.error.as_ref().map(|error| error.class);
            if end_mark && kind != ProviderKind::Gemini {
                assert_eq!((heard.finish, class), (Some(FinishReason::Stop), None), "{kind}");
            } else {
                assert_eq!((heard.finish, class), (None, Some(ErrorClass::Truncated)), "{kind}, {end_mark}");
            }
        }
    }
}

/// A token limit that was exhausted before any visible text is distinguished from an answer that was cut off.
#[tokio::test]
async fn a_limit_used_up_by_thinking_is_an_error_of_its_own() {
    let server = Server::start().await;
    for kind in KINDS {
        let client = client(kind, &base_url(kind, &server));
        server.script(vec![Rule::fault(Fault::Empty).finish(Finish::Length).usage(11, 7)]);
        let heard = ask(&client, ModelRequest::new("scripted", "Think")).await;
        let error = heard.error.unwrap_or_else(|| panic!("{kind}: no error"));
        assert_eq!(error.class, ErrorClass::Truncated, "{kind}: {error}");
        assert!(error.message.starts_with("Token limit used up by thinking"), "{kind}: {error}");
        assert_eq!(heard.usage, Some(Usage::new(11, 7)), "{kind}");
    }
}

/// The message repeats the provider's explanation; OpenAI's refusals come with the word `stop`.
#[tokio::test]
async fn an_aborted_answer_repeats_the_providers_sentence() {
    let server = Server::start().await;
    for (kind, word) in [
        (ProviderKind::OpenAi, "stop"),
        (ProviderKind::Anthropic, "refusal"),
        (ProviderKind::Gemini, "OTHER"),
    ] {
        let client = client(kind, &base_url(kind, &server));
        let said = format!("Not with {KEY}.");
        server.script(vec![Rule::fault(Fault::Empty).finish_word(word).finish_message(said)]);
        let error = ask(&client, ModelRequest::new("scripted", "Go on")).await.error.unwrap();
        assert!(error.message.ends_with(": Not with [key]."), "{kind}: {error}");
    }
}

/// A server that has reported the end of the answer but does not close the connection.
#[tokio::test]
async fn a_complete_answer_does_not_wait_for_the_connection_to_close() {
    let server = Server::start().await;
    server.script(vec![Rule { fault: Some(Fault::StallAtEnd), ..Rule::text("all of it").no_end_mark() }]);
    let asked = [ProviderKind::OpenAi, ProviderKind::Anthropic].map(async |kind| {
        let heard =
            ask(&client(kind, &base_url(kind, &server)), ModelRequest::new("scripted", "Go on")).await;
        assert_eq!((heard.text.as_str(), heard.finish), ("all of it", Some(FinishReason::Stop)), "{kind}");
    });
    futures::future::join_all(asked).await;
}

#[tokio::test]
async fn dropping_the_stream_closes_the_connection() {
    let server = Server::start().await;
    for kind in KINDS {
        let client = client(kind, &base_url(kind, &server));

        // In the middle of the answer.
        server.clear_ledger();
        server.script(vec![Rule::text("one two").chunk_size(3).hold(1)]);
        let mut stream = client.stream(ModelRequest::new("scripted", "Count")).await.unwrap();
        loop {
            match stream.next().await {
                Some(Ok(ModelEvent::Text(text))) => break assert_eq!(text, "one", "{kind}"),
                Some(Ok(_)) => {}
                other => panic!("{kind}: {other:?}"),
            }
        }
        assert_eq!(server.ledger()[0].outcome, Outcome::Answering, "{kind}");
        drop(stream);
        server.wait_for(|ledger| ledger[0].outcome == Outcome::HungUp).await;

        // Before it began.
        server.clear_ledger();
        server.script(vec![Rule::fault(Fault::Stall)]);
        let mut stream = client.stream(ModelRequest::new("scripted", "Count")).await.unwrap();
        tokio::select! {
            item = stream.next() => panic!("{kind}: {item:?}"),
            _ = server.wait_for(|ledger| !ledger.is_empty()) => {}
        }
        drop(stream);
        server.wait_for(|ledger| ledger[0].outcome == Outcome::HungUp).await;
    }
}

#[tokio::test]
async fn a_held_answer_goes_on_when_released() {
    let server = Server::start().await;
    let client = client(ProviderKind::Anthropic, &server.anthropic_url());
    server.script(vec![Rule::text("one two").chunk_size(3).hold(2)]);
    let asked = ask(&client, ModelRequest::new("scripted", "Count"));
    let release = async {
        server.wait_for(|ledger| !ledger.is_empty()).await;
        server.release();
    };
    let (heard, ()) = tokio::join!(asked, release);
    assert_eq!((heard.text.as_str(), heard.finish), ("one two", Some(FinishReason::Stop)));
}

#[tokio::test]
async fn the_key_shows_in_no_error() {
    let server = Server::start().await;
    let masked = format!("{}****6789", &KEY[..9]);
    for kind in KINDS {
        let client = client(kind, &base_url(kind, &server));
        assert!(!format!("{client:?}").contains(KEY), "{client:?}");
        for status in [400, 401, 403, 429, 500] {
            let message = Some(format!("Incorrect API key provided: {KEY}, that is {masked}."));
            server.script(vec![Rule::fault(Fault::Status { status, retry_after: None, message })]);
            let heard = ask(&client, ModelRequest::new("scripted", "Hello")).await;
            let error = heard.error.unwrap();
            let source = error.source().map(|source| format!("{source} {source:?}")).unwrap_or_default();
            let all = format!("{error} {error:?} {error:#?} {source}");
            assert!(!all.contains(KEY) && !all.contains(&masked), "{kind}, {status}: {all}");
        }
    }
}

/// A schema is sent in each protocol's own field; without a schema the field is absent.
#[tokio::test]
async fn a_schema_is_asked_for_in_the_providers_own_mode() {
    let schema =
        serde_json::json!({"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}});
    let list = serde_json::json!({"type": "array"});
    for kind in KINDS {
        let server = Server::start().await;
        server.script(vec![Rule::text(r#"{"n": 1}"#)]);
        let client = client(kind, &base_url(kind, &server));
        for schema in [Some(schema.clone()), Some(list.clone()), None] {
            let request = ModelRequest { schema, ..ModelRequest::new("scripted", "Hello") };
            let heard = ask(&client, request).await;
            assert!(heard.error.is_none(), "{kind}: {:?}", heard.error);
        }
        let [asked, list, plain] = &server.ledger()[..] else { panic!() };
        let format = asked.format.as_ref().unwrap_or_else(|| panic!("{kind} was not told"));
        match kind {
            ProviderKind::Ollama => assert_eq!(format, "json"),
            _ => assert_eq!(format["properties"]["n"]["type"], "integer", "{kind}"),
        }
        assert_eq!((&list.format, &plain.format), (&None, &None), "{kind}");
    }
}

#[tokio::test]
async fn nobody_listening_is_a_network_error_that_says_where() {
    // A port whose server is gone.
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for kind in KINDS {
        let client = client(kind, &format!("http://{address}/v1"));
        let expected = format!("Connection refused at http://{address}");
        let error = ask(&client, ModelRequest::new("scripted", "Hello")).await.error.unwrap();
        assert_eq!((error.class, error.message), (ErrorClass::Network, expected.clone()), "{kind}");
        let error = client.list_models().await.unwrap_err();
        assert_eq!((error.class, error.message), (ErrorClass::Network, expected), "{kind}");
    }
}

#[tokio::test]
async fn models_are_listed() {
    let server = Server::start().await;
    server.models(["zeta", "alpha"]);
    for kind in KINDS {
        let client = client(kind, &base_url(kind, &server));
        assert_eq!(client.list_models().await.unwrap(), ["alpha", "zeta"], "{kind}");
    }
    // A wrong base URL.
    let lost = client(ProviderKind::OpenAiCompatible, &format!("{}/nowhere", server.url()));
    assert_eq!(lost.list_models().await.unwrap_err().class, ErrorClass::BadRequest);
}

#[tokio::test]
async fn names_of_models_arrive_as_given_and_keys_only_if_there_are_any() {
    let server = Server::start().await;
    for kind in [ProviderKind::OpenAiCompatible, ProviderKind::Local, ProviderKind::Ollama] {
        let client = ProviderClient::new(kind, Some(&base_url(kind, &server)), None, &Http::new()).unwrap();
        for name in ["qwen-max", "org/model-high", "a::b-low"] {
            server.clear_ledger();
            let heard = ask(&client, ModelRequest::new(name, "Hello")).await;
            assert_eq!(heard.text, "Hello", "{kind}: {:?}", heard.error);
            let entry = &server.ledger()[0];
            assert_eq!((entry.model.as_str(), &entry.api_key), (name, &None), "{kind}");
        }
        assert!(!client.list_models().await.unwrap().is_empty());
    }
}

#[test]
fn settings_that_cannot_work_are_refused_at_once() {
    use ProviderKind::{Anthropic, Gemini, Ollama, OpenAi, OpenAiCompatible};
    let http = Http::new();
    let make = |kind, url: Option<&str>, key: Option<&str>| {
        ProviderClient::new(kind, url, key.map(Into::into), &http).map(drop).map_err(|error| error.class)
    };
    let table = [
        (OpenAi, None, None, Err(ErrorClass::Auth)),
        (OpenAi, None, Some(" "), Err(ErrorClass::Auth)),
        (OpenAiCompatible, None, None, Err(ErrorClass::BadRequest)),
        (OpenAiCompatible, Some("localhost:8000"), None, Err(ErrorClass::BadRequest)),
        (OpenAiCompatible, Some("ftp://host/v1"), None, Err(ErrorClass::BadRequest)),
        (OpenAiCompatible, Some("http://user:pass@host/v1"), None, Err(ErrorClass::BadRequest)),
        (Ollama, Some("http://host/?x=1"), None, Err(ErrorClass::BadRequest)),
        (OpenAi, None, Some(KEY), Ok(())),
        (Anthropic, None, Some(KEY), Ok(())),
        (Gemini, None, Some(KEY), Ok(())),
        (Ollama, None, None, Ok(())),
    ];
    for (kind, url, key, expected) in table {
        assert_eq!(make(kind, url, key), expected, "{kind}, {url:?}, {key:?}");
    }
}

#[test]
fn a_request_reads_well_as_the_text_of_an_event() {
    let request = ModelRequest { max_tokens: Some(5), ..ModelRequest::new("m", "Hi") };
    let json = serde_json::json!({"model": "m", "turns": [{"author": "user", "text": "Hi"}], "maxTokens": 5});
    assert_eq!(serde_json::to_value(&request).unwrap(), json);
    assert_eq!(serde_json::from_value::<ModelRequest>(json).unwrap(), request);
}
