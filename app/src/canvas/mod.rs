//! A workflow as a drawing: its steps as the waves in which they run, and who waits for whom. Templates show it, the
//! designer edits on it, runs colour it.
//!
//! The server draws it, too. It is one listbox: a single stop of Tab, arrows choose a step, and the drawing follows.

mod camera;
mod draw;
mod keys;
mod layout;
mod map;
mod scene;
mod view;

pub use draw::Look;
pub use scene::{Flaw, Scene};
pub use view::{Canvas, Editing, Joint};
