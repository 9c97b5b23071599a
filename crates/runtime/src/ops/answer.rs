//! Service of one connection: checks a request, passes it to the router, and notes its end.

use std::{
    convert::Infallible,
    future::Future,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll, ready},
};

use axum::{Router, response::Response};
use hyper::{Request, body::Incoming, service::Service};
use hyper_util::service::{TowerToHyperService, TowerToHyperServiceFuture};

use super::{
    activity::{Activity, Answering},
    framing,
    refusals::{Asked, RefusalLog},
    served::Peer,
};

pub(super) struct ConnectionService<'a> {
    pub(super) router: TowerToHyperService<Router>,
    pub(super) peer: SocketAddr,
    pub(super) activity: &'a Activity,
    pub(super) refusals: Option<&'a RefusalLog>,
    pub(super) adds_peer: bool,
}

/// Response in progress. A type of its own instead of an async block, because hyper needs
/// a future that can be moved, and would else need an allocation per request.
pub(super) struct Answer<'a> {
    response: Progress,
    /// Only if refusals are logged.
    asked: Option<(&'a RefusalLog, Asked)>,
    _answering: Answering<'a>,
}

enum Progress {
    Routed(TowerToHyperServiceFuture<Router, Request<Incoming>>),
    /// `None` once it is returned.
    Refused(Option<Response>),
}

impl<'a> Service<Request<Incoming>> for ConnectionService<'a> {
    type Response = Response;
    type Error = Infallible;
    type Future = Answer<'a>;

    fn call(&self, mut request: Request<Incoming>) -> Answer<'a> {
        if self.adds_peer {
            request.extensions_mut().insert(Peer(self.peer));
        }
        let (method, uri, headers) = (request.method(), request.uri(), request.headers());
        let asked = self
            .refusals
            .map(|log| (log, Asked::new(self.peer, method, uri, headers)));
        let response = match framing::check(request.version(), headers) {
            Ok(()) => Progress::Routed(self.router.call(request)),
            Err(problem) => Progress::Refused(Some(framing::refuse(problem))),
        };
        Answer {
            response,
            asked,
            _answering: self.activity.answering(),
        }
    }
}

impl Future for Answer<'_> {
    type Output = Result<Response, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let response = match &mut self.response {
            Progress::Routed(routed) => ready!(Pin::new(routed).poll(cx))?,
            Progress::Refused(refused) => match refused.take() {
                Some(response) => response,
                None => return Poll::Pending,
            },
        };
        if let Some((log, asked)) = &self.asked {
            log.note(asked, &response);
        }
        Poll::Ready(Ok(response))
    }
}
