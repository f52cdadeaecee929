//! The gallery: every part of the design system and the status of a run, in every state, with data that never changes. It is for
//! those who work on Troupe and for the tests that look at it, so a server shows it only when it was started with
//! `--gallery`.

mod page;
mod parts;
mod server;
mod stories;

pub use page::GalleryPage;
#[cfg(feature = "ssr")]
pub use server::ShowGallery;
