//! Accounts: how users sign in, and how attackers are kept out.

use crate::staff::{PASSWORD, Staff, config, empty, password};
use engine::{Engine, Error};
use secrecy::{ExposeSecret, SecretString};

fn plain(token: &SecretString) -> &str {
    token.expose_secret()
}

/// The error message, or that there was no error.
fn said<T>(result: Result<T, Error>) -> String {
    result.err().map_or_else(|| "accepted".to_owned(), |error| error.to_string())
}

#[tokio::test]
async fn a_session_stands_for_its_user_until_it_ends() {
    let Staff { engine, editor, data: _data, .. } = Staff::new().await;
    let session = engine.sign_in("Editor@Example.org ", password(), "peer", None).await.unwrap();
    assert!(plain(&session.token).starts_with("tr_s_"));
    assert_eq!(session.user, editor);
    assert_eq!(engine.user_of_session(plain(&session.token)).await.unwrap(), Some(editor));
    assert_eq!(engine.user_of_api_token(plain(&session.token)).await.unwrap(), None);

    let next =
        engine.sign_in("editor@example.org", password(), "peer", Some(plain(&session.token))).await.unwrap();
    assert_eq!(engine.user_of_session(plain(&session.token)).await.unwrap(), None, "rotated");
    assert!(engine.user_of_session(plain(&next.token)).await.unwrap().is_some());
    engine.sign_out(plain(&next.token)).await.unwrap();
    engine.sign_out(plain(&next.token)).await.unwrap();
    assert_eq!(engine.user_of_session(plain(&next.token)).await.unwrap(), None);
    for unknown in ["", "tr_s_", "x", &"tr_s_A".repeat(8)] {
        assert_eq!(engine.user_of_session(unknown).await.unwrap(), None);
    }
}

/// B10
#[tokio::test]
async fn a_database_that_fails_locks_nobody_out() {
    let Staff { engine, editor, data, .. } = Staff::new().await;
    let address = format!("sqlite://{}", data.path().join("troupe.db").display());
    let db = sqlx::SqlitePool::connect(&address).await.unwrap();
    for table in ["user", "session"] {
        let rename = |from: &str, to: &str| {
            sqlx::raw_sql(sqlx::AssertSqlSafe(format!("ALTER TABLE {from} RENAME TO {to}")))
        };
        rename(table, "gone").execute(&db).await.unwrap();
        for _ in 0..15 {
            let refused = engine.sign_in(&editor.email, password(), "192.0.2.1", None).await.err().unwrap();
            assert!(!matches!(refused, Error::Throttled { .. } | Error::Unauthenticated(_)), "{refused}");
        }
        rename("gone", table).execute(&db).await.unwrap();
        engine.sign_in(&editor.email, password(), "192.0.2.1", None).await.unwrap();
    }
    db.close().await;
}

#[tokio::test]
async fn a_wrong_password_and_a_wrong_email_look_the_same_and_run_dry() {
    let Staff { engine, data: _data, .. } = Staff::new().await;
    for email in ["editor@example.org", "nobody@example.org"] {
        for _ in 0..10 {
            let refused = said(engine.sign_in(email, "not the password".into(), email, None).await);
            assert_eq!(refused, "wrong e-mail or password");
        }
        let refused = engine.sign_in(email, password(), email, None).await.err().unwrap();
        assert!(matches!(refused, Error::Throttled { retry_after_seconds: 800..=900 }), "{refused}");
        assert_eq!(refused.to_string(), "too many failed attempts; try again in 15 minutes");
    }
    assert!(engine.sign_in("viewer@example.org", password(), "editor@example.org", None).await.is_ok());
}

