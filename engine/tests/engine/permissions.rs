//! Permissions: every command, by every kind of user. The commands are found in the engine's sources: a command that is
//! missing from the tables here fails the test.

use crate::staff::{Staff, password, project_key, role};
use domain::{
    access::Permission::{self, Admin, Editor, Viewer},
    branch::Branch,
    file::FilePath,
    id::{ContentId, RunNumber, TaskId, TokenId},
    key::{ModelName, ProjectKey, ProviderKey, RoleKey, TemplateKey},
    provider::ProviderKind,
};
use engine::{
    AnswerDraft, CredentialId, Cursor, Engine, Error, Expression, Extent, Fork, Format, Launch,
    MessageWindow, ProviderDraft, RunFilter, Subject, User, VerdictDraft,
};
use futures::{FutureExt, future::BoxFuture};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    future::ready,
    path::Path,
};

type Command = fn(Engine, User) -> BoxFuture<'static, Result<(), Error>>;
/// The call as text, the permission that it needs, and the call.
type Asked = (&'static str, Permission, Command);

macro_rules! command {
    ($need:expr, |$engine:ident, $user:ident| $call:expr) => {
        (
            stringify!($call),
            $need,
            (|$engine: Engine, $user: User| async move { $call.await.map(drop) }.boxed()) as Command,
        )
    };
}

fn lab() -> ProjectKey {
    project_key("lab")
}

fn document() -> domain::template::Template {
    domain::template::parse(domain::template::shipped::ASK, Format::Yaml).unwrap()
}

fn template() -> TemplateKey {
    TemplateKey::parse("t").unwrap()
}

fn task() -> TaskId {
    TaskId(uuid::Uuid::nil())
}

const RUN: RunNumber = RunNumber(1);

fn from_json<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

/// Commands that require a permission in the project. Their arguments are invalid where possible, because the
/// permission is checked first.
fn of_a_project() -> Vec<Asked> {
    vec![
        command!(Editor, |engine, user| engine.permits(&user, &lab(), Editor)),
        command!(Editor, |engine, user| engine.permits_template(&user, &lab(), &template(), Editor)),
        command!(Editor, |engine, user| engine.permits_run(&user, &lab(), RUN, Editor)),
        command!(Viewer, |engine, user| engine.project(&user, &lab())),
        command!(Viewer, |engine, user| engine.members(&user, &lab())),
        command!(Admin, |engine, user| engine.set_member(&user, &lab(), "root@example.org", Some(Viewer))),
        command!(Viewer, |engine, user| engine.roles(&user, &lab(), None)),
        command!(Viewer, |engine, user| engine.role(&user, &lab(), &RoleKey::parse("r").unwrap())),
        command!(Editor, |engine, user| engine.create_role(&user, &lab(), role("r"))),
        command!(Editor, |engine, user| engine.update_role(
            &user,
            &lab(),
            &RoleKey::parse("r").unwrap(),
            role("r"),
            None
        )),
        command!(Editor, |engine, user| engine.try_role(&user, &lab(), role("r"), "Hello".into())),
        command!(Editor, |engine, user| engine.delete_role(&user, &lab(), &RoleKey::parse("r").unwrap())),
        command!(Viewer, |engine, user| engine.templates(&user, &lab(), None)),
        command!(Viewer, |engine, user| engine.template(&user, &lab(), &template(), None)),
        command!(Editor, |engine, user| engine.create_template(&user, &lab(), "x", Format::Yaml)),
        command!(Editor, |engine, user| engine.update_template(
            &user,
            &lab(),
            &template(),
            "x",
            Format::Yaml,
            None
        )),
        command!(Editor, |engine, user| engine.duplicate_template(&user, &lab(), &template())),
        command!(Editor, |engine, user| engine.delete_template(&user, &lab(), &template())),
        command!(Viewer, |engine, user| engine.tasks(&user, &lab(), None)),
        command!(Viewer, |engine, user| engine.task(&user, &lab(), task())),
        command!(Editor, |engine, user| engine.create_task(&user, &lab(), "A task")),
        command!(Editor, |engine, user| engine.rename_task(&user, &lab(), task(), "A task")),
        command!(Viewer, |engine, user| engine.messages(&user, &lab(), task(), None)),
        command!(Viewer, |engine, user| engine.messages_of(&user, &lab(), task(), Branch::Main, None)),
        command!(Viewer, |engine, user| engine.conversation(&user, &lab(), task(), None, MessageWindow::End)),
        command!(Viewer, |engine, user| engine.search_conversation(&user, &lab(), task(), "x")),
        command!(Viewer, |engine, user| engine.seen(&user, &lab(), task())),
        command!(Viewer, |engine, user| engine.mark_seen(&user, &lab(), task())),
        command!(Editor, |engine, user| engine.execute(
            &user,
            &lab(),
            Subject::Template(template()),
            Launch::default()
        )),
        command!(Editor, |engine, user| engine.execute(
            &user,
            &lab(),
            Subject::Ask(String::new()),
            Launch { idempotency_key: Some(String::new()), ..Launch::default() }
        )),
        command!(Editor, |engine, user| engine.execute_and_wait(
            &user,
            &lab(),
            Subject::Template(template()),
            Launch::default(),
            ready(())
        )),
        command!(Editor, |engine, user| engine.execute_side_by_side(
            &user,
            &lab(),
            &template(),
            Launch::default(),
            Vec::new()
        )),
        command!(Viewer, |engine, user| engine.preview(&user, &lab(), &template(), &Launch::default())),
        command!(Viewer, |engine, user| engine.preview_expression(
            &user,
            &lab(),
            &template(),
            Expression::Value,
            "x",
            None
        )),
        command!(Editor, |engine, user| engine.fork(
            &user,
            &lab(),
            RUN,
            from_json::<Fork>(json!({ "fromStep": "", "idempotencyKey": "" }))
        )),
        command!(Editor, |engine, user| engine.answer(
            &user,
            &lab(),
            RUN,
            from_json::<AnswerDraft>(json!({ "stepRun": "", "decision": "approve" }))
        )),
        command!(Editor, |engine, user| engine.cancel(&user, &lab(), RUN)),
        command!(Viewer, |engine, user| engine.preview_fork(&user, &lab(), RUN, &Fork::default())),
        command!(Viewer, |engine, user| engine.check_template(&user, &lab(), "x".into(), Format::Yaml)),
        command!(Viewer, |engine, user| engine.revise_template(&user, &lab(), document(), "x".into())),
        command!(Viewer, |engine, user| engine.presets(&user, &lab(), &template())),
        command!(Editor, |engine, user| engine.save_preset(
            &user,
            &lab(),
            &template(),
            "",
            BTreeMap::new(),
            false
        )),
        command!(Editor, |engine, user| engine.delete_preset(&user, &lab(), &template(), "")),
        command!(Editor, |engine, user| engine.keep_comparison(&user, &lab(), &[])),
        command!(Viewer, |engine, user| engine.comparisons(&user, &lab(), None)),
        command!(Viewer, |engine, user| engine.verdicts(&user, &lab(), &[])),
        command!(Editor, |engine, user| engine.judge(
            &user,
            &lab(),
            from_json::<VerdictDraft>(json!({ "runs": [], "winner": 1 }))
        )),
        command!(Editor, |engine, user| engine.withdraw_verdict(&user, &lab(), &[], None)),
        command!(Viewer, |engine, user| engine.scores(&user, &lab(), None)),
        command!(Editor, |engine, user| engine.attend(&user, &lab(), &template(), "", 0)),
        command!(Editor, |engine, user| engine.leave(&user, &lab(), &template(), "", 0)),
        command!(Viewer, |engine, user| engine.run_files(&user, &lab(), RUN)),
        command!(Viewer, |engine, user| engine.run_files_after(&user, &lab(), RUN, None)),
        command!(Viewer, |engine, user| engine.conversation_files(&user, &lab(), task(), None)),
        command!(Viewer, |engine, user| engine.file(
            &user,
            &lab(),
            RUN,
            &FilePath::parse("a.txt").unwrap(),
            None
        )),
        command!(Viewer, |engine, user| engine.transcript(&user, &lab(), task(), Extent::All)),
        command!(Viewer, |engine, user| engine.live_run(&user, &lab(), RUN, 0)),
        command!(Viewer, |engine, user| engine.runs(&user, &lab(), &RunFilter::default(), None)),
        command!(Viewer, |engine, user| engine.run(&user, &lab(), RUN)),
        command!(Viewer, |engine, user| engine.inbox(&user, &lab(), None)),
        command!(Viewer, |engine, user| engine.counts(&user, &lab())),
        command!(Viewer, |engine, user| engine.dashboard(&user, &lab())),
        command!(Viewer, |engine, user| engine.search(&user, &lab(), "x", None)),
        command!(Viewer, |engine, user| engine.dismiss_failure(&user, &lab(), RUN)),
        command!(Viewer, |engine, user| engine.restore_failure(&user, &lab(), RUN)),
        command!(Viewer, |engine, user| engine.events(&user, &lab(), RUN, 0)),
        command!(Viewer, |engine, user| engine.content(
            &user,
            &lab(),
            RUN,
            ContentId(uuid::Uuid::nil()),
            None
        )),
        command!(Viewer, |engine, user| engine.input_lines(&user, &lab(), &[RUN])),
        command!(Viewer, |engine, user| engine.live(&user, &lab(), Cursor::default())),
        command!(Viewer, |engine, user| engine.project_cursor(&user, &lab())),
    ]
}

/// Commands of installation admins.
fn of_the_installation() -> Vec<Asked> {
    fn provider() -> ProviderDraft {
        ProviderDraft {
            key: ProviderKey::parse("p").unwrap(),
            kind: ProviderKind::Ollama,
            base_url: None,
            api_key: None,
            max_concurrent: None,
            requests_per_minute: None,
        }
    }
    fn model() -> ModelName {
        ModelName::parse("p/any").unwrap()
    }
    vec![
        command!(Admin, |engine, user| ready(engine.permits_installation(&user))),
        command!(Admin, |engine, user| engine.create_project(&user, project_key("new"), "New")),
        command!(Admin, |engine, user| engine.users(&user, None)),
        command!(Admin, |engine, user| engine.add_user(&user, "new@example.org", "New", password(), false)),
        command!(Admin, |engine, user| engine.create_provider(&user, provider())),
        command!(Admin, |engine, user| engine.update_provider(&user, &provider().key, provider())),
        command!(Admin, |engine, user| engine.delete_provider(&user, &provider().key)),
        command!(Admin, |engine, user| engine.prices(&user)),
        command!(Admin, |engine, user| engine.set_price(&user, model(), None)),
    ]
}

/// Commands that cause calls to providers, for the editors of any project.
fn of_editors() -> Vec<Asked> {
    vec![
        command!(Editor, |engine, user| engine.permits_calls(&user)),
        command!(Editor, |engine, user| engine.offered_models(&user)),
        command!(Editor, |engine, user| engine
            .provider_status(&user, &ProviderKey::parse("nobody").unwrap())),
    ]
}

/// Commands about the calling user, and those for every signed-in user.
fn of_anybody() -> Vec<Asked> {
    vec![
        command!(Viewer, |engine, user| engine.projects(&user)),
        command!(Viewer, |engine, user| engine.is_member(&user)),
        command!(Viewer, |engine, user| ready(engine.take_seat(&user, &CredentialId::of("x")))),
        command!(Viewer, |engine, user| engine.providers(&user)),
        command!(Viewer, |engine, user| engine.compute(&user, || ())),
        command!(Viewer, |engine, user| engine.api_tokens(&user)),
        command!(Viewer, |engine, user| engine.create_own_api_token(&user, "mine")),
        command!(Viewer, |engine, user| engine.revoke_api_token(&user, TokenId(uuid::Uuid::nil()))),
        command!(Viewer, |engine, user| engine.change_password(&user, password(), password(), None)),
    ]
}

/// Commands without a user, and those of the process itself.
const OF_NOBODY: [&str; 12] = [
    "complete_first_run",
    "create_api_token",
    "create_user",
    "first_run_token",
    "first_run_valid",
    "open",
    "open_with",
    "shutdown",
    "sign_in",
    "sign_out",
    "user_of_api_token",
    "user_of_session",
];

/// The names of the commands in these tables.
fn names(tables: &[Vec<Asked>]) -> BTreeSet<String> {
    let name = |call: &str| {
        let call: String = call.chars().filter(|c| !c.is_whitespace()).collect();
        let (_, rest) = call.split_once("engine.").unwrap();
        rest.split('(').next().unwrap().to_owned()
    };
    tables.iter().flatten().map(|(call, ..)| name(call)).collect()
}

/// The engine's public commands, and whether each takes the calling user.
fn commands(folder: &Path, found: &mut BTreeMap<String, bool>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            commands(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let file = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            in_items(&file.items, found);
        }
    }
}

