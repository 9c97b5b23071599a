use std::convert::Infallible;

use axum::{body::Body, response::IntoResponse};
use flate2::{Compression, write::GzEncoder};
use futures_util::stream;

use super::*;

const LIMIT: usize = 10_000;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Reads a body that arrives in chunks of `size` bytes; an error is the status
/// of its answer.
async fn read_in_chunks(
    bytes: &[u8],
    size: usize,
    encoding: Encoding,
    budget: &Budget,
) -> Result<Bytes, u16> {
    let chunks: Vec<_> = bytes
        .chunks(size)
        .map(|chunk| Ok::<_, Infallible>(Bytes::copy_from_slice(chunk)))
        .collect();
    let mut body = Body::from_stream(stream::iter(chunks)).into_data_stream();
    let read = read(&HeaderMap::new(), &mut body, encoding, LIMIT, budget).await;
    read.map_err(|problem| problem.into_response().status().as_u16())
}

#[tokio::test]
async fn a_body_is_read_whole_however_it_is_split_and_encoded() {
    let budget = Budget::new(1 << 20);
    let text: Vec<u8> = (0..=250).cycle().take(LIMIT).collect();
    let two_members = [gzip(&text[..77]), gzip(&text[77..])].concat();
    for size in [1, 7, 4096, LIMIT] {
        let plain = read_in_chunks(&text, size, Encoding::Identity, &budget).await;
        assert_eq!(plain.unwrap(), text);
        for packed in [&gzip(&text), &two_members] {
            let unpacked = read_in_chunks(packed, size, Encoding::Gzip, &budget).await;
            assert_eq!(unpacked.unwrap(), text);
        }
    }
    assert!(budget.reserve(1 << 20).is_ok(), "all of it is released");
}

#[tokio::test]
async fn one_byte_above_the_limit_is_too_large_before_and_after_inflating() {
    let budget = Budget::new(1 << 20);
    let text = vec![b'x'; LIMIT + 1];
    for size in [1, 4096] {
        let plain = read_in_chunks(&text, size, Encoding::Identity, &budget).await;
        assert_eq!(plain, Err(413));
        let packed = read_in_chunks(&gzip(&text), size, Encoding::Gzip, &budget).await;
        assert_eq!(packed, Err(413));
    }
    // Empty members have no contents.
    let empty_members = gzip(b"").repeat(LIMIT / 20 + 1);
    let read = read_in_chunks(&empty_members, 4096, Encoding::Gzip, &budget).await;
    assert_eq!(read, Err(413));
}

#[tokio::test]
async fn a_gzip_bomb_uses_no_more_memory_than_the_limit() {
    // 8 MB in 8 KB, which is less than the limit.
    let bomb = gzip(&vec![0; 8 << 20]);
    assert!(bomb.len() < LIMIT);
    // Enough for the limit, the bomb itself and the decoder.
    let budget = Budget::new(2 * LIMIT + INFLATE_BYTES);
    let read = read_in_chunks(&bomb, 4096, Encoding::Gzip, &budget).await;
    assert_eq!(read, Err(413));
}

#[tokio::test]
async fn truncated_or_invalid_gzip_is_answered_400() {
    let budget = Budget::new(1 << 20);
    let whole = gzip(b"{\"event\":\"test\"}");
    let mut wrong_checksum = whole.clone();
    let checksum_at = whole.len() - 8;
    wrong_checksum[checksum_at] ^= 1;
    let with_garbage = [whole.as_slice(), b"garbage"].concat();
    for broken in [b"{}".as_slice(), b"", &wrong_checksum, &with_garbage] {
        let read = read_in_chunks(broken, 5, Encoding::Gzip, &budget).await;
        assert_eq!(read, Err(400), "{broken:?}");
    }
    for length in 0..whole.len() {
        let read = read_in_chunks(&whole[..length], 5, Encoding::Gzip, &budget).await;
        assert_eq!(read, Err(400), "cut at {length}");
    }
}

#[tokio::test]
async fn an_exhausted_budget_is_answered_503() {
    let budget = Budget::new(5_000);
    let text = vec![b'x'; 6_000];
    let plain = read_in_chunks(&text, 100, Encoding::Identity, &budget).await;
    assert_eq!(plain, Err(503));
    let packed = read_in_chunks(&gzip(&text), 100, Encoding::Gzip, &budget).await;
    assert_eq!(packed, Err(503));
    assert!(budget.reserve(5_000).is_ok(), "all of it is released");
}
