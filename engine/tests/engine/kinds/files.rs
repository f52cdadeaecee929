//! Files of a conversation, written and edited by runs.

use super::{output, template};
use crate::stage::Stage;
use domain::branch::Branch;
use domain::error::ErrorClass;
use domain::file::FilePath;
use domain::run::MessageMetadata;
use engine::{Error, Launch};
use scripted::{Entry, Outcome, Rule};
use serde_json::{Value, json};
use std::time::Duration;

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

/// B14: two runs in one conversation edit the same file: the later one edits the result of the earlier one.
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

/// B14: runs answer at the same moment, each with an edit of the same version of the same file: all edits are applied.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn edits_that_come_together_are_all_kept() {
    const RUNS: usize = 8;
    let stage = Stage::alone().await;
    let change = |change: Value| json!({"files": [change], "summary": "Done."}).to_string();
    let lines = |word: &str| (0..RUNS).map(|n| format!("{word}{n}\n")).collect::<String>();
    let mut rules =
        vec![Rule::text(change(json!({"path": "a.txt", "content": lines("line")}))).last_user("BUILD make")];
    rules.extend((0..RUNS).map(|n| {
        let edit = json!({"search": format!("line{n}"), "replace": format!("done{n}")});
        Rule::text(change(json!({"path": "a.txt", "edits": [edit]})))
            .last_user(format!("BUILD change {n}"))
            .hold(0)
    }));
    stage.models.script(rules);
    let key = stage.template(&template("build", FILES)).await;
    let made = stage.launch(&key, json!({"wish": "make"})).await;
    stage.end(made.run).await;
    let mut runs = Vec::new();
    for n in 0..RUNS {
        let input = json!({ "wish": format!("change {n}") });
        let launch = Launch { input, task_id: Some(made.task_id), ..Launch::default() };
        runs.push(stage.try_launch(&key, launch).await.unwrap().run);
    }
    stage.until_answering(RUNS).await;
    stage.models.release();
    for run in &runs {
        let state = stage.end(*run).await.state;
        assert_eq!((state.error, state.steps[0].attempts.len()), (None, 1));
    }
    let path = FilePath::parse("a.txt").unwrap();
    let newest = Some(1 + RUNS as u32);
    let file = stage.engine.file(&stage.admin, &stage.project, runs[0], &path, newest).await.unwrap();
    assert_eq!(file.text, lines("done"));
}

/// B14: a complete content is not an edit: it replaces only the content that the model was shown. The step reports why
/// it was refused, and its next attempt is shown the current content.
#[tokio::test]
async fn a_whole_content_over_one_that_the_model_has_not_seen_is_refused() {
    let stage = Stage::new().await;
    let whole = |path: &str, content: &str| {
        json!({"files": [{"path": path, "content": content}], "summary": "Done."}).to_string()
    };
    stage.models.script(vec![
        Rule::text(whole("a.txt", "one")).last_user("BUILD make"),
        Rule::text(whole("a.txt", "mine")).last_user("BUILD over it").hold(0).times(1),
        Rule::text(whole("b.txt", "mine")).last_user("BUILD a new one").hold(0).times(1),
        Rule::text(whole("a.txt", "mine, with two")).last_user("BUILD over it"),
        Rule::text(whole("b.txt", "mine, with two")).last_user("BUILD a new one"),
        Rule::text(
            json!({"files": [{"path": "a.txt", "content": "two"}, {"path": "b.txt", "content": "two"}],
                   "summary": "Done."})
            .to_string(),
        )
        .last_user("BUILD beside"),
    ]);
    let key = stage.template(&template("build", FILES)).await;
    let made = stage.launch(&key, json!({"wish": "make"})).await;
    stage.end(made.run).await;
    let launch = async |wish: &str| {
        let input = json!({ "wish": wish });
        let launch = Launch { input, task_id: Some(made.task_id), ..Launch::default() };
        stage.try_launch(&key, launch).await.unwrap().run
    };
    let late = [launch("over it").await, launch("a new one").await];
    stage.until_answering(2).await;
    stage.end(launch("beside").await).await;
    stage.models.release();
    let why = ["a.txt was changed by another run while this step worked", "b.txt is there already"];
    for ((run, path), why) in late.into_iter().zip(["a.txt", "b.txt"]).zip(why) {
        let state = stage.end(run).await.state;
        assert_eq!((&state.error, state.steps[0].attempts.len()), (&None, 2), "it was asked once more");
        let refused = state.steps[0].failure().unwrap();
        assert_eq!(refused.class, ErrorClass::InvalidOutput);
        assert!(refused.message.contains(why), "{}", refused.message);
        let path = FilePath::parse(path).unwrap();
        let file = stage.engine.file(&stage.admin, &stage.project, run, &path, None).await.unwrap();
        assert_eq!((file.text.as_str(), file.before.as_deref()), ("mine, with two", Some("two")));
    }
    let asked = stage.asked(0);
    let again = |asked: &&String| asked.contains("Your last answer was refused");
    assert!(asked.iter().filter(again).all(|asked| asked.contains("two")), "they were shown what is there");
    assert_eq!(asked.iter().filter(again).count(), 2);
}

