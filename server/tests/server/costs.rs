//! What a request may cost: nobody's request keeps the others waiting, and who is a member of nothing costs nothing.

use crate::stage::{Person, Stage, function};
use domain::access::Permission;
use reqwest::{Method, RequestBuilder, header};
use scripted::Rule;
use serde_json::{Value, json};
use std::{
    fmt::Write,
    future::Future,
    time::{Duration, Instant},
};

/// The most that `/health` may take meanwhile. The limit for users is 100 ms; the tests' build is many times slower.
const MEANWHILE: Duration = Duration::from_millis(250);

/// A large document that is valid.
fn large(key: &str, prompt: &str) -> String {
    let mut source = format!("apiVersion: troupe/v1\nkey: {key}\nname: Large\nsteps:\n");
    for step in 0..1_500 {
        writeln!(source, "  - name: Step {step}\n    prompt: '{prompt} {step} {}'", "word ".repeat(20))
            .unwrap();
    }
    source
}

/// An input schema with patterns that take long to compile, within the limits.
fn patterned() -> String {
    let mut source =
        "apiVersion: troupe/v1\nkey: patterned\nname: Patterned\ninput:\n  type: object\n  properties:\n"
            .to_owned();
    for index in 0..12 {
        writeln!(source, "    p{index}: {{type: string, pattern: '\\p{{L}}{{20}}{index}'}}").unwrap();
    }
    source + "steps:\n  - {name: One, prompt: Hello}\n"
}

/// The slowest answer of `/health` while `work` goes on.
async fn slowest_health(stage: &Stage, work: impl Future<Output = ()>) -> Duration {
    let mut slowest = Duration::ZERO;
    let mut work = std::pin::pin!(work);
    loop {
        let began = Instant::now();
        let health = async {
            stage.plain(Method::GET, "/health").send().await.unwrap();
            began.elapsed()
        };
        tokio::select! {
            biased;
            took = health => slowest = slowest.max(took),
            () = &mut work => return slowest.max(began.elapsed()),
        }
    }
}

fn form(fields: &[(&str, &str)]) -> String {
    let encode = |text: &str| -> String {
        text.bytes()
            .map(|byte| match byte.is_ascii_alphanumeric() {
                true => char::from(byte).to_string(),
                false => format!("%{byte:02X}"),
            })
            .collect()
    };
    fields.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect::<Vec<_>>().join("&")
}

fn call(stage: &Stage, name: &str) -> RequestBuilder {
    stage.page(Method::POST, function(name))
}

fn posted(stage: &Stage, name: &str, fields: &[(&str, &str)]) -> RequestBuilder {
    call(stage, name).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded").body(form(fields))
}

