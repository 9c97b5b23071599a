//! The connection below lapin: TCP or TLS, with the broker's frames made
//! [readable] on their way, and an end for what nobody waits for any more.

use async_rs::{Runtime, Tokio, traits::Reactor, util::RuntimeParts};
use bytes::{Buf, BytesMut};
use futures_util::{
    Stream,
    io::{AsyncRead, AsyncWrite},
};
use lapin::{
    Connection, ConnectionProperties, Error,
    tcp::{AMQPUriTcpExt, AsyncTcpStream},
    uri::AMQPUri,
};
use std::{
    io::{self, Read, Write},
    net::SocketAddr,
    pin::Pin,
    sync::{Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};
use tokio::sync::oneshot;

use crate::readable;

/// How much is read at once.
const CHUNK: usize = 64 * 1024;

/// Connects as lapin itself would, but for what it reads.
///
/// Left to itself, lapin goes on with an attempt that was given up for as long as
/// the broker is silent: each would keep a thread, a socket and its buffers.
pub(crate) async fn connect(
    uri: AMQPUri,
    properties: ConnectionProperties,
) -> lapin::Result<Connection> {
    let tokio = Tokio::current();
    let runtime = Runtime::new(RuntimeParts::new(tokio.clone(), ReadableTcp(tokio.clone())));
    let below = Runtime::new(tokio);
    let longest_frame = readable::longest_frame(uri.query.frame_max);
    let (wanted, attempt) = Attempt::begin();
    let attempt = Mutex::new(Some(attempt));
    let connect = async move |uri: AMQPUri, _: Runtime<_>| {
        let taken = attempt
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let mut attempt = taken.ok_or_else(|| Error::from(given_up()))?;
        let stream = tokio::select! {
            stream = uri.connect_async(&below) => stream?,
            () = &mut attempt => return Err(given_up().into()),
        };
        Ok(AsyncTcpStream::Plain(ReadableStream::new(
            stream,
            attempt,
            longest_frame,
        )))
    };
    let connection = Connection::connector(uri, runtime, connect, properties).await?;
    wanted.succeeded();
    Ok(connection)
}

/// Held by those who wait for a connection.
struct Wanted(oneshot::Sender<()>);

impl Wanted {
    fn succeeded(self) {
        // Only a stream that has ended meanwhile does not listen.
        let _ = self.0.send(());
    }
}

/// Resolves when nobody waits for the connection any more; never once it stands.
struct Attempt(Option<oneshot::Receiver<()>>);

impl Attempt {
    fn begin() -> (Wanted, Self) {
        let (sender, receiver) = oneshot::channel();
        (Wanted(sender), Self(Some(receiver)))
    }
}

impl Future for Attempt {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let Some(receiver) = &mut self.0 else {
            return Poll::Pending;
        };
        match ready!(Pin::new(receiver).poll(context)) {
            Ok(()) => {
                self.0 = None;
                Poll::Pending
            }
            Err(_) => Poll::Ready(()),
        }
    }
}

fn given_up() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "the attempt was given up")
}

type Below = AsyncTcpStream<<Tokio as Reactor>::TcpStream>;

/// tokio's reactor, with a stream of our own: only its type tells lapin what it
/// reads from.
#[derive(Debug, Clone)]
struct ReadableTcp(Tokio);

impl Reactor for ReadableTcp {
    type TcpStream = ReadableStream<Below>;
    type Sleep = <Tokio as Reactor>::Sleep;

    fn register<H: Read + Write + Send + 'static>(
        &self,
        _socket: H,
    ) -> io::Result<impl AsyncRead + AsyncWrite + Send + Unpin + 'static> {
        // The bound that tokio's own needs has no public name.
        Err::<Self::TcpStream, _>(io::ErrorKind::Unsupported.into())
    }

    fn sleep(&self, duration: Duration) -> Self::Sleep {
        self.0.sleep(duration)
    }

    fn interval(&self, duration: Duration) -> impl Stream<Item = Instant> + Send + 'static {
        self.0.interval(duration)
    }

    fn tcp_connect_addr(
        &self,
        address: SocketAddr,
    ) -> impl Future<Output = io::Result<Self::TcpStream>> + Send + 'static {
        let connected = self.0.tcp_connect_addr(address);
        async {
            let stream = AsyncTcpStream::Plain(connected.await?);
            let longest_frame = readable::longest_frame(None);
            Ok(ReadableStream::new(stream, Attempt(None), longest_frame))
        }
    }
}

/// Hands on what comes, frame by frame.
struct ReadableStream<S> {
    below: S,
    attempt: Attempt,
    longest_frame: usize,
    chunk: Box<[u8]>,
    /// The beginning of a frame whose end has not come yet.
    came: BytesMut,
    /// Whole frames, to be read.
    readable: BytesMut,
}

impl<S> ReadableStream<S> {
    fn new(below: S, attempt: Attempt, longest_frame: usize) -> Self {
        Self {
            below,
            attempt,
            longest_frame,
            chunk: vec![0; CHUNK].into(),
            came: BytesMut::new(),
            readable: BytesMut::new(),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ReadableStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if Pin::new(&mut this.attempt).poll(context).is_ready() {
            return Poll::Ready(Err(given_up()));
        }
        while this.readable.is_empty() {
            let below = Pin::new(&mut this.below);
            let read = ready!(below.poll_read(context, &mut this.chunk))?;
            if read == 0 {
                // The end. What is left of a frame is of no use to anyone.
                return Poll::Ready(Ok(0));
            }
            this.came.extend(this.chunk.get(..read).unwrap_or_default());
            while let Some(frame) = readable::next_frame(&mut this.came, this.longest_frame) {
                this.readable.unsplit(frame);
            }
        }
        let length = into.len().min(this.readable.len());
        this.readable
            .copy_to_slice(into.get_mut(..length).unwrap_or_default());
        Poll::Ready(Ok(length))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for ReadableStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.below).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.below).poll_write_vectored(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.below).poll_flush(context)
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.below).poll_close(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::{io::AsyncReadExt, net::TcpListener, time::timeout};

    #[tokio::test(flavor = "multi_thread")]
    async fn an_attempt_that_is_given_up_leaves_no_connection() {
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri = format!("amqp://{}", silent.local_addr().unwrap());
        let connecting = tokio::spawn(connect(uri.parse().unwrap(), Default::default()));
        let (mut broker, _) = silent.accept().await.unwrap();
        let mut header = [0; 8];
        broker.read_exact(&mut header).await.unwrap();
        assert_eq!(&header[..4], b"AMQP");
        connecting.abort();
        let end = timeout(Duration::from_secs(5), broker.read(&mut header)).await;
        assert_eq!(end.unwrap().unwrap(), 0);
    }
}
