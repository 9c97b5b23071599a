//! Lines of a file, plain or gzip, or of standard input.

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

use super::used_files::UsedFiles;

/// Limit for a line in bytes. No producer accepts a longer one, so the rest is skipped.
pub(super) const LONGEST_LINE: u64 = 16 << 20;
const BUFFER: usize = 256 << 10;
const GZIP: [u8; 2] = [0x1f, 0x8b];

pub(super) struct Source {
    reader: Box<dyn BufRead + Send>,
    /// Bytes of the file that were read, before decompression.
    read: Arc<AtomicU64>,
    /// Size of the file, if it has one.
    size: Option<u64>,
    /// Number of the next line, from 1.
    number: u64,
    /// Offset of the next line in bytes, decompressed.
    offset: u64,
}

/// Line without its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) number: u64,
    /// Offset in bytes, decompressed.
    pub(super) start: u64,
    /// Text, cut if it is longer than [`LONGEST_LINE`].
    pub(super) text: Vec<u8>,
}

impl Line {
    pub(super) fn is_too_long(&self) -> bool {
        self.text.len() as u64 > LONGEST_LINE
    }

    /// Returns the SHA-256 of the text, in hexadecimal.
    pub(super) fn fingerprint(&self) -> String {
        let digest = Sha256::digest(&self.text);
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl Source {
    /// Opens a file; `-` is standard input. Adds it to the used files.
    pub(super) fn open(path: &Path, used: &mut UsedFiles) -> anyhow::Result<Opened> {
        if path == Path::new("-") {
            used.add(&stdin()).context("standard input")?;
            return Opened::from_reader(stdin(), None).context("standard input");
        }
        let shown = || path.display().to_string();
        let mut file = File::open(path).with_context(shown)?;
        used.add(&file).with_context(shown)?;
        let metadata = file.metadata().with_context(shown)?;
        ensure!(!metadata.is_dir(), "{} is a folder", shown());
        if !metadata.is_file() {
            return Opened::from_reader(file, None).with_context(shown);
        }
        let size = Some(metadata.len());
        let mut head = Vec::new();
        let peeked = file.by_ref().take(2).read_to_end(&mut head);
        peeked.and_then(|_| file.rewind()).with_context(shown)?;
        if head == GZIP {
            Opened::from_reader(file, size).with_context(shown)
        } else {
            Ok(Opened::Seekable(file, size))
        }
    }

    /// Returns the next line, or `None` after the last one.
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

    /// Returns the bytes of the file that were read, and its size, if known.
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

/// Opened input, before its start position is known.
pub(super) enum Opened {
    Seekable(File, Option<u64>),
    Stream(Box<dyn BufRead + Send>, Arc<AtomicU64>, Option<u64>),
}

impl Opened {
    /// Detects gzip and decompresses it.
    fn from_reader(mut raw: impl Read + Send + 'static, size: Option<u64>) -> io::Result<Self> {
        let mut head = Vec::new();
        raw.by_ref().take(2).read_to_end(&mut head)?;
        let is_gzip = head == GZIP;
        let read = Arc::new(AtomicU64::new(0));
        let counted = CountingReader {
            inner: Cursor::new(head).chain(raw),
            read: Arc::clone(&read),
        };
        let counted = BufReader::with_capacity(BUFFER, counted);
        let reader: Box<dyn BufRead + Send> = if is_gzip {
            Box::new(BufReader::with_capacity(
                BUFFER,
                MultiGzDecoder::new(counted),
            ))
        } else {
            Box::new(counted)
        };
        Ok(Self::Stream(reader, read, size))
    }

    /// Starts with the line of this number, at this offset.
    pub(super) fn start_at(self, number: u64, offset: u64) -> io::Result<Source> {
        let (reader, read, size) = match self {
            Self::Seekable(mut file, size) => {
                file.seek(SeekFrom::Start(offset))?;
                let read = Arc::new(AtomicU64::new(offset));
                let counted = CountingReader {
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

struct CountingReader<R> {
    inner: R,
    read: Arc<AtomicU64>,
}

impl<R: Read> Read for CountingReader<R> {
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
        Opened::from_reader(Cursor::new(bytes.to_vec()), None).unwrap()
    }

    fn gzip(text: &str) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn lines_are_numbered_and_the_last_one_needs_no_end() {
        let expected = [(1, 0, "one"), (2, 4, ""), (3, 5, "three\r")]
            .map(|(number, start, text)| (number, start, text.to_owned()));
        assert_eq!(
            lines(stream(b"one\n\nthree\r").start_at(1, 0).unwrap()),
            expected
        );
        // Concatenated gzip files are one file, as for gunzip.
        let twice = [gzip("one\n\n"), gzip("three\r")].concat();
        assert_eq!(lines(stream(&twice).start_at(1, 0).unwrap()), expected);
        assert_eq!(
            lines(stream(&twice).start_at(3, 5).unwrap()),
            [(3, 5, "three\r".to_owned())]
        );
        assert_eq!(lines(stream(b"").start_at(1, 0).unwrap()), []);
    }

    #[test]
    fn truncated_gzip_file_is_an_error() {
        let whole = gzip("one\ntwo\n");
        let mut source = stream(&whole[..whole.len() - 9]).start_at(1, 0).unwrap();
        let error = loop {
            match source.next() {
                Ok(Some(_)) => {}
                Ok(None) => panic!("treated as the end"),
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn too_long_line_is_cut_and_the_next_one_is_read() {
        let mut text = vec![b'x'; usize::try_from(LONGEST_LINE).unwrap() + 500_000];
        text.extend_from_slice(b"\nafter\n");
        let mut source = stream(&text).start_at(1, 0).unwrap();
        let long = source.next().unwrap().unwrap();
        assert!(long.is_too_long() && long.text.capacity() < 40 << 20);
        let after = source.next().unwrap().unwrap();
        assert_eq!((after.number, after.text.as_slice()), (2, &b"after"[..]));
        assert_eq!(after.start, LONGEST_LINE + 500_001);
        assert!(!after.is_too_long());
    }
}
