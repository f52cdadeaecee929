//! Brotli and gzip siblings of a file, so that the server need not compress static files.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use brotli::enc::BrotliEncoderParams;
use flate2::{Compression, write::GzEncoder};

pub fn brotli_path(file: &Path) -> PathBuf {
    sibling(file, "br")
}

pub fn gzip_path(file: &Path) -> PathBuf {
    sibling(file, "gz")
}

/// Writes both siblings, unless they exist and are not older than the file.
pub fn siblings(file: &Path) -> Result<()> {
    let (brotli, gzip) = (brotli_path(file), gzip_path(file));
    let changed = fs::metadata(file).with_context(|| format!("{} is missing", file.display()))?.modified()?;
    let fresh = |path: &Path| {
        fs::metadata(path).and_then(|sibling| sibling.modified()).is_ok_and(|written| written >= changed)
    };
    if fresh(&brotli) && fresh(&gzip) {
        return Ok(());
    }
    let data = fs::read(file)?;
    let mut packed = Vec::new();
    let best = BrotliEncoderParams { quality: 11, size_hint: data.len(), ..BrotliEncoderParams::default() };
    brotli::BrotliCompress(&mut data.as_slice(), &mut packed, &best)?;
    fs::write(&brotli, packed)?;
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&data)?;
    fs::write(&gzip, encoder.finish()?)?;
    Ok(())
}

fn sibling(file: &Path, extension: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".");
    name.push(extension);
    PathBuf::from(name)
}
