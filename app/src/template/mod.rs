//! Templates: the list, the page of one, and the editor. Templates name no roles: they are chosen at execution.

mod address;
mod edit;
mod editor;
mod examples;
mod flow;
mod list;
mod page;
mod server;
mod versions;

pub use address::TemplateAt;
pub use edit::{EditTemplatePage, NewTemplatePage};
pub use list::TemplatesPage;
pub use page::TemplatePage;
pub use server::{list_templates, load_template};
