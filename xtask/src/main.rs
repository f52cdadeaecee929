//! Build steps that cargo alone cannot do. `cargo xtask front` turns the `frontend` crate, `style/` and `public/`
//! into `<target dir>/site`, which the server serves.
//!
//! Invariants: nothing is downloaded here (`make setup` does that), nothing outside the target directory is written,
//! and a step whose inputs have not changed is skipped.

mod compress;
mod css;
mod front;
mod prune;
mod sections;
mod site;
mod split;
mod wasm;
mod workspace;

use std::process::ExitCode;

use workspace::{Profile, Workspace};

const USAGE: &str = "usage: cargo xtask front [--release]";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let profile = match args.as_slice() {
        ["front"] => Profile::Dev,
        ["front", "--release"] => Profile::Release,
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match Workspace::locate().and_then(|workspace| front::build(&workspace, profile)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
