//! Signing in and out, and the first run, which creates the admin.

mod account;
mod first_run;
mod greeting;
#[cfg(feature = "ssr")]
mod next;
mod page;
mod server;

pub use account::AccountMenu;
pub use first_run::FirstRunPage;
pub use page::SignInPage;
