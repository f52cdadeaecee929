//! Files of a conversation, written and edited by runs.

use crate::stage::Stage;
use crate::{output, template};
use domain::error::ErrorClass;
use domain::file::FilePath;
use engine::{Error, Launch};
use scripted::Rule;
use serde_json::{Value, json};

const FILES: &str = "
  - name: Build
    prompt: 'BUILD {{ context.input.wish }}'
    with: {files: true}
    maxRetries: 1
";

/// A7: a run writes a file, a follow-up in the same conversation sees it and edits it.
#[tokio::test]
async fn files_are_written_and_edited_in_a_conversation() {
    let stage = Stage::new().await;
    let made =
        json!({"files": [{"path": "calculator.html", "content": "<b>add</b>"}], "summary": "Made it."});
    let wrong = json!({"files": [{"path": "calculator.html", "edits": [{"search": "sub", "replace": "x"}]}], "summary": ""});
    let edit = json!({"search": "add", "replace": "add, multiply"});
    let edited = json!({"files": [{"path": "calculator.html", "edits": [edit]}], "summary": "Added it."});
    stage.models.script(vec![
        Rule::text(made.to_string()).last_user("BUILD a calculator").chunk_size(5),
        Rule::text(wrong.to_string()).last_user("BUILD add multiply").times(1),
        Rule::text(edited.to_string()).last_user("BUILD add multiply"),
    ]);
    let key = stage.template(&template("build", FILES)).await;
    let first = stage.launch(&key, json!({"wish": "a calculator"})).await;
    let detail = stage.end(first.run).await;
    assert_eq!(output(&stage, &detail).await, "Made it.");
    let kinds = stage.kinds(first.run).await;
    let place = |kind: &str| kinds.iter().position(|other| *other == kind).unwrap();
    assert!(
        place("fileRequested") < place("fileWritten") && place("fileWritten") < place("finished"),
        "{kinds:?}"
    );
    let message = stage.metadata(&detail).await;
    assert_eq!(message.orchestration_status.files, ["calculator.html"]);
    assert_eq!(message.orchestration.files_requested, ["calculator.html"]);
    assert_eq!(message.orchestration.bytes_generated, 10 + 8);

    let launch =
        Launch { input: json!({"wish": "add multiply"}), task_id: Some(first.task_id), ..Launch::default() };
    let second = stage.try_launch(&key, launch).await.unwrap();
    let detail = stage.end(second.run).await;
    assert_eq!(detail.state.steps[0].attempts.len(), 2);
    let refused = detail.state.steps[0].failure().unwrap();
    assert!(refused.message.contains("calculator.html, edit 1: its 'search' does not stand in the file"));
    let asked = stage.asked(0).pop().unwrap();
    assert!(asked.contains("<b>add</b>") && asked.contains("Your last answer was refused"), "{asked}");

    let path = FilePath::parse("calculator.html").unwrap();
    let file =
        async |run, version| stage.engine.file(&stage.admin, &stage.project, run, &path, version).await;
    let newest = file(second.run, None).await.unwrap();
    assert_eq!((newest.file.version, newest.text.as_str()), (2, "<b>add, multiply</b>"));
    assert_eq!(newest.before.as_deref(), Some("<b>add</b>"));
    assert_eq!(file(first.run, None).await.unwrap().text, "<b>add</b>");
    assert_eq!(file(second.run, Some(1)).await.unwrap().text, "<b>add</b>");
    assert!(matches!(file(second.run, Some(3)).await, Err(Error::NotFound { .. })));
    let listed = stage.engine.run_files(&stage.admin, &stage.project, second.run).await.unwrap();
    assert_eq!(listed.len(), 1);
    let elsewhere = stage.launch(&key, json!({"wish": "add multiply"})).await;
    let error = stage.end(elsewhere.run).await.state.error.unwrap().error;
    assert!(error.message.contains("no such file to edit"), "another conversation has other files");
}

/// B14: two runs in one conversation edit the same file: the later one edits what the earlier one left.
#[tokio::test]
async fn runs_side_by_side_edit_the_same_file() {
    let stage = Stage::new().await;
    let change = |change: Value| json!({"files": [change], "summary": "Done."}).to_string();
    let edit =
        |from: &str, to: &str| change(json!({"path": "a.txt", "edits": [{"search": from, "replace": to}]}));
    stage.models.script(vec![
        Rule::text(change(json!({"path": "a.txt", "content": "one two"}))).last_user("BUILD make"),
        Rule::text(edit("one", "1")).last_user("BUILD first").hold(0),
        Rule::text(edit("two", "2")).last_user("BUILD second"),
    ]);
    let key = stage.template(&template("build", FILES)).await;
    let made = stage.launch(&key, json!({"wish": "make"})).await;
    stage.end(made.run).await;
    let launch = async |wish: &str| {
        let input = json!({ "wish": wish });
        let launch = Launch { input, task_id: Some(made.task_id), ..Launch::default() };
        stage.try_launch(&key, launch).await.unwrap()
    };
    let first = launch("first").await;
    stage.until_answering(1).await;
    let second = launch("second").await;
    stage.end(second.run).await;
    stage.models.release();
    stage.end(first.run).await;
    let path = FilePath::parse("a.txt").unwrap();
    let file = stage.engine.file(&stage.admin, &stage.project, first.run, &path, None).await.unwrap();
    assert_eq!((file.file.version, file.text.as_str()), (3, "1 2"));
}

#[tokio::test]
async fn files_stay_within_the_runs_space() {
    let stage = Stage::new().await;
    let source = template("build", &FILES.replace("maxRetries: 1", "maxRetries: 0"));
    let key = stage.template(&source).await;
    let long = "x".repeat(300);
    for path in ["../../etc/passwd", "/etc/passwd", "a\0b", "nul.txt", &long] {
        let answer = json!({"files": [{"path": path, "content": "x"}], "summary": "s"});
        stage.models.script(vec![Rule::text(answer.to_string())]);
        let launched = stage.launch(&key, json!({"wish": "x"})).await;
        let error = stage.end(launched.run).await.state.error.unwrap();
        assert_eq!(
            (error.step.as_deref(), error.error.class),
            (Some("Build"), ErrorClass::InvalidOutput),
            "{path}"
        );
        assert!(stage.engine.run_files(&stage.admin, &stage.project, launched.run).await.unwrap().is_empty());
    }
}
