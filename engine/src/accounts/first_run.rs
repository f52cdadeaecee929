//! The first-run link: the person who started the server can use it once to create the first admin.

use super::{Session, begin_session, insert_user, rows};
use crate::{Engine, Error, Result, secrets::TokenKind, store};
use secrecy::SecretString;

const LINK_IS_DEAD: Error = Error::Unauthenticated(
    "this link is not valid any more; the server prints a fresh one when it starts without an admin",
);

impl Engine {
    /// A new token for the first-run link at every start, while no admin exists. It replaces the previous one.
    pub async fn first_run_token(&self) -> Result<Option<SecretString>> {
        self.0
            .store
            .write(|tx| {
                Box::pin(async move {
                    if rows::any_admin(&mut *tx).await? {
                        rows::end_first_run(tx).await?;
                        return Ok(None);
                    }
                    let (token, digest) = TokenKind::FirstRun.mint();
                    rows::set_first_run(tx, &digest, store::now()).await?;
                    Ok(Some(token))
                })
            })
            .await
    }

    /// Whether the link may be used.
    pub async fn first_run_valid(&self, token: &str) -> Result<bool> {
        let Some(digest) = TokenKind::FirstRun.digest(token) else { return Ok(false) };
        let db = self.0.store.read();
        Ok(rows::is_first_run(db, &digest).await? && !rows::any_admin(db).await?)
    }

    /// Creates the first admin as a member of every project, signs them in, and ends the link, in one transaction.
    ///
    /// # Errors
    /// `Unauthenticated` if the link has ended; otherwise as [`Engine::create_user`].
    pub async fn complete_first_run(
        &self,
        token: &str,
        email: &str,
        name: &str,
        password: SecretString,
    ) -> Result<Session> {
        // Checked first, so that passwords are hashed only for holders of the link.
        if !self.first_run_valid(token).await? {
            return Err(LINK_IS_DEAD);
        }
        let digest = TokenKind::FirstRun.digest(token).ok_or(LINK_IS_DEAD)?;
        let new = self.new_user(email, name, password, true).await?;
        self.0
            .store
            .write(move |tx| {
                Box::pin(async move {
                    if !rows::is_first_run(&mut *tx, &digest).await? || rows::any_admin(&mut *tx).await? {
                        return Err(LINK_IS_DEAD);
                    }
                    let user = insert_user(tx, new).await?;
                    begin_session(tx, user).await
                })
            })
            .await
    }
}
