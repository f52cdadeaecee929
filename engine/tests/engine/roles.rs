//! Roles: versioned, and tried over HTTP.

use crate::staff::{Staff, role};
use domain::{
    error::ErrorClass,
    key::{ModelName, ProviderKey, RoleKey},
    provider::ProviderKind,
    usage::Usage,
    view::RoleDraft,
};
use engine::{Error, ProviderDraft, TrialEvent};
use futures::StreamExt;
use scripted::{Fault, Outcome, Rule, Server};

fn key(key: &str) -> RoleKey {
    RoleKey::parse(key).unwrap()
}

#[tokio::test]
async fn each_change_is_a_version_and_stale_ones_are_refused() {
    let Staff { engine, editor, viewer, project, data: _data, .. } = Staff::new().await;
    let first = engine.create_role(&editor, &project, role("mentor")).await.unwrap();
    assert_eq!((first.version, first.name.as_str()), (1, "mentor"));
    let changed = RoleDraft {
        base_prompt: "Be kind.".to_owned(),
        temperature: Some(0.4),
        max_tokens: Some(99),
        tools: vec!["web".to_owned()],
        ..role("mentor")
    };
    let update = async |draft: RoleDraft, based_on| {
        engine.update_role(&editor, &project, &key("mentor"), draft, based_on).await
    };
    let second = update(changed.clone(), Some(1)).await.unwrap();
    assert_eq!((second.version, second.created_at), (2, first.created_at));
    assert_eq!(engine.role(&viewer, &project, &key("mentor")).await.unwrap(), second);
    assert!(matches!(update(role("mentor"), Some(1)).await, Err(Error::Stale { newest: 2 })));
    assert_eq!(update(changed, Some(2)).await.unwrap(), second, "nothing changed");
    assert_eq!(update(role("mentor"), None).await.unwrap().version, 3);
    let (one, other) = tokio::join!(
        update(RoleDraft { name: "One".to_owned(), ..role("mentor") }, Some(3)),
        update(RoleDraft { name: "Other".to_owned(), ..role("mentor") }, Some(3))
    );
    let refused: Vec<_> = [one, other].into_iter().filter_map(Result::err).collect();
    assert!(matches!(refused.as_slice(), [Error::Stale { newest: 4 }]), "{refused:?}");
    let renamed =
        engine.update_role(&editor, &project, &key("mentor"), role("other"), None).await.unwrap_err();
    assert_eq!(renamed.to_string(), "key: a role keeps its key: 'mentor'");
}

#[tokio::test]
async fn a_key_is_taken_once_and_free_again_after_deletion() {
    let Staff { engine, editor, project, data: _data, .. } = Staff::new().await;
    let make = || engine.create_role(&editor, &project, role("twin"));
    let (one, other) = tokio::join!(make(), make());
    let refused: Vec<_> = [one, other].into_iter().filter_map(Result::err).collect();
    assert!(matches!(refused.as_slice(), [Error::Conflict(_)]), "{refused:?}");
    engine.delete_role(&editor, &project, &key("twin")).await.unwrap();
    let gone = engine.delete_role(&editor, &project, &key("twin")).await.unwrap_err();
    assert_eq!(gone.to_string(), "there is no role 'twin'");
    assert_eq!(make().await.unwrap().version, 1);
}

#[tokio::test]
async fn everything_wrong_with_a_draft_is_said_at_once() {
    let Staff { engine, editor, project, data: _data, .. } = Staff::new().await;
    let draft = RoleDraft {
        name: " ".to_owned(),
        base_prompt: "x".repeat(100_001),
        temperature: Some(f64::NAN),
        max_tokens: Some(0),
        tools: vec!["no tool".to_owned()],
        ..role("bad")
    };
    let Err(Error::Invalid(problems)) = engine.create_role(&editor, &project, draft).await else { panic!() };
    let paths: Vec<_> = problems.iter().map(|problem| problem.path.as_str()).collect();
    assert_eq!(paths, ["name", "basePrompt", "temperature", "maxTokens", "tools"]);
}