/// B10
#[tokio::test]
async fn a_stranger_who_knows_an_email_keeps_nobody_out() {
    let Staff { engine, editor, data: _data, .. } = Staff::new().await;
    engine.sign_in(&editor.email, password(), "192.0.2.1", None).await.unwrap();
    // More failures in total than an account may have, a few from each place.
    for place in 0..11 {
        for _ in 0..10 {
            drop(engine.sign_in(&editor.email, "a guess".into(), &format!("198.51.100.{place}"), None).await);
        }
    }
    let guess = engine.sign_in(&editor.email, password(), "203.0.113.1", None).await.err().unwrap();
    assert!(matches!(guess, Error::Throttled { .. }), "guesses are bounded in all: {guess}");
    let session = engine.sign_in(&editor.email, password(), "192.0.2.1", None).await.unwrap();
    let token = Some(plain(&session.token));
    engine.change_password(&editor, password(), "another long password".into(), token).await.unwrap();
}

#[tokio::test]
async fn the_first_run_link_makes_one_admin_and_dies() {
    let (engine, data) = empty().await;
    let old = engine.first_run_token().await.unwrap().unwrap();
    let link = engine.first_run_token().await.unwrap().unwrap();
    assert!(!engine.first_run_valid(plain(&old)).await.unwrap(), "a fresh one replaces it");
    assert!(engine.first_run_valid(plain(&link)).await.unwrap());
    let complete = async |token: &SecretString, email: &str, secret: &str| {
        engine.complete_first_run(plain(token), email, "Ada", secret.into()).await
    };
    assert!(said(complete(&old, "ada@example.org", PASSWORD).await).starts_with("this link is not valid"));
    assert!(said(complete(&link, "ada@example.org", "short").await).contains("at least 10 characters"));
    assert!(said(complete(&link, "ada", PASSWORD).await).starts_with("email: "));

    let both = tokio::join!(
        complete(&link, "ada@example.org", PASSWORD),
        complete(&link, "eve@example.org", PASSWORD)
    );
    let (winner, loser) = if both.0.is_ok() { both } else { (both.1, both.0) };
    let session = winner.ok().unwrap();
    assert!(session.user.admin);
    assert_eq!(engine.user_of_session(plain(&session.token)).await.unwrap(), Some(session.user));
    assert!(said(loser).starts_with("this link is not valid"));
    assert!(!engine.first_run_valid(plain(&link)).await.unwrap());
    assert!(engine.first_run_token().await.unwrap().is_none());

    engine.shutdown().await;
    drop(engine);
    let again = Engine::open(config(data.path())).await.unwrap();
    assert!(again.first_run_token().await.unwrap().is_none());
}

#[tokio::test]
async fn an_admin_made_elsewhere_ends_the_link_too() {
    let (engine, _data) = empty().await;
    let link = engine.first_run_token().await.unwrap().unwrap();
    engine.create_user("ada@example.org", "", password(), false).await.unwrap();
    assert!(engine.first_run_valid(plain(&link)).await.unwrap(), "a user is no admin");
    let root = engine.create_user("root@example.org", "", password(), true).await.unwrap();
    assert_eq!(root.name, "root");
    assert!(!engine.first_run_valid(plain(&link)).await.unwrap());
    let refused = engine.complete_first_run(plain(&link), "eve@example.org", "Eve", password()).await;
    assert!(said(refused).starts_with("this link is not valid"));
}

#[tokio::test]
async fn users_are_checked_and_unique() {
    let Staff { engine, root, data: _data, .. } = Staff::new().await;
    assert!(said(engine.create_user("nonsense", "", password(), false).await).starts_with("email: "));
    assert!(said(engine.create_user("a@b.c", "", "123456789".into(), false).await).starts_with("password: "));
    assert!(said(engine.create_user("a@b.c", "a\nb", password(), false).await).starts_with("name: "));
    let taken = engine.create_user("EDITOR@example.org", "", password(), false).await.unwrap_err();
    assert!(matches!(taken, Error::Conflict(_)), "{taken}");
    let twice = tokio::join!(
        engine.add_user(&root, "new@example.org", "", password(), false),
        engine.add_user(&root, "new@example.org", "", password(), false)
    );
    let refused: Vec<_> = [twice.0, twice.1].into_iter().filter_map(Result::err).collect();
    assert!(matches!(refused.as_slice(), [Error::Conflict(_)]), "{refused:?}");

    let everybody = engine.users(&root, None).await.unwrap();
    let names: Vec<_> = everybody.items.iter().map(|user| user.name.as_str()).collect();
    assert_eq!(names, ["root", "admin", "editor", "viewer", "stranger", "new"]);
    assert_eq!(everybody.next, None);
}

