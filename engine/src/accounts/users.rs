//! Users: created on the command line or by an admin, and listed for admins.

use super::{NewUser, insert_user, password, rows};
use crate::{Engine, Error, Result, User, pagination, store};
use domain::{id::UserId, view::Page};
use secrecy::SecretString;
use uuid::Uuid;

const PAGE: usize = 100;
/// The longest e-mail address (RFC 5321).
const MAX_EMAIL: usize = 254;
const MAX_NAME: usize = 100;

impl Engine {
    /// Creates a user. Command line only: pages use [`Engine::add_user`]. A user without a name is named after the
    /// e-mail. A new admin ends the first-run link.
    ///
    /// # Errors
    /// `Invalid` for a malformed e-mail or a password under 10 characters, `Conflict` if the e-mail is taken.
    pub async fn create_user(
        &self,
        email: &str,
        name: &str,
        password: SecretString,
        admin: bool,
    ) -> Result<User> {
        let new = self.new_user(email, name, password, admin).await?;
        self.0.store.write(move |tx| Box::pin(insert_user(tx, new))).await
    }

    /// Like [`create_user`](Self::create_user), for an installation admin.
    pub async fn add_user(
        &self,
        user: &User,
        email: &str,
        name: &str,
        password: SecretString,
        admin: bool,
    ) -> Result<User> {
        admins_only(user)?;
        self.create_user(email, name, password, admin).await
    }

    /// Checks that the user is an admin, for callers that check it before they read a request's body.
    pub fn permits_installation(&self, user: &User) -> Result<()> {
        admins_only(user)
    }

    /// All users, in order of creation. Installation admins only. Page size 100.
    pub async fn users(&self, user: &User, cursor: Option<&str>) -> Result<Page<User>> {
        admins_only(user)?;
        let after = pagination::after(cursor, Uuid::nil())?;
        let users = rows::users(self.0.store.read(), UserId(after), PAGE as u32 + 1).await?;
        pagination::page(users, PAGE, |user| user.id, Ok)
    }

    /// Validates the fields and hashes the password; stores nothing.
    pub(super) async fn new_user(
        &self,
        email: &str,
        name: &str,
        password: SecretString,
        admin: bool,
    ) -> Result<NewUser> {
        let email = self::email(email)?;
        let name = match name.trim() {
            "" => email.split('@').next().unwrap_or_default(),
            name => name,
        };
        let name = pagination::line("name", name, MAX_NAME)?;
        password::check("password", &password)?;
        let hash = self.0.accounts.hasher.hash(password).await?;
        Ok(NewUser { id: UserId(store::mint()), email, name, hash, admin })
    }
}

pub(crate) fn admins_only(user: &User) -> Result<()> {
    if user.admin { Ok(()) } else { Err(Error::AdminsOnly) }
}

/// Checks for the form `local@domain`. Only a mail can show whether the address exists.
pub(super) fn email(text: &str) -> Result<String> {
    let text = text.trim();
    let malformed = || Error::invalid("email", "is not an e-mail address, such as ada@example.org");
    let (local, domain) = text.split_once('@').ok_or_else(malformed)?;
    let odd = |c: char| c.is_whitespace() || c.is_control() || "@<>()[]\\,;:\"".contains(c);
    let sound = |part: &str| {
        !part.is_empty() && !part.contains(odd) && !part.starts_with('.') && !part.ends_with('.')
    };
    if text.len() > MAX_EMAIL || !sound(local) || !sound(domain) {
        return Err(malformed());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::email;

    #[test]
    fn addresses_are_looked_at_but_not_studied() {
        for good in [
            "ada@example.org",
            " ada@example.org ",
            "o'hara+x@sub.example.org",
            "root@localhost",
            "é@ü.example",
        ] {
            assert_eq!(email(good).unwrap(), good.trim());
        }
        for bad in [
            "",
            "ada",
            "@example.org",
            "ada@",
            "a b@example.org",
            "a@b@c",
            "a@b\nc",
            "<a@b>",
            "a@.b",
            "a@b,c@d",
        ] {
            assert!(email(bad).is_err(), "{bad:?}");
        }
        assert!(email(&format!("{}@example.org", "x".repeat(250))).is_err());
    }
}
