//! `/session`: login, logout, and what the client may do.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use wahook_runtime::problem::{MEDIA_TYPE, Problem};

use crate::{
    access::{self, Access},
    failure::Failure,
    gate::{Gate, peer_of},
    request_body,
};

/// Largest body of a login, in bytes.
const MAX_LOGIN: usize = 4 << 10;

/// State of the handlers.
#[derive(Clone)]
pub(crate) struct Sessions {
    pub(crate) gate: Arc<Gate>,
    pub(crate) shows_payloads: bool,
}

/// Session of a client.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Session {
    /// Null if a login is needed
    access: Option<Access>,
    login_needed: bool,
    /// False with CONSOLE_PAYLOADS=off
    payloads: bool,
    /// User whom a proxy names, with CONSOLE_USER_HEADER
    user: Option<String>,
}

/// Token for a session.
#[derive(Deserialize, ToSchema)]
pub(crate) struct Login {
    token: String,
}

/// Show what the client may do
#[utoipa::path(
    get,
    path = "/api/v1/session",
    tag = "session",
    security((), ("bearer" = []), ("cookie" = [])),
    responses(
        (status = 200, description = "Session of the client", body = Session),
        (status = 401, description = "Wrong bearer token", body = Problem, content_type = MEDIA_TYPE),
        (status = 429, description = "More than 10 wrong tokens within a minute", body = Problem, content_type = MEDIA_TYPE),
    )
)]
pub(crate) async fn get(
    State(sessions): State<Sessions>,
    request: Request,
) -> Result<Json<Session>, Failure> {
    let gate = &sessions.gate;
    let access = gate.access(request.headers(), peer_of(&request))?;
    Ok(Json(Session {
        access,
        login_needed: gate.needs_login(),
        payloads: sessions.shows_payloads,
        user: access.and_then(|_| gate.user(request.headers())),
    }))
}

/// Log in: a cookie has the access of the token
#[utoipa::path(
    post,
    path = "/api/v1/session",
    tag = "session",
    security(()),
    request_body = Login,
    responses(
        (status = 204, description = "The cookie `wahook_console` is set, if a login is needed", headers(("Set-Cookie" = String))),
        (status = 400, description = "Not JSON", body = Problem, content_type = MEDIA_TYPE),
        (status = 401, description = "Wrong token", body = Problem, content_type = MEDIA_TYPE),
        (status = 403, description = "The request is from another page", body = Problem, content_type = MEDIA_TYPE),
        (status = 408, description = "The body did not arrive within 15 s", body = Problem, content_type = MEDIA_TYPE),
        (status = 413, description = "Too large", body = Problem, content_type = MEDIA_TYPE),
        (status = 415, description = "Not sent as application/json", body = Problem, content_type = MEDIA_TYPE),
        (status = 429, description = "More than 10 wrong tokens within a minute", body = Problem, content_type = MEDIA_TYPE),
    )
)]
pub(crate) async fn post(
    State(sessions): State<Sessions>,
    request: Request,
) -> Result<Response, Failure> {
    let peer = peer_of(&request);
    let is_secure = is_of_https(request.headers());
    let body = request_body::read(request.into_body(), MAX_LOGIN, request_body::WITHIN).await?;
    let login = serde_json::from_slice::<Login>(&body);
    let Login { token } = login.map_err(|_| Failure::invalid(r#"send {"token": "…"}"#))?;
    let token = token.trim().as_bytes();
    let gate = &sessions.gate;
    if !gate.needs_login() {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let access = gate.log_in(token, peer)?;
    tracing::info!(%peer, ?access, "console: logged in");
    let cookie = HeaderValue::try_from(gate.session_start(token, is_secure));
    let cookie = cookie.map_err(|_| Failure::unauthorized())?;
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response())
}

/// Returns true if a page sent the request that a proxy serves by HTTPS.
fn is_of_https(headers: &HeaderMap) -> bool {
    let origin = headers.get(header::ORIGIN);
    origin.is_some_and(|origin| origin.as_bytes().starts_with(b"https://"))
}

/// Log out
///
/// The cookie is removed in this browser only. All sessions of a token end when it is replaced,
/// and when the console restarts.
#[utoipa::path(
    delete,
    path = "/api/v1/session",
    tag = "session",
    security(()),
    responses((status = 204, description = "The cookie is removed"))
)]
pub(crate) async fn delete() -> Response {
    (
        StatusCode::NO_CONTENT,
        [(header::SET_COOKIE, access::SESSION_END)],
    )
        .into_response()
}
