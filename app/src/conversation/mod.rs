//! Conversations: their list, one of them with its messages, and where one writes.

mod composer;
mod draft;
mod list;
mod message;
mod page;
mod scroll;
mod server;

pub use list::ConversationsPage;
pub use page::{ConversationPage, NewConversationPage};