fn in_items(items: &[syn::Item], found: &mut BTreeMap<String, bool>) {
    fn is(ty: &syn::Type, name: &str) -> bool {
        match ty {
            syn::Type::Path(path) => path.path.segments.last().is_some_and(|segment| segment.ident == name),
            syn::Type::Reference(reference) => is(&reference.elem, name),
            _ => false,
        }
    }
    for item in items {
        match item {
            syn::Item::Mod(inner) => {
                in_items(inner.content.as_ref().map_or(&[], |(_, items)| items.as_slice()), found);
            }
            syn::Item::Impl(block) if block.trait_.is_none() && is(&block.self_ty, "Engine") => {
                for item in &block.items {
                    let syn::ImplItem::Fn(command) = item else { continue };
                    if !matches!(command.vis, syn::Visibility::Public(_)) {
                        continue;
                    }
                    let takes = |input: &syn::FnArg| matches!(input, syn::FnArg::Typed(input) if is(&input.ty, "User"));
                    let asks = command.sig.inputs.iter().any(takes);
                    found.insert(command.sig.ident.to_string(), asks);
                }
            }
            _ => {}
        }
    }
}

#[test]
fn every_command_stands_in_a_table() {
    let mut found = BTreeMap::new();
    commands(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    let takes_a_user = |asks: bool| {
        let names = found.iter().filter(|(_, takes)| **takes == asks).map(|(name, _)| name.clone());
        names.collect::<BTreeSet<_>>()
    };
    let asked = names(&[of_a_project(), of_the_installation(), of_editors(), of_anybody()]);
    assert_eq!(asked, takes_a_user(true), "on the left those that are called here");
    assert_eq!(BTreeSet::from(OF_NOBODY.map(str::to_owned)), takes_a_user(false));
}

#[tokio::test]
async fn every_command_of_a_project_asks_for_its_permission() {
    let staff = Staff::new().await;
    let members = [(&staff.viewer, Viewer), (&staff.editor, Editor), (&staff.admin, Admin)];
    for (call, need, command) in of_a_project() {
        let refusal = |result: Result<(), Error>| match result {
            Err(error @ (Error::Forbidden(_) | Error::AdminsOnly)) => Some(error.to_string()),
            Err(Error::NotFound { what }) if what.starts_with("project") => Some(what),
            _ => None,
        };
        let by = async |user: &User| refusal(command(staff.engine.clone(), user.clone()).await);
        assert_eq!(by(&staff.stranger).await.as_deref(), Some("project 'lab'"), "{call} by a stranger");
        for (user, permission) in members {
            let wanted = (permission < need).then(|| Error::Forbidden(need).to_string());
            assert_eq!(by(user).await, wanted, "{call} by {}", user.name);
        }
        assert_eq!(by(&staff.root).await, None, "{call} by an admin of the installation");
    }
}

#[tokio::test]
async fn the_installation_is_for_its_admins() {
    let staff = Staff::new().await;
    for (call, _, command) in of_the_installation() {
        for user in [&staff.admin, &staff.editor, &staff.viewer, &staff.stranger] {
            let result = command(staff.engine.clone(), user.clone()).await;
            assert!(matches!(result, Err(Error::AdminsOnly)), "{call} by {}: {result:?}", user.name);
        }
        let result = command(staff.engine.clone(), staff.root.clone()).await;
        assert!(result.is_ok(), "{call} by an admin: {result:?}");
    }
}

#[tokio::test]
async fn providers_are_called_for_those_who_edit_something() {
    let staff = Staff::new().await;
    for (call, _, command) in of_editors() {
        let by = async |user: &User| command(staff.engine.clone(), user.clone()).await;
        for user in [&staff.viewer, &staff.stranger] {
            let result = by(user).await;
            assert!(matches!(result, Err(Error::EditorsOnly)), "{call} by {}: {result:?}", user.name);
        }
        for user in [&staff.editor, &staff.admin, &staff.root] {
            let result = by(user).await;
            assert!(matches!(result, Ok(()) | Err(Error::NotFound { .. })), "{call}: {result:?}");
        }
    }
}

#[tokio::test]
async fn what_anybody_may_ask_is_about_themselves() {
    let staff = Staff::new().await;
    let (engine, stranger) = (&staff.engine, &staff.stranger);
    for (call, _, command) in of_anybody() {
        let result = command(engine.clone(), stranger.clone()).await;
        assert!(matches!(result, Ok(()) | Err(Error::NotFound { .. })), "{call}: {result:?}");
    }
    assert!(engine.projects(stranger).await.unwrap().is_empty());
    let (token, _) = engine.create_own_api_token(&staff.editor, "theirs").await.unwrap();
    assert!(engine.api_tokens(stranger).await.unwrap().iter().all(|one| one.name == "mine"));
    for user in [stranger, &staff.root] {
        let refused = engine.revoke_api_token(user, token.id).await.unwrap_err();
        assert!(matches!(refused, Error::NotFound { .. }), "{refused}");
    }
}

#[tokio::test]
async fn a_permission_that_was_taken_away_is_gone_at_once() {
    let staff = Staff::new().await;
    let (engine, project) = (&staff.engine, &staff.project);
    engine.create_role(&staff.editor, project, role("first")).await.unwrap();
    engine.set_member(&staff.admin, project, &staff.editor.email, Some(Viewer)).await.unwrap();
    let refused = engine.create_role(&staff.editor, project, role("second")).await.unwrap_err();
    assert!(matches!(refused, Error::Forbidden(Editor)), "{refused}");
    engine.set_member(&staff.admin, project, &staff.editor.email, None).await.unwrap();
    let refused = engine.roles(&staff.editor, project, None).await.unwrap_err();
    assert!(matches!(refused, Error::NotFound { .. }), "{refused}");
}
