//! Page of the console: its files, compiled into the program.

use axum::{
    Router,
    extract::{Path, rejection::PathRejection},
    http::StatusCode,
    response::{Html, Response},
    routing::get,
};
use wahook_page::File;
use wahook_runtime::problem::Problem;

const FILES: [File; 22] = [
    File::style("page.css", include_str!("../page/page.css")),
    File::script("page.js", include_str!("../page/page.js")),
    File::script("address.js", include_str!("../page/address.js")),
    File::script("api.js", include_str!("../page/api.js")),
    File::script("attempts.js", include_str!("../page/attempts.js")),
    File::script("chart.js", include_str!("../page/chart.js")),
    File::script("day.js", include_str!("../page/day.js")),
    File::script("dead_letters.js", include_str!("../page/dead_letters.js")),
    File::script("deliveries.js", include_str!("../page/deliveries.js")),
    File::script("detail.js", include_str!("../page/detail.js")),
    File::script("dialog.js", include_str!("../page/dialog.js")),
    File::script("endpoints.js", include_str!("../page/endpoints.js")),
    File::script("filters.js", include_str!("../page/filters.js")),
    File::script("held.js", include_str!("../page/held.js")),
    File::script("jobs.js", include_str!("../page/jobs.js")),
    File::script("list.js", include_str!("../page/list.js")),
    File::script("notices.js", include_str!("../page/notices.js")),
    File::script("payload.js", include_str!("../page/payload.js")),
    File::script("records.js", include_str!("../page/records.js")),
    File::script("redeliver.js", include_str!("../page/redeliver.js")),
    File::script("session.js", include_str!("../page/session.js")),
    File::script("words.js", include_str!("../page/words.js")),
];

/// Returns the routes of the page.
pub(crate) fn router() -> Router {
    Router::new()
        .route("/", get(index))
        .route("/page/{file}", get(file))
}

async fn index() -> Html<&'static str> {
    Html(include_str!("../page/index.html"))
}

async fn file(name: Result<Path<String>, PathRejection>) -> Result<Response, Problem> {
    let found = name.ok().and_then(|name| wahook_page::file(&FILES, &name));
    found.ok_or_else(|| {
        let title = "The path does not exist";
        let hint = "the page is at /, and loads the files that it needs";
        Problem::new(StatusCode::NOT_FOUND, "not-found", title, hint)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use axum::body::to_bytes;

    /// Largest size of the page and all its files, in bytes.
    const MAX_SIZE: usize = 150 << 10;

    async fn text(name: &str) -> String {
        let answer = wahook_page::file(&FILES, name).unwrap_or_else(|| panic!("no file {name}"));
        let body = to_bytes(answer.into_body(), MAX_SIZE).await.unwrap();
        String::from_utf8(body.to_vec()).unwrap()
    }

    /// Returns the names that follow `mark` in a text, up to the next quote.
    fn names_after(text: &str, mark: &str) -> Vec<String> {
        let parts = text.split(mark).skip(1);
        let names = parts.filter_map(|part| part.split_once('"'));
        names.map(|(name, _)| name.to_owned()).collect()
    }

    #[tokio::test]
    async fn page_loads_exactly_its_files_and_they_are_small() {
        let Html(index) = index().await;
        let (mut size, mut loaded) = (index.len(), BTreeSet::new());
        let mut missing = names_after(index, "=\"page/");
        while let Some(name) = missing.pop() {
            if loaded.contains(&name) {
                continue;
            }
            let text = text(&name).await;
            size += text.len();
            missing.extend(names_after(&text, "from \"./"));
            loaded.insert(name);
        }
        for file in FILES {
            assert!(loaded.contains(file.name()), "{} is not used", file.name());
        }
        assert!(size <= MAX_SIZE, "{size} bytes");
    }
}
