//! Free ports for servers.

use std::fs::{self, File, TryLockError};
use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::{env, io};

use nix::unistd::Uid;

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
    fn ports_of_a_process_are_distinct() {
        let ports: BTreeSet<u16> = (0..120).map(|_| free_port().unwrap()).collect();
        assert_eq!(ports.len(), 120);
    }
}
