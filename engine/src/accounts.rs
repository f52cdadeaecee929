//! People: users, sessions, API tokens, and the first-run link that makes the first admin.
//!
//! Always true: passwords are stored as Argon2id hashes and tokens as digests; once an admin exists there is no
//! first-run link.

mod api_tokens;
mod first_run;
mod password;
mod throttle;
mod users;

pub(crate) use users::admins_only;

use crate::{
    Engine, Error, Result, User,
    secrets::{TokenDigest, TokenKind},
    store::{self, accounts as rows},
};
use domain::id::{Timestamp, UserId};
use moka::sync::Cache;
use secrecy::SecretString;
use sqlx::SqliteConnection;
use std::time::{Duration, Instant};

/// How long a session lasts, in milliseconds: 30 days. It is not prolonged.
const SESSION_LIFE: i64 = 30 * 24 * 60 * 60 * 1000;
/// How long a token's owner is believed without asking the database.
const BELIEVED: Duration = Duration::from_secs(5);
const BELIEVED_TOKENS: u64 = 10_000;

const WRONG_PASSWORD: Error = Error::Unauthenticated("wrong e-mail or password");

/// A fresh session: the token goes into the cookie and nowhere else.
pub struct Session {
    pub token: SecretString,
    pub expires_at: Timestamp,
    pub user: User,
}

/// What accounts keep in memory.
pub(crate) struct Accounts {
    hasher: password::Hasher,
    throttle: throttle::Throttle,
    /// Whom a session's or API token stands for, and until when.
    owners: Cache<TokenDigest, (User, Timestamp)>,
}

impl Accounts {
    pub fn new() -> Self {
        Self {
            hasher: password::Hasher::new(),
            throttle: throttle::Throttle::new(),
            owners: Cache::builder().max_capacity(BELIEVED_TOKENS).time_to_live(BELIEVED).build(),
        }
    }

    fn believed(&self, digest: &TokenDigest) -> Option<User> {
        self.owners.get(digest).filter(|(_, until)| *until > store::now()).map(|(user, _)| user)
    }
}

impl Engine {
    /// Slow on purpose (Argon2id, on a blocking thread); the same time and answer for a wrong e-mail as for a wrong
    /// password. Throttled per e-mail and per `peer`. `old` is the session token that the browser still has, if any:
    /// it ends.
    ///
    /// # Errors
    /// `Unauthenticated`, or `Throttled` after too many failures.
    pub async fn sign_in(
        &self,
        email: &str,
        password: SecretString,
        peer: &str,
        old: Option<&str>,
    ) -> Result<Session> {
        let accounts = &self.0.accounts;
        let email = users::email(email).map_err(|_| WRONG_PASSWORD)?;
        let attempt = accounts.throttle.begin(&email, peer, Instant::now())?;
        let (id, hash) = rows::password_hash(self.0.store.read(), &email).await?.unzip();
        let right = accounts.hasher.verify(password, hash.clone()).await?;
        let (Some(id), Some(hash), true) = (id, hash, right) else { return Err(WRONG_PASSWORD) };
        let old = old.and_then(|token| TokenKind::Session.digest(token));
        let session = self
            .0
            .store
            .write(move |tx| {
                Box::pin(async move {
                    // The password may have been changed while it was compared.
                    let user = rows::user_with_hash(tx, id, &hash).await?.ok_or(WRONG_PASSWORD)?;
                    rows::end_sessions_expired_by(tx, store::now()).await?;
                    if let Some(old) = old {
                        rows::end_session(tx, &old).await?;
                    }
                    begin_session(tx, user).await
                })
            })
            .await?;
        if let Some(old) = old {
            accounts.owners.invalidate(&old);
        }
        accounts.throttle.succeeded(attempt);
        Ok(session)
    }

    /// Ends the session; one that is unknown has ended already.
    pub async fn sign_out(&self, session_token: &str) -> Result<()> {
        let Some(digest) = TokenKind::Session.digest(session_token) else { return Ok(()) };
        self.0.store.write(move |tx| Box::pin(async move { rows::end_session(tx, &digest).await })).await?;
        self.0.accounts.owners.invalidate(&digest);
        Ok(())
    }

    /// Who a session cookie stands for; none when it is unknown or has expired. Cached for a few seconds at most.
    pub async fn user_of_session(&self, token: &str) -> Result<Option<User>> {
        let Some(digest) = TokenKind::Session.digest(token) else { return Ok(None) };
        if let Some(user) = self.0.accounts.believed(&digest) {
            return Ok(Some(user));
        }
        let found = rows::session_owner(self.0.store.read(), &digest, store::now()).await?;
        Ok(found.map(|(user, until)| {
            self.0.accounts.owners.insert(digest, (user.clone(), until));
            user
        }))
    }

    /// Sets a new password. `session` is the session token of the one who asks: it goes on, all others of the user end.
    ///
    /// # Errors
    /// `Invalid` when `current` is wrong or `new` is not acceptable, `Throttled` after too many failures.
    pub async fn change_password(
        &self,
        user: &User,
        current: SecretString,
        new: SecretString,
        session: Option<&str>,
    ) -> Result<()> {
        password::check("new", &new)?;
        let accounts = &self.0.accounts;
        // Whoever has a session is told apart by it, not by where they are.
        let attempt = accounts.throttle.begin(&user.email, &user.id.to_string(), Instant::now())?;
        let (id, hash) = rows::password_hash(self.0.store.read(), &user.email).await?.unzip();
        let right = accounts.hasher.verify(current, hash).await?;
        let (Some(id), true) = (id, right) else {
            return Err(Error::invalid("current", "this is not your password"));
        };
        accounts.throttle.succeeded(attempt);
        let hash = accounts.hasher.hash(new).await?;
        let kept = session.and_then(|token| TokenKind::Session.digest(token));
        self.0
            .store
            .write(move |tx| {
                Box::pin(async move {
                    rows::set_password_hash(tx, id, &hash).await?;
                    rows::end_other_sessions(tx, id, kept.as_ref()).await
                })
            })
            .await?;
        accounts.owners.invalidate_all();
        Ok(())
    }
}

/// A fresh session of the user, in the transaction that makes it.
async fn begin_session(tx: &mut SqliteConnection, user: User) -> Result<Session> {
    let (token, digest) = TokenKind::Session.mint();
    let now = store::now();
    let expires_at = Timestamp(now.0 + SESSION_LIFE);
    rows::insert_session(tx, &digest, user.id, now, expires_at).await?;
    Ok(Session { token, expires_at, user })
}

/// A user to be, checked and hashed.
struct NewUser {
    id: UserId,
    email: String,
    name: String,
    hash: String,
    admin: bool,
}

/// Stores a user. A new admin of the installation becomes an admin of every project and ends the first-run link.
async fn insert_user(tx: &mut SqliteConnection, new: NewUser) -> Result<User> {
    if rows::user_by_email(&mut *tx, &new.email).await?.is_some() {
        return Err(Error::Conflict(format!("there is a user '{}' already", new.email)));
    }
    let now = store::now();
    let user = User { id: new.id, email: new.email, name: new.name, admin: new.admin };
    rows::insert_user(tx, &user, &new.hash, now).await?;
    if user.admin {
        rows::end_first_run(tx).await?;
        store::projects::join_all(tx, user.id).await?;
    }
    Ok(user)
}
