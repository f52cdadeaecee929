//! Providers: calls over HTTP, and keys that cannot be read back.

use crate::staff::{Staff, config, role};
use domain::{
    key::{ModelName, ProviderKey},
    provider::ProviderKind,
    view::{Provider, ProviderOrigin, ProviderStatus},
};
use engine::{Engine, Environment, Error, ProviderDraft, TrialEvent, User};
use futures::StreamExt;
use scripted::{Fault, Rule, Server};
use secrecy::SecretString;
use std::path::Path;

const SECRET: &str = "sk-very-secret-0123456789";

fn key(key: &str) -> ProviderKey {
    ProviderKey::parse(key).unwrap()
}

fn draft(base_url: &str) -> ProviderDraft {
    ProviderDraft {
        key: key("hub"),
        kind: ProviderKind::OpenAiCompatible,
        base_url: Some(base_url.to_owned()),
        api_key: Some(SECRET.into()),
        max_concurrent: None,
        requests_per_minute: None,
    }
}

async fn provider(engine: &Engine, user: &User, name: &str) -> Option<Provider> {
    engine.providers(user).await.unwrap().into_iter().find(|provider| provider.key.as_str() == name)
}

#[tokio::test]
async fn providers_are_made_changed_and_asked() {
    let Staff { engine, root, editor, viewer, data: _data, .. } = Staff::new().await;
    let server = Server::start().await;
    server.models(["small", "large"]);
    let made = engine.create_provider(&root, draft(&server.openai_url())).await.unwrap();
    let wanted = Provider {
        key: key("hub"),
        kind: ProviderKind::OpenAiCompatible,
        base_url: Some(server.openai_url()),
        has_key: true,
        origin: ProviderOrigin::Stored,
        max_concurrent: 1_000,
        requests_per_minute: None,
        active: 0,
        queued: 0,
        slowdown: None,
    };
    assert_eq!(made, wanted);
    let status = engine.provider_status(&editor, &key("hub")).await.unwrap();
    let names = vec!["large".to_owned(), "small".to_owned()];
    assert_eq!(status, ProviderStatus::Reachable { models: names });

    let limits = |api_key: Option<&str>| ProviderDraft {
        api_key: api_key.map(SecretString::from),
        max_concurrent: Some(3),
        requests_per_minute: Some(60),
        ..draft(&server.openai_url())
    };
    let changed = engine.update_provider(&root, &key("hub"), limits(None)).await.unwrap();
    assert_eq!((changed.has_key, changed.max_concurrent, changed.requests_per_minute), (true, 3, Some(60)));
    let keyless = engine.update_provider(&root, &key("hub"), limits(Some(""))).await.unwrap();
    assert!(!keyless.has_key);
    engine.delete_provider(&root, &key("hub")).await.unwrap();
    assert_eq!(provider(&engine, &viewer, "hub").await, None);
    let gone = engine.provider_status(&editor, &key("hub")).await.unwrap_err();
    assert_eq!(gone.to_string(), "there is no provider 'hub'");
}

#[tokio::test]
async fn a_key_of_a_provider_is_taken_once() {
    let Staff { engine, root, data: _data, .. } = Staff::new().await;
    let make = || engine.create_provider(&root, draft("http://127.0.0.1:9/v1"));
    let (one, other) = tokio::join!(make(), make());
    let refused: Vec<_> = [one, other].into_iter().filter_map(Result::err).collect();
    assert!(matches!(refused.as_slice(), [Error::Conflict(_)]), "{refused:?}");
}

#[tokio::test]
async fn what_is_wrong_with_a_provider_is_said_with_its_place() {
    let Staff { engine, root, data: _data, .. } = Staff::new().await;
    let here = "http://127.0.0.1:9/v1";
    let table = [
        ("kind", ProviderDraft { kind: ProviderKind::Local, ..draft(here) }),
        ("baseUrl", ProviderDraft { base_url: None, ..draft(here) }),
        ("baseUrl", draft("ftp://127.0.0.1/v1")),
        ("baseUrl", draft("nonsense")),
        ("baseUrl", draft("http://user:password@127.0.0.1/v1")),
        ("apiKey", ProviderDraft { kind: ProviderKind::OpenAi, api_key: None, ..draft(here) }),
        ("apiKey", ProviderDraft { api_key: Some("two words".into()), ..draft(here) }),
        ("maxConcurrent", ProviderDraft { max_concurrent: Some(0), ..draft(here) }),
        ("requestsPerMinute", ProviderDraft { requests_per_minute: Some(0), ..draft(here) }),
    ];
    for (path, draft) in table {
        match engine.create_provider(&root, draft).await {
            Err(Error::Invalid(problems)) => assert_eq!(problems[0].path, path, "{problems:?}"),
            other => panic!("{path}: {other:?}"),
        }
    }
    let ollama = ProviderDraft { kind: ProviderKind::Ollama, base_url: None, api_key: None, ..draft(here) };
    engine.create_provider(&root, ollama).await.unwrap();
}

