//! Who may do what: every command, by everybody.

mod staff;

use domain::{
    access::Permission::{self, Admin, Editor, Viewer},
    branch::Branch,
    id::{ContentId, RunNumber, TaskId},
    key::{ProjectKey, ProviderKey, RoleKey, TemplateKey},
    provider::ProviderKind,
};
use engine::{Cursor, Engine, Error, Format, Launch, MessageWindow, ProviderDraft, RunFilter, Subject, User};
use futures::{FutureExt, future::BoxFuture};
use staff::{Staff, password, project_key, role};

type Command = fn(Engine, User) -> BoxFuture<'static, Result<(), Error>>;

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

fn template() -> TemplateKey {
    TemplateKey::parse("t").unwrap()
}

fn task() -> TaskId {
    TaskId(uuid::Uuid::nil())
}

const RUN: RunNumber = RunNumber(1);

#[tokio::test]
async fn every_command_of_a_project_asks_for_its_permission() {
    let commands: Vec<(&str, Permission, Command)> = vec![
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
        command!(Editor, |engine, user| engine.cancel(&user, &lab(), RUN)),
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
    ];
    let staff = Staff::new().await;
    let members = [(&staff.viewer, Viewer), (&staff.editor, Editor), (&staff.admin, Admin)];
    for (call, need, command) in commands {
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
    let commands: Vec<(&str, Permission, Command)> = vec![
        command!(Admin, |engine, user| engine.create_project(&user, project_key("new"), "New")),
        command!(Admin, |engine, user| engine.users(&user, None)),
        command!(Admin, |engine, user| engine.add_user(&user, "new@example.org", "New", password(), false)),
        command!(Admin, |engine, user| engine.create_provider(&user, provider())),
        command!(Admin, |engine, user| engine.update_provider(&user, &provider().key, provider())),
        command!(Admin, |engine, user| engine.delete_provider(&user, &provider().key)),
    ];
    let staff = Staff::new().await;
    for (call, _, command) in commands {
        for user in [&staff.admin, &staff.editor, &staff.viewer, &staff.stranger] {
            let result = command(staff.engine.clone(), user.clone()).await;
            assert!(matches!(result, Err(Error::AdminsOnly)), "{call} by {}: {result:?}", user.name);
        }
        let result = command(staff.engine.clone(), staff.root.clone()).await;
        assert!(result.is_ok(), "{call} by an admin: {result:?}");
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
