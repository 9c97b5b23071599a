//! Scripted answers and failures of the receiver.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, StreamBody};
use hyper::Response;
use hyper::body::Frame;
use hyper::header::{CONTENT_LENGTH, HeaderName, HeaderValue};
use tokio::{sync::watch, time::sleep};

pub(super) type AnswerBody = BoxBody<Bytes, io::Error>;

#[derive(Debug, Clone)]
pub struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Bytes,
    delay: Duration,
    /// Ends the delay once it is true.
    released: watch::Receiver<bool>,
    ending: Ending,
}

#[derive(Debug, Clone, Copy)]
enum Ending {
    Complete,
    /// The body ends one byte before its announced length, then the connection breaks.
    BrokenOff,
    /// Like `BrokenOff`, but the connection stays open and silent.
    Stalled,
    /// The connection closes without a response.
    Closed,
    /// The connection stays open without a response.
    Silent,
}

impl Answer {
    pub fn status(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Bytes::new(),
            delay: Duration::ZERO,
            // Without a sender, it never changes.
            released: watch::channel(false).1,
            ending: Ending::Complete,
        }
    }

    /// Closes the connection without a response.
    pub fn close() -> Self {
        Self::ending(Ending::Closed)
    }

    /// Keeps the connection open without a response.
    pub fn silence() -> Self {
        Self::ending(Ending::Silent)
    }

    /// Breaks the connection before the end of the body.
    #[must_use]
    pub fn broken_off(mut self) -> Self {
        self.ending = Ending::BrokenOff;
        self
    }

    /// Never sends the last byte of the body.
    #[must_use]
    pub fn stalled(mut self) -> Self {
        self.ending = Ending::Stalled;
        self
    }

    /// Adds a header; an invalid name or value closes the connection.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// Waits before the first byte of the answer.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Waits only until `released` is true.
    #[must_use]
    pub fn until(mut self, released: watch::Receiver<bool>) -> Self {
        self.released = released;
        self
    }

    fn ending(ending: Ending) -> Self {
        Self {
            ending,
            ..Self::status(200)
        }
    }

    pub(super) async fn into_response(mut self) -> io::Result<Response<AnswerBody>> {
        tokio::select! {
            () = sleep(self.delay) => {}
            Ok(_) = self.released.wait_for(|released| *released) => {}
        }
        match self.ending {
            Ending::Closed => return Err(io::Error::other("closed on purpose")),
            Ending::Silent => return std::future::pending().await,
            Ending::Complete | Ending::BrokenOff | Ending::Stalled => {}
        }
        let mut response = Response::builder().status(self.status);
        for (name, value) in &self.headers {
            let name = HeaderName::try_from(name).map_err(io::Error::other)?;
            let value = HeaderValue::try_from(value).map_err(io::Error::other)?;
            response = response.header(name, value);
        }
        let whole = matches!(self.ending, Ending::Complete);
        let promised = self.body.len() + usize::from(!whole);
        if self.status >= 200 && self.status != 204 && self.status != 304 {
            response = response.header(CONTENT_LENGTH, promised);
        }
        response
            .body(body(self.body, self.ending))
            .map_err(io::Error::other)
    }
}

fn body(bytes: Bytes, ending: Ending) -> AnswerBody {
    let sent = stream::iter((!bytes.is_empty()).then_some(Ok(Frame::data(bytes))));
    let end = stream::iter((!matches!(ending, Ending::Complete)).then_some(ending));
    let end = end.then(async |ending| match ending {
        Ending::Stalled => std::future::pending().await,
        _ => {
            // An immediate error would discard the headers: let them be sent first.
            tokio::task::yield_now().await;
            Err(io::Error::other("broken off on purpose"))
        }
    });
    BodyExt::boxed(StreamBody::new(sent.chain(end)))
}
