//! Conversations: their list, one of them with its messages, and where one writes.

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
