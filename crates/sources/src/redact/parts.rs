//! Text fields of multipart/form-data, with their places in the body.

use std::ops::Range;

use memchr::memmem;

/// Text field of a multipart body.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TextField<'b> {
    pub name: &'b str,
    /// Place of the value.
    pub place: Range<usize>,
}

/// Returns the fields of a multipart body, without its files.
pub(super) fn text_fields<'b>(media_type: &str, body: &'b [u8]) -> Vec<TextField<'b>> {
    let boundary = parameter(media_type, "boundary").unwrap_or_default();
    if boundary.is_empty() {
        return Vec::new();
    }
    let delimiter = ["\r\n--", boundary].concat();
    // The first delimiter may be at the start of the body, without a line break before it.
    let first = delimiter.trim_start().as_bytes();
    let first = body.starts_with(first).then_some((0, first.len()));
    let others = memmem::find_iter(body, &delimiter).map(|start| (start, start + delimiter.len()));
    let mut delimiters = first.into_iter().chain(others).peekable();
    let mut fields = Vec::new();
    while let Some((_, start)) = delimiters.next() {
        let Some((end, _)) = delimiters.peek() else {
            break;
        };
        fields.extend(text_field(body, start, *end));
    }
    fields
}

fn text_field(body: &[u8], start: usize, end: usize) -> Option<TextField<'_>> {
    const HEADER_END: &[u8] = b"\r\n\r\n";
    let part = body.get(start..end)?;
    let header = memmem::find(part, HEADER_END)?;
    let value = start + header + HEADER_END.len();
    let header = std::str::from_utf8(part.get(..header)?).ok()?;
    let line = header.lines().find(|line| {
        let name = line.split(':').next().unwrap_or_default();
        name.eq_ignore_ascii_case("content-disposition")
    })?;
    if parameter(line, "filename").is_some() {
        return None;
    }
    Some(TextField {
        name: parameter(line, "name")?,
        place: value..end,
    })
}

/// Returns a parameter of a header, without its quotes.
fn parameter<'h>(header: &'h str, name: &str) -> Option<&'h str> {
    let mut parameters = header.split(';').skip(1);
    parameters.find_map(|parameter| {
        let (known, value) = parameter.split_once('=')?;
        let is_known = known.trim().eq_ignore_ascii_case(name);
        is_known.then_some(value.trim().trim_matches('"'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields<'b>(media_type: &str, body: &'b str) -> Vec<(&'b str, &'b str)> {
        let fields = text_fields(media_type, body.as_bytes()).into_iter();
        fields
            .map(|field| (field.name, &body[field.place]))
            .collect()
    }

    #[test]
    fn text_fields_are_found_without_files() {
        let body = "preamble\r\n--X1\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1 --X1\r\n\
            --X1\r\ncontent-disposition: form-data; name=file; filename=\"f\"\r\n\r\nbytes\r\n\
            --X1\r\nContent-Type: text/plain\r\nContent-Disposition: form-data; name=b\r\n\r\n\r\n\
            --X1--\r\n";
        let found = [("a", "1 --X1"), ("b", "")];
        assert_eq!(fields("multipart/form-data; boundary=X1", body), found);
        let start = body.strip_prefix("preamble\r\n").unwrap();
        assert_eq!(fields("multipart/form-data; Boundary=\"X1\"", start), found);
    }

    #[test]
    fn other_bodies_have_no_fields() {
        let field = "--X1\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--X1--";
        for media_type in ["", "multipart/form-data", "multipart/form-data; boundary="] {
            assert_eq!(fields(media_type, field), []);
        }
        for other in [
            "",
            "--X1",
            "--X1--\r\n",
            "--X1\r\n\r\n\r\n--X1--",
            "{\"a\":1}",
        ] {
            assert_eq!(fields("multipart/form-data; boundary=X1", other), []);
        }
    }
}
