//! Search: what people wrote and models answered is found soon afterwards, and only in its own project.

use crate::stage::{Stage, THREE_STEPS, code};
use domain::{
    key::ProjectKey,
    view::{Author, Found, FoundThing, Page},
};
use engine::{Launch, Subject};
use scripted::Rule;
use sqlx::{Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use std::time::{Duration, Instant};

async fn search(stage: &Stage, query: &str) -> Page<Found> {
    stage.engine.search(&stage.admin, &stage.project, query, None).await.unwrap()
}

/// Searches until there are this many results, because the index lags.
async fn finds(stage: &Stage, query: &str, count: usize) -> Vec<Found> {
    let found = async {
        loop {
            let page = search(stage, query).await;
            if page.items.len() == count {
                return page.items;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(crate::stage::PATIENCE, found)
        .await
        .unwrap_or_else(|_| panic!("'{query}' does not find {count}"))
}

async fn ask(stage: &Stage, text: &str, launch: Launch) -> domain::view::Launched {
    let asked = Subject::Ask(text.to_owned());
    let launched = stage.engine.execute(&stage.admin, &stage.project, asked, launch).await.unwrap();
    stage.end(launched.run).await;
    launched
}

fn marked(found: &Found) -> Vec<&str> {
    found.excerpt.iter().filter(|piece| piece.marked).map(|piece| piece.text.as_str()).collect()
}

#[tokio::test]
async fn messages_are_found_by_the_beginnings_of_their_words() {
    let stage = Stage::alone().await;
    stage.models.script(vec![Rule::text("The viaduct needs a Prüfung of <b>bearings</b>.")]);
    let launched = ask(&stage, "What about the aqueduct?", Launch::default()).await;
    let found = finds(&stage, "viad bear", 1).await;
    assert_eq!(
        found[0].what,
        FoundThing::Message {
            task: launched.task_id,
            message: launched.message_id,
            author: Author::Assistant,
            from: None
        }
    );
    assert_eq!(marked(&found[0]), ["viaduct", "bearings"]);
    let text: String = found[0].excerpt.iter().map(|piece| piece.text.as_str()).collect();
    assert_eq!(text, "The viaduct needs a Prüfung of <b>bearings</b>.");
    assert_eq!(finds(&stage, "prufung", 1).await.len(), 1, "accents do not matter");
    // The question, and the conversation that is named after it.
    let found = finds(&stage, "AQUED", 2).await;
    assert_eq!(found[0].what, FoundThing::Conversation { task: launched.task_id });
    assert!(matches!(found[1].what, FoundThing::Message { author: Author::User, .. }));
    for nothing in ["duct", "viaduct aqueduct", "\"", "*", "viaduct\" OR \"x", "( NEAR", "scope : m", "\0"] {
        assert_eq!(search(&stage, nothing).await.items, [], "{nothing}");
    }
}

#[tokio::test]
async fn templates_roles_and_runs_are_found_by_name_and_number() {
    let stage = Stage::alone().await;
    let source = THREE_STEPS.replace("name: Suggest", "name: Set corbels");
    let key = stage.template(&source).await;
    let launched = stage.launch(&key, code()).await;
    stage.end(launched.run).await;
    let found = finds(&stage, "corb set", 2).await;
    assert!(matches!(found[0].what, FoundThing::Run { run, .. } if run == launched.run), "{found:?}");
    assert_eq!(found[1].what, FoundThing::Template { template: key.clone() });
    assert_eq!(marked(&found[1]), ["Set", "corbels"]);
    assert!(matches!(finds(&stage, "senior", 1).await[0].what, FoundThing::Role { .. }));
    for number in ["1", "#1", "run 1"] {
        let found = search(&stage, number).await.items;
        assert!(matches!(found[0].what, FoundThing::Run { run, .. } if run == launched.run), "{number}");
    }

    let renamed = source.replace("corbels", "buttresses");
    let (engine, admin, project) = (&stage.engine, &stage.admin, &stage.project);
    engine.update_template(admin, project, &key, &renamed, engine::Format::Yaml, None).await.unwrap();
    finds(&stage, "buttress", 2).await;
    finds(&stage, "corbels", 0).await;
    engine.delete_template(admin, project, &key).await.unwrap();
    finds(&stage, "buttress", 0).await;
    engine.delete_role(admin, project, &"senior".parse().unwrap()).await.unwrap();
    finds(&stage, "senior", 0).await;
}

#[tokio::test]
async fn a_project_s_words_stay_in_it_and_pages_go_on_to_the_past() {
    let stage = Stage::alone().await;
    let task = stage.engine.create_task(&stage.admin, &stage.project, "Long").await.unwrap().id;
    for number in 0..13 {
        let launch = Launch { task_id: Some(task), ..Launch::default() };
        ask(&stage, &format!("Girder {number}"), launch).await;
    }
    finds(&stage, "girder", 20).await;
    // The stage's models repeat their prompts.
    let (mut seen, mut cursor) = (Vec::new(), None);
    loop {
        let page =
            stage.engine.search(&stage.admin, &stage.project, "girder", cursor.as_deref()).await.unwrap();
        seen.extend(page.items);
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert!(seen.len() > 20 && seen.len() <= 26, "{}", seen.len());
    let other = ProjectKey::parse("other").unwrap();
    stage.engine.create_project(&stage.admin, other.clone(), "Other").await.unwrap();
    let elsewhere = stage.engine.search(&stage.admin, &other, "girder", None).await.unwrap();
    assert_eq!((elsewhere.items, elsewhere.next), (vec![], None));
    let renamed = stage.engine.rename_task(&stage.admin, &stage.project, task, "Spandrel").await;
    renamed.unwrap();
    finds(&stage, "spandrel", 1).await;
    assert!(stage.engine.search(&stage.admin, &stage.project, &"x".repeat(2_000), None).await.is_err());
}

/// How fast the index follows, and how long a commit takes meanwhile. The figures are meaningful only with an optimised
/// SQLite: `cargo test -p engine --test engine --config 'profile.dev.package.libsqlite3-sys.opt-level=3' -- --ignored
/// --nocapture two_thousand`
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "it measures"]
async fn the_index_follows_two_thousand_subjects_a_second() {
    const SUBJECTS: u32 = 20_000;
    let stage = Stage::alone().await;
    let task = stage.engine.create_task(&stage.admin, &stage.project, "Long").await.unwrap().id;
    let options = SqliteConnectOptions::new().filename(stage.data().join("troupe.db"));
    let mut db = SqliteConnection::connect_with(&options).await.unwrap();
    let commits = async |during: Duration| {
        let (until, mut took) = (Instant::now() + during, Vec::new());
        while Instant::now() < until {
            let from = Instant::now();
            stage.engine.rename_task(&stage.admin, &stage.project, task, &format!("{from:?}")).await.unwrap();
            took.push(from.elapsed());
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
        took.sort_unstable();
        (took[took.len() / 2], took[took.len() * 99 / 100], took[took.len() - 1])
    };
    let alone = commits(Duration::from_secs(3)).await;
    // A kilobyte of words each, some of them frequent.
    let words: Vec<String> =
        (0..20_000u64).map(|n| format!("{:x}", n.wrapping_mul(0x9e37_79b9_7f4a))).collect();
    let mut state = 7u64;
    let mut text = || {
        let mut text = String::new();
        while text.len() < 1_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let uniform = (state >> 40) as f64 / f64::from(1u32 << 24);
            text.push_str(&words[(20_000f64.powf(uniform) as usize).min(19_999)]);
            text.push(' ');
        }
        text
    };
    let mut tx = db.begin().await.unwrap();
    for _ in 0..SUBJECTS {
        let row = "INSERT INTO message (id, task_id, author, content, created_at) VALUES (randomblob(16), $1, 'user', $2, 1)";
        sqlx::query(row).bind(task.0).bind(text()).execute(&mut *tx).await.unwrap();
    }
    tx.commit().await.unwrap();
    let from = Instant::now();
    let indexed = async {
        loop {
            let due: i64 =
                sqlx::query_scalar("SELECT count(*) FROM search_due").fetch_one(&mut db).await.unwrap();
            if due < 10 {
                return from.elapsed();
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let (took, meanwhile) = tokio::join!(indexed, commits(Duration::from_secs(5)));
    let rate = f64::from(SUBJECTS) / took.as_secs_f64();
    println!(
        "{rate:.0} subjects/s; a commit (median, 99 %, longest): alone {alone:?}, meanwhile {meanwhile:?}"
    );
    assert!(rate > 2_000.0, "{rate:.0} subjects/s");
    let delay = meanwhile.0.saturating_sub(alone.0);
    assert!(delay < Duration::from_millis(5), "a commit takes {delay:?} longer meanwhile");
}
