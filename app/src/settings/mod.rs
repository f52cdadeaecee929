//! The settings of the installation (models), of a project (members), and of the signed-in user (API tokens).

#[cfg(feature = "ssr")]
mod draft;
mod members;
mod models;
mod prices;
mod provider;
mod provider_form;
mod server;
mod tabs;
mod tokens;

pub use members::MembersPage;
pub use models::ModelsPage;
pub use tokens::TokensPage;