/// One thread serves all requests: what computes on it would hold up `/health`.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_computes_keeps_nobody_waiting() {
    let stage = Stage::furnished().await;
    let (one, other) = (large("large", "ASK"), large("large", "TELL"));
    let all = "/api/v1/projects/lab/templates";
    for source in [&one, &patterned()] {
        assert_eq!(stage.put_template(Method::POST, all, source).await.status(), 201);
    }
    let large_one = "/api/v1/projects/lab/templates/large";
    assert_eq!(stage.put_template(Method::PUT, large_one, &other).await.status(), 200);
    let document: Value = stage.get(large_one).await["document"].clone();
    let words = |word: &str| -> String {
        (0..12_000).fold(String::new(), |text, line| text + &format!("{word} {}\n", line * line))
    };
    stage.models.script(vec![
        Rule::text(words("one")).last_user("FIRST"),
        Rule::text(words("two")).last_user("SECOND"),
        Rule::text("short"),
    ]);
    for code in ["FIRST", "SECOND"] {
        let launched = stage.launch(&json!({ "input": { "code": code } })).await;
        assert_eq!(stage.ended(&launched["run"]).await["status"], "completed");
    }
    let preview = |key: &str, body: Value| {
        stage.api(Method::POST, &format!("/api/v1/projects/lab/templates/{key}/preview")).json(&body)
    };
    let loops = "{% for a in range(1000) %}{% for b in range(1000) %}{{ a }}{% endfor %}{% endfor %}";
    type Asked<'a> = Box<dyn Fn() -> RequestBuilder + 'a>;
    let requests: Vec<(&str, u16, Asked<'_>)> = vec![
        (
            "check",
            200,
            Box::new(|| call(&stage, "check_template").json(&json!({ "project": "lab", "source": one }))),
        ),
        (
            "render",
            200,
            Box::new(|| {
                call(&stage, "render_template")
                    .json(&json!({ "project": "lab", "document": document, "before": one }))
            }),
        ),
        (
            "save",
            200,
            Box::new(|| {
                let renamed = large("other", "SAVE");
                posted(&stage, "save_template", &[("project", "lab"), ("source", &renamed), ("stay", "true")])
            }),
        ),
        ("show", 200, Box::new(|| posted(&stage, "show_template", &[("project", "lab"), ("key", "large")]))),
        ("load form", 200, Box::new(|| posted(&stage, "load_form", &[("project", "lab"), ("key", "large")]))),
        (
            "compare versions",
            200,
            Box::new(|| {
                let fields = [("project", "lab"), ("key", "large"), ("from", "1"), ("to", "2")];
                posted(&stage, "compare_versions", &fields)
            }),
        ),
        (
            "difference",
            200,
            Box::new(|| {
                let fields = [("project", "lab"), ("one", "1"), ("other", "2"), ("step", "Analyze")];
                posted(&stage, "draw_difference", &fields)
            }),
        ),
        ("report", 200, Box::new(|| posted(&stage, "draw_report", &[("project", "lab"), ("run", "1")]))),
        ("preview", 200, Box::new(|| preview("patterned", json!({ "input": { "p0": "x", "p11": "y" } })))),
        (
            "value",
            200,
            Box::new(|| {
                let text = json!({ "project": "lab", "key": "review", "kind": "Value", "text": loops, "for_each": null });
                call(&stage, "preview_value").json(&text)
            }),
        ),
    ];
    for (name, wanted, request) in &requests {
        let mut slowest = Duration::MAX;
        // A busy machine is slow at times, a blocked thread always.
        for _ in 0..3 {
            let work = async {
                let answer = request().send().await.unwrap();
                assert_eq!(answer.status(), *wanted, "{name}: {}", answer.text().await.unwrap());
            };
            slowest = slowest.min(slowest_health(&stage, work).await);
            if slowest < MEANWHILE {
                break;
            }
        }
        assert!(slowest < MEANWHILE, "{name}: /health took {slowest:?}");
    }
}

/// The size comes first, whoever asks: nothing larger is read as a document.
#[tokio::test]
async fn a_document_that_is_too_large_is_not_read() {
    let stage = Stage::furnished().await;
    let source = large("large", &"long ".repeat(200));
    assert!(source.len() > 1024 * 1024);
    let document: Value = stage.get("/api/v1/projects/lab/templates/review").await["document"].clone();
    for (name, body) in [
        ("check_template", json!({ "project": "lab", "source": source })),
        ("render_template", json!({ "project": "lab", "document": document, "before": source })),
    ] {
        let answer = call(&stage, name).json(&body).send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert_eq!(status, 413, "{name}: {text}");
        assert!(text.contains("1 MB"), "{text}");
    }
}

/// A document of a few kilobytes may take long to check; without access to the project nothing is checked, and a large
/// body is not even read.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_member_of_nothing_costs_nothing() {
    let stage = Stage::furnished().await;
    let eve = Person::new(&stage, "eve@example.org").await;
    let document: Value = stage.get("/api/v1/projects/lab/templates/review").await["document"].clone();
    let before: String = large("large", "x").chars().take(50_000).collect();
    for (name, body) in [
        ("check_template", json!({ "project": "lab", "source": before })),
        ("render_template", json!({ "project": "lab", "document": document, "before": before })),
    ] {
        let request = || eve.request(&stage, &Method::POST, function(name));
        let began = Instant::now();
        let answer = request().json(&body).send().await.unwrap();
        assert_eq!(answer.status(), 404, "{name}");
        assert!(began.elapsed() < MEANWHILE, "{name}: {:?}", began.elapsed());
        let large = "x".repeat(200 * 1024);
        assert_eq!(request().body(large).send().await.unwrap().status(), 413, "{name}");
    }
    let path = "/api/v1/projects/lab/templates/review/preview";
    let large = json!({ "input": { "code": "x".repeat(7 * 1024 * 1024) } });
    let (status, _) = stage.refused(eve.request(&stage, &Method::POST, path).json(&large)).await;
    assert_eq!(status, 404, "access to the project is checked before the body is read");
    // An editor may send as much.
    assert_eq!(stage.api(Method::POST, path).json(&large).send().await.unwrap().status(), 200);
    let root = stage.engine.user_of_api_token(&stage.token).await.unwrap().unwrap();
    let lab = "lab".parse().unwrap();
    stage.engine.set_member(&root, &lab, "eve@example.org", Some(Permission::Viewer)).await.unwrap();
    assert_eq!(eve.request(&stage, &Method::POST, path).json(&large).send().await.unwrap().status(), 200);
}
