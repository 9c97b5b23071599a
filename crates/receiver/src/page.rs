//! Files of the page, compiled into the program.

use axum::{
    extract::Path,
    http::StatusCode,
    response::{Html, Response},
};
use wahook_page::File;
use wahook_runtime::problem::Problem;

const FILES: [File; 7] = [
    File::style("page.css", include_str!("../page/page.css")),
    File::script("page.js", include_str!("../page/page.js")),
    File::script("feed.js", include_str!("../page/feed.js")),
    File::script("list.js", include_str!("../page/list.js")),
    File::script("detail.js", include_str!("../page/detail.js")),
    File::script("answers.js", include_str!("../page/answers.js")),
    File::script("words.js", include_str!("../page/words.js")),
];

pub(crate) async fn index() -> Html<&'static str> {
    Html(include_str!("../page/index.html"))
}

pub(crate) async fn file(Path(name): Path<String>) -> Result<Response, Problem> {
    wahook_page::file(&FILES, &name).ok_or_else(not_found)
}

/// Answer to a path below `/_receiver` that does not exist.
pub(crate) fn not_found() -> Problem {
    let title = "The path does not exist";
    let hint = "paths below /_receiver belong to the page; use any other path for a webhook";
    Problem::new(StatusCode::NOT_FOUND, "not-found", title, hint)
}
