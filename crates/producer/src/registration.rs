//! `GET /v1/in/{source}`: answers Meta's registration of a webhook.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{Uri, header},
    response::{IntoResponse, Response},
};
use percent_encoding::percent_decode_str;
use wahook_sources::Kind;

use crate::{event_service::EventService, gateways::parts, problem::Problem, sources::Source};

/// Register a webhook at Meta
///
/// Meta sends this once for a source of the kind `meta`, and expects the challenge as the answer.
#[utoipa::path(
    get,
    path = "/v1/in/{source}",
    tag = "gateways",
    params(
        ("source" = String, Path, description = "Name of the source", pattern = "^[a-z][a-z0-9_-]{0,63}$"),
        ("hub.mode" = Option<String>, Query, description = "`subscribe`"),
        ("hub.verify_token" = Option<String>, Query, description = "Token of the source, or of PRODUCER_TOKEN"),
        ("hub.challenge" = Option<String>, Query, description = "Text to answer, of letters and digits"),
    ),
    responses(
        (status = 200, description = "The challenge", body = String, content_type = "text/plain"),
        (status = 403, description = "Wrong verify token", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No source of this name", body = Problem, content_type = "application/problem+json"),
        (status = 405, description = "Not a registration, or not a source of Meta", body = Problem, content_type = "application/problem+json", headers(("Allow" = String))),
    )
)]
pub(crate) async fn get(State(service): State<Arc<EventService>>, uri: Uri) -> Response {
    let (name, _) = parts(&uri);
    let Some(source) = service.sources.find(name) else {
        return Problem::unknown_source().into_response();
    };
    match service.challenge(&source, uri.query().unwrap_or_default()) {
        Ok(challenge) => {
            let text = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
            (text, challenge).into_response()
        }
        Err(problem) => {
            service.count_refused(&source, &problem);
            problem.into_response()
        }
    }
}

impl EventService {
    /// Returns the challenge if the query is Meta's registration, with the right token.
    fn challenge(&self, source: &Source, query: &str) -> Result<Vec<u8>, Problem> {
        if source.kind != Kind::Meta || parameter(query, "hub.mode") != b"subscribe" {
            return Err(Problem::post_only());
        }
        let tokens = self.tokens_of(source);
        if !tokens.is_empty() && !tokens.contains(&parameter(query, "hub.verify_token")) {
            return Err(Problem::wrong_verify_token());
        }
        let mut challenge = parameter(query, "hub.challenge");
        // Meta sends digits; anything else could be markup.
        challenge.retain(u8::is_ascii_alphanumeric);
        Ok(challenge)
    }
}

/// Returns a parameter of the query; an empty one if it is missing.
fn parameter(query: &str, name: &str) -> Vec<u8> {
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let value = pairs.find(|(key, _)| *key == name);
    value.map_or_else(Vec::new, |(_, value)| percent_decode_str(value).collect())
}
