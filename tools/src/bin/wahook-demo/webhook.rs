//! Test webhook. The answer depends only on the event id and the attempt, so that retries of most
//! failed events succeed.

use std::convert::Infallible;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

pub(crate) async fn serve(listener: TcpListener) -> anyhow::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(async move {
            let served =
                http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer));
            // Ignored: the client closed the connection.
            let _broken = served.await;
        });
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Empty<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let _read = body.collect().await;
    let (status, delay) = fate(&head.headers);
    tokio::time::sleep(delay).await;
    let (event, id) = (
        text(&head.headers, "x-webhook-event"),
        text(&head.headers, "webhook-id"),
    );
    let attempt = text(&head.headers, "x-webhook-attempt");
    println!("{event} {id} attempt {attempt}: {status}");
    let mut response = Response::new(Empty::new());
    *response.status_mut() = status;
    Ok(response)
}

fn fate(headers: &HeaderMap) -> (StatusCode, Duration) {
    let mut hasher = DefaultHasher::new();
    text(headers, "webhook-id").hash(&mut hasher);
    let drawn = hasher.finish();
    let first = text(headers, "x-webhook-attempt") == "1";
    let delay = 20 + drawn % 80 + if drawn.is_multiple_of(20) { 600 } else { 0 };
    let status = match drawn % 1_000 {
        // One in two hundred always fails, six in a hundred fail at the first attempt.
        0..5 => StatusCode::INTERNAL_SERVER_ERROR,
        5..50 if first => StatusCode::SERVICE_UNAVAILABLE,
        50..65 if first => StatusCode::TOO_MANY_REQUESTS,
        _ => StatusCode::OK,
    };
    (status, Duration::from_millis(delay))
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.unwrap_or_default()
}
