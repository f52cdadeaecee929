//! Projects and their members.

use crate::staff::{Staff, config, project_key};
use domain::{
    access::Permission::{self, Admin, Editor, Viewer},
    view::{LiveFrame, Subject, TaskSummary},
};
use engine::{Cursor, Engine, Error, Format, Launch};
use futures::{StreamExt, future::join_all};
use sqlx::{Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use std::time::Duration;
use tokio::time::timeout;

#[tokio::test]
async fn everybody_sees_their_own_projects() {
    let Staff { engine, root, admin, viewer, stranger, project, data: _data, .. } = Staff::new().await;
    engine.create_project(&root, project_key("zoo"), " Zoo ").await.unwrap();
    let seen = async |user| {
        let projects = engine.projects(user).await.unwrap();
        projects.into_iter().map(|project| (project.name, project.permission)).collect::<Vec<_>>()
    };
    assert_eq!(seen(&root).await, [("Lab".to_owned(), Admin), ("Zoo".to_owned(), Admin)]);
    assert_eq!(seen(&viewer).await, [("Lab".to_owned(), Viewer)]);
    assert!(seen(&stranger).await.is_empty());
    assert_eq!(engine.project(&admin, &project).await.unwrap().permission, Admin);
}

#[tokio::test]
async fn a_key_is_taken_once() {
    let Staff { engine, root, data: _data, .. } = Staff::new().await;
    let make = || engine.create_project(&root, project_key("twin"), "Twin");
    let (one, other) = tokio::join!(make(), make());
    let refused: Vec<_> = [one, other].into_iter().filter_map(Result::err).collect();
    assert!(matches!(refused.as_slice(), [Error::Conflict(_)]), "{refused:?}");
    let unnamed = engine.create_project(&root, project_key("x"), "  ").await.unwrap_err();
    assert_eq!(unnamed.to_string(), "name: must not be empty");
}

#[tokio::test]
async fn the_last_admin_stays() {
    let Staff { engine, admin, editor, viewer, project, data: _data, .. } = Staff::new().await;
    let set = |email: &str, permission: Option<Permission>| {
        let (engine, admin, project, email) =
            (engine.clone(), admin.clone(), project.clone(), email.to_owned());
        async move { engine.set_member(&admin, &project, &email, permission).await }
    };
    for lesser in [None, Some(Viewer)] {
        let refused = set(&admin.email, lesser).await.unwrap_err();
        assert!(matches!(refused, Error::Conflict(_)), "{refused}");
    }
    set(&editor.email, Some(Admin)).await.unwrap();
    // Two admins remove each other at once: one of them stays.
    let by_editor = engine.set_member(&editor, &project, &admin.email, None);
    let (one, other) = tokio::join!(set(&editor.email, None), by_editor);
    assert_eq!([&one, &other].iter().filter(|result| result.is_ok()).count(), 1, "{one:?} {other:?}");
    let members = engine.members(&viewer, &project).await.unwrap();
    assert_eq!(members.iter().filter(|member| member.permission == Admin).count(), 1);
}

#[tokio::test]
async fn members_are_named_by_email() {
    let Staff { engine, admin, stranger, project, data: _data, .. } = Staff::new().await;
    let unknown = engine.set_member(&admin, &project, "who@example.org", Some(Viewer)).await.unwrap_err();
    assert_eq!(unknown.to_string(), "there is no user 'who@example.org'");
    let absent = engine.set_member(&admin, &project, &stranger.email, None).await.unwrap_err();
    assert_eq!(absent.to_string(), "there is no member 'stranger@example.org'");
    engine.set_member(&admin, &project, "STRANGER@example.org", Some(Editor)).await.unwrap();
    let members = engine.members(&admin, &project).await.unwrap();
    let names: Vec<_> = members.iter().map(|member| member.name.as_str()).collect();
    assert_eq!(names, ["admin", "editor", "stranger", "viewer"]);
}

#[tokio::test]
async fn the_demo_project_is_made_once() {
    let data = tempfile::tempdir().unwrap();
    let demo = project_key("demo");
    let open = || Engine::open(engine::Config { seed_demo: true, ..config(data.path()) });
    let engine = open().await.unwrap();
    let ada = engine.create_user("ada@example.org", "Ada", crate::staff::password(), true).await.unwrap();
    let roles = engine.roles(&ada, &demo, None).await.unwrap().items;
    let keys: Vec<_> = roles.iter().map(|role| role.key.as_str()).collect();
    assert_eq!(keys, ["general_worker", "senior_reviewer", "junior_reviewer", "report_bot", "mentor"]);
    assert!(roles.iter().all(|role| role.model.provider().as_str() == "local"));
    let templates = engine.templates(&ada, &demo, None).await.unwrap().items;
    assert_eq!(templates[0].name, "Code Review");
    let tasks = engine.tasks(&ada, &demo, None).await.unwrap().items;
    let messages = engine.messages(&ada, &demo, tasks[0].id, None).await.unwrap().items;
    assert_eq!((tasks.len(), messages.len(), tasks[0].messages), (1, 1, 1));
    assert_eq!(engine.members(&ada, &demo).await.unwrap().len(), 1);
    engine.shutdown().await;
    drop(engine);

    let engine = open().await.unwrap();
    assert_eq!(engine.projects(&ada).await.unwrap().len(), 1);
    assert_eq!(engine.tasks(&ada, &demo, None).await.unwrap().items.len(), 1);
}

#[tokio::test]
async fn tasks_are_named_and_listed() {
    let Staff { engine, root, editor, viewer, project, data: _data, .. } = Staff::new().await;
    for number in 0..53 {
        engine.create_task(&editor, &project, &format!("Task {number}")).await.unwrap();
    }
    let first = engine.tasks(&viewer, &project, None).await.unwrap();
    let second = engine.tasks(&viewer, &project, first.next.as_deref()).await.unwrap();
    assert_eq!((first.items.len(), second.items.len(), second.next), (50, 3, None));
    assert_eq!((first.items[0].title.as_str(), second.items[2].title.as_str()), ("Task 52", "Task 0"));
    let id = second.items[2].id;
    engine.rename_task(&editor, &project, id, "  A better name ").await.unwrap();
    assert_eq!(engine.task(&viewer, &project, id).await.unwrap().title, "A better name");
    assert!(engine.messages(&viewer, &project, id, None).await.unwrap().items.is_empty());
    let bad = engine.tasks(&viewer, &project, Some("zzz!")).await.unwrap_err();
    assert!(matches!(bad, Error::Invalid(_)), "{bad}");

    let elsewhere = project_key("other");
    engine.create_project(&root, elsewhere.clone(), "Other").await.unwrap();
    let foreign = engine.task(&root, &elsewhere, id).await.unwrap_err();
    assert_eq!(foreign.to_string(), format!("there is no task '{id}'"));
}

/// Only the title changes, and lists that show it are told.
#[tokio::test]
async fn editors_rename_conversations() {
    let Staff { engine, root, editor, viewer, stranger, project, data: _data, .. } = Staff::new().await;
    let before = engine.create_task(&editor, &project, "# A **first** question").await.unwrap();
    let id = before.id;
    let from = engine.project_cursor(&viewer, &project).await.unwrap();

    let refused = engine.rename_task(&viewer, &project, id, "Mine").await.unwrap_err();
    assert!(matches!(refused, Error::Forbidden(_)), "{refused}");
    let refused = engine.rename_task(&stranger, &project, id, "Mine").await.unwrap_err();
    assert!(matches!(refused, Error::NotFound { .. }), "{refused}");
    for (title, why) in [
        ("", "title: must not be empty"),
        (" \t ", "title: must not be empty"),
        ("Two\nlines", "title: must not have line breaks or control characters"),
        (&"x".repeat(201), "title: has at most 200 characters, this has 201"),
    ] {
        let refused = engine.rename_task(&editor, &project, id, title).await.unwrap_err();
        assert_eq!(refused.to_string(), why);
    }
    assert_eq!(engine.task(&viewer, &project, id).await.unwrap(), before);
    assert_eq!(engine.project_cursor(&viewer, &project).await.unwrap(), from, "nothing happened");

    let longest = "ä".repeat(200);
    engine.rename_task(&editor, &project, id, &format!(" {longest} ")).await.unwrap();
    let after = engine.task(&viewer, &project, id).await.unwrap();
    assert_eq!(after, TaskSummary { title: longest, ..before });
    let cursor = Cursor { project: Some(from), ..Cursor::default() };
    let mut changes = engine.live(&viewer, &project, cursor).await.unwrap();
    let heard = async {
        loop {
            if let (_, LiveFrame::Change { change }) = changes.next().await.unwrap().unwrap() {
                return change.subject;
            }
        }
    };
    let heard = timeout(Duration::from_secs(60), heard).await.expect("lists are told");
    assert_eq!(heard, Subject::Task { id });

    let elsewhere = project_key("other");
    engine.create_project(&root, elsewhere.clone(), "Other").await.unwrap();
    let foreign = engine.rename_task(&root, &elsewhere, id, "Mine").await.unwrap_err();
    assert_eq!(foreign.to_string(), format!("there is no task '{id}'"));
}

/// Changes are kept per project: a reader that was away too long is told to reload, and no reader misses a change
/// because of another project's changes.
#[tokio::test]
async fn who_was_away_for_too_long_reads_anew() {
    let Staff { engine, root, editor, viewer, project, data, .. } = Staff::new().await;
    let busy = project_key("busy");
    engine.create_project(&root, busy.clone(), "Busy").await.unwrap();
    let source = "{apiVersion: troupe/v1, key: asks, name: Asks, steps: [{name: Check, uses: approval}]}";
    let template = engine.create_template(&root, &busy, source, Format::Yaml).await.unwrap().key;
    let (here, there) = (
        engine.project_cursor(&viewer, &project).await.unwrap(),
        engine.project_cursor(&root, &busy).await.unwrap(),
    );
    let quiet = engine.create_task(&editor, &project, "A question").await.unwrap();
    let options = SqliteConnectOptions::new().filename(data.path().join("troupe.db"));
    let mut db = SqliteConnection::connect_with(&options).await.unwrap();
    let many = "INSERT INTO change (project_id, body) WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n \
                WHERE n < 25000) SELECT p.id, '{\"subject\":\"role\",\"key\":\"senior\"}' FROM n, project p WHERE p.key = 'busy'";
    sqlx::query(many).execute(&mut db).await.unwrap();
    // As many launches as it takes until old changes are pruned.
    let launches = (0..500).map(|_| {
        engine.execute(&root, &busy, engine::Subject::Template(template.clone()), Launch::default())
    });
    for launched in join_all(launches).await {
        launched.unwrap();
    }
    let pruned = async {
        loop {
            let left: i64 =
                sqlx::query_scalar("SELECT count(*) FROM change").fetch_one(&mut db).await.unwrap();
            if left < 10_000 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(60), pruned).await.expect("old changes are thrown away");

    let first = async |user, project, from| {
        let cursor = Cursor { project: Some(from), ..Cursor::default() };
        let mut changes = engine.live(user, project, cursor).await.unwrap();
        let heard = timeout(Duration::from_secs(60), changes.next()).await.expect("it hears of it");
        match heard.unwrap().unwrap() {
            (cursor, LiveFrame::Change { change }) => {
                assert_eq!(cursor.project, Some(change.seq));
                change
            }
            other => panic!("{other:?}"),
        }
    };
    let missed = first(&root, &busy, there).await;
    assert_eq!(missed.subject, Subject::Everything);
    assert!(missed.seq >= there + 25_000, "it goes on from the newest: {}", missed.seq);
    assert_eq!(first(&viewer, &project, here).await.subject, Subject::Task { id: quiet.id });
}