/// B14: another server writes the file after this one has read it and before it commits: the commit is refused, and the
/// step works on the new content.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_another_server_writes_first_is_not_written_over() {
    let stage = Stage::new().await;
    let change = |change: Value| json!({"files": [change], "summary": "Done."}).to_string();
    let edit = |from: &str| change(json!({"path": "a.txt", "edits": [{"search": from, "replace": "1"}]}));
    stage.models.script(vec![
        Rule::text(change(json!({"path": "a.txt", "content": "one two"}))).last_user("BUILD make"),
        // After this answer the run's log has the request for the file: the next answer has nothing to commit before it
        // ends.
        Rule::text(edit("nowhere")).last_user("BUILD first").times(1),
        Rule::text(edit("one")).last_user("BUILD first").hold(0).times(1),
        Rule::text(edit("one")),
    ]);
    let key = stage.template(&template("build", FILES)).await;
    let made = stage.launch(&key, json!({"wish": "make"})).await;
    stage.end(made.run).await;
    let launch = Launch { input: json!({"wish": "first"}), task_id: Some(made.task_id), ..Launch::default() };
    let first = stage.try_launch(&key, launch).await.unwrap();
    let held = |ledger: &[Entry]| ledger.len() == 3 && ledger[2].outcome == Outcome::Answering;
    stage.models.wait_for(held).await;
    let state = stage.detail(first.run).await.state;
    while stage.assistant_messages(&first).await.pop().unwrap().metadata
        != Some(MessageMetadata::from(&state))
    {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    let address = format!("sqlite://{}", stage.data().join("troupe.db").display());
    let db = sqlx::SqlitePool::connect(&address).await.unwrap();
    let mut other = db.begin_with("BEGIN IMMEDIATE").await.unwrap();
    for statement in [
        "INSERT INTO content (id, run_id, body) SELECT zeroblob(16), run_id, 'one 2' FROM file",
        "INSERT INTO file (task_id, path, version, run_id, seq, content_id, bytes, created_at) \
         SELECT task_id, path, 2, run_id, seq, zeroblob(16), 5, created_at FROM file",
    ] {
        sqlx::query(statement).execute(&mut *other).await.unwrap();
    }
    stage.models.release();
    // Time for this server to read the old file, and to wait for the other's commit with its own result.
    tokio::time::sleep(Duration::from_millis(500)).await;
    other.commit().await.unwrap();
    db.close().await;
    let detail = stage.end(first.run).await;
    assert_eq!(detail.state.error, None);
    let path = FilePath::parse("a.txt").unwrap();
    let file = stage.engine.file(&stage.admin, &stage.project, first.run, &path, None).await.unwrap();
    assert_eq!((file.file.version, file.text.as_str()), (3, "1 2"));
}

/// A7: files have the state that the runs of a branch left; writes on another branch are not visible.
#[tokio::test]
async fn each_branch_has_its_own_files() {
    let stage = Stage::new().await;
    let change = |change: Value| json!({"files": [change], "summary": "Done."}).to_string();
    let edit =
        |from: &str, to: &str| change(json!({"path": "a.txt", "edits": [{"search": from, "replace": to}]}));
    stage.models.script(vec![
        Rule::text(change(json!({"path": "a.txt", "content": "one two"}))).last_user("BUILD make"),
        Rule::text(edit("one", "trunk")).last_user("BUILD first"),
        Rule::text(change(json!({"path": "b.txt", "content": "new"}))).last_user("BUILD other"),
        Rule::text(edit("one", "branch")).last_user("BUILD instead"),
        Rule::text(edit("two", "too")).last_user("BUILD onwards"),
    ]);
    let Stage { engine, admin, project, .. } = &stage;
    let key = stage.template(&template("build", FILES)).await;
    let made = stage.launch(&key, json!({"wish": "make"})).await;
    stage.end(made.run).await;
    let into = Launch { task_id: Some(made.task_id), ..Launch::default() };
    let launch = async |wish: &str, launch: Launch| {
        let launched =
            stage.try_launch(&key, Launch { input: json!({ "wish": wish }), ..launch }).await.unwrap();
        let state = stage.end(launched.run).await.state;
        assert!(state.error.is_none(), "{wish}: {:?}", state.error);
        launched
    };
    let first = launch("first", into.clone()).await;
    launch("other", into.clone()).await;
    let messages = engine.messages(admin, project, made.task_id, None).await.unwrap().items;
    let question = messages.iter().rev().nth(2).unwrap().id;

    // In place of the second question: it edits the file of the first run.
    let instead = launch("instead", Launch { replaces: Some(question), ..into.clone() }).await;
    let branch = Branch::of(instead.branch);
    // Later runs on each branch edit that branch's file, although the other branch was written later.
    let onwards = launch("onwards", Launch { branch: Some(Branch::Main), ..into.clone() }).await;
    let after = launch("onwards", Launch { branch: Some(branch), ..into.clone() }).await;

    let path = FilePath::parse("a.txt").unwrap();
    let text = async |run| engine.file(admin, project, run, &path, None).await.unwrap();
    let (trunk, beside) = (text(onwards.run).await, text(after.run).await);
    assert_eq!((trunk.text.as_str(), trunk.before.as_deref()), ("trunk too", Some("trunk two")));
    assert_eq!((beside.text.as_str(), beside.before.as_deref()), ("branch too", Some("branch two")));
    assert_eq!((trunk.versions, beside.versions), (vec![1, 2, 4], vec![1, 3, 5]));
    assert_eq!(text(first.run).await.before.as_deref(), Some("one two"));
    let asked = stage.asked(0);
    assert!(asked.last().unwrap().contains("branch two") && !asked.last().unwrap().contains("b.txt"));

    let there = async |branch| {
        let files = engine.conversation_files(admin, project, made.task_id, branch).await.unwrap();
        files.into_iter().map(|file| (file.path.to_string(), file.version)).collect::<Vec<_>>()
    };
    let (a, b) = ("a.txt".to_owned(), "b.txt".to_owned());
    assert_eq!(there(Some(Branch::Main)).await, [(a.clone(), 4), (b, 1)]);
    assert_eq!(there(Some(branch)).await, [(a.clone(), 5)]);
    assert_eq!(there(None).await, [(a, 5)], "the branch that moved last");
    let nowhere = Some(Branch::Of(question));
    let refused = engine.conversation_files(admin, project, made.task_id, nowhere).await;
    assert!(matches!(refused, Err(Error::Invalid(_))));
}

