//! Passwords: the rules for new ones, and their Argon2id hashes.

use crate::{Error, Result};
use argon2::{Argon2, PasswordHasher, PasswordVerifier, password_hash::phc::PasswordHash};
use secrecy::{ExposeSecret, SecretString};
use std::sync::Arc;
use tokio::sync::Semaphore;

const MIN_CHARACTERS: usize = 10;
const MAX_BYTES: usize = 1_000;
/// Concurrent hashes. Each takes 19 MiB and a processor, so strangers could exhaust both.
const AT_ONCE: usize = 2;
/// How many more may wait, for some seconds at most; others are rejected, so that strangers cannot make users who know
/// their passwords wait for long.
const WAITING: usize = 100;

/// Rejects a password that is too short to be safe or too long to be real.
pub(super) fn check(path: &str, password: &SecretString) -> Result<()> {
    let password = password.expose_secret();
    if password.chars().count() < MIN_CHARACTERS {
        return Err(Error::invalid(path, format!("a password has at least {MIN_CHARACTERS} characters")));
    }
    if password.len() > MAX_BYTES {
        return Err(Error::invalid(path, format!("a password has at most {MAX_BYTES} bytes")));
    }
    Ok(())
}

/// Hashes and compares passwords on blocking threads, a few at a time.
pub(super) struct Hasher {
    turns: Arc<Semaphore>,
    places: Arc<Semaphore>,
}

impl Hasher {
    pub fn new() -> Self {
        Self { turns: Arc::new(Semaphore::new(AT_ONCE)), places: Arc::new(Semaphore::new(AT_ONCE + WAITING)) }
    }

    /// The hash in PHC form, with its salt and parameters.
    pub async fn hash(&self, password: SecretString) -> Result<String> {
        self.work(move || hash(&password)).await
    }

    /// Whether the password matches the hash. Without a hash it takes the same time and returns false.
    pub async fn verify(&self, password: SecretString, stored: Option<String>) -> Result<bool> {
        self.work(move || {
            let Some(stored) = stored else {
                hash(&password)?;
                return Ok(false);
            };
            let stored = PasswordHash::new(&stored)
                .map_err(|_| Error::internal("a stored password hash cannot be read"))?;
            Ok(argon2().verify_password(password.expose_secret().as_bytes(), &stored).is_ok())
        })
        .await
    }

    async fn work<T: Send + 'static>(&self, work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
        let place = self.places.clone().try_acquire_owned().map_err(|_| {
            Error::Unavailable("too many people sign in just now; try again in a few seconds".to_owned())
        })?;
        let turn = self.turns.clone().acquire_owned().await.map_err(Error::internal)?;
        let done = tokio::task::spawn_blocking(move || {
            // The blocking work holds the permits, not the caller: a caller that disconnects must not free them early.
            let _held = (place, turn);
            work()
        });
        done.await.map_err(Error::internal)?
    }
}

fn hash(password: &SecretString) -> Result<String> {
    let hash = argon2()
        .hash_password(password.expose_secret().as_bytes())
        .map_err(|error| Error::internal(format!("a password could not be hashed: {error}")))?;
    Ok(hash.to_string())
}

/// Argon2id, 19 MiB, two passes, one lane: the crate's defaults, and OWASP's recommendation.
fn argon2() -> Argon2<'static> {
    Argon2::default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_is_all_that_is_asked() {
        for (password, accepted) in [
            ("123456789", false),
            ("1234567890", true),
            ("ありがとうございました", true),
            (&"x".repeat(1_000), true),
            (&"x".repeat(1_001), false),
        ] {
            assert_eq!(check("password", &password.into()).is_ok(), accepted, "{password}");
        }
    }

    #[tokio::test]
    async fn who_comes_when_too_many_wait_is_turned_away() {
        let hasher = Hasher::new();
        let busy = hasher.turns.clone().acquire_many_owned(AT_ONCE as u32).await.unwrap();
        let mut waiting =
            (0..AT_ONCE + WAITING).map(|_| Box::pin(hasher.hash("x".into()))).collect::<Vec<_>>();
        for one in &mut waiting {
            assert!(futures::poll!(one).is_pending());
        }
        let refused = hasher.hash("one more".into()).await.unwrap_err();
        assert!(matches!(refused, Error::Unavailable(_)), "{refused}");
        // Callers that disconnect free their places.
        drop((waiting, busy));
        assert!(hasher.hash("one more".into()).await.is_ok());
    }

    #[tokio::test]
    async fn only_the_password_itself_is_right() {
        let hasher = Hasher::new();
        let stored = hasher.hash("correct horse".into()).await.unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
        assert!(hasher.verify("correct horse".into(), Some(stored.clone())).await.unwrap());
        assert!(!hasher.verify("correct Horse".into(), Some(stored)).await.unwrap());
        assert!(!hasher.verify("correct horse".into(), None).await.unwrap());
    }
}
