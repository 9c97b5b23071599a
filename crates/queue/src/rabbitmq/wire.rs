//! Transport below lapin: TCP or TLS, which makes the broker's frames
//! [readable] and ends abandoned connection attempts.

use async_rs::{
    Runtime, Tokio,
    traits::Reactor,
    util::{RuntimeParts, SocketAddrs},
};
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
    collections::VecDeque,
    io::{self, Read, Write},
    net::SocketAddr,
    pin::Pin,
    sync::{Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};
use tokio::{sync::oneshot, time::timeout};

use super::readable::{self, FrameCheck};

/// Size of a read into a buffer of our own, in bytes.
const CHUNK: usize = 64 * 1024;
/// Space in the caller's buffer from which bytes are read directly into it. lapin's ring of some
/// MiB has less only near its end.
const SPACE: usize = 16 * 1024;

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

/// Stream that passes on the broker's bytes in readable frames.
struct ReadableStream<S> {
    inner: S,
    abandoned: Abandoned,
    check: FrameCheck,
    /// Start of an incomplete frame.
    incomplete: Vec<u8>,
    /// Bytes that did not fit into the caller's buffer.
    ready: VecDeque<u8>,
}

impl<S> ReadableStream<S> {
    fn new(inner: S, abandoned: Abandoned, longest_frame: usize) -> Self {
        Self {
            inner,
            abandoned,
            check: FrameCheck::new(longest_frame),
            incomplete: Vec::new(),
            ready: VecDeque::new(),
        }
    }
}

impl<S: AsyncRead + Unpin> ReadableStream<S> {
    /// Reads and checks bytes in this buffer, which is longer than the incomplete frame. Returns
    /// the number of bytes that are readable; `None` at the end of the stream. An incomplete frame
    /// is then discarded.
    fn poll_checked(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<Option<usize>>> {
        let held = self.incomplete.len();
        let (start, rest) = buffer.split_at_mut(held);
        let read = ready!(Pin::new(&mut self.inner).poll_read(context, rest))?;
        if read == 0 {
            return Poll::Ready(Ok(None));
        }
        start.copy_from_slice(&self.incomplete);
        let received = buffer.get_mut(..held + read).unwrap_or_default();
        let checked = self.check.check(received);
        self.incomplete.clear();
        let incomplete = received.get(checked.incomplete..).unwrap_or_default();
        self.incomplete.extend_from_slice(incomplete);
        Poll::Ready(Ok(Some(checked.readable)))
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
        while this.ready.is_empty() {
            let held = this.incomplete.len();
            if into.len() >= held + SPACE {
                match ready!(this.poll_checked(context, into))? {
                    Some(0) => continue,
                    read => return Poll::Ready(Ok(read.unwrap_or_default())),
                }
            }
            let mut chunk = vec![0; held + CHUNK];
            let Some(read) = ready!(this.poll_checked(context, &mut chunk))? else {
                return Poll::Ready(Ok(0));
            };
            chunk.truncate(read);
            this.ready = chunk.into();
        }
        // Cannot fail: both are in memory.
        let read = Read::read(&mut this.ready, into);
        Poll::Ready(read)
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
    use futures_util::{FutureExt, io::AsyncReadExt as _};
    use tokio::{io::AsyncReadExt, net::TcpListener, time::timeout};

    /// Stream of these parts.
    struct Parts(VecDeque<Vec<u8>>);

    impl AsyncRead for Parts {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            into: &mut [u8],
        ) -> Poll<io::Result<usize>> {
            let Some(mut part) = self.0.pop_front() else {
                return Poll::Ready(Ok(0));
            };
            let rest = part.split_off(part.len().min(into.len()));
            into[..part.len()].copy_from_slice(&part);
            if !rest.is_empty() {
                self.0.push_front(rest);
            }
            Poll::Ready(Ok(part.len()))
        }
    }

    #[test]
    fn frames_pass_into_buffers_of_every_size() {
        let frame = |kind: u8, payload: &[u8]| {
            let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
            [&[kind, 0, 1], length.as_slice(), payload, &[0xce]].concat()
        };
        let (method, body) = (frame(1, b"0123"), frame(3, &[b'x'; 20_000]));
        let prefix: [u8; 12] = [0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2];
        let header = |properties: &[u8]| frame(2, &[&prefix, properties].concat());
        let sent = [&*method, &header(b"\x00\x80\x02\xffa"), &body].concat();
        let shown = [&*method, &header(&[0, 0]), &body].concat();
        for part in [1, 7, 1_000, 30_000, usize::MAX] {
            for buffer in [&[5][..], &[SPACE], &[1 << 20], &[10, 1 << 20, SPACE + 3]] {
                let parts = sent.repeat(3);
                let parts = parts.chunks(part.min(parts.len())).map(<[u8]>::to_vec);
                let (inner, abandoned) = (Parts(parts.collect()), Abandoned(None));
                let mut stream = ReadableStream::new(inner, abandoned, 0x8000);
                let (mut read, mut into) = (Vec::new(), vec![0; 1 << 20]);
                for space in buffer.iter().cycle() {
                    let next = stream.read(&mut into[..*space]).now_or_never();
                    let length = next.unwrap().unwrap();
                    if length == 0 {
                        break;
                    }
                    read.extend_from_slice(&into[..length]);
                }
                assert!(read == shown.repeat(3), "{part} {buffer:?}");
            }
        }
    }

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
