//! OpenAPI document of the producer, generated from its handlers and types.

use std::sync::LazyLock;

use axum::{
    body::Bytes,
    http::header::CONTENT_TYPE,
    response::{IntoResponse, Response},
};
use utoipa::{
    Modify, OpenApi,
    openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme},
};
use wahook_runtime::ops;

use crate::{batch::LineAnswer, gateways::AcceptedAll, problem::Problem};

/// Path of the document.
pub(crate) const PATH: &str = "/openapi.json";

fn document() -> utoipa::openapi::OpenApi {
    Document::openapi().merge_from(ops::openapi())
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "wahook producer",
        description = "Accepts events and answers once the broker has confirmed them. \
                       Without PRODUCER_TOKEN (on loopback only), no token is required. \
                       A request whose head is not HTTP is answered 400, one with too large a head 431, \
                       both without a body.",
    ),
    paths(crate::events::post, crate::gateways::post, crate::registration::get, get),
    components(schemas(LineAnswer, Problem, AcceptedAll)),
    modifiers(&Bearer)
)]
struct Document;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("bearer", SecurityScheme::Http(scheme));
        let basic = HttpBuilder::new().scheme(HttpAuthScheme::Basic).build();
        components.add_security_scheme("basic", SecurityScheme::Http(basic));
        let key = ApiKey::Header(ApiKeyValue::new("X-Api-Key"));
        components.add_security_scheme("apiKey", SecurityScheme::ApiKey(key));
    }
}

/// OpenAPI document
#[utoipa::path(
    get,
    path = PATH,
    tag = "operators",
    responses((status = 200, description = "OpenAPI 3.1", content_type = "application/json", body = Object))
)]
pub(crate) async fn get() -> Response {
    static DOCUMENT: LazyLock<Bytes> = LazyLock::new(|| {
        // Strings, numbers and lists always have a JSON form.
        document().to_json().unwrap_or_default().into()
    });
    ([(CONTENT_TYPE, "application/json")], DOCUMENT.clone()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_served_path_is_described() {
        let document = document();
        let described: Vec<&str> = document.paths.paths.keys().map(String::as_str).collect();
        let served = [
            "/livez",
            "/metrics",
            PATH,
            "/readyz",
            "/v1/events",
            "/v1/in/{source}",
        ];
        assert_eq!(described, served);
    }
}