#[tokio::test]
async fn api_tokens_are_shown_once_and_can_be_revoked() {
    let Staff { engine, editor, viewer, data: _data, .. } = Staff::new().await;
    let (made, token) = engine.create_own_api_token(&editor, " ci ").await.unwrap();
    assert_eq!(made.name, "ci");
    assert!(plain(&token).starts_with("tr_t_"));
    assert_eq!(engine.user_of_api_token(plain(&token)).await.unwrap(), Some(editor.clone()));
    assert_eq!(engine.user_of_session(plain(&token)).await.unwrap(), None);
    assert_eq!(engine.api_tokens(&editor).await.unwrap(), std::slice::from_ref(&made));
    assert!(engine.api_tokens(&viewer).await.unwrap().is_empty());
    let taken = engine.create_own_api_token(&editor, "ci").await.err().unwrap();
    assert!(matches!(taken, Error::Conflict(_)), "{taken}");

    let foreign = engine.revoke_api_token(&viewer, made.id).await.unwrap_err();
    assert!(matches!(foreign, Error::NotFound { .. }), "{foreign}");
    engine.revoke_api_token(&editor, made.id).await.unwrap();
    assert_eq!(engine.user_of_api_token(plain(&token)).await.unwrap(), None);
    assert!(engine.revoke_api_token(&editor, made.id).await.is_err());

    let by_command = engine.create_api_token("editor@example.org", "ci").await.unwrap();
    assert_eq!(engine.user_of_api_token(plain(&by_command)).await.unwrap(), Some(editor));
    assert_eq!(
        said(engine.create_api_token("who@example.org", "x").await),
        "there is no user 'who@example.org'"
    );
}

#[tokio::test]
async fn a_new_password_ends_the_other_sessions() {
    let Staff { engine, editor, data: _data, .. } = Staff::new().await;
    let here = engine.sign_in(&editor.email, password(), "a", None).await.unwrap();
    let there = engine.sign_in(&editor.email, password(), "b", None).await.unwrap();
    assert!(engine.user_of_session(plain(&there.token)).await.unwrap().is_some());
    let new = || SecretString::from("another long password");
    let wrong = engine.change_password(&editor, "wrong password".into(), new(), None).await;
    assert_eq!(said(wrong), "current: this is not your password");
    assert!(
        said(engine.change_password(&editor, password(), "short".into(), None).await).starts_with("new: ")
    );

    engine.change_password(&editor, password(), new(), Some(plain(&here.token))).await.unwrap();
    assert!(engine.user_of_session(plain(&here.token)).await.unwrap().is_some());
    assert!(engine.user_of_session(plain(&there.token)).await.unwrap().is_none());
    assert!(engine.sign_in(&editor.email, password(), "a", None).await.is_err());
    assert!(engine.sign_in(&editor.email, new(), "a", None).await.is_ok());
}

/// The contents of the data folder do not allow anybody to sign in.
#[tokio::test]
async fn neither_passwords_nor_tokens_are_stored() {
    let Staff { engine, data, editor, .. } = Staff::new().await;
    let session = engine.sign_in(&editor.email, password(), "peer", None).await.unwrap();
    let (_, token) = engine.create_own_api_token(&editor, "ci").await.unwrap();
    engine.shutdown().await;
    let mut seen = 0;
    for entry in std::fs::read_dir(data.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            continue;
        }
        // SQLite removes its side files when it closes; a missing file holds nothing.
        let Ok(bytes) = std::fs::read(&path) else { continue };
        seen += bytes.len();
        for secret in [PASSWORD, plain(&session.token), plain(&token)] {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{} holds a secret", path.display());
        }
    }
    assert!(seen > 10_000, "the database was looked at");
}
