//! Secrets at rest: the installation's key, encryption with it, and the tokens of users.
//!
//! Invariant: a sealed secret opens only with this installation's key and for the row for which it was sealed; a token
//! is stored as its digest only.

use crate::{Error, Result, StartError};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use secrecy::{ExposeSecret, SecretString, zeroize::Zeroize};
use sha2::{Digest as _, Sha256};
use std::{
    fs, io,
    io::Write,
    path::{Path, PathBuf},
};

const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;

/// Encrypts and decrypts with the key in `secret.key` of the data folder.
pub(crate) struct Vault {
    cipher: XChaCha20Poly1305,
}

impl Vault {
    /// Reads the installation's key, or creates one. If two processes create it at the same time, both get the same
    /// one.
    ///
    /// # Errors
    /// `SecretKey` if the file is not a key, `Folder` if it cannot be read or written.
    pub fn open(data: &Path) -> Result<Self, StartError> {
        let path = data.join("secret.key");
        let folder = |source| StartError::Folder { path: data.display().to_string(), source };
        let mut key = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                make_key(data, &path).and_then(|()| fs::read(&path)).map_err(folder)?
            }
            read => read.map_err(folder)?,
        };
        let cipher = XChaCha20Poly1305::new_from_slice(&key).map_err(|_| StartError::SecretKey);
        key.zeroize();
        Ok(Self { cipher: cipher? })
    }

    /// Encrypts a secret: nonce, then ciphertext. It opens only with the same `owner`, a row's id.
    pub fn seal(&self, secret: &SecretString, owner: &[u8]) -> Result<Vec<u8>> {
        let nonce: [u8; NONCE_BYTES] = rand::random();
        let payload = Payload { msg: secret.expose_secret().as_bytes(), aad: owner };
        let sealed = self
            .cipher
            .encrypt(&XNonce::from(nonce), payload)
            .map_err(|_| Error::internal("a secret could not be sealed"))?;
        Ok([nonce.as_slice(), &sealed].concat())
    }

    /// Decrypts a secret. `None` if it was sealed with another key or for another owner, or has been altered.
    pub fn unseal(&self, sealed: &[u8], owner: &[u8]) -> Option<SecretString> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_BYTES>()?;
        let payload = Payload { msg: sealed, aad: owner };
        let secret = self.cipher.decrypt(&XNonce::from(*nonce), payload).ok()?;
        String::from_utf8(secret).ok().map(SecretString::from)
    }
}

/// Writes a new key to a temporary file and links it to its place, so the file is complete from the first moment, and
/// an existing key stays.
fn make_key(data: &Path, path: &Path) -> io::Result<()> {
    let mut key: [u8; KEY_BYTES] = rand::random();
    let draft: PathBuf = data.join(format!(".secret.key.{}", uuid::Uuid::now_v7()));
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(&draft).and_then(|mut file| {
        file.write_all(&key)?;
        file.sync_all()
    });
    key.zeroize();
    let linked = written.and_then(|()| match fs::hard_link(&draft, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        linked => linked,
    });
    if let Err(error) = fs::remove_file(&draft) {
        tracing::warn!(%error, "a draft of the secret key stays in the data folder");
    }
    linked
}

/// The purpose of a token; its prefix shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenKind {
    Session,
    Api,
    FirstRun,
}

/// SHA-256 of a token. Tokens are random, so a fast digest is as safe as a slow one.
pub(crate) type TokenDigest = [u8; 32];

impl TokenKind {
    fn prefix(self) -> &'static str {
        match self {
            Self::Session => "tr_s_",
            Self::Api => "tr_t_",
            Self::FirstRun => "tr_f_",
        }
    }

    /// A new token of 256 random bits, and its digest to store.
    pub fn mint(self) -> (SecretString, TokenDigest) {
        let bits: [u8; 32] = rand::random();
        let token = format!("{}{}", self.prefix(), URL_SAFE_NO_PAD.encode(bits));
        let digest = Sha256::digest(&token).into();
        (token.into(), digest)
    }

    /// The digest of this token; `None` if it cannot be a token of this kind.
    pub fn digest(self, token: &str) -> Option<TokenDigest> {
        /// 32 bytes in base64.
        const LENGTH: usize = 43;
        let random = token.strip_prefix(self.prefix())?;
        (random.len() == LENGTH).then(|| Sha256::digest(token).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let vault = Vault::open(folder.path()).unwrap();
        let sealed = vault.seal(&"sk-secret".into(), b"owner").unwrap();
        assert!(!sealed.windows(9).any(|window| window == b"sk-secret"));
        assert_ne!(sealed, vault.seal(&"sk-secret".into(), b"owner").unwrap());

        let open = |vault: &Vault, sealed: &[u8], owner: &[u8]| {
            vault.unseal(sealed, owner).map(|secret| secret.expose_secret().to_owned())
        };
        assert_eq!(open(&vault, &sealed, b"owner").as_deref(), Some("sk-secret"));
        assert_eq!(
            open(&Vault::open(folder.path()).unwrap(), &sealed, b"owner").as_deref(),
            Some("sk-secret")
        );
        assert_eq!(open(&vault, &sealed, b"other"), None);
        assert_eq!(open(&vault, &sealed[..10], b"owner"), None);
        let elsewhere = tempfile::tempdir().unwrap();
        assert_eq!(open(&Vault::open(elsewhere.path()).unwrap(), &sealed, b"owner"), None);
        let mut changed = sealed.clone();
        changed[30] ^= 1;
        assert_eq!(open(&vault, &changed, b"owner"), None);
    }

    #[test]
    fn the_key_is_private_and_nothing_else_stays() {
        let folder = tempfile::tempdir().unwrap();
        Vault::open(folder.path()).unwrap();
        let names: Vec<_> =
            fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["secret.key"]);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(folder.path().join("secret.key")).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn processes_that_start_together_share_one_key() {
        let folder = tempfile::tempdir().unwrap();
        let sealed: Vec<_> = std::thread::scope(|scope| {
            let open = || Vault::open(folder.path()).unwrap().seal(&"x".into(), b"").unwrap();
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(open)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let vault = Vault::open(folder.path()).unwrap();
        assert!(sealed.iter().all(|sealed| vault.unseal(sealed, b"").is_some()));
    }

    #[test]
    fn a_file_that_is_no_key_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("secret.key"), "short").unwrap();
        assert!(matches!(Vault::open(folder.path()), Err(StartError::SecretKey)));
        assert_eq!(fs::read(folder.path().join("secret.key")).unwrap(), b"short");
    }

    #[test]
    fn tokens_are_known_by_their_kind_and_digest() {
        let (token, digest) = TokenKind::Api.mint();
        assert!(token.expose_secret().starts_with("tr_t_"));
        assert_eq!(TokenKind::Api.digest(token.expose_secret()), Some(digest));
        assert_eq!(TokenKind::Session.digest(token.expose_secret()), None);
        assert_eq!(TokenKind::Api.digest("tr_t_short"), None);
        assert!(!format!("{token:?}").contains("tr_t_"));
    }
}