#[tokio::test]
async fn lists_are_in_order_of_creation_and_paged() {
    let Staff { engine, editor, viewer, project, data: _data, .. } = Staff::new().await;
    for number in 0..102 {
        engine.create_role(&editor, &project, role(&format!("r{number}"))).await.unwrap();
    }
    let first = engine.roles(&viewer, &project, None).await.unwrap();
    let second = engine.roles(&viewer, &project, first.next.as_deref()).await.unwrap();
    let keys = first.items.iter().chain(&second.items).map(|role| role.key.to_string());
    assert!(keys.eq((0..102).map(|number| format!("r{number}"))));
    assert_eq!((first.items.len(), second.next), (100, None));
}

async fn with_models() -> (Staff, Server) {
    let (staff, models) = (Staff::new().await, Server::start().await);
    let provider = ProviderDraft {
        key: ProviderKey::parse("scripted").unwrap(),
        kind: ProviderKind::OpenAiCompatible,
        base_url: Some(models.openai_url()),
        api_key: None,
        max_concurrent: Some(1),
        requests_per_minute: None,
    };
    staff.engine.create_provider(&staff.root, provider).await.unwrap();
    (staff, models)
}

fn on(model: &str) -> RoleDraft {
    RoleDraft { model: ModelName::parse(model).unwrap(), max_tokens: Some(50), ..role("trial") }
}

async fn trial(staff: &Staff, draft: RoleDraft) -> Vec<TrialEvent> {
    let stream = staff.engine.try_role(&staff.editor, &staff.project, draft, "Hello".into()).await.unwrap();
    stream.collect().await
}

#[tokio::test]
async fn a_trial_streams_and_records_nothing() {
    let (staff, models) = with_models().await;
    models.script(vec![Rule::text("Good day").chunk_size(4).usage(5, 2)]);
    let events = trial(&staff, on("scripted/any")).await;
    let [TrialEvent::Text(one), TrialEvent::Text(two), TrialEvent::Finished(usage)] = events.as_slice()
    else {
        panic!("{events:?}")
    };
    assert_eq!((format!("{one}{two}"), *usage), ("Good day".to_owned(), Usage::new(5, 2)));
    assert_eq!(models.ledger()[0].system.as_deref(), Some("Be brief."));
    assert!(staff.engine.tasks(&staff.editor, &staff.project, None).await.unwrap().items.is_empty());
}

#[tokio::test]
async fn a_trial_that_fails_says_why() {
    let (staff, models) = with_models().await;
    models.script(vec![
        Rule::fault(Fault::status(401)).times(1),
        Rule { fault: Some(Fault::Cut { after: 2 }), ..Rule::text("a b c").chunk_size(1) },
    ]);
    let table = [
        (
            "nowhere/any",
            ErrorClass::BadRequest,
            "the provider 'nowhere' does not exist; see Settings / Models",
        ),
        ("scripted/any", ErrorClass::Auth, "401"),
        ("scripted/any", ErrorClass::Truncated, "broke"),
    ];
    for (model, class, message) in table {
        let events = trial(&staff, on(model)).await;
        let Some(TrialEvent::Failed(failure)) = events.last() else { panic!("{events:?}") };
        assert_eq!(failure.class, class, "{failure}");
        assert!(failure.message.contains(message), "{failure}");
    }
}

#[tokio::test]
async fn a_trial_that_nobody_watches_ends_and_gives_its_place_back() {
    let (staff, models) = with_models().await;
    models.script(vec![Rule::text("a b c").chunk_size(1).hold(1).times(1), Rule::text("next")]);
    let stream =
        staff.engine.try_role(&staff.editor, &staff.project, on("scripted/any"), "Hello".into()).await;
    let mut stream = stream.unwrap();
    assert!(matches!(stream.next().await, Some(TrialEvent::Text(_))));
    let busy = staff.engine.providers(&staff.root).await.unwrap();
    assert!(busy.iter().any(|provider| provider.active == 1));
    drop(stream);
    models.wait_for(|entries| entries.iter().any(|entry| entry.outcome == Outcome::HungUp)).await;
    let events = trial(&staff, on("scripted/any")).await;
    assert!(matches!(events.as_slice(), [TrialEvent::Text(_), TrialEvent::Finished(_)]), "{events:?}");
}
