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
