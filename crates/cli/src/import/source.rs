//! Where do the lines come from? A file, packed or not, or standard input.

use anyhow::{Context, ensure};
use flate2::read::MultiGzDecoder;
use sha2::{Digest, Sha256};
use std::{
    fs::File,
    io::{self, BufRead, BufReader, Cursor, Read, Seek, SeekFrom, sink, stdin},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// No producer takes a longer line, so no more of it is kept.
pub(super) const LONGEST_LINE: u64 = 16 << 20;
const BUFFER: usize = 256 << 10;
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Lines, one after the other.
pub(super) struct Source {
    reader: Box<dyn BufRead + Send>,
    /// What has been read, in bytes as they lie in the file.
    read: Arc<AtomicU64>,
    /// The file's size, where it has one.
    size: Option<u64>,
    /// Of the next line: its number, from 1, and where it begins, unpacked.
    number: u64,
    offset: u64,
}

/// One line, without its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) number: u64,
    /// Where it begins, in bytes, unpacked.
    pub(super) start: u64,
    /// Cut where it is longer than [`LONGEST_LINE`].
    pub(super) text: Vec<u8>,
}

impl Line {
    pub(super) fn is_too_long(&self) -> bool {
        self.text.len() as u64 > LONGEST_LINE
    }

    /// Tells it from another one.
    pub(super) fn fingerprint(&self) -> String {
        let digest = Sha256::digest(&self.text);
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl Source {
    /// `-` is standard input.
    pub(super) fn open(path: &Path) -> anyhow::Result<Opened> {
        if path == Path::new("-") {
            return Opened::of(stdin(), None).context("standard input");
        }
        let shown = || path.display().to_string();
        let mut file = File::open(path).with_context(shown)?;
        let metadata = file.metadata().with_context(shown)?;
        ensure!(!metadata.is_dir(), "{} is a folder", shown());
        if !metadata.is_file() {
            return Opened::of(file, None).with_context(shown);
        }
        let size = Some(metadata.len());
        let mut head = Vec::new();
        let looked = file.by_ref().take(2).read_to_end(&mut head);
        looked.and_then(|_| file.rewind()).with_context(shown)?;
        if head == GZIP {
            Opened::of(file, size).with_context(shown)
        } else {
            Ok(Opened::Seekable(file, size))
        }
    }

    /// The next line; `None` after the last one.
    pub(super) fn next(&mut self) -> io::Result<Option<Line>> {
        let mut text = Vec::new();
        let mut limited = self.reader.by_ref().take(LONGEST_LINE + 1);
        let mut length = limited.read_until(b'\n', &mut text)? as u64;
        if length == 0 {
            return Ok(None);
        }
        if text.last() == Some(&b'\n') {
            text.pop();
        } else if length > LONGEST_LINE {
            length += self.skip_rest()?;
        }
        let line = Line {
            number: self.number,
            start: self.offset,
            text,
        };
        self.number += 1;
        self.offset += length;
        Ok(Some(line))
    }

    /// What has been read of the file, and all there is, where that is known.
    pub(super) fn progress(&self) -> (u64, Option<u64>) {
        (self.read.load(Ordering::Relaxed), self.size)
    }

    fn skip_rest(&mut self) -> io::Result<u64> {
        let mut skipped = 0;
        loop {
            let buffer = self.reader.fill_buf()?;
            let end = buffer.iter().position(|byte| *byte == b'\n');
            let length = end.map_or(buffer.len(), |end| end + 1);
            self.reader.consume(length);
            skipped += length as u64;
            if end.is_some() || length == 0 {
                return Ok(skipped);
            }
        }
    }
}

/// What was opened, before it is known where to begin.
pub(super) enum Opened {
    Seekable(File, Option<u64>),
    Stream(Box<dyn BufRead + Send>, Arc<AtomicU64>, Option<u64>),
}

impl Opened {
    /// Unpacks what is packed.
    fn of(mut raw: impl Read + Send + 'static, size: Option<u64>) -> io::Result<Self> {
        let mut head = Vec::new();
        raw.by_ref().take(2).read_to_end(&mut head)?;
        let is_packed = head == GZIP;
        let read = Arc::new(AtomicU64::new(0));
        let counted = Counted {
            inner: Cursor::new(head).chain(raw),
            read: Arc::clone(&read),
        };
        let counted = BufReader::with_capacity(BUFFER, counted);
        let reader: Box<dyn BufRead + Send> = if is_packed {
            Box::new(BufReader::with_capacity(
                BUFFER,
                MultiGzDecoder::new(counted),
            ))
        } else {
            Box::new(counted)
        };
        Ok(Self::Stream(reader, read, size))
    }

    /// Begins with the line of this number, which begins at this offset.
    pub(super) fn begin_at(self, number: u64, offset: u64) -> io::Result<Source> {
        let (reader, read, size) = match self {
            Self::Seekable(mut file, size) => {
                file.seek(SeekFrom::Start(offset))?;
                let read = Arc::new(AtomicU64::new(offset));
                let counted = Counted {
                    inner: file,
                    read: Arc::clone(&read),
                };
                let reader = BufReader::with_capacity(BUFFER, counted);
                (Box::new(reader) as Box<dyn BufRead + Send>, read, size)
            }
            Self::Stream(mut reader, read, size) => {
                io::copy(&mut reader.by_ref().take(offset), &mut sink())?;
                (reader, read, size)
            }
        };
        Ok(Source {
            reader,
            read,
            size,
            number,
            offset,
        })
    }
}

/// Counts what is read through it.
struct Counted<R> {
    inner: R,
    read: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.read.fetch_add(length as u64, Ordering::Relaxed);
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write;

    fn lines(mut source: Source) -> Vec<(u64, u64, String)> {
        let mut lines = Vec::new();
        while let Some(line) = source.next().unwrap() {
            let text = String::from_utf8(line.text).unwrap();
            lines.push((line.number, line.start, text));
        }
        lines
    }

    fn stream(bytes: &[u8]) -> Opened {
        Opened::of(Cursor::new(bytes.to_vec()), None).unwrap()
    }

    fn packed(text: &str) -> Vec<u8> {
        let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
        packer.write_all(text.as_bytes()).unwrap();
        packer.finish().unwrap()
    }

    #[test]
    fn lines_are_numbered_and_the_last_needs_no_end() {
        let expected = [(1, 0, "one"), (2, 4, ""), (3, 5, "three\r")]
            .map(|(number, start, text)| (number, start, text.to_owned()));
        assert_eq!(
            lines(stream(b"one\n\nthree\r").begin_at(1, 0).unwrap()),
            expected
        );
        // Two packed files behind each other are one, as for gunzip.
        let twice = [packed("one\n\n"), packed("three\r")].concat();
        assert_eq!(lines(stream(&twice).begin_at(1, 0).unwrap()), expected);
        assert_eq!(
            lines(stream(&twice).begin_at(3, 5).unwrap()),
            [(3, 5, "three\r".to_owned())]
        );
        assert_eq!(lines(stream(b"").begin_at(1, 0).unwrap()), []);
    }

    #[test]
    fn a_packed_file_that_is_cut_is_an_error_and_not_an_end() {
        let whole = packed("one\ntwo\n");
        let mut source = stream(&whole[..whole.len() - 9]).begin_at(1, 0).unwrap();
        let error = loop {
            match source.next() {
                Ok(Some(_)) => {}
                Ok(None) => panic!("taken for an end"),
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn of_a_line_without_end_no_more_is_kept_than_can_be_sent() {
        let mut text = vec![b'x'; usize::try_from(LONGEST_LINE).unwrap() + 500_000];
        text.extend_from_slice(b"\nafter\n");
        let mut source = stream(&text).begin_at(1, 0).unwrap();
        let long = source.next().unwrap().unwrap();
        assert!(long.is_too_long() && long.text.capacity() < 40 << 20);
        let after = source.next().unwrap().unwrap();
        assert_eq!((after.number, after.text.as_slice()), (2, &b"after"[..]));
        assert_eq!(after.start, LONGEST_LINE + 500_001);
        assert!(!after.is_too_long());
    }
}
