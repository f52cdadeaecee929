//! Accounts: users, sessions, API tokens, and the first-run link that creates the first admin.
//!
//! Invariants: passwords are stored as Argon2id hashes and tokens as digests; once an admin exists there is no
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
use sqlx::{SqliteConnection, SqlitePool};
use std::time::{Duration, Instant};
use throttle::{Attempt, Origin};

/// Lifetime of a session, in milliseconds: 30 days. It is not extended.
const SESSION_LIFE: i64 = 30 * 24 * 60 * 60 * 1000;
/// How long the owner of a token is cached.
const BELIEVED: Duration = Duration::from_secs(5);
const BELIEVED_TOKENS: u64 = 10_000;

const WRONG_PASSWORD: Error = Error::Unauthenticated("wrong e-mail or password");

/// A new session. The token goes into the cookie and nowhere else.
pub struct Session {
    pub token: SecretString,
    pub expires_at: Timestamp,
    pub user: User,
}

/// In-memory state of accounts.
pub(crate) struct Accounts {
    hasher: password::Hasher,
    throttle: throttle::Throttle,
    /// The owners of session and API tokens, each with the time until which it is valid.
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

    /// The user with this e-mail and the stored hash, if the password is correct.
    ///
    /// The attempt is returned where it may count as failed. An error withdraws it: a database that cannot be read must
    /// not lock anybody out.
    async fn compare(
        &self,
        db: &SqlitePool,
        attempt: Attempt,
        email: &str,
        password: SecretString,
    ) -> Result<(Attempt, Option<(UserId, String)>)> {
        let compared = async {
            let stored = rows::password_hash(db, email).await?;
            let hash = stored.as_ref().map(|(_, hash)| hash.clone());
            let right = self.hasher.verify(password, hash).await?;
            Ok(stored.filter(|_| right))
        };
        match compared.await {
            Ok(user) => Ok((attempt, user)),
            Err(error) => {
                self.throttle.withdrawn(attempt);
                Err(error)
            }
        }
    }

    fn believed(&self, digest: &TokenDigest) -> Option<User> {
        self.owners.get(digest).filter(|(_, until)| *until > store::now()).map(|(user, _)| user)
    }
}

impl Engine {
    /// Signs a user in. Slow on purpose (Argon2id, on a blocking thread); a wrong e-mail takes the same time and gets
    /// the same answer as a wrong password. Throttled by account and `peer`, the caller's address (see
    /// `accounts/throttle.rs`). `old` is the browser's current session token, if any: that session ends.
    ///
    /// # Errors
    /// `Unauthenticated`, `Throttled` after too many failures, or `Unavailable` while too many others sign in.
    pub async fn sign_in(
        &self,
        email: &str,
        password: SecretString,
        peer: &str,
        old: Option<&str>,
    ) -> Result<Session> {
        let accounts = &self.0.accounts;
        let email = users::email(email).map_err(|_| WRONG_PASSWORD)?;
        let attempt = accounts.throttle.begin(&email, Origin::Peer(peer), Instant::now())?;
        let (attempt, user) = accounts.compare(self.0.store.read(), attempt, &email, password).await?;
        let (id, hash) = user.ok_or(WRONG_PASSWORD)?;
        let old = old.and_then(|token| TokenKind::Session.digest(token));
        let session = self
            .0
            .store
            .write(move |tx| {
                Box::pin(async move {
                    // The password may have been changed during the comparison.
                    let user = rows::user_with_hash(tx, id, &hash).await?.ok_or(WRONG_PASSWORD)?;
                    rows::end_sessions_expired_by(tx, store::now()).await?;
                    if let Some(old) = old {
                        rows::end_session(tx, &old).await?;
                    }
                    begin_session(tx, user).await
                })
            })
            .await;
        let session = match session {
            Ok(session) => session,
            Err(error) => {
                // The password was right; the session could not be stored.
                if !matches!(error, Error::Unauthenticated(_)) {
                    accounts.throttle.withdrawn(attempt);
                }
                return Err(error);
            }
        };
        if let Some(old) = old {
            accounts.owners.invalidate(&old);
        }
        accounts.throttle.succeeded(attempt);
        Ok(session)
    }

    /// Ends the session. An unknown session counts as ended.
    pub async fn sign_out(&self, session_token: &str) -> Result<()> {
        let Some(digest) = TokenKind::Session.digest(session_token) else { return Ok(()) };
        self.0.store.write(move |tx| Box::pin(async move { rows::end_session(tx, &digest).await })).await?;
        self.0.accounts.owners.invalidate(&digest);
        Ok(())
    }

    /// The user of a session cookie; `None` if it is unknown or has expired. Cached for a few seconds at most.
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

    /// Sets a new password. `session` is the caller's session token: that session continues, all others of the user
    /// end.
    ///
    /// # Errors
    /// `Invalid` if `current` is wrong or `new` is not acceptable, `Throttled` after too many failures.
    pub async fn change_password(
        &self,
        user: &User,
        current: SecretString,
        new: SecretString,
        session: Option<&str>,
    ) -> Result<()> {
        password::check("new", &new)?;
        let accounts = &self.0.accounts;
        let attempt = accounts.throttle.begin(&user.email, Origin::Session(user.id), Instant::now())?;
        let (attempt, owner) = accounts.compare(self.0.store.read(), attempt, &user.email, current).await?;
        let Some((id, _)) = owner else {
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

/// Stores a new session of the user, in the given transaction.
async fn begin_session(tx: &mut SqliteConnection, user: User) -> Result<Session> {
    let (token, digest) = TokenKind::Session.mint();
    let now = store::now();
    let expires_at = Timestamp(now.0 + SESSION_LIFE);
    rows::insert_session(tx, &digest, user.id, now, expires_at).await?;
    Ok(Session { token, expires_at, user })
}

/// A validated new user with a hashed password.
struct NewUser {
    id: UserId,
    email: String,
    name: String,
    hash: String,
    admin: bool,
}

/// Stores a user. A new installation admin becomes an admin of every project, and the first-run link ends.
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
