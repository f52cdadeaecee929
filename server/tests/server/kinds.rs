//! Forks, answers and files by REST.

use crate::stage::Stage;
use reqwest::{Method, StatusCode, header};
use scripted::Rule;
use serde_json::{Value, json};

const APPROVAL: &str = "
apiVersion: troupe/v1
key: checked
name: Checked
steps:
  - {name: Draft, prompt: DRAFT, outputSchema: {type: object}}
  - name: Check
    uses: approval
    prompt: Good enough?
    inputMapping: {draft: '{{ context.Draft }}'}
  - {name: Publish, prompt: 'PUBLISH {{ context.Check.n }}'}
";

const BUILD: &str = "
apiVersion: troupe/v1
key: build
name: Build
steps:
  - {name: Build, prompt: BUILD, with: {files: true}}
";

async fn template(stage: &Stage, source: &str) {
    let made = stage.put_template(Method::POST, "/api/v1/projects/lab/templates", source).await;
    assert_eq!(made.status(), 201, "{}", made.text().await.unwrap());
}

/// Waits until a step of the run waits for a person, and returns the run.
async fn waiting(stage: &Stage, run: &str) -> Value {
    for _ in 0..500 {
        let shown = stage.get(run).await;
        if shown["status"] == "waiting" {
            return shown;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("nobody waits");
}

#[tokio::test]
async fn a_person_answers_once() {
    let stage = Stage::furnished().await;
    stage.models.script(vec![Rule::text(r#"{"n": 1}"#).last_user("DRAFT")]);
    template(&stage, APPROVAL).await;
    let launched = stage.made("/api/v1/projects/lab/templates/checked/execute", &json!({})).await;
    let run = format!("/api/v1/projects/lab/runs/{}", launched["run"]);
    let shown = waiting(&stage, &run).await;
    let step = &shown["steps"][1];
    assert_eq!(step["status"], "waiting");
    assert_eq!(step["question"]["question"], "Good enough?");
    assert_eq!(step["question"]["proposal"], json!({"n": 1}));
    assert_eq!(
        (&step["question"]["until"], &step["question"]["onTimeout"]),
        (&Value::Null, &json!("reject"))
    );
    assert_eq!(shown["steps"][0]["output"], json!({"n": 1}), "a typed output keeps its type");

    let inbox = stage.get("/api/v1/projects/lab/inbox").await;
    assert_eq!(
        (&inbox["items"][0]["kind"], &inbox["items"][0]["run"]["number"]),
        (&json!("question"), &launched["run"])
    );

    let answer = |body: Value| stage.api(Method::POST, &format!("{run}/answer")).json(&body);
    for (body, status) in [
        (json!({"stepRun": "x", "decision": "approve"}), 422),
        (json!({"stepRun": "9", "decision": "approve"}), 404),
        (json!({"stepRun": "0", "decision": "approve"}), 409),
        (json!({"stepRun": "1", "decision": "perhaps"}), 422),
        (json!({"stepRun": "1", "decision": "edit"}), 422),
        (json!({"stepRun": "1", "decision": "approve", "output": 1}), 422),
    ] {
        assert_eq!(stage.refused(answer(body.clone())).await.0, status, "{body}");
    }
    let body = json!({"stepRun": "1", "decision": "edit", "output": {"n": 2}, "text": "One more."});
    assert_eq!(answer(body.clone()).send().await.unwrap().status(), 200);
    assert_eq!(stage.refused(answer(body)).await.0, 409);
    let ended = stage.ended(&launched["run"]).await;
    assert_eq!(ended["output"], "PUBLISH 2");
    let given = &ended["steps"][1]["question"]["answer"];
    assert_eq!(
        (&given["decision"], &given["by"], &given["note"]),
        (&json!("edit"), &json!("Ada"), &json!("One more."))
    );
}

/// F2
#[tokio::test]
async fn a_fork_is_launched_like_a_run() {
    let stage = Stage::furnished().await;
    let first = stage.launch(&json!({ "input": { "code": "x" } })).await;
    stage.ended(&first["run"]).await;
    let path = format!("/api/v1/projects/lab/runs/{}/fork", first["run"]);
    let fork =
        |key: &str, body: Value| stage.api(Method::POST, &path).header("Idempotency-Key", key).json(&body);
    let response = fork("k", json!({"fromStep": "Report"})).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::ACCEPTED);
    let location = response.headers()[header::LOCATION].to_str().unwrap().to_owned();
    let launched: Value = response.json().await.unwrap();
    assert_eq!(location, format!("/api/v1/projects/lab/runs/{}", launched["run"]));
    let again: Value = fork("k", json!({"fromStep": "Report"})).send().await.unwrap().json().await.unwrap();
    assert_eq!(again, launched);
    assert_eq!(stage.refused(fork("k", json!({"fromStep": "Analyze"}))).await.0, 409);
    assert_eq!(stage.refused(fork("l", json!({"fromStep": "Nowhere"}))).await.0, 422);
    let ended = stage.ended(&launched["run"]).await;
    assert_eq!(ended["parent"], json!({"run": first["run"], "fromStep": "Report"}));
    let reused: Vec<_> = ended["steps"].as_array().unwrap().iter().map(|step| &step["reused"]).collect();
    assert_eq!(reused, [true, false]);
    assert_eq!(stage.models.ledger().len(), 3);
}

/// F2: a fork's preview lists the steps that run again and why, and its run the origin of reused outputs.
#[tokio::test]
async fn a_fork_says_what_it_reuses_and_why_not() {
    let stage = Stage::furnished().await;
    let first = stage.launch(&json!({ "input": { "code": "x" } })).await;
    stage.ended(&first["run"]).await;
    let path = format!("/api/v1/projects/lab/runs/{}/fork", first["run"]);
    let body = json!({"fromStep": "Report", "input": {"code": "y"}});
    let preview = stage.made(&format!("{path}/preview"), &body).await;
    let step = &preview["steps"][0];
    assert_eq!((&step["reused"], &step["why"]), (&json!(false), &json!("reads input.code, which changed")));
    let body = json!({"fromStep": "Report", "input": {"code": "y"}, "reuse": ["Analyze"]});
    let launched = stage.made(&path, &body).await;
    let ended = stage.ended(&launched["run"]).await;
    let origin = &ended["steps"][0]["origin"];
    assert_eq!((&origin["run"], &origin["templateVersion"]), (&first["run"], &json!(1)));
    assert_eq!(origin["stale"], "reads input.code, which changed");
    assert_eq!(ended["parent"], json!({"run": first["run"], "fromStep": "Report"}));
    let launched = stage.made(&path, &json!({"fromStep": "Report", "input": {"code": "y"}})).await;
    let ended = stage.ended(&launched["run"]).await;
    assert_eq!(ended["steps"][0]["rerunBecause"], "reads input.code, which changed");
    let many = json!({"fromStep": "Report", "items": vec![0; 1_001]});
    let (status, problem) = stage.refused(stage.api(Method::POST, &path).json(&many)).await;
    assert_eq!(status, 413);
    assert!(problem["detail"].as_str().unwrap().contains("'items'"), "{problem}");
}

/// A run whose child waits for a person waits too, shows the question, and accepts the answer.
#[tokio::test]
async fn a_question_of_a_child_run_is_answered_at_its_caller() {
    let stage = Stage::furnished().await;
    stage.models.script(vec![Rule::text(r#"{"n": 1}"#).last_user("DRAFT")]);
    template(&stage, APPROVAL).await;
    let outer = "apiVersion: troupe/v1\nkey: outer\nname: Outer\nsteps:\n  - {name: Call, uses: 'template:checked'}\n";
    template(&stage, outer).await;
    let lost = outer.replace("outer", "lost").replace("checked", "nowhere");
    let saved = stage.put_template(Method::POST, "/api/v1/projects/lab/templates", &lost).await;
    let saved: Value = saved.json().await.unwrap();
    assert_eq!(saved["hints"][0]["path"], "steps[0].uses", "{saved}");
    let launched = stage.made("/api/v1/projects/lab/templates/outer/execute", &json!({})).await;
    let run = format!("/api/v1/projects/lab/runs/{}", launched["run"]);
    let shown = waiting(&stage, &run).await;
    let step = &shown["steps"][0];
    assert_eq!((&step["status"], &step["question"]["question"]), (&json!("waiting"), &json!("Good enough?")));
    assert_eq!(step["question"]["run"], step["attempts"][0]["run"]);
    assert_eq!(step["question"]["proposal"], json!({"n": 1}));
    let answer = stage.api(Method::POST, &format!("{run}/answer"));
    let answer = answer.json(&json!({"stepRun": "0", "decision": "approve"})).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(stage.ended(&launched["run"]).await["output"], "PUBLISH 1");
}

/// A7: files that a model wrote are served on a separate origin, or downloaded.
#[tokio::test]
async fn files_are_listed_read_and_zipped() {
    let stage = Stage::furnished().await;
    let page = "<script>fetch('/api/v1/projects')</script>";
    let answer = json!({
        "files": [{"path": "site/ü page.html", "content": page}, {"path": "a.js", "content": "1"}],
        "summary": "Two files.",
    });
    stage.models.script(vec![Rule::text(answer.to_string())]);
    template(&stage, BUILD).await;
    let launched = stage.made("/api/v1/projects/lab/templates/build/execute", &json!({})).await;
    assert_eq!(stage.ended(&launched["run"]).await["output"], "Two files.");
    let run = format!("/api/v1/projects/lab/runs/{}", launched["run"]);
    let files = stage.get(&format!("{run}/files")).await;
    assert_eq!(files["items"][1]["path"], "site/ü page.html");
    assert_eq!((&files["items"][1]["version"], &files["items"][1]["bytes"]), (&json!(1), &json!(page.len())));

    let get = async |path: &str| stage.api(Method::GET, &format!("{run}/{path}")).send().await.unwrap();
    let html = get("files/site/%C3%BC%20page.html").await;
    let header = |name: header::HeaderName| html.headers()[name].to_str().unwrap();
    assert_eq!(header(header::CONTENT_TYPE), "text/html; charset=utf-8");
    assert_eq!(header(header::X_CONTENT_TYPE_OPTIONS), "nosniff");
    let policy = header(header::CONTENT_SECURITY_POLICY);
    assert!(
        policy.starts_with("sandbox allow-scripts; default-src 'none';") && !policy.contains("same-origin")
    );
    assert!(policy.ends_with("; frame-ancestors 'self'"), "{policy}");
    assert_eq!(html.text().await.unwrap(), page);
    let script = get("files/a.js?version=1").await;
    assert_eq!(script.headers()[header::CONTENT_TYPE], "text/plain; charset=utf-8");
    let saved = get("files/a.js?download=true").await;
    assert!(
        saved.headers()[header::CONTENT_DISPOSITION]
            .to_str()
            .unwrap()
            .starts_with("attachment; filename=\"a.js\"")
    );
    for path in
        ["files/b.js", "files/a.js?version=2", "files/..%2F..%2Fetc%2Fpasswd", "files/%00", "files/a.js%2F"]
    {
        assert_eq!(get(path).await.status(), 404, "{path}");
    }
    let zip = get("files.zip").await;
    assert_eq!(zip.headers()[header::CONTENT_TYPE], "application/zip");
    let bytes = zip.bytes().await.unwrap();
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(bytes)).unwrap();
    let names: Vec<_> = archive.file_names().map(str::to_owned).collect();
    assert_eq!(names, ["a.js", "site/ü page.html"]);
    let text = std::io::read_to_string(archive.by_name("site/ü page.html").unwrap()).unwrap();
    assert_eq!(text, page);
}

/// A page that a model wrote is shown in a frame only: by itself it would appear under this site's address.
#[tokio::test]
async fn a_generated_page_that_no_frame_asks_for_is_saved() {
    let stage = Stage::furnished().await;
    let files: Vec<_> = ["a.html", "b.HTM", "c.svg", "d.xhtml", "e.md"]
        .iter()
        .map(|path| json!({ "path": path, "content": "<script>location = 'https://evil.example'</script>" }))
        .collect();
    let answer = json!({ "files": files, "summary": "Files." });
    stage.models.script(vec![Rule::text(answer.to_string())]);
    template(&stage, BUILD).await;
    let launched = stage.made("/api/v1/projects/lab/templates/build/execute", &json!({})).await;
    stage.ended(&launched["run"]).await;
    let asked = async |file: &str, destination: Option<&str>| {
        let path = format!("/api/v1/projects/lab/runs/{}/files/{file}", launched["run"]);
        let mut request = stage.page(Method::GET, &path);
        if let Some(destination) = destination {
            request = request.header("sec-fetch-dest", destination);
        }
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 200, "{file}");
        let header = |name| answer.headers()[name].to_str().unwrap().to_owned();
        let mut vary = answer.headers().get_all(header::VARY).iter();
        assert!(vary.any(|value| value == "sec-fetch-dest"), "{file}");
        (header(header::CONTENT_TYPE), header(header::CONTENT_DISPOSITION))
    };
    for file in ["a.html", "b.HTM"] {
        for destination in [None, Some("document"), Some("object"), Some("embed"), Some("empty")] {
            let (kind, disposition) = asked(file, destination).await;
            assert_eq!(kind, "text/html; charset=utf-8");
            let saved = format!("attachment; filename=\"{file}\"");
            assert!(disposition.starts_with(&saved), "{file} for {destination:?}: {disposition}");
        }
        assert_eq!(asked(file, Some("iframe")).await.1, "inline");
    }
    for file in ["c.svg", "d.xhtml", "e.md"] {
        let (kind, disposition) = asked(file, Some("document")).await;
        assert_eq!((kind.as_str(), disposition.as_str()), ("text/plain; charset=utf-8", "inline"), "{file}");
    }
}

/// A7, B9: files and the Markdown export are per branch.
#[tokio::test]
async fn each_branch_has_its_files_and_its_markdown() {
    let stage = Stage::furnished().await;
    let wrote = |text: &str| {
        json!({"files": [{"path": "a.txt", "content": text}], "summary": format!("Wrote {text}.")})
            .to_string()
    };
    stage.models.script(vec![Rule::text(wrote("one")).times(1), Rule::text(wrote("other")).times(1)]);
    template(&stage, BUILD).await;
    let execute = "/api/v1/projects/lab/templates/build/execute";
    let first = stage.made(execute, &json!({})).await;
    stage.ended(&first["run"]).await;
    let task = format!("/api/v1/projects/lab/tasks/{}", first["taskId"].as_str().unwrap());
    let question = stage.get(&format!("{task}/messages")).await["items"][0]["id"].clone();
    let second = json!({"taskId": first["taskId"], "replaces": question});
    let second = stage.made(execute, &second).await;
    stage.ended(&second["run"]).await;
    let branch = second["branch"].as_str().unwrap();

    let files = async |query: &str| stage.get(&format!("{task}/files{query}")).await["items"].clone();
    let newest = files("").await;
    assert_eq!((&newest[0]["run"], &newest[0]["version"]), (&second["run"], &json!(2)));
    assert_eq!(files(&format!("?branch={branch}")).await, newest);
    assert_eq!(files("?branch=main").await[0]["run"], first["run"]);
    let text = async |query: &str| {
        let path = format!("{task}/transcript{query}");
        let response = stage.api(Method::GET, &path).send().await.unwrap();
        assert_eq!(response.headers()[header::CONTENT_TYPE], "text/markdown; charset=utf-8");
        let text = response.text().await.unwrap();
        ["Wrote one.", "Wrote other."].map(|words| text.contains(words))
    };
    assert_eq!(text("").await, [false, true]);
    assert_eq!(text("?branch=main").await, [true, false]);
    assert_eq!(text("?branches=all").await, [true, true]);
    for (path, status) in [
        ("files?branch=x", 400),
        ("transcript?branches=some", 400),
        ("transcript?branches=all&branch=main", 400),
        ("files?branch=01890a5d-ac96-774b-bcce-b302099a8057", 422),
        ("transcript?branch=01890a5d-ac96-774b-bcce-b302099a8057", 422),
    ] {
        let request = stage.api(Method::GET, &format!("{task}/{path}"));
        assert_eq!(stage.refused(request).await.0, status, "{path}");
    }
}
