//! Transport below lapin: TCP or TLS, which makes the broker's frames
//! [readable] and ends abandoned connection attempts.

use async_rs::{
    Runtime, Tokio,
    traits::Reactor,
    util::{RuntimeParts, SocketAddrs},
};
use bytes::{Buf, BytesMut};
use futures_util::{
    Stream,
    io::{AsyncRead, AsyncWrite},
};
use lapin::{
    Connection, ConnectionProperties, Error,
    tcp::{AsyncTcpStream, TLSConfig},
    uri::{AMQPScheme, AMQPUri},
};
use std::{
    io::{self, Read, Write},
    net::SocketAddr,
    pin::Pin,
    sync::{Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};
use tokio::{sync::oneshot, time::timeout};

use super::readable;

/// Size of a read, in bytes.
const CHUNK: usize = 64 * 1024;

/// Connects to one address as lapin does, with readable frames. `transport_limit` is for
/// TCP and TLS.
///
/// lapin itself continues an abandoned attempt for as long as the broker is
/// silent: each one would keep a thread, a socket and its buffers.
pub(crate) async fn connect(
    uri: AMQPUri,
    address: SocketAddr,
    transport_limit: Duration,
    properties: ConnectionProperties,
) -> lapin::Result<Connection> {
    let tokio = Tokio::current();
    let runtime = Runtime::new(RuntimeParts::new(tokio.clone(), ReadableTcp(tokio.clone())));
    let plain = Runtime::new(tokio);
    let longest_frame = readable::longest_frame(uri.query.frame_max);
    let (guard, abandoned) = Abandoned::guarded();
    let abandoned = Mutex::new(Some(abandoned));
    let connect = async move |uri: AMQPUri, _: Runtime<_>| {
        let taken = abandoned
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let mut abandoned = taken.ok_or_else(|| Error::from(abandoned_error()))?;
        let stream = tokio::select! {
            stream = timeout(transport_limit, transport(&uri, address, &plain)) => {
                stream.map_err(|_| Error::from(io::Error::from(io::ErrorKind::TimedOut)))??
            }
            () = &mut abandoned => return Err(abandoned_error().into()),
        };
        Ok(AsyncTcpStream::Plain(ReadableStream::new(
            stream,
            abandoned,
            longest_frame,
        )))
    };
    let connection = Connection::connector(uri, runtime, connect, properties).await?;
    guard.disarm();
    Ok(connection)
}

/// Opens the TCP connection, and TLS for the host of the address if it asks for it.
async fn transport(
    uri: &AMQPUri,
    address: SocketAddr,
    runtime: &Runtime<Tokio>,
) -> io::Result<Transport> {
    let stream = AsyncTcpStream::connect(runtime, SocketAddrs([address])).await?;
    match uri.scheme {
        AMQPScheme::AMQP => Ok(stream),
        AMQPScheme::AMQPS => {
            let host = &uri.authority.host;
            stream.into_tls(host, TLSConfig::default()).await
        }
    }
}

/// Held while a caller waits for a connection; dropping it ends the attempt.
struct AttemptGuard(oneshot::Sender<()>);

impl AttemptGuard {
    fn disarm(self) {
        // The send fails only if the stream has already ended.
        let _ = self.0.send(());
    }
}

/// Resolves when the attempt is abandoned, and never after it has succeeded.
struct Abandoned(Option<oneshot::Receiver<()>>);

impl Abandoned {
    fn guarded() -> (AttemptGuard, Self) {
        let (sender, receiver) = oneshot::channel();
        (AttemptGuard(sender), Self(Some(receiver)))
    }
}

impl Future for Abandoned {
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

fn abandoned_error() -> io::Error {
    io::Error::new(
        io::ErrorKind::ConnectionAborted,
        "the connection attempt was abandoned",
    )
}

type Transport = AsyncTcpStream<<Tokio as Reactor>::TcpStream>;

/// tokio's reactor with [`ReadableStream`] as its stream: lapin derives the
/// type of its stream from the reactor.
#[derive(Debug, Clone)]
struct ReadableTcp(Tokio);

impl Reactor for ReadableTcp {
    type TcpStream = ReadableStream<Transport>;
    type Sleep = <Tokio as Reactor>::Sleep;

    fn register<H: Read + Write + Send + 'static>(
        &self,
        _socket: H,
    ) -> io::Result<impl AsyncRead + AsyncWrite + Send + Unpin + 'static> {
        // tokio's own `register` has a bound without a public name.
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
            Ok(ReadableStream::new(stream, Abandoned(None), longest_frame))
        }
    }
}

/// Stream that passes on the broker's bytes in complete, readable frames.
struct ReadableStream<S> {
    inner: S,
    abandoned: Abandoned,
    longest_frame: usize,
    chunk: Box<[u8]>,
    /// Start of an incomplete frame.
    received: BytesMut,
    /// Complete frames that are not read yet.
    readable: BytesMut,
}

impl<S> ReadableStream<S> {
    fn new(inner: S, abandoned: Abandoned, longest_frame: usize) -> Self {
        Self {
            inner,
            abandoned,
            longest_frame,
            chunk: vec![0; CHUNK].into(),
            received: BytesMut::new(),
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
        if Pin::new(&mut this.abandoned).poll(context).is_ready() {
            return Poll::Ready(Err(abandoned_error()));
        }
        while this.readable.is_empty() {
            let inner = Pin::new(&mut this.inner);
            let read = ready!(inner.poll_read(context, &mut this.chunk))?;
            if read == 0 {
                // End of the stream; an incomplete frame is discarded.
                return Poll::Ready(Ok(0));
            }
            this.received
                .extend(this.chunk.get(..read).unwrap_or_default());
            while let Some(frame) = readable::next_frame(&mut this.received, this.longest_frame) {
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
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_close(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::{io::AsyncReadExt, net::TcpListener, time::timeout};

    #[tokio::test(flavor = "multi_thread")]
    async fn an_abandoned_attempt_leaves_no_connection() {
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = silent.local_addr().unwrap();
        let uri = format!("amqp://{address}").parse().unwrap();
        let limit = Duration::from_secs(10);
        let connecting = tokio::spawn(connect(uri, address, limit, Default::default()));
        let (mut broker, _) = silent.accept().await.unwrap();
        let mut header = [0; 8];
        broker.read_exact(&mut header).await.unwrap();
        assert_eq!(&header[..4], b"AMQP");
        connecting.abort();
        let end = timeout(Duration::from_secs(5), broker.read(&mut header)).await;
        assert_eq!(end.unwrap().unwrap(), 0);
    }
}
