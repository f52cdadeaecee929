//! Long conversations and their branches: reading from any place, in both directions; what each member has seen; search
//! inside a conversation.

use crate::stage::Stage;
use domain::{
    branch::Branch,
    id::{MessageId, TaskId},
    view::{Author, ConversationPart, Launched, Message},
};
use engine::{Engine, Error, Launch, MessageWindow, Subject, User};
use scripted::Rule;
use secrecy::SecretString;
use sqlx::{Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use std::time::Duration;
use uuid::Uuid;

const PART: usize = 30;

async fn open(stage: &Stage, task: TaskId, branch: Option<Branch>, place: MessageWindow) -> ConversationPart {
    stage.engine.conversation(&stage.admin, &stage.project, task, branch, place).await.unwrap()
}

fn texts(part: &ConversationPart) -> Vec<&str> {
    part.messages.iter().map(|message| message.content.as_str()).collect()
}

async fn ask(stage: &Stage, text: &str, launch: Launch) -> Launched {
    let asked = Subject::Ask(text.to_owned());
    let launched = stage.engine.execute(&stage.admin, &stage.project, asked, launch).await.unwrap();
    stage.end(launched.run).await;
    launched
}

/// A conversation with `count` user messages, `M 0` and so on, written directly to the database.
async fn filled(stage: &Stage, count: u32) -> TaskId {
    let task = stage.engine.create_task(&stage.admin, &stage.project, "Long").await.unwrap().id;
    let file = stage.data().join("troupe.db");
    let options = SqliteConnectOptions::new().filename(file).busy_timeout(Duration::from_secs(10));
    let mut db = SqliteConnection::connect_with(&options).await.unwrap();
    let mut tx = db.begin().await.unwrap();
    for number in 0..count {
        sqlx::query(
            "INSERT INTO message (id, task_id, author, content, created_at) VALUES ($1, $2, 'user', $3, $4)",
        )
        .bind(Uuid::now_v7())
        .bind(task.0)
        .bind(format!("M {number}"))
        .bind(i64::from(number))
        .execute(&mut *tx)
        .await
        .unwrap();
    }
    tx.commit().await.unwrap();
    db.close().await.unwrap();
    task
}

#[tokio::test]
async fn a_long_conversation_is_read_both_ways_from_anywhere() {
    let stage = Stage::new().await;
    let task = filled(&stage, 5_000).await;
    let number = |message: &Message| message.content[2..].parse::<u32>().unwrap();

    let end = open(&stage, task, None, MessageWindow::End).await;
    assert_eq!((end.earlier, end.later, end.branch), (true, false, Branch::Main));
    assert_eq!(end.messages.iter().map(number).collect::<Vec<_>>(), (4_970..5_000).collect::<Vec<_>>());

    // To the beginning, part by part.
    let (mut seen, mut part) = (Vec::new(), end.clone());
    loop {
        seen.splice(0..0, part.messages.iter().map(number));
        if !part.earlier {
            break;
        }
        part = open(&stage, task, None, MessageWindow::Before(part.messages[0].id)).await;
        assert_eq!((part.messages.len().min(PART), part.later), (part.messages.len(), true));
    }
    assert_eq!(seen, (0..5_000).collect::<Vec<_>>());

    // From there to the end.
    let mut seen: Vec<u32> = part.messages.iter().map(number).collect();
    while part.later {
        part = open(&stage, task, None, MessageWindow::After(part.messages.last().unwrap().id)).await;
        assert!(part.earlier);
        seen.extend(part.messages.iter().map(number));
    }
    assert_eq!(seen, (0..5_000).collect::<Vec<_>>());

    // Around any message, including the first and the last.
    let cases = [(0, false, true), (5, false, true), (2_500, true, true), (4_999, true, false)];
    let all: Vec<_> = seen.iter().map(|number| format!("M {number}")).collect();
    for (place, earlier, later) in cases {
        let id = message_at(&stage, task, place).await;
        let part = open(&stage, task, None, MessageWindow::Around(id)).await;
        assert!(part.messages.iter().any(|message| message.id == id), "{place}");
        assert_eq!((part.earlier, part.later), (earlier, later), "{place}");
        let first = number(&part.messages[0]) as usize;
        assert_eq!(texts(&part), all[first..first + part.messages.len()], "{place}: none is left out");
    }
    let nowhere = stage.engine.conversation(
        &stage.admin,
        &stage.project,
        task,
        None,
        MessageWindow::Around(MessageId(Uuid::nil())),
    );
    assert!(matches!(nowhere.await, Err(Error::NotFound { .. })));
}

async fn message_at(stage: &Stage, task: TaskId, place: usize) -> MessageId {
    let (mut all, mut cursor) = (Vec::new(), None);
    loop {
        let page =
            stage.engine.messages(&stage.admin, &stage.project, task, cursor.as_deref()).await.unwrap();
        all.extend(page.items.into_iter().map(|message| message.id));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    all.reverse();
    all[place]
}

fn turns(call: &scripted::Entry) -> Vec<String> {
    call.messages.iter().map(|message| message.content.clone()).collect()
}

#[tokio::test]
async fn what_is_edited_and_sent_again_is_a_branch_beside_what_was_said() {
    let stage = Stage::new().await;
    let rules = ["B2", "C2", "B3", "A", "B", "C", "D"];
    stage.models.script(rules.map(|text| Rule::text(format!("re {text}")).last_user(text)).to_vec());
    let first = ask(&stage, "A!", Launch::default()).await;
    let task = first.task_id;
    let into = Launch { task_id: Some(task), ..Launch::default() };
    ask(&stage, "B!", into.clone()).await;
    ask(&stage, "C!", into.clone()).await;
    let trunk = open(&stage, task, None, MessageWindow::End).await;
    let said = |words: &[&str]| -> Vec<String> { words.iter().map(|word| (*word).to_owned()).collect() };
    assert_eq!(texts(&trunk), said(&["A!", "re A", "B!", "re B", "C!", "re C"]));
    assert!(trunk.messages.iter().all(|message| message.versions.is_none() && message.branch.is_none()));
    let (a, b) = (trunk.messages[0].id, trunk.messages[2].id);

    // An edited version of the second question.
    let second = ask(&stage, "B2!", Launch { replaces: Some(b), ..into.clone() }).await;
    let branch = Branch::of(second.branch);
    assert_ne!(branch, Branch::Main);
    let call = stage.models.ledger().into_iter().last().unwrap();
    assert_eq!(turns(&call).last_chunk::<3>().unwrap(), &["A!", "re A", "B2!"], "only what stands before it");
    // The newest branch is the one that is shown and continued by default.
    let launched = ask(&stage, "C2!", into.clone()).await;
    assert_eq!(launched.branch, second.branch);
    let here = open(&stage, task, None, MessageWindow::End).await;
    assert_eq!(here.branch, branch);
    assert_eq!(texts(&here), said(&["A!", "re A", "B2!", "re B2", "C2!", "re C2"]));
    let versions = here.messages[2].versions.clone().unwrap();
    assert_eq!((versions.place, versions.of, versions.after), (2, 2, None));
    let before = versions.before.unwrap();
    assert_eq!((before.message, before.branch), (b, Branch::Main));
    assert_eq!(here.messages[2].replaces, Some(b));

    // Nothing is deleted; the original branch can be continued.
    assert_eq!(texts(&open(&stage, task, Some(Branch::Main), MessageWindow::End).await), texts(&trunk));
    ask(&stage, "D!", Launch { branch: Some(Branch::Main), ..into.clone() }).await;
    let main = open(&stage, task, None, MessageWindow::End).await;
    assert_eq!(texts(&main)[4..], ["C!", "re C", "D!", "re D"]);
    assert_eq!(open(&stage, task, Some(branch), MessageWindow::End).await.messages.len(), 6);

    // A version of a version has the same original as both.
    let edited = here.messages[2].id;
    let third = ask(&stage, "B3!", Launch { replaces: Some(edited), ..into.clone() }).await;
    let here = open(&stage, task, Some(Branch::of(third.branch)), MessageWindow::End).await;
    assert_eq!(texts(&here), said(&["A!", "re A", "B3!", "re B3"]));
    let versions = here.messages[2].versions.clone().unwrap();
    assert_eq!((versions.place, versions.of), (3, 3));
    let middle =
        open(&stage, task, Some(branch), MessageWindow::End).await.messages[2].versions.clone().unwrap();
    assert_eq!(
        (middle.place, middle.before.unwrap().message, middle.after.map(|after| after.branch)),
        (2, b, Some(Branch::of(third.branch)))
    );

    // A message is found on any branch; parts in both directions are of that branch.
    let around = open(&stage, task, None, MessageWindow::Around(edited)).await;
    assert_eq!(around.branch, branch);
    let after = open(&stage, task, Some(branch), MessageWindow::After(a)).await;
    assert_eq!(texts(&after), said(&["re A", "B2!", "re B2", "C2!", "re C2"]));
    let before = open(&stage, task, Some(branch), MessageWindow::Before(edited)).await;
    assert_eq!(
        (texts(&before), before.later),
        (said(&["A!", "re A"]).iter().map(String::as_str).collect(), true)
    );

    // Clients without branches get all messages; others can request one branch.
    let (engine, admin, project) = (&stage.engine, &stage.admin, &stage.project);
    assert_eq!(engine.messages(admin, project, task, None).await.unwrap().items.len(), 14);
    let page = engine.messages_of(admin, project, task, branch, None).await.unwrap();
    assert_eq!(page.items.len(), 6);
}

#[tokio::test]
async fn branches_begin_in_other_branches_and_at_the_beginning() {
    let stage = Stage::new().await;
    let first = ask(&stage, "One", Launch::default()).await;
    let into = Launch { task_id: Some(first.task_id), ..Launch::default() };
    let task = first.task_id;
    let one = open(&stage, task, None, MessageWindow::End).await.messages[0].id;
    let again = ask(&stage, "One again", Launch { replaces: Some(one), ..into.clone() }).await;
    ask(&stage, "Two", into.clone()).await;
    let here = open(&stage, task, None, MessageWindow::End).await;
    let two = here.messages[2].id;
    assert_eq!((here.messages.len(), here.branch), (4, Branch::of(again.branch)));
    ask(&stage, "Two again", Launch { replaces: Some(two), ..into.clone() }).await;
    ask(&stage, "Three", into.clone()).await;
    let here = open(&stage, task, None, MessageWindow::End).await;
    let asked: Vec<_> = here.messages.iter().filter(|message| message.author == Author::User).collect();
    let asked: Vec<_> = asked.iter().map(|message| message.content.as_str()).collect();
    assert_eq!(asked, ["One again", "Two again", "Three"]);

    for (launch, path) in [
        (Launch { replaces: Some(two), ..Launch::default() }, "replaces"),
        (Launch { replaces: Some(first.message_id), ..into.clone() }, "replaces"),
        (Launch { replaces: Some(MessageId(Uuid::nil())), ..into.clone() }, "replaces"),
        (Launch { branch: Some(Branch::Of(two)), ..into.clone() }, "branch"),
    ] {
        let subject = Subject::Ask("Hello".to_owned());
        let refused = stage.engine.execute(&stage.admin, &stage.project, subject, launch.clone()).await;
        assert!(refused.unwrap_err().to_string().starts_with(path), "{launch:?}");
    }
}

async fn unread(engine: &Engine, stage: &Stage, user: &User) -> Vec<bool> {
    let tasks = engine.tasks(user, &stage.project, None).await.unwrap().items;
    let marks: Vec<_> = tasks.iter().map(|task| task.unread).collect();
    let counted = engine.counts(user, &stage.project).await.unwrap().unread;
    assert_eq!(counted as usize, marks.iter().filter(|unread| **unread).count());
    marks
}

#[tokio::test]
async fn news_are_marked_for_each_member_until_they_look() {
    let stage = Stage::new().await;
    let (engine, project) = (&stage.engine, &stage.project);
    let before = ask(&stage, "Before Bob came", Launch::default()).await;
    let password = SecretString::from("a long enough password");
    let bob = engine.create_user("bob@example.org", "Bob", password, true).await.unwrap();
    let after = ask(&stage, "After Bob came", Launch::default()).await;
    assert_eq!(unread(engine, &stage, &bob).await, [true, false]);
    assert_eq!(engine.seen(&bob, project, after.task_id).await.unwrap(), None);
    engine.mark_seen(&bob, project, after.task_id).await.unwrap();
    assert!(engine.seen(&bob, project, after.task_id).await.unwrap().is_some());
    assert_eq!(unread(engine, &stage, &bob).await, [false, false]);
    // Ada's own question becomes unread for her when it is answered.
    assert_eq!(unread(engine, &stage, &stage.admin).await, [true, true]);
    engine.mark_seen(&stage.admin, project, after.task_id).await.unwrap();
    engine.mark_seen(&stage.admin, project, before.task_id).await.unwrap();
    tokio::time::sleep(Duration::from_millis(2)).await;
    ask(&stage, "More", Launch { task_id: Some(before.task_id), ..Launch::default() }).await;
    assert_eq!(unread(engine, &stage, &bob).await, [true, false]);
    assert_eq!(unread(engine, &stage, &stage.admin).await, [true, false]);
}

#[tokio::test]
async fn a_conversation_is_searched_alone() {
    let stage = Stage::alone().await;
    let first = ask(&stage, "Where is the aqueduct?", Launch::default()).await;
    let into = Launch { task_id: Some(first.task_id), ..Launch::default() };
    ask(&stage, "Nothing of it", into.clone()).await;
    ask(&stage, "The aqueduct again", into).await;
    ask(&stage, "Another aqueduct", Launch::default()).await;
    let here = open(&stage, first.task_id, None, MessageWindow::End).await;
    let wanted: Vec<_> = here
        .messages
        .iter()
        .filter(|message| message.content.contains("aqueduct"))
        .map(|message| message.id)
        .collect();
    assert!(wanted.len() >= 2);
    let find = async |words: &str| {
        let found = stage.engine.search_conversation(&stage.admin, &stage.project, first.task_id, words);
        found.await.unwrap()
    };
    for attempt in 0.. {
        if find("aque").await == wanted {
            break;
        }
        assert!(attempt < 200, "the index does not follow: {:?} for {wanted:?}", find("aque").await);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(find("another").await.is_empty());
    assert!(find("\" OR *").await.is_empty());
}
