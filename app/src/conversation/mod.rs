//! Conversations: their list, the page of one with its messages, and the composer.

mod composer;
mod draft;
mod edit;
mod files;
mod find;
mod list;
mod long;
mod message;
mod page;
mod rename;
mod scroll;
mod server;
mod thread;

pub use list::ConversationsPage;
pub use page::{ConversationPage, NewConversationPage};
