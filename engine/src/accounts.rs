//! People: users, sessions, API tokens, and the first-run link that makes the first admin.

use crate::{Engine, Result, User};
use domain::id::Timestamp;
use secrecy::SecretString;

/// A fresh session: the token goes into the cookie and nowhere else.
pub struct Session {
    pub token: SecretString,
    pub expires_at: Timestamp,
    pub user: User,
}

impl Engine {
    /// Makes a user. Command line and first run only: pages go through [`Engine::add_user`]-like commands of their own.
    ///
    /// # Errors
    /// `Invalid` for a malformed e-mail or a password under 10 characters, `Conflict` when the e-mail is taken.
    pub async fn create_user(
        &self,
        email: &str,
        name: &str,
        password: SecretString,
        admin: bool,
    ) -> Result<User> {
        todo!()
    }

    /// The token of the first-run link, fresh at every start, while no admin exists.
    pub async fn first_run_token(&self) -> Result<Option<SecretString>> {
        todo!()
    }
    pub async fn first_run_valid(&self, token: &str) -> Result<bool> {
        todo!()
    }
    /// Makes the first admin, a member of every project, signs them in, and ends the link (in one transaction).
    pub async fn complete_first_run(
        &self,
        token: &str,
        email: &str,
        name: &str,
        password: SecretString,
    ) -> Result<Session> {
        todo!()
    }

    /// Slow on purpose (Argon2id, on a blocking thread); the same time and answer for a wrong e-mail as for a wrong
    /// password. Throttled per e-mail and per `peer`. `old` is the session token that the browser still has, if any:
    /// it ends.
    pub async fn sign_in(
        &self,
        email: &str,
        password: SecretString,
        peer: &str,
        old: Option<&str>,
    ) -> Result<Session> {
        todo!()
    }
    pub async fn sign_out(&self, session_token: &str) -> Result<()> {
        todo!()
    }
    /// Who a session cookie stands for; none when it is unknown or has expired. Cached for a few seconds at most.
    pub async fn user_of_session(&self, token: &str) -> Result<Option<User>> {
        todo!()
    }
    pub async fn user_of_api_token(&self, token: &str) -> Result<Option<User>> {
        todo!()
    }
    /// For the command line: the plain token, shown once.
    pub async fn create_api_token(&self, email: &str, name: &str) -> Result<SecretString> {
        todo!()
    }
}
