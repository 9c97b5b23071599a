//! The connection below lapin: TCP or TLS, with the broker's frames made
//! [readable] on their way.

use async_rs::{Runtime, Tokio, traits::Reactor, util::RuntimeParts};
use bytes::{Buf, BytesMut};
use futures_util::{
    Stream,
    io::{AsyncRead, AsyncWrite},
};
use lapin::{
    Connection, ConnectionProperties,
    tcp::{AMQPUriTcpExt, AsyncTcpStream},
    uri::AMQPUri,
};
use std::{
    io::{self, Read, Write},
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use crate::readable;

/// How much is read at once.
const CHUNK: usize = 64 * 1024;

/// Connects as lapin itself would, but for what it reads.
pub(crate) async fn connect(
    uri: AMQPUri,
    properties: ConnectionProperties,
) -> lapin::Result<Connection> {
    let tokio = Tokio::current();
    let runtime = Runtime::new(RuntimeParts::new(tokio.clone(), ReadableTcp(tokio.clone())));
    let below = Runtime::new(tokio);
    let connect = async move |uri: AMQPUri, _: Runtime<_>| {
        let stream = uri.connect_async(&below).await?;
        Ok(AsyncTcpStream::Plain(ReadableStream::new(stream)))
    };
    Connection::connector(uri, runtime, connect, properties).await
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
        async { Ok(ReadableStream::new(AsyncTcpStream::Plain(connected.await?))) }
    }
}

/// Hands on what comes, frame by frame.
struct ReadableStream<S> {
    below: S,
    chunk: Box<[u8]>,
    /// The beginning of a frame whose end has not come yet.
    came: BytesMut,
    /// Whole frames, to be read.
    readable: BytesMut,
}

impl<S> ReadableStream<S> {
    fn new(below: S) -> Self {
        Self {
            below,
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
        while this.readable.is_empty() {
            let below = Pin::new(&mut this.below);
            let read = ready!(below.poll_read(context, &mut this.chunk))?;
            if read == 0 {
                // The end. What is left of a frame is of no use to anyone.
                return Poll::Ready(Ok(0));
            }
            this.came.extend(this.chunk.get(..read).unwrap_or_default());
            while let Some(frame) = readable::next_frame(&mut this.came) {
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
