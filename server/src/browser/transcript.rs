//! Exports a conversation as a Markdown file: one branch of it, or all of them.

use crate::{
    AppState,
    extract::{Caller, Path, Query},
    problem::{ProblemDetails, Result},
};
use axum::{
    extract::State,
    http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use domain::{branch::Branch, id::TaskId, key::ProjectKey};
use engine::Extent;
use serde::Deserialize;

/// Maximum number of the title's characters in the file name.
const NAMED: usize = 60;

#[derive(Deserialize)]
pub struct Wanted {
    branch: Option<String>,
    branches: Option<String>,
}

impl Wanted {
    fn extent(&self) -> Result<Extent> {
        match self.branches.as_deref() {
            None => Ok(Extent::Branch(branch_of(self.branch.as_deref())?)),
            Some("all") if self.branch.is_none() => Ok(Extent::All),
            Some(_) => Err(ProblemDetails::bad_request("give 'branch', or 'branches=all'")),
        }
    }
}

/// Parses the branch in a query.
pub fn branch_of(text: Option<&str>) -> Result<Option<Branch>> {
    let refused =
        |_| ProblemDetails::bad_request("branch wants 'main' or the id of a branch's first message");
    text.map(str::parse).transpose().map_err(refused)
}

pub async fn transcript(
    State(state): State<AppState>,
    Path((project, task)): Path<(ProjectKey, TaskId)>,
    Query(wanted): Query<Wanted>,
    Caller(user): Caller,
) -> Result<Response> {
    let (title, text) = state.engine.transcript(&user, &project, task, wanted.extent()?).await?;
    let disposition = format!("attachment; filename=\"{}.md\"", file_name(&title));
    let headers = [
        (CONTENT_TYPE, "text/markdown; charset=utf-8".to_owned()),
        (CONTENT_DISPOSITION, disposition),
        (CACHE_CONTROL, "private, no-cache".to_owned()),
    ];
    Ok((headers, text).into_response())
}

/// A name that is valid on every file system and needs no escaping in a header.
fn file_name(title: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let name: String = title.chars().take(NAMED).map(plain).collect();
    let name: Vec<_> = name.split('-').filter(|word| !word.is_empty()).collect();
    if name.is_empty() { "conversation".to_owned() } else { name.join("-") }
}

#[cfg(test)]
mod tests {
    use super::file_name;

    #[test]
    fn any_title_names_a_file() {
        for (title, name) in [
            ("Calculator", "calculator"),
            ("../../etc/passwd\"; x", "etc-passwd-x"),
            ("計算機 🙂", "conversation"),
        ] {
            assert_eq!(file_name(title), name);
        }
    }
}
