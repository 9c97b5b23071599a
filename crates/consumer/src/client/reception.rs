//! Received bytes of a connection, counted, and limited until an answer begins.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    task::{Context, Poll, ready},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Maximum number of bytes until an answer's header section is complete, or between two parts
/// of its body. Larger than the largest header section that hyper reads (400 KiB) and than
/// what it reads ahead.
const MOST_BYTES: usize = 1024 * 1024;
/// Maximum number of interim answers (1xx) to one request. A proxy that sends 102 every 20 s
/// sends 15 within the longest timeout.
const MOST_INTERIM_ANSWERS: usize = 32;

/// Bytes and interim answers that a connection has received since its last progress. Shared
/// by the connection's user and its stream.
#[derive(Debug, Default)]
pub(super) struct Reception {
    bytes: AtomicUsize,
    interim_answers: AtomicUsize,
}

impl Reception {
    /// Starts to count again: a request follows, or a part of an answer has arrived.
    pub(super) fn restart(&self) {
        self.bytes.store(0, Relaxed);
        self.interim_answers.store(0, Relaxed);
    }

    /// Returns true if not a single byte has arrived.
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.load(Relaxed) == 0
    }

    pub(super) fn count_interim_answer(&self) {
        self.interim_answers.fetch_add(1, Relaxed);
    }

    /// Adds bytes, and fails if a limit is exceeded.
    fn count(&self, bytes: usize) -> io::Result<()> {
        let excess = if self.interim_answers.load(Relaxed) > MOST_INTERIM_ANSWERS {
            "too many interim answers"
        } else if self.bytes.fetch_add(bytes, Relaxed) + bytes > MOST_BYTES {
            "too many bytes before the answer"
        } else {
            return Ok(());
        };
        Err(io::Error::new(io::ErrorKind::InvalidData, excess))
    }
}

/// Replaces NUL, and a CR without LF, by spaces. They are allowed in a body, but no body is
/// used; the framing of a body contains neither.
fn replace_unparsable(bytes: &mut [u8]) {
    // The byte after the last one is unknown.
    let mut next = b'\n';
    for byte in bytes.iter_mut().rev() {
        let is_bare_cr = *byte == b'\r' && next != b'\n';
        next = *byte;
        if is_bare_cr || *byte == 0 {
            *byte = b' ';
        }
    }
}

/// Stream that counts what it receives.
pub(super) struct Counted<S> {
    stream: S,
    reception: Arc<Reception>,
    /// HTTP/1.1: bytes that make hyper reject the whole header section are replaced.
    is_text: bool,
}

impl<S> Counted<S> {
    pub(super) fn new(stream: S, reception: Arc<Reception>, is_text: bool) -> Self {
        Self {
            stream,
            reception,
            is_text,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        let read = buffer.filled().len() - before;
        if self.is_text {
            let (_, read) = buffer.filled_mut().split_at_mut(before);
            replace_unparsable(read);
        }
        Poll::Ready(self.reception.count(read))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
