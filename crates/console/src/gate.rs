//! Check of each request before its handler: host, origin, credentials and media type.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, Method, header},
    middleware::Next,
    response::Response,
};
use wahook_runtime::{guard::Guard, ops::Peer};

use crate::{
    access::{Access, Claim, Credentials},
    attempts::Attempts,
    audit::Operator,
    failure::Failure,
    request_body,
    user::UserHeader,
};

/// Checks of one listener.
#[derive(Debug)]
pub(crate) struct Gate {
    guard: Guard,
    credentials: Credentials,
    user_header: Option<UserHeader>,
    attempts: Mutex<Attempts>,
    started: Instant,
}

impl Gate {
    pub(crate) fn new(
        guard: Guard,
        credentials: Credentials,
        user_header: Option<UserHeader>,
    ) -> Self {
        Self {
            guard,
            credentials,
            user_header,
            attempts: Mutex::default(),
            started: Instant::now(),
        }
    }

    /// Returns true if clients have to log in.
    pub(crate) fn needs_login(&self) -> bool {
        !self.credentials.is_empty()
    }

    /// Returns what the client may do; `None` if it has no valid session or token.
    pub(crate) fn access(
        &self,
        headers: &HeaderMap,
        peer: IpAddr,
    ) -> Result<Option<Access>, Failure> {
        match self.credentials.check(headers) {
            Claim::Granted(access) if !headers.contains_key(header::AUTHORIZATION) => {
                Ok(Some(access))
            }
            Claim::Missing => Ok(None),
            Claim::Granted(access) => self.attempt(peer, Some(access)).map(Some),
            Claim::Wrong => self.attempt(peer, None).map(Some),
        }
    }

    /// Returns the user whom the proxy names, if one is trusted. The request must have access.
    pub(crate) fn user(&self, headers: &HeaderMap) -> Option<String> {
        self.user_header.as_ref()?.user(headers)
    }

    /// Returns what a token permits at login.
    pub(crate) fn log_in(&self, token: &[u8], peer: IpAddr) -> Result<Access, Failure> {
        self.attempt(peer, self.credentials.of_token(token))
    }

    /// Returns the `Set-Cookie` header that starts a session of a token.
    pub(crate) fn session_start(&self, token: &[u8], is_secure: bool) -> String {
        self.credentials.session_start(token, is_secure)
    }

    /// Counts an attempt with a token. After too many wrong ones, the right one is refused
    /// too, so that the answer says nothing about a token.
    fn attempt(&self, peer: IpAddr, granted: Option<Access>) -> Result<Access, Failure> {
        let now = self.started.elapsed();
        let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(wait) = attempts.wait(peer, now) {
            return Err(Failure::too_many_attempts(wait));
        }
        granted.ok_or_else(|| {
            attempts.note_wrong(peer, now);
            Failure::unauthorized()
        })
    }
}

/// Admits requests for the page, which other pages may link to.
pub(crate) async fn admit_link(
    State(gate): State<Arc<Gate>>,
    request: Request,
    next: Next,
) -> Result<Response, Failure> {
    gate.guard.admit_link(request.headers())?;
    Ok(next.run(request).await)
}

/// Admits requests of the own page and of programs. Bodies must be JSON, which forms of other
/// pages can't send.
pub(crate) async fn admit_own_page(
    State(gate): State<Arc<Gate>>,
    request: Request,
    next: Next,
) -> Result<Response, Failure> {
    gate.guard.admit(request.headers())?;
    if request.method() == Method::POST && !is_json(request.headers()) {
        return Err(Failure::not_json());
    }
    Ok(next.run(request).await)
}

/// Largest body of an action, in bytes.
const MAX_BODY: usize = 2 << 20;

/// Admits requests with a session or a token; actions need write access. The body has arrived
/// before the handler is called.
pub(crate) async fn admit_user(
    State(gate): State<Arc<Gate>>,
    mut request: Request,
    next: Next,
) -> Result<Response, Failure> {
    let peer = peer_of(&request);
    let access = gate.access(request.headers(), peer)?;
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    match access {
        None => return Err(Failure::unauthorized()),
        Some(Access::Read) if !is_read => return Err(Failure::read_only()),
        Some(_) => {}
    }
    if !is_read {
        let operator = Operator(match gate.user(request.headers()) {
            Some(user) => format!("{user}, console, {peer}"),
            None => format!("console, {peer}"),
        });
        request.extensions_mut().insert(operator);
        let body = std::mem::take(request.body_mut());
        let body = request_body::read(body, MAX_BODY, request_body::WITHIN).await?;
        if !is_object(&body) {
            return Err(Failure::invalid("send a JSON object"));
        }
        *request.body_mut() = Body::from(body);
    }
    Ok(next.run(request).await)
}

/// Returns the client's address; an unspecified one without a connection.
pub(crate) fn peer_of(request: &Request) -> IpAddr {
    let peer = request.extensions().get::<Peer>();
    peer.map_or(Ipv4Addr::UNSPECIFIED.into(), |Peer(address)| address.ip())
}

/// Returns true if the body is empty, or may be a JSON object. A list would be read as the members
/// of one, in the order of their declaration.
fn is_object(body: &[u8]) -> bool {
    let start = body.iter().find(|byte| !byte.is_ascii_whitespace());
    start.is_none_or(|byte| *byte == b'{')
}

fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE);
    let text = value.and_then(|value| value.to_str().ok());
    text.is_some_and(|text| {
        let (media_type, _) = text.split_once(';').unwrap_or((text, ""));
        media_type.trim().eq_ignore_ascii_case("application/json")
    })
}
