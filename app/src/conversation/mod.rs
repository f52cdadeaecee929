//! Conversations: their list, one of them with its messages, and where one writes.

mod composer;
mod count;
mod draft;
mod edit;
mod find;
mod list;
mod message;
mod page;
mod scroll;
mod server;
mod thread;

pub use count::UnreadCount;
pub use list::ConversationsPage;
pub use page::{ConversationPage, NewConversationPage};
