//! e
mod read;
mod remembered;
mod server;
