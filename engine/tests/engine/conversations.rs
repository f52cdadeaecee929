//! Conversations: how runs and models' answers appear among the messages.

use crate::stage::Stage;
use domain::{branch::Branch, run::RunStatus, view::Author};
use engine::{Error, Extent, Launch, MessageWindow, Subject};
use scripted::Rule;

#[tokio::test]
async fn an_answer_is_shown_as_safe_html_with_its_run() {
    let stage = Stage::new().await;
    stage.models.script(vec![Rule::text("# Found\n\n**one** <script>alert(1)</script>")]);
    let (engine, admin, project) = (&stage.engine, &stage.admin, &stage.project);
    let ask = Subject::Ask("What is **wrong**?".to_owned());
    let launched = engine.execute(admin, project, ask, Launch::default()).await.unwrap();
    let run = stage.end(launched.run).await;

    let page = engine.messages(admin, project, launched.task_id, None).await.unwrap();
    let [answer, question] = page.items.as_slice() else { panic!("{page:?}") };
    assert_eq!((answer.id, answer.author), (launched.message_id, Author::Assistant));
    assert_eq!(answer.run.as_ref(), Some(&run.summary));
    assert!(answer.metadata.is_some());
    let shown =
        engine.conversation(admin, project, launched.task_id, None, MessageWindow::End).await.unwrap();
    assert_eq!(
        shown.messages[1].html.as_deref(),
        Some("<h3>Found</h3>\n<p><strong>one</strong> &lt;script&gt;alert(1)&lt;/script&gt;</p>\n")
    );
    assert_eq!((question.author, question.by.as_deref()), (Author::User, Some("Ada")));
    assert_eq!((&question.html, &question.run), (&None, &None));

    let task = engine.task(admin, project, launched.task_id).await.unwrap();
    assert_eq!((task.messages, task.live_runs, task.last_status), (2, 0, Some(RunStatus::Completed)));
    assert_eq!(task.excerpt, "Found one <script>alert(1)</script>");
}

#[tokio::test]
async fn a_long_conversation_is_read_page_by_page_towards_the_past() {
    let stage = Stage::new().await;
    let (engine, admin, project) = (&stage.engine, &stage.admin, &stage.project);
    let task = engine.create_task(admin, project, "Long").await.unwrap().id;
    for number in 0..30 {
        let launch = Launch { task_id: Some(task), ..Launch::default() };
        let ask = Subject::Ask(format!("Question {number}"));
        let launched = engine.execute(admin, project, ask, launch).await.unwrap();
        stage.end(launched.run).await;
    }
    let (mut seen, mut cursor, mut pages) = (Vec::new(), None, 0);
    loop {
        let page = engine.messages(admin, project, task, cursor.as_deref()).await.unwrap();
        pages += 1;
        seen.extend(page.items);
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    seen.reverse();
    assert_eq!((seen.len(), pages), (60, 2));
    for (number, pair) in seen.chunks(2).enumerate() {
        assert_eq!((pair[0].author, pair[1].author), (Author::User, Author::Assistant));
        assert_eq!(pair[0].content, format!("Question {number}"));
        assert_eq!(pair[1].run.as_ref().map(|run| run.number.0), Some(number as u32 + 1));
    }
}

/// B9: a conversation is exported completely and in order.
#[tokio::test]
async fn a_conversation_is_exported_as_markdown() {
    let stage = Stage::new().await;
    stage
        .models
        .script(vec![Rule::text("Said **so**.").last_user("Analyze"), Rule::text("| a |\n|---|\n| 1 |")]);
    let key = stage
        .template("apiVersion: troupe/v1\nkey: one\nname: One\nsteps:\n  - {name: A, prompt: 'Analyze'}\n")
        .await;
    let first = stage.launch(&key, serde_json::json!({})).await;
    stage.end(first.run).await;
    for number in 0..120 {
        let ask = Subject::Ask(format!("Question {number}"));
        let launch = Launch { task_id: Some(first.task_id), ..Launch::default() };
        let next = stage.engine.execute(&stage.admin, &stage.project, ask, launch).await.unwrap();
        stage.end(next.run).await;
    }
    let (title, text) =
        stage.engine.transcript(&stage.admin, &stage.project, first.task_id, Extent::All).await.unwrap();
    assert!(text.starts_with(&format!("# {title}\n\n## Ada, ")), "{text}");
    assert!(text.contains("## Response: One v1, run 1, completed, "), "{text}");
    assert!(text.contains("\n\nSaid **so**.\n"), "{text}");
    let places: Vec<_> =
        (0..120).map(|number| text.find(&format!("\nQuestion {number}\n")).unwrap()).collect();
    assert!(places.is_sorted(), "the oldest first");
}

/// B9: the export contains the branch being read; all branches only on request.
#[tokio::test]
async fn a_branch_is_exported_alone_or_all_of_them() {
    let stage = Stage::new().await;
    stage.models.script(vec![Rule::text("Re: {{last_user}}")]);
    let Stage { engine, admin, project, .. } = &stage;
    let ask = async |text: &str, launch: Launch| {
        let launched = engine.execute(admin, project, Subject::Ask(text.into()), launch).await.unwrap();
        stage.end(launched.run).await;
        launched
    };
    let task = ask("The beginning", Launch::default()).await.task_id;
    let into = Launch { task_id: Some(task), ..Launch::default() };
    ask("The first way", into.clone()).await;
    let question = engine.messages(admin, project, task, None).await.unwrap().items[1].id;
    let second = ask("The second way", Launch { replaces: Some(question), ..into }).await;
    let said = async |extent| {
        let text = engine.transcript(admin, project, task, extent).await.unwrap().1;
        ["beginning", "first way", "second way"].map(|words| text.contains(&format!("\nThe {words}\n")))
    };
    let branch = Branch::of(second.branch);
    assert_eq!(said(Extent::Branch(None)).await, [true, false, true]);
    assert_eq!(said(Extent::Branch(Some(branch))).await, [true, false, true]);
    assert_eq!(said(Extent::Branch(Some(Branch::Main))).await, [true, true, false]);
    assert_eq!(said(Extent::All).await, [true, true, true]);
    let (_, all) = engine.transcript(admin, project, task, Extent::All).await.unwrap();
    assert_eq!(all.matches("*Branch ").count(), 1, "{all}");
    assert!(all.contains(&format!("\n*Branch {branch}*\n\nThe second way\n")), "{all}");
    let nowhere = Extent::Branch(Some(Branch::Of(question)));
    assert!(matches!(engine.transcript(admin, project, task, nowhere).await, Err(Error::Invalid(_))));
}
