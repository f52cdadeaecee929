//! Authentication and origin checks. Unauthenticated requests reach only what this module names.
//!
//! | route | credential | response to an unauthenticated request |
//! |---|---|---|
//! | `/health`, the description and the schema of the REST interface, the site's files | none | the resource |
//! | `/api/v1/…` | a bearer token, else the session's cookie | 401, problem+json |
//! | server functions | the cookie | 401 with a fault; a form posted without script goes to the sign-in page |
//! | streams and texts of a page | the cookie | 401, problem+json |
//! | pages | the cookie | the sign-in page, which leads back |
//!
//! A request that changes something and is authenticated by its cookie, or would receive a cookie, must come from a
//! page of this site, according to `Sec-Fetch-Site` or `Origin`.

use crate::{AppState, browser, problem::ProblemDetails, routes};
use app::fault::Fault;
use axum::{
    Json,
    extract::{MatchedPath, Request, State},
    http::{
        HeaderMap, Method, StatusCode, Uri,
        header::{ACCEPT, AUTHORIZATION, HOST, ORIGIN, REFERER},
    },
    middleware::Next,
    response::{IntoResponse, Redirect, Response},
};
use axum_extra::extract::CookieJar;
use domain::view::User;
use engine::{CredentialId, Engine};
use leptos::server_fn;
use secrecy::{ExposeSecret, SecretString};
use std::{collections::BTreeSet, sync::Arc};

/// The cookie that holds the session's token.
pub const COOKIE: &str = "troupe_session";
/// The pages that need no sign-in.
const OPEN_PAGES: [&str; 2] = ["/sign-in", "/first-run"];
/// The server functions that these pages call.
const OPEN_FUNCTIONS: [&str; 4] = ["sign_in", "first_run_valid", "complete_first_run", "current_user"];

/// The paths of all server functions, and of those that need no sign-in.
#[derive(Clone)]
pub struct Functions {
    all: Arc<BTreeSet<&'static str>>,
    open: Arc<BTreeSet<&'static str>>,
}

impl Functions {
    pub fn registered() -> Self {
        let all: BTreeSet<_> = server_fn::axum::server_fn_paths().map(|(path, _)| path).collect();
        // Leptos appends a hash in digits to a function's name.
        let name = |path: &'static str| {
            path.rsplit('/').next().unwrap_or_default().trim_end_matches(|c: char| c.is_ascii_digit())
        };
        let open = all.iter().copied().filter(|path| OPEN_FUNCTIONS.contains(&name(path))).collect();
        Self { all: Arc::new(all), open: Arc::new(open) }
    }

    pub fn is_open(&self, path: &str) -> bool {
        self.open.contains(path)
    }
}

/// Marks a request without a signed-in user.
#[derive(Clone, Copy)]
pub struct Stranger;

/// The credential of a request; it is checked again while a stream is open.
#[derive(Clone)]
pub enum Credential {
    Session(SecretString),
    ApiToken(SecretString),
}

impl Credential {
    pub fn id(&self) -> CredentialId {
        let (Self::Session(token) | Self::ApiToken(token)) = self;
        CredentialId::of(token.expose_secret())
    }

    pub async fn user(&self, engine: &Engine) -> engine::Result<Option<User>> {
        match self {
            Self::Session(token) => engine.user_of_session(token.expose_secret()).await,
            Self::ApiToken(token) => engine.user_of_api_token(token.expose_secret()).await,
        }
    }
}

/// The kind of route that a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Area {
    Open,
    Rest,
    Function {
        open: bool,
    },
    /// Data that a page's script fetches.
    Data,
    Page {
        open: bool,
    },
}

impl Area {
    fn of(request: &Request, functions: &Functions) -> Self {
        let path = request.uri().path();
        let matched = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
        if routes::OPEN.contains(&path) || path == "/favicon.svg" || path.starts_with("/pkg/") {
            Self::Open
        } else if path == "/api/v1" || path.starts_with("/api/v1/") {
            Self::Rest
        } else if functions.all.contains(path) || path.starts_with("/api/") {
            Self::Function { open: functions.is_open(path) }
        } else if matched.is_some_and(browser::is_data) {
            Self::Data
        } else {
            Self::Page { open: OPEN_PAGES.contains(&path) }
        }
    }

    fn takes_strangers(self) -> bool {
        matches!(self, Self::Open | Self::Function { open: true } | Self::Page { open: true })
    }
}

