//! Pages as a browser first loads them: the server-rendered HTML, and the size of the WebAssembly for hydration.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use reqwest::header::{CONTENT_TYPE, COOKIE, ORIGIN, SET_COOKIE};
use reqwest::redirect::Policy;

/// A browser without script: it keeps the session's cookie and follows no redirects.
pub struct Visitor {
    client: reqwest::Client,
    url: String,
    cookie: Option<String>,
}

impl Visitor {
    pub fn new(url: &str) -> Result<Self> {
        let client = reqwest::Client::builder().redirect(Policy::none()).build()?;
        Ok(Self { client, url: url.to_owned(), cookie: None })
    }

    /// Submits the sign-in form. `email` and `password` must not need escaping, except for the `@`.
    pub async fn sign_in(&mut self, email: &str, password: &str) -> Result<()> {
        let page = self.get("/sign-in").await?;
        let action = page.split_once("action=\"").and_then(|(_, rest)| rest.split_once('"'));
        let action = action.context("the sign-in page has no form")?.0;
        let answer = self
            .client
            .post(format!("{}{action}", self.url))
            .header(ORIGIN, &self.url)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header("accept", "text/html")
            .body(format!("email={}&password={password}&next=", email.replace('@', "%40")))
            .send()
            .await?;
        let cookie = answer.headers().get(SET_COOKIE).context("signing in gave no session")?.to_str()?;
        self.cookie = cookie.split(';').next().map(str::to_owned);
        Ok(())
    }

    /// The durations of `count` visits, one after another on one connection, each to the last byte. The first visit,
    /// which fills caches, is not counted.
    pub async fn visit(&self, path: &str, count: usize) -> Result<Vec<Duration>> {
        self.get(path).await?;
        let mut times = Vec::with_capacity(count);
        for _ in 0..count {
            let began = Instant::now();
            self.get(path).await?;
            times.push(began.elapsed());
        }
        Ok(times)
    }

    async fn get(&self, path: &str) -> Result<String> {
        let mut request = self.client.get(format!("{}{path}", self.url)).header("accept", "text/html");
        if let Some(cookie) = &self.cookie {
            request = request.header(COOKIE, cookie);
        }
        let answer = request.send().await?;
        ensure!(answer.status().is_success(), "{path}: {}", answer.status());
        Ok(answer.text().await?)
    }
}

/// Size of the site's WebAssembly in bytes, raw and as transferred; `None` if the site is not built.
pub fn wasm_sizes(site: &Path) -> Result<Option<(u64, u64)>> {
    let folder = site.join("pkg");
    if !folder.is_dir() {
        return Ok(None);
    }
    // Each file is there twice: under its plain name and under one with its hash.
    let (mut raw, mut brotli) = (0, 0);
    for entry in std::fs::read_dir(&folder)? {
        let entry = entry?;
        let (name, bytes) = (entry.file_name(), entry.metadata()?.len());
        match name.to_string_lossy() {
            name if name.ends_with(".wasm") => raw = bytes.max(raw),
            name if name.ends_with(".wasm.br") => brotli = bytes.max(brotli),
            _ => {}
        }
    }
    Ok((raw > 0).then_some((raw, brotli)))
}