/// The run that began the conversation sees concurrent writes of others, and they see its writes.
#[tokio::test]
async fn a_run_edits_what_others_wrote_since_it_began() {
    let stage = Stage::new().await;
    let change = |change: Value| json!({"files": [change], "summary": "Done."}).to_string();
    let edit =
        |from: &str, to: &str| change(json!({"path": "a.txt", "edits": [{"search": from, "replace": to}]}));
    stage.models.script(vec![
        Rule::text(change(json!({"path": "a.txt", "content": "one two"}))).last_user("BUILD make"),
        Rule::text(edit("one", "1")).last_user("AGAIN").hold(0),
        Rule::text(edit("two", "2")).last_user("BUILD beside"),
    ]);
    let steps = "
  - name: Build
    prompt: 'BUILD {{ context.input.wish }}'
    with: {files: true}
  - name: Again
    prompt: AGAIN
    with: {files: true}
";
    let long = stage.template(&template("long", steps)).await;
    let short = stage.template(&template("build", FILES)).await;
    let first = stage.launch(&long, json!({"wish": "make"})).await;
    stage.until_answering(1).await;
    let beside =
        Launch { task_id: Some(first.task_id), input: json!({"wish": "beside"}), ..Launch::default() };
    let beside = stage.try_launch(&short, beside).await.unwrap();
    stage.end(beside.run).await;
    stage.models.release();
    let ended = stage.end(first.run).await;
    assert!(ended.state.error.is_none(), "{:?}", ended.state.error);
    let path = FilePath::parse("a.txt").unwrap();
    let file = stage.engine.file(&stage.admin, &stage.project, first.run, &path, None).await.unwrap();
    assert_eq!((file.text.as_str(), file.file.version), ("1 2", 3));
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

/// However many answers a run has, the number of its files is limited; writing the same file again does not count.
#[tokio::test]
async fn a_run_writes_a_thousand_files_at_most() {
    let stage = Stage::new().await;
    let files = |prefix: &str| {
        let files: Vec<_> =
            (0..200).map(|n| json!({"path": format!("{prefix}-{n}.txt"), "content": "x"})).collect();
        json!({ "files": files, "summary": "Done." }).to_string()
    };
    stage.models.script(vec![
        Rule::text(files("same")).last_user("EACH 1"),
        Rule::text(files("same")).last_user("EACH 2"),
        Rule::text(files("set{{n}}")),
    ]);
    let source = template(
        "many",
        "  - name: Each
    forEach: 'range(7) | list'
    maxParallel: 1
    maxRetries: 2
    prompt: 'EACH {{ index }}'
    with: {files: true}
",
    );
    let detail = stage.run(&source, json!({})).await;
    let error = detail.state.error.clone().unwrap();
    assert_eq!((error.step.as_deref(), error.error.class), (Some("Each"), ErrorClass::Limit));
    assert!(error.error.message.contains("a run writes at most 1000 files"), "{}", error.error.message);
    let ends: Vec<_> = detail.state.steps[0].item_runs().iter().map(|item| item.attempts.len()).collect();
    assert_eq!(ends, [1; 7], "more attempts would not help");
    let run = detail.summary.number;
    let written = stage.engine.run_files(&stage.admin, &stage.project, run).await.unwrap();
    assert_eq!(written.len(), 1_000);
}
