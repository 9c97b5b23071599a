//! Free ports for servers.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;

/// Range below the ephemeral ports of Linux (32768 and up): a restarted server must find its
/// port still free, and a client that keeps connecting to an ephemeral port can get that port
/// as its own source port and connect to itself.
const PORTS: Range<u16> = 12_000..32_000;

/// Returns a port of 127.0.0.1 that was free a moment ago. Another process can still take it:
/// callers retry with another port.
pub fn free_port() -> io::Result<u16> {
    let mut seed = RandomState::new().build_hasher().finish();
    for _ in 0..200 {
        let span = u64::from(PORTS.end - PORTS.start);
        let offset = u16::try_from(seed % span).unwrap_or_default();
        let port = PORTS.start + offset;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
        seed = RandomState::new().build_hasher().finish();
    }
    Err(io::Error::new(
        io::ErrorKind::AddrInUse,
        "found no free port on 127.0.0.1 in 200 tries",
    ))
}