#[tokio::test]
async fn a_key_goes_only_to_the_server_for_which_it_was_given() {
    let Staff { engine, root, data: _data, .. } = Staff::new().await;
    let (first, second) = (Server::start().await, Server::start().await);
    engine.create_provider(&root, draft(&first.openai_url())).await.unwrap();
    let moved = || ProviderDraft { api_key: None, ..draft(&second.openai_url()) };
    let refused = engine.update_provider(&root, &key("hub"), moved()).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "apiKey: give the key again: the stored one was given for another server"
    );
    let path = ProviderDraft { api_key: None, ..draft(&format!("{}/v1", first.url())) };
    engine.update_provider(&root, &key("hub"), path).await.unwrap();
    let again = ProviderDraft { api_key: Some(SECRET.into()), ..moved() };
    engine.update_provider(&root, &key("hub"), again).await.unwrap();
}

/// The role's answer or its failure.
async fn try_out(staff: &Staff, model: &str) -> String {
    let draft = domain::view::RoleDraft { model: ModelName::parse(model).unwrap(), ..role("trial") };
    let stream = staff.engine.try_role(&staff.editor, &staff.project, draft, "Hello".into()).await.unwrap();
    let events: Vec<_> = stream.collect().await;
    let words = events.into_iter().map(|event| match event {
        TrialEvent::Text(text) | TrialEvent::Warning(text) => text,
        TrialEvent::Failed(failure) => failure.message,
        TrialEvent::Finished(_) => String::new(),
    });
    words.collect()
}

#[tokio::test]
async fn changes_take_hold_at_once() {
    let staff = Staff::new().await;
    let (first, second) = (Server::start().await, Server::start().await);
    first.script(vec![Rule::text("first")]);
    second.script(vec![Rule::text("second")]);
    let (engine, root) = (&staff.engine, &staff.root);
    assert!(try_out(&staff, "hub/any").await.contains("does not exist"));
    engine.create_provider(root, draft(&first.openai_url())).await.unwrap();
    assert_eq!(try_out(&staff, "hub/any").await, "first");
    engine.update_provider(root, &key("hub"), draft(&second.openai_url())).await.unwrap();
    assert_eq!(try_out(&staff, "hub/any").await, "second");
    assert_eq!(second.ledger()[0].api_key.as_deref(), Some(SECRET));
    engine.delete_provider(root, &key("hub")).await.unwrap();
    assert!(try_out(&staff, "hub/any").await.contains("does not exist"));
}

fn everything_below(folder: &Path, read: &mut impl FnMut(&Path, &[u8])) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            everything_below(&path, read);
        } else if let Ok(bytes) = std::fs::read(&path) {
            // SQLite removes its side files when it closes; a missing file holds nothing.
            read(&path, &bytes);
        }
    }
}

#[tokio::test]
async fn keys_are_never_seen_again() {
    let staff = Staff::new().await;
    let server = Server::start().await;
    let (engine, root) = (&staff.engine, &staff.root);
    let made = engine.create_provider(root, draft(&server.openai_url())).await.unwrap();
    let mut shown = format!("{made:?}{}", serde_json::to_string(&made).unwrap());
    let status = Fault::Status { status: 401, retry_after: None, message: Some(format!("bad key {SECRET}")) };
    server.script(vec![Rule::fault(status)]);
    let failed = try_out(&staff, "hub/any").await;
    assert!(failed.contains("401"), "{failed}");
    shown.push_str(&failed);
    let taken = engine.create_provider(root, draft(&server.openai_url())).await.unwrap_err();
    let spaced = ProviderDraft { api_key: Some(format!("{SECRET} x").into()), ..draft(&server.openai_url()) };
    let odd = engine.update_provider(root, &key("hub"), spaced).await.unwrap_err();
    shown.push_str(&format!("{taken}{taken:?}{odd}{odd:?}"));
    shown.push_str(&format!("{:?}", engine.provider_status(root, &key("hub")).await));
    shown.push_str(&format!("{:?}", engine.offered_models(root).await));
    assert!(!shown.contains(SECRET) && !shown.contains("sk-very"), "{shown}");

    engine.shutdown().await;
    everything_below(staff.data.path(), &mut |path, bytes| {
        let found = bytes.windows(SECRET.len()).any(|window| window == SECRET.as_bytes());
        assert!(!found, "{} holds the key", path.display());
    });
}

