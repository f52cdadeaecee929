//! Search: what people wrote and models answered is found by its words soon after, in its own project alone.

mod stage;

use domain::{
    key::ProjectKey,
    view::{Author, Found, FoundThing, Page},
};
use engine::{Launch, Subject};
use scripted::Rule;
use stage::{Stage, THREE_STEPS, code};
use std::time::Duration;

async fn search(stage: &Stage, query: &str) -> Page<Found> {
    stage.engine.search(&stage.admin, &stage.project, query, None).await.unwrap()
}

/// Searches until so many are found: the index follows what it indexes.
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
    tokio::time::timeout(stage::PATIENCE, found)
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
    let stage = Stage::new().await;
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
    let stage = Stage::new().await;
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
    let stage = Stage::new().await;
    let task = stage.engine.create_task(&stage.admin, &stage.project, "Long").await.unwrap().id;
    for number in 0..13 {
        let launch = Launch { task_id: Some(task), ..Launch::default() };
        ask(&stage, &format!("Girder {number}"), launch).await;
    }
    finds(&stage, "girder", 20).await;
    // Models of the stage repeat what they are asked.
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
