//! Files and security headers that the web pages of the programs share.
//!
//! Files are compiled into the programs. Each page serves the shared files next to its own,
//! so its modules import both as `./name.js`.

use axum::{
    http::{HeaderName, HeaderValue, header},
    response::{IntoResponse, Response},
};

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

/// Files that every page has.
const SHARED: [File; 8] = [
    File::style("base.css", include_str!("../files/base.css")),
    File::picture("icon.svg", include_str!("../files/icon.svg")),
    File::script("copying.js", include_str!("../files/copying.js")),
    File::script("elements.js", include_str!("../files/elements.js")),
    File::script("formats.js", include_str!("../files/formats.js")),
    File::script("keys.js", include_str!("../files/keys.js")),
    File::script("server.js", include_str!("../files/server.js")),
    File::script("tree.js", include_str!("../files/tree.js")),
];

/// File of a page, with its media type.
#[derive(Debug, Clone, Copy)]
pub struct File {
    name: &'static str,
    media_type: &'static str,
    content: &'static str,
}

impl File {
    /// Creates a style sheet.
    #[must_use]
    pub const fn style(name: &'static str, content: &'static str) -> Self {
        Self::new(name, "text/css; charset=utf-8", content)
    }

    /// Creates a module of JavaScript.
    #[must_use]
    pub const fn script(name: &'static str, content: &'static str) -> Self {
        Self::new(name, "text/javascript; charset=utf-8", content)
    }

    /// Returns the name, without a folder.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    const fn picture(name: &'static str, content: &'static str) -> Self {
        Self::new(name, "image/svg+xml", content)
    }

    const fn new(name: &'static str, media_type: &'static str, content: &'static str) -> Self {
        Self {
            name,
            media_type,
            content,
        }
    }
}

/// Returns the answer with the file of this name: one of the page's `own` files, or a shared
/// one.
#[must_use]
pub fn file(own: &[File], name: &str) -> Option<Response> {
    let found = own.iter().chain(&SHARED).find(|file| file.name == name)?;
    Some(([(header::CONTENT_TYPE, found.media_type)], found.content).into_response())
}

/// Adds the security headers to an answer of a page's own paths.
pub async fn guarded(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_and_shared_files_are_served_by_name() {
        let own = [File::script("page.js", "")];
        let media_type = |name| {
            let answer = file(&own, name)?;
            Some(answer.headers()[header::CONTENT_TYPE].clone())
        };
        assert_eq!(
            media_type("page.js").unwrap(),
            "text/javascript; charset=utf-8"
        );
        assert_eq!(media_type("base.css").unwrap(), "text/css; charset=utf-8");
        assert_eq!(media_type("icon.svg").unwrap(), "image/svg+xml");
        assert!(media_type("../lib.rs").is_none());
    }
}