#[tokio::test]
async fn a_key_survives_a_restart_but_not_another_secret() {
    let staff = Staff::new().await;
    let server = Server::start().await;
    server.script(vec![Rule::text("hello")]);
    staff.engine.create_provider(&staff.root, draft(&server.openai_url())).await.unwrap();
    let Staff { engine, data, editor, project, root, admin, viewer, stranger } = staff;
    let restarted = async |engine: Engine| {
        engine.shutdown().await;
        drop(engine);
        Engine::open(config(data.path())).await.unwrap()
    };
    let engine = restarted(engine).await;
    let staff = |engine: &Engine| Staff {
        engine: engine.clone(),
        data: tempfile::tempdir().unwrap(),
        editor: editor.clone(),
        project: project.clone(),
        root: root.clone(),
        admin: admin.clone(),
        viewer: viewer.clone(),
        stranger: stranger.clone(),
    };
    assert_eq!(try_out(&staff(&engine), "hub/any").await, "hello");
    assert_eq!(server.ledger()[0].api_key.as_deref(), Some(SECRET));

    std::fs::remove_file(data.path().join("secret.key")).unwrap();
    let engine = restarted(engine).await;
    assert!(try_out(&staff(&engine), "hub/any").await.contains("enter it again"));
    assert_eq!(server.ledger().len(), 1, "nothing was sent");
    engine.update_provider(&root, &key("hub"), draft(&server.openai_url())).await.unwrap();
    assert_eq!(try_out(&staff(&engine), "hub/any").await, "hello");
}

#[tokio::test]
async fn the_environment_defines_providers_and_a_stored_one_wins() {
    let data = tempfile::tempdir().unwrap();
    let variables = [("OPENAI_API_KEY", SECRET), ("TROUPE_CACHE", "/nowhere")];
    let variables = variables.map(|(name, value)| (name.to_owned(), SecretString::from(value)));
    let environment = Environment(variables.into());
    let engine = Engine::open(engine::Config { environment, ..config(data.path()) }).await.unwrap();
    let root = engine.create_user("root@example.org", "", crate::staff::password(), true).await.unwrap();
    let all = engine.providers(&root).await.unwrap();
    let shown: Vec<_> = all.iter().map(|one| (one.key.as_str(), one.origin, one.has_key)).collect();
    assert_eq!(
        shown,
        [("local", ProviderOrigin::BuiltIn, false), ("openai", ProviderOrigin::Environment, true)]
    );
    assert_eq!(all[0].max_concurrent, 4);
    let asleep = engine.provider_status(&root, &key("local")).await.unwrap();
    assert!(
        matches!(&asleep, ProviderStatus::Failed { message } if message.contains("make setup")),
        "{asleep:?}"
    );
    for given in ["local", "openai"] {
        let refused = engine.delete_provider(&root, &key(given)).await.unwrap_err();
        assert!(matches!(refused, Error::Conflict(_)), "{refused}");
    }

    let server = Server::start().await;
    let mine = ProviderDraft { key: key("openai"), ..draft(&server.openai_url()) };
    let stored = engine.create_provider(&root, mine).await.unwrap();
    assert_eq!((stored.origin, stored.kind), (ProviderOrigin::Stored, ProviderKind::OpenAiCompatible));
    engine.delete_provider(&root, &key("openai")).await.unwrap();
    let back = provider(&engine, &root, "openai").await.unwrap();
    assert_eq!((back.origin, back.kind), (ProviderOrigin::Environment, ProviderKind::OpenAi));
}

#[tokio::test]
async fn the_offer_names_models_and_those_who_failed() {
    let Staff { engine, root, editor, data: _data, .. } = Staff::new().await;
    let server = Server::start().await;
    server.models(["b", "a", "no name"]);
    engine.create_provider(&root, draft(&server.openai_url())).await.unwrap();
    // A port without a listener.
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}/v1", listener.local_addr().unwrap())
    };
    let silent = ProviderDraft { key: key("silent"), ..draft(&closed) };
    engine.create_provider(&root, silent).await.unwrap();
    let (models, failed) = engine.offered_models(&editor).await.unwrap();
    let names: Vec<_> =
        models.iter().map(ToString::to_string).filter(|name| name.starts_with("hub/")).collect();
    assert_eq!(names, ["hub/a", "hub/b"]);
    assert!(failed.iter().any(|(provider, _)| *provider == key("silent")), "{failed:?}");

    server.models(["c"]);
    let (kept, _) = engine.offered_models(&editor).await.unwrap();
    assert_eq!(kept, models, "kept for a while");
    engine.update_provider(&root, &key("hub"), draft(&server.openai_url())).await.unwrap();
    let (fresh, _) = engine.offered_models(&editor).await.unwrap();
    assert!(fresh.iter().any(|name| name.to_string() == "hub/c"), "a change asks anew");
}
