//! Files that runs wrote: as a list, one by one, or all in a zip.
//!
//! A model wrote the files, so they are untrusted: each is served with its own policy, under which a page runs on an
//! opaque origin and loads nothing from outside. Only a frame of this site shows it: opened by itself, it would appear
//! under this site's address and could lead to another one, so it is saved instead.

use super::json;
use crate::{
    AppState,
    extract::{Caller, Path, Query},
    problem::{ProblemDetails, Result},
    rest,
    router::Route,
};
use axum::{
    extract::State,
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, VARY},
    },
    response::{IntoResponse, Response},
};
use domain::{file::FilePath, id::RunNumber, key::ProjectKey, view::FileVersion};
use serde::Deserialize;
use serde_json::json as object;
use std::io::{Cursor, Write};
use zip::{ZipWriter, result::ZipResult, write::SimpleFileOptions};

/// The policy of a generated page (DESIGN section 8): it may run its own scripts, but not access anything.
const FILE_POLICY: &str = "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'; \
                           style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'";
const HTML: &str = "text/html; charset=utf-8";
/// Names what a browser wants a response for. Scripts cannot set it.
const FETCHED_FOR: &str = "sec-fetch-dest";
/// Maximum size of the files in a zip, in bytes.
const ZIP_LIMIT: u64 = 100 * 1024 * 1024;

pub fn routes() -> Vec<Route> {
    vec![
        Route::get("/api/v1/projects/{project}/runs/{run}/files", list),
        Route::get("/api/v1/projects/{project}/runs/{run}/files.zip", zip),
        Route::get("/api/v1/projects/{project}/runs/{run}/files/{*path}", file),
    ]
}

async fn list(
    State(state): State<AppState>,
    Path((project, run)): Path<(ProjectKey, RunNumber)>,
    Caller(user): Caller,
) -> Result<Response> {
    let files = state.engine.run_files(&user, &project, run).await?;
    let items: Vec<_> = files.into_iter().map(rest::RunFile::from).collect();
    Ok(json(StatusCode::OK, object!({ "items": items, "next": null })))
}

#[derive(Deserialize)]
struct Wanted {
    version: Option<u32>,
    #[serde(default)]
    download: bool,
}

async fn file(
    State(state): State<AppState>,
    Path((project, run, path)): Path<(ProjectKey, RunNumber, String)>,
    Query(wanted): Query<Wanted>,
    Caller(user): Caller,
    headers: HeaderMap,
) -> Result<Response> {
    let path = FilePath::parse(&path)
        .map_err(|error| ProblemDetails::new(StatusCode::NOT_FOUND, "not-found", error.to_string()))?;
    let found = state.engine.file(&user, &project, run, &path, wanted.version).await?;
    let framed = headers.get(FETCHED_FOR).is_some_and(|wanted| wanted == "iframe");
    let (kind, disposition) = match kind(&path) {
        _ if wanted.download => ("application/octet-stream", attachment(path.name())),
        HTML if !framed => (HTML, attachment(path.name())),
        kind => (kind, HeaderValue::from_static("inline")),
    };
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static(kind)),
        (CONTENT_DISPOSITION, disposition),
        (CONTENT_SECURITY_POLICY, HeaderValue::from_static(FILE_POLICY)),
        // A version never changes, but access to it can be revoked.
        (CACHE_CONTROL, HeaderValue::from_static("private, no-cache")),
        (VARY, HeaderValue::from_static(FETCHED_FOR)),
    ];
    Ok((headers, found.text).into_response())
}

async fn zip(
    State(state): State<AppState>,
    Path((project, run)): Path<(ProjectKey, RunNumber)>,
    Caller(user): Caller,
) -> Result<Response> {
    let files = state.engine.run_files(&user, &project, run).await?;
    if files.iter().map(|file| file.bytes).sum::<u64>() > ZIP_LIMIT {
        let why = "the files are larger than 100 MB together; download them one by one";
        return Err(ProblemDetails::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", why));
    }
    let mut texts = Vec::new();
    for file in files {
        let text = state.engine.file(&user, &project, run, &file.path, Some(file.version)).await?.text;
        texts.push((file, text));
    }
    let packed = state.engine.compute(&user, move || pack(&texts)).await?.map_err(engine::Error::internal)?;
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("application/zip")),
        (CONTENT_DISPOSITION, attachment(&format!("run-{run}.zip"))),
    ];
    Ok((headers, packed).into_response())
}

fn pack(files: &[(FileVersion, String)]) -> ZipResult<Vec<u8>> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (file, text) in files {
        zip.start_file(file.path.as_str(), SimpleFileOptions::default())?;
        zip.write_all(text.as_bytes())?;
    }
    zip.finish().map(Cursor::into_inner)
}

/// The media types that a browser may render; any other file is served as text.
fn kind(path: &FilePath) -> &'static str {
    match path.extension().as_deref() {
        Some("html" | "htm") => HTML,
        _ => "text/plain; charset=utf-8",
    }
}

/// A `Content-Disposition` that saves the file under this name (RFC 6266).
fn attachment(name: &str) -> HeaderValue {
    let plain: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() || "._- ".contains(c) { c } else { '_' }).collect();
    let encoded: String = name.bytes().map(encoded).collect();
    let text = format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{encoded}");
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("attachment"))
}

fn encoded(byte: u8) -> String {
    if byte.is_ascii_alphanumeric() || b"._-".contains(&byte) {
        char::from(byte).to_string()
    } else {
        format!("%{byte:02X}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_given_plain_and_in_full() {
        assert_eq!(attachment("a b.html"), "attachment; filename=\"a b.html\"; filename*=UTF-8''a%20b.html");
        assert_eq!(attachment("ü\".md"), "attachment; filename=\"__.md\"; filename*=UTF-8''%C3%BC%22.md");
    }
}
