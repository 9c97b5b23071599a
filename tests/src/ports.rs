//! Ports of servers: free ones, and those of addresses.

use std::fs::{self, File, TryLockError};
use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::{env, io};

use anyhow::Context;
use nix::unistd::Uid;

use crate::or_fail;

/// Range below the ephemeral ports of Linux (32768 and up): a restarted server must find its
/// port still free, and a client that keeps connecting to an ephemeral port can get that port
/// as its own source port and connect to itself.
const PORTS: Range<u16> = 12_000..32_000;
/// Ports that a process reserves at a time.
const BLOCK: u16 = 50;

/// Blocks of this process, the last one with ports left.
static RESERVED: Mutex<Vec<Block>> = Mutex::new(Vec::new());

/// Ports that no other process with this harness uses while the lock is held. The system frees
/// the lock when the process ends. Without it a server that takes seconds to start, or is
/// restarted, finds another test's server on its port and mistakes it for itself.
#[derive(Debug)]
struct Block {
    left: Range<u16>,
    _lock: File,
}

/// Returns a port of 127.0.0.1 that is free and reserved for this process until it ends. A
/// program outside the harness can still take it: callers retry with another port.
pub fn free_port() -> io::Result<u16> {
    let mut reserved = RESERVED.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        let left = reserved.last_mut().map(|block| &mut block.left);
        match left.and_then(Iterator::next) {
            Some(port) if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() => {
                return Ok(port);
            }
            Some(_) => {}
            None => reserved.push(reserve(&lock_folder()?)?),
        }
    }
}

/// Returns the port of an address with one host: `scheme://user:password@host:port/path`.
pub fn port_of(url: &str) -> u16 {
    let port = url.split_once("://").and_then(|(_, rest)| {
        let authority = rest.split('/').next()?;
        authority.rsplit_once(':')?.1.parse().ok()
    });
    or_fail(url, port.context("no port in the address"))
}

/// Locks the first block that nobody holds, by a file in `folder`.
fn reserve(folder: &Path) -> io::Result<Block> {
    for first in PORTS.step_by(usize::from(BLOCK)) {
        let lock = File::options()
            .append(true)
            .create(true)
            .open(folder.join(first.to_string()))?;
        match lock.try_lock() {
            Ok(()) => {
                return Ok(Block {
                    left: first..first + BLOCK,
                    _lock: lock,
                });
            }
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
    Err(io::Error::new(
        io::ErrorKind::AddrInUse,
        format!("other tests hold all ports of {PORTS:?}"),
    ))
}

/// Creates the folder of lock files of this user.
fn lock_folder() -> io::Result<PathBuf> {
    let folder = env::temp_dir().join(format!("wahook-ports-{}", Uid::effective()));
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::folder::RunFolder;

    #[test]
    fn reserved_blocks_do_not_overlap_until_one_is_released() {
        let folder = RunFolder::temporary("ports").unwrap();
        let first = reserve(folder.path()).unwrap();
        let second = reserve(folder.path()).unwrap();
        let freed = first.left.clone();
        assert_ne!(freed, second.left);

        drop(first);
        assert_eq!(reserve(folder.path()).unwrap().left, freed);
    }

    #[test]
    fn port_of_an_address_is_found_next_to_other_numbers() {
        for (url, port) in [
            ("amqp://guest:1234@127.0.0.1:5672/%2f", 5672),
            ("mongodb://127.0.0.1:27017/?timeout=1:2", 27_017),
            ("amqp://host:1", 1),
        ] {
            assert_eq!(port_of(url), port, "{url}");
        }
    }

    #[test]
    fn ports_of_a_process_are_distinct() {
        let ports: BTreeSet<u16> = (0..120).map(|_| free_port().unwrap()).collect();
        assert_eq!(ports.len(), 120);
    }
}
