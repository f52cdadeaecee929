//! A workflow as a drawing: its steps in waves, and their dependencies as edges. Template pages show it, the designer
//! edits it, run pages colour it.
//!
//! The server renders it too. It is a single listbox: one tab stop, arrows choose a step, and the view follows the
//! choice.

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
