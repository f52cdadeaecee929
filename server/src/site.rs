//! The built site: Leptos' options, and how its files are served and cached.

use crate::{AppState, headers};
use axum::{
    Router,
    extract::Request,
    http::{HeaderValue, StatusCode, header::CACHE_CONTROL},
    middleware::{self, Next},
    response::Response,
};
use leptos::config::{Env, LeptosOptions};
use std::{net::SocketAddr, path::Path};
use tower_http::services::{ServeDir, ServeFile};

const OUTPUT_NAME: &str = "troupe";
const HASH_FILE: &str = "hash.txt";

/// The options that Leptos needs to write links to script and style.
pub fn options(site: &Path, address: SocketAddr) -> LeptosOptions {
    LeptosOptions::builder()
        .output_name(OUTPUT_NAME)
        .site_root(site.to_string_lossy().as_ref())
        .site_pkg_dir("pkg")
        .env(Env::PROD)
        .site_addr(address)
        .hash_files(hashes_match(site).is_some())
        .build()
}

/// Leptos reads `hash.txt` beside the executable. Its hashes are used only if the files that they name are in this
/// site.
fn hashes_match(site: &Path) -> Option<()> {
    let hashes = std::fs::read_to_string(std::env::current_exe().ok()?.parent()?.join(HASH_FILE)).ok()?;
    let named = |extension: &str| {
        let hash = hashes.lines().find_map(|line| line.strip_prefix(extension)?.strip_prefix(':'))?;
        let file = site.join("pkg").join(format!("{OUTPUT_NAME}.{}.{extension}", hash.trim()));
        file.is_file().then_some(())
    };
    ["js", "wasm", "css"].into_iter().try_for_each(named)
}

/// The site's files. They are public: they contain no user data.
pub fn router(site: &Path) -> Router<AppState> {
    let folder = ServeDir::new(site.join("pkg")).precompressed_br().precompressed_gzip();
    Router::new()
        .nest_service("/pkg", folder)
        .route_service("/favicon.svg", ServeFile::new(site.join("favicon.svg")))
        .layer(middleware::from_fn(cache))
}

/// A file with a content hash in its name never changes; any other file is revalidated by its date.
async fn cache(request: Request, next: Next) -> Response {
    let hashed = has_hash(request.uri().path());
    let mut response = next.run(request).await;
    let value = match response.status() {
        StatusCode::OK | StatusCode::PARTIAL_CONTENT | StatusCode::NOT_MODIFIED if hashed => {
            "public, max-age=31536000, immutable"
        }
        StatusCode::OK | StatusCode::PARTIAL_CONTENT | StatusCode::NOT_MODIFIED => "no-cache",
        _ => headers::NO_STORE,
    };
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static(value));
    response
}

/// Matches `troupe.0123456789abcdef.js`, and chunks such as `troupe-design.0123456789abcdef.wasm`.
fn has_hash(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    let mut parts = name.split('.');
    let (Some(stem), Some(hash), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    let ours = stem.strip_prefix(OUTPUT_NAME).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'));
    ours && hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::has_hash;

    #[test]
    fn only_names_with_a_hash_are_for_ever() {
        assert!(has_hash("/troupe.0123456789abcdef.wasm"));
        assert!(has_hash("/troupe-split_design.0123456789abcdef.wasm"));
        for plain in ["/troupe.js", "/troupe.css", "/snippets/x/inline0.js", "/troupe.0123.js"] {
            assert!(!has_hash(plain), "{plain}");
        }
    }
}
