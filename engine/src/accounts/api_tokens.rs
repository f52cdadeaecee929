//! API tokens: personal keys for programs. Each is shown once.

use super::rows;
use crate::{Engine, Error, Result, User, pagination, secrets::TokenKind, store};
use domain::{
    id::{Timestamp, TokenId, UserId},
    view::ApiToken,
};
use secrecy::SecretString;

const MAX_NAME: usize = 100;
/// The most tokens per user.
const MOST: u32 = 100;

impl Engine {
    /// The owner of an API token; `None` if the token is unknown or revoked. Cached for a few seconds at most.
    pub async fn user_of_api_token(&self, token: &str) -> Result<Option<User>> {
        let Some(digest) = TokenKind::Api.digest(token) else { return Ok(None) };
        if let Some(user) = self.0.accounts.believed(&digest) {
            return Ok(Some(user));
        }
        let user = rows::api_token_owner(self.0.store.read(), &digest).await?;
        if let Some(user) = &user {
            self.0.accounts.owners.insert(digest, (user.clone(), Timestamp(i64::MAX)));
        }
        Ok(user)
    }

    /// Creates a token for the command line and returns it in plain text, which is shown once.
    ///
    /// # Errors
    /// `NotFound` without such a user, `Conflict` if the user has a token of this name.
    pub async fn create_api_token(&self, email: &str, name: &str) -> Result<SecretString> {
        let user = rows::user_by_email(self.0.store.read(), email.trim()).await?;
        let user = user.ok_or_else(|| Error::not_found("user", email.trim()))?;
        Ok(self.make_api_token(user.id, name).await?.1)
    }

    /// The user's own tokens that are not revoked, in order of creation.
    pub async fn api_tokens(&self, user: &User) -> Result<Vec<ApiToken>> {
        rows::api_tokens(self.0.store.read(), user.id).await
    }

    /// Creates a token for the user's own programs. Its text cannot be retrieved again.
    pub async fn create_own_api_token(&self, user: &User, name: &str) -> Result<(ApiToken, SecretString)> {
        self.make_api_token(user.id, name).await
    }

    /// Revokes one of the user's own tokens.
    pub async fn revoke_api_token(&self, user: &User, id: TokenId) -> Result<()> {
        let owner = user.id;
        let digest = self
            .0
            .store
            .write(move |tx| {
                Box::pin(async move {
                    let digest = rows::revoke_api_token(tx, owner, id, store::now()).await?;
                    digest.ok_or_else(|| Error::not_found("API token", id))
                })
            })
            .await?;
        self.0.accounts.owners.invalidate(&digest);
        Ok(())
    }

    async fn make_api_token(&self, user: UserId, name: &str) -> Result<(ApiToken, SecretString)> {
        let name = pagination::line("name", name, MAX_NAME)?;
        let (token, digest) = TokenKind::Api.mint();
        self.0
            .store
            .write(move |tx| {
                Box::pin(async move {
                    let names = rows::api_token_names(tx, user).await?;
                    if names.contains(&name) {
                        return Err(Error::Conflict(format!("there is an API token '{name}' already")));
                    }
                    if names.len() >= MOST as usize {
                        return Err(Error::Conflict(format!(
                            "a user has at most {MOST} API tokens; revoke one"
                        )));
                    }
                    let made = ApiToken { id: TokenId(store::mint()), name, created_at: store::now() };
                    rows::insert_api_token(tx, user, &made, &digest).await?;
                    Ok((made, token))
                })
            })
            .await
    }
}
