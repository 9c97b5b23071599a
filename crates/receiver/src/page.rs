//! Files of the page, compiled into the program, and its security headers.

use axum::{
    extract::Path,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Response},
};
use wahook_runtime::problem::Problem;

/// Content security policy: nothing from other hosts, nothing inline, no markup from text.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
    require-trusted-types-for 'script'; trusted-types 'none'";

const HEADERS: [(HeaderName, &str); 6] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
];

const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

/// Files of the page: name, media type and content.
const FILES: [(&str, &str, &str); 9] = [
    (
        "page.css",
        "text/css; charset=utf-8",
        include_str!("../page/page.css"),
    ),
    (
        "icon.svg",
        "image/svg+xml",
        include_str!("../page/icon.svg"),
    ),
    ("page.js", JAVASCRIPT, include_str!("../page/page.js")),
    ("feed.js", JAVASCRIPT, include_str!("../page/feed.js")),
    ("list.js", JAVASCRIPT, include_str!("../page/list.js")),
    ("detail.js", JAVASCRIPT, include_str!("../page/detail.js")),
    ("tree.js", JAVASCRIPT, include_str!("../page/tree.js")),
    ("answers.js", JAVASCRIPT, include_str!("../page/answers.js")),
    ("words.js", JAVASCRIPT, include_str!("../page/words.js")),
];

pub(crate) async fn index() -> Html<&'static str> {
    Html(include_str!("../page/index.html"))
}

pub(crate) async fn file(Path(name): Path<String>) -> Result<Response, Problem> {
    let found = FILES.iter().find(|(file, _, _)| *file == name);
    let (_, media_type, content) = found.ok_or_else(not_found)?;
    Ok(([(header::CONTENT_TYPE, *media_type)], *content).into_response())
}

/// Answer to a path below `/_receiver` that does not exist.
pub(crate) fn not_found() -> Problem {
    let title = "The path does not exist";
    let hint = "paths below /_receiver belong to the page; use any other path for a webhook";
    Problem::new(StatusCode::NOT_FOUND, "not-found", title, hint)
}

/// Adds the security headers to an answer of the page's own paths.
pub(crate) async fn guarded(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
