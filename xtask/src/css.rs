//! Bundles `style/main.css` and its imports into one file for the supported browsers.

use std::path::Path;

use anyhow::{Result, anyhow, ensure};
use lightningcss::{
    bundler::{Bundler, FileProvider},
    printer::PrinterOptions,
    stylesheet::{MinifyOptions, ParserOptions},
    targets::{Browsers, Targets},
};

use crate::workspace::{Profile, write_if_changed};

/// The first versions that support all features of the style sheets (nesting, `light-dark()`, oklch); older ones get
/// no fallbacks.
fn browsers() -> Browsers {
    let version = |major: u32, minor: u32| Some(major << 16 | minor << 8);
    Browsers {
        chrome: version(123, 0),
        edge: version(123, 0),
        firefox: version(121, 0),
        safari: version(17, 5),
        ios_saf: version(17, 5),
        ..Browsers::default()
    }
}

pub fn bundle(entry: &Path, output: &Path, profile: Profile) -> Result<()> {
    ensure!(entry.exists(), "{} is missing", entry.display());
    let targets = Targets::from(browsers());
    let files = FileProvider::new();
    let mut bundler = Bundler::new(&files, None, ParserOptions::default());
    let mut sheet = bundler.bundle(entry).map_err(|error| anyhow!("style: {error}"))?;
    sheet
        .minify(MinifyOptions { targets, ..MinifyOptions::default() })
        .map_err(|error| anyhow!("style: {error}"))?;
    let printer =
        PrinterOptions { minify: profile == Profile::Release, targets, ..PrinterOptions::default() };
    let css = sheet.to_css(printer).map_err(|error| anyhow!("style: {error}"))?;
    write_if_changed(output, css.code.as_bytes())?;
    Ok(())
}
