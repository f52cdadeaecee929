//! Executing a template: its input, the role assignments, the preview, and the launch.

mod again;
mod draft;
mod estimate;
mod form;
mod input;
mod list;
mod page;
mod presets;
mod read;
mod remembered;
mod server;
mod steps;

pub use form::ExecuteForm;
pub use input::InputControls;
pub use page::ExecutePage;
