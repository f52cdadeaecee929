//! How many event streams are open, per credential and per person.

use crate::{
    Engine, Error, Result, User,
    tally::{Entry, Tally},
};
use domain::id::UserId;
use sha2::{Digest, Sha256};

/// Open streams of one token or session.
const PER_CREDENTIAL: usize = 500;
/// Open streams of one person.
const PER_PERSON: usize = 1_000;
/// Seconds after which a refused viewer may try again.
const RETRY_AFTER: u64 = 5;

/// Names a token or session without revealing it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct CredentialId([u8; 32]);

impl CredentialId {
    pub fn of(token: &str) -> Self {
        Self(Sha256::digest(token).into())
    }
}

#[derive(Default)]
pub(crate) struct Viewers {
    credentials: Tally<CredentialId>,
    people: Tally<UserId>,
}

/// A place for an event stream, free again when dropped.
pub struct Seat {
    _credential: Entry<CredentialId>,
    _person: Entry<UserId>,
}

impl Engine {
    /// Takes a place for an event stream of the user, opened with this credential.
    ///
    /// # Errors
    /// `TooMany` if the credential or the person has as many open as one may have.
    pub fn take_seat(&self, user: &User, credential: &CredentialId) -> Result<Seat> {
        let too_many = |what: String| Error::TooMany { what, retry_after_seconds: RETRY_AFTER };
        let viewers = &self.0.viewers;
        let credential = viewers.credentials.enter(credential.clone(), PER_CREDENTIAL).ok_or_else(|| {
            too_many(format!("{PER_CREDENTIAL} event streams are open with this token or session"))
        })?;
        let person = viewers.people.enter(user.id, PER_PERSON);
        let person = person.ok_or_else(|| too_many(format!("you have {PER_PERSON} event streams open")))?;
        Ok(Seat { _credential: credential, _person: person })
    }
}
