//! Passwords: what is accepted, and their Argon2id hashes.

use crate::{Error, Result};
use argon2::{Argon2, PasswordHasher, PasswordVerifier, password_hash::phc::PasswordHash};
use secrecy::{ExposeSecret, SecretString};
use std::sync::Arc;
use tokio::sync::Semaphore;

const MIN_CHARACTERS: usize = 10;
const MAX_BYTES: usize = 1_000;
/// Each hash takes 19 MiB and a processor; more at once would let strangers exhaust both.
const AT_ONCE: usize = 2;

/// Refuses what is too short to be safe or too long to be a password.
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

/// Hashes and compares, a few at a time, away from the threads that serve.
pub(super) struct Hasher(Arc<Semaphore>);

impl Hasher {
    pub fn new() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE)))
    }

    /// The hash in PHC form, with its salt and parameters.
    pub async fn hash(&self, password: SecretString) -> Result<String> {
        self.work(move || hash(&password)).await
    }

    /// Whether the password belongs to the hash. Without a hash it takes as long, and says no.
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
        let slot = self.0.clone().acquire_owned().await.map_err(Error::internal)?;
        let done = tokio::task::spawn_blocking(move || {
            // Held by the work, not by who waits for it: a caller that goes away must not make room too early.
            let _slot = slot;
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
    async fn only_the_password_itself_is_right() {
        let hasher = Hasher::new();
        let stored = hasher.hash("correct horse".into()).await.unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
        assert!(hasher.verify("correct horse".into(), Some(stored.clone())).await.unwrap());
        assert!(!hasher.verify("correct Horse".into(), Some(stored)).await.unwrap());
        assert!(!hasher.verify("correct horse".into(), None).await.unwrap());
    }
}