/// Passes a request on with its [`User`] and [`Credential`], or as a [`Stranger`] if the route allows it.
pub async fn guard(State(state): State<AppState>, mut request: Request, next: Next) -> Response {
    let area = Area::of(&request, &state.functions);
    if area == Area::Open {
        request.extensions_mut().insert(Stranger);
        return next.run(request).await;
    }
    let credential = match credential(area, request.headers()) {
        Ok(credential) => credential,
        Err(problem) => return refuse(area, &request, problem),
    };
    let by_token = matches!(credential, Some(Credential::ApiToken(_)));
    if !by_token && changes(request.method()) && !from_this_site(request.headers()) {
        // A REST request without any credential probably lacks its token.
        if area == Area::Rest && credential.is_none() {
            return refuse(area, &request, ProblemDetails::unauthenticated("send an API token"));
        }
        let problem = ProblemDetails::new(
            StatusCode::FORBIDDEN,
            "foreign-origin",
            "this request did not come from a page of this site",
        );
        return refuse(area, &request, problem);
    }
    let user = match &credential {
        None => None,
        Some(credential) => match credential.user(&state.engine).await {
            Ok(user) => user,
            Err(error) => return refuse(area, &request, error.into()),
        },
    };
    match (user, credential) {
        (Some(user), Some(credential)) => {
            request.extensions_mut().insert(user);
            request.extensions_mut().insert(credential.id());
            request.extensions_mut().insert(credential);
        }
        _ if area.takes_strangers() => {
            request.extensions_mut().insert(Stranger);
        }
        _ => {
            let detail = match area {
                Area::Rest => "send a valid API token as 'Authorization: Bearer …'",
                _ => "you are not signed in; sign in and try again",
            };
            return refuse(area, &request, ProblemDetails::unauthenticated(detail));
        }
    }
    next.run(request).await
}

fn credential(area: Area, headers: &HeaderMap) -> Result<Option<Credential>, ProblemDetails> {
    if area == Area::Rest
        && let Some(value) = headers.get(AUTHORIZATION)
    {
        let bearer = value.to_str().ok().and_then(|value| {
            let (scheme, token) = value.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
        });
        let token = bearer
            .ok_or_else(|| ProblemDetails::unauthenticated("send the token as 'Authorization: Bearer …'"))?;
        return Ok(Some(Credential::ApiToken(token.into())));
    }
    let jar = CookieJar::from_headers(headers);
    let token = jar.get(COOKIE).map(|cookie| cookie.value()).filter(|token| !token.is_empty());
    Ok(token.map(|token| Credential::Session(token.to_owned().into())))
}

fn changes(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// `Sec-Fetch-Site` takes precedence: behind a proxy, the request's host may differ from the page's.
fn from_this_site(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(site) = headers.get("sec-fetch-site") {
        return site == "same-origin";
    }
    let origin = text(ORIGIN).and_then(|origin| origin.parse::<Uri>().ok());
    match (origin.as_ref().and_then(Uri::authority), text(HOST)) {
        (Some(authority), Some(host)) => authority.as_str().eq_ignore_ascii_case(host),
        _ => false,
    }
}

fn refuse(area: Area, request: &Request, problem: ProblemDetails) -> Response {
    let signed_out = problem.status() == StatusCode::UNAUTHORIZED;
    match area {
        Area::Open | Area::Rest | Area::Data => problem.into_response(),
        Area::Function { .. } => {
            if signed_out && accepts_html(request.headers()) {
                return to_sign_in(referring_path(request.headers()).as_deref().unwrap_or("/"));
            }
            let message = problem.detail().to_owned();
            let fault = match problem.status() {
                StatusCode::UNAUTHORIZED => Fault::Unauthenticated { message },
                StatusCode::FORBIDDEN => Fault::Forbidden { message },
                _ => Fault::Unavailable { message },
            };
            (problem.status(), Json(fault)).into_response()
        }
        Area::Page { .. } if signed_out && !changes(request.method()) => {
            let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
            to_sign_in(path)
        }
        Area::Page { .. } => problem.into_response(),
    }
}

fn accepts_html(headers: &HeaderMap) -> bool {
    headers.get(ACCEPT).and_then(|value| value.to_str().ok()).is_some_and(|value| value.contains("text/html"))
}

/// The path of the page with the form, without its host.
fn referring_path(headers: &HeaderMap) -> Option<String> {
    let page: Uri = headers.get(REFERER)?.to_str().ok()?.parse().ok()?;
    page.path_and_query().map(|path| path.as_str().to_owned())
}

fn to_sign_in(back: &str) -> Response {
    if back == "/" {
        return Redirect::to("/sign-in").into_response();
    }
    let kept = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~/@:".contains(&byte);
    let next: String = back
        .bytes()
        .map(|byte| if kept(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect();
    Redirect::to(&format!("/sign-in?next={next}")).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::{HeaderName, HeaderValue};

    #[test]
    fn only_pages_of_this_site_may_change_something() {
        let headers = |pairs: &[(&'static str, &'static str)]| -> HeaderMap {
            let pair = |&(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value));
            pairs.iter().map(pair).collect()
        };
        let host = ("host", "troupe.example:3000");
        for (pairs, allowed) in [
            (vec![host, ("origin", "http://troupe.example:3000")], true),
            (vec![host, ("origin", "http://evil.example")], false),
            (vec![host, ("origin", "http://troupe.example:3001")], false),
            (vec![host, ("origin", "null")], false),
            (vec![host], false),
            (vec![host, ("sec-fetch-site", "same-origin")], true),
            (vec![host, ("sec-fetch-site", "same-site"), ("origin", "http://troupe.example:3000")], false),
            (vec![host, ("sec-fetch-site", "cross-site")], false),
            // A proxy changed the host; the browser's header is correct.
            (
                vec![
                    ("host", "127.0.0.1:3000"),
                    ("sec-fetch-site", "same-origin"),
                    ("origin", "https://t.example"),
                ],
                true,
            ),
        ] {
            assert_eq!(from_this_site(&headers(&pairs)), allowed, "{pairs:?}");
        }
    }
}
