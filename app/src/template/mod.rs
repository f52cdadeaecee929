//! Templates: the list, one of them, and its editor.

mod server;
