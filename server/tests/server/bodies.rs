//! A user without permission is told so, and learns nothing about their request's body: on every route, for every
//! body.

use crate::stage::{Person, Stage, function};
use reqwest::{Method, header};
use serde_json::{Map, Value, json};
use server::router::{self, Route};

/// Bodies that every route rejects, with their types.
const MALFORMED: [(&str, &str); 6] = [
    ("application/json", "{"),
    ("application/json", "[]"),
    ("application/json", r#"{"nowhere": 1}"#),
    ("application/json", r#"{"idempotencyKey": "another"}"#),
    ("application/yaml", "a: ["),
    ("text/plain", "x"),
];
/// Texts in bodies of the described shape.
const TEXTS: [&str; 3] = ["", "x", "a\u{0}b"];

/// A path of the pattern, with the values of its parameters from `named`.
fn filled(pattern: &str, named: impl Fn(&str) -> &'static str) -> String {
    let part = |part: &str| match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
        Some(name) => named(name.trim_start_matches('*')).to_owned(),
        None => part.to_owned(),
    };
    pattern.split('/').map(part).collect::<Vec<_>>().join("/")
}

/// A value of the described shape.
fn sample(described: &Value, schema: &Value, text: &str) -> Value {
    if let Some(reference) = schema["$ref"].as_str() {
        return sample(described, described.pointer(&reference[1..]).unwrap(), text);
    }
    if let Some(first) = ["oneOf", "anyOf", "allOf"].iter().find_map(|all| schema[*all].as_array()?.first()) {
        return sample(described, first, text);
    }
    if let Some(first) = schema["enum"].as_array().and_then(|values| values.first()) {
        return first.clone();
    }
    match schema["type"].as_str().or_else(|| schema["type"][0].as_str()) {
        Some("object") => {
            let properties = schema["properties"].as_object();
            let properties = properties.into_iter().flatten();
            let fields = properties.map(|(name, schema)| (name.clone(), sample(described, schema, text)));
            Value::Object(fields.collect::<Map<_, _>>())
        }
        Some("array") => json!([]),
        Some("integer" | "number") => json!(-1),
        Some("boolean") => json!(true),
        _ => json!(text),
    }
}

/// All bodies to send to the route.
fn bodies(described: &Value, route: &Route) -> Vec<(&'static str, String)> {
    let mut bodies: Vec<_> = MALFORMED.iter().map(|(kind, body)| (*kind, (*body).to_owned())).collect();
    let operation = &described["paths"][route.path][route.method.as_str().to_lowercase()];
    let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
    if !schema.is_null() {
        bodies.extend(TEXTS.map(|text| ("application/json", sample(described, schema, text).to_string())));
    }
    bodies
}

fn with_bodies() -> impl Iterator<Item = Route> {
    let takes = |route: &Route| [Method::POST, Method::PUT, Method::PATCH].contains(&route.method);
    router::table().into_iter().filter(takes)
}

/// Sends all bodies to the route, and expects this status each time.
async fn refuses(stage: &Stage, described: &Value, person: &Person, route: &Route, path: &str, wanted: u16) {
    for (kind, body) in bodies(described, route) {
        for (name, value) in [("x-nothing", "x"), ("if-match", "7"), ("idempotency-key", "\u{e9}")] {
            let request = person.request(stage, &route.method, path).header(header::CONTENT_TYPE, kind);
            let request = request.header(name, value.as_bytes()).body(body.clone());
            let (status, refused) = stage.refused(request).await;
            let what = format!("{} {path} with {kind} {body} and {name}: {refused}", route.method);
            assert_eq!(status, wanted, "{what}");
            assert!(refused.get("problems").is_none(), "{what}");
        }
    }
}

#[tokio::test]
async fn a_stranger_to_a_project_learns_nothing_of_a_body() {
    let stage = Stage::furnished().await;
    stage.launch(&json!({ "input": { "code": "x" } })).await;
    let described = stage.get("/api/v1/openapi.json").await;
    let stranger = Person::new(&stage, "eve@example.org").await;
    let named = |name: &str| match name {
        "project" => "lab",
        "template" => "review",
        "role" => "senior",
        "provider" => "scripted",
        "task" => "01890a5d-ac96-774b-bcce-b302099a8057",
        "runs" => "1,2",
        "run" => "1",
        other => panic!("what is {other}?"),
    };
    for route in with_bodies() {
        let path = filled(route.path, named);
        let wanted = if route.path.contains("{project}") { 404 } else { 403 };
        refuses(&stage, &described, &stranger, &route, &path, wanted).await;
    }
}

#[tokio::test]
async fn a_viewer_is_told_what_they_may_not_do_whatever_they_send() {
    let stage = Stage::furnished().await;
    stage.launch(&json!({ "input": { "code": "x" } })).await;
    let described = stage.get("/api/v1/openapi.json").await;
    let viewer = Person::new(&stage, "vera@example.org").await;
    let root = stage.engine.user_of_api_token(&stage.token).await.unwrap().unwrap();
    let lab = "lab".parse().unwrap();
    let permission = Some(domain::access::Permission::Viewer);
    stage.engine.set_member(&root, &lab, "vera@example.org", permission).await.unwrap();
    let tasks = stage.get("/api/v1/projects/lab/tasks").await;
    let task: &'static str = tasks["items"][0]["id"].as_str().unwrap().to_owned().leak();
    let named = |name: &str| match name {
        "project" => "lab",
        "template" => "review",
        "role" => "senior",
        "provider" => "scripted",
        "task" => task,
        "runs" => "1,2",
        "run" => "1",
        other => panic!("what is {other}?"),
    };
    // Viewers may preview a launch.
    for route in with_bodies().filter(|route| !route.path.ends_with("/preview")) {
        refuses(&stage, &described, &viewer, &route, &filled(route.path, named), 403).await;
    }
}

#[tokio::test]
async fn what_is_not_there_takes_no_bodies() {
    let stage = Stage::furnished().await;
    let described = stage.get("/api/v1/openapi.json").await;
    let root = Person { token: stage.token.clone(), session: stage.session.clone() };
    let absent = |name: &str| match name {
        "project" => "lab",
        "task" => "01890a5d-ac96-774b-bcce-b302099a8057",
        "runs" => "98,99",
        "run" => "99",
        _ => "nothing",
    };
    let names_more = |route: &Route| route.path.replace("{project}", "").contains('{');
    for route in with_bodies().filter(names_more) {
        refuses(&stage, &described, &root, &route, &filled(route.path, absent), 404).await;
    }
}

/// Whoever sends what a server function cannot read learns where; it is no failure of the server.
#[tokio::test]
async fn what_a_server_function_cannot_read_is_answered_with_its_place() {
    let stage = Stage::furnished().await;
    const FORM: &str = "application/x-www-form-urlencoded";
    for (name, kind, body, place) in [
        ("check_template", "application/json", "{", "line 1 column 1"),
        ("check_template", "application/json", "{\"project\": \"lab\",\n \"source\": 7}", "line 2 column"),
        ("check_template", "application/json", "{\"project\": \"lab\"}", "`source`"),
        ("load_role", FORM, "project=lab", "`key`"),
        // The value of a form's field is quoted, or what is wrong with it.
        ("load_role", FORM, "project=Not+a+key&key=senior", "not with 'N'"),
        ("list_events", FORM, "project=lab&run=x&after=0", "digit"),
        ("first_run_valid", FORM, "", "`token`"),
    ] {
        let request = stage.page(Method::POST, function(name)).header(header::CONTENT_TYPE, kind);
        let answer = request.body(body).send().await.unwrap();
        let (status, text) = (answer.status().as_u16(), answer.text().await.unwrap());
        assert_eq!(status, 422, "{name} with {body}: {text}");
        let fault: Value = serde_json::from_str(&text).unwrap();
        let message = fault["invalid"]["problems"][0]["message"].as_str().unwrap();
        assert!(message.contains(place), "{name} with {body}: {message}");
    }
    // Everything that is called with nothing at all, too.
    let (_, functions) = router::pages_and_functions();
    // Without arguments, signing out succeeds.
    for (path, method) in functions.into_iter().filter(|(path, _)| !path.starts_with("/api/sign_out")) {
        for (kind, body) in [(FORM, "%"), ("application/json", "["), ("text/plain", "x")] {
            let request = stage.page(method.clone(), path).header(header::CONTENT_TYPE, kind);
            let answer = request.body(body).send().await.unwrap();
            let (status, text) = (answer.status().as_u16(), answer.text().await.unwrap());
            assert!(status < 500, "{path} with {body}: {status} {text}");
            assert!(!text.contains("answer could not be read"), "{path} with {body}: {text}");
        }
    }
}
