//! OpenAPI document of the console, generated from its handlers and types.

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
use wahook_runtime::{ops, problem::Problem};

use crate::{
    dead_letters, deliveries, endpoints, erasures, give_ups, jobs_api, letter_jobs, live, orders,
    redeliveries, session, stats, test_event,
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "wahook console",
        description = "Shows deliveries and acts on them. Without CONSOLE_TOKEN (on loopback only), \
                       no token is required. Requests of another web page, and on loopback those for \
                       another host name, are answered 403. More than 10 wrong tokens within a minute \
                       are answered 429.",
    ),
    paths(
        deliveries::list, deliveries::show, give_ups::post, live::get, stats::get, test_event::post,
        endpoints::list, orders::pause, orders::resume, orders::probe,
        dead_letters::list, letter_jobs::redrive, letter_jobs::discard, redeliveries::post, erasures::post,
        jobs_api::list, jobs_api::show, jobs_api::cancel,
        session::get, session::post, session::delete, get,
    ),
    components(schemas(Problem)),
    modifiers(&Security)
)]
struct Document;

struct Security;

impl Modify for Security {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
        let cookie = ApiKey::Cookie(ApiKeyValue::new("wahook_console"));
        components.add_security_scheme("cookie", SecurityScheme::ApiKey(cookie));
    }
}

/// OpenAPI document
#[utoipa::path(
    get,
    path = "/api/v1/openapi.json",
    tag = "operators",
    security(()),
    responses((status = 200, description = "OpenAPI 3.1", content_type = "application/json", body = Object))
)]
pub(crate) async fn get() -> Response {
    static DOCUMENT: LazyLock<Bytes> = LazyLock::new(|| {
        // Strings, numbers and lists always have a JSON form.
        document().to_json().unwrap_or_default().into()
    });
    ([(CONTENT_TYPE, "application/json")], DOCUMENT.clone()).into_response()
}

fn document() -> utoipa::openapi::OpenApi {
    Document::openapi().merge_from(ops::health_openapi())
}
