//! Roles: the list, the editor, and trying a role from the editor.

mod draft;
mod edit;
mod list;
mod model;
mod server;
mod stale;
mod stream;
mod trial;
mod try_it;
mod unsaved;

pub use edit::{EditRolePage, NewRolePage};
pub use list::RolesPage;
pub use server::{Offered, list_roles, load_role, offered_models};
pub use trial::{Answer, Trial};
