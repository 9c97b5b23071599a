//! Data folders of servers.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::{env, fs, io, process, thread};

/// Folder of one server. A temporary folder is removed on drop, except after a panic: then
/// it is kept for analysis and its path is printed.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    temporary: bool,
}

impl RunFolder {
    /// Creates an empty folder in the system's temporary folder.
    pub fn temporary(name: &str) -> io::Result<Self> {
        Self::temporary_in(&env::temp_dir(), name)
    }

    /// Creates an empty folder for the data of a server, in `WAHOOK_TEST_SERVER_FOLDERS` if that
    /// is set (`tools/server_folders.sh`).
    pub fn of_server(name: &str) -> io::Result<Self> {
        match env::var_os("WAHOOK_TEST_SERVER_FOLDERS") {
            Some(place) => Self::temporary_in(Path::new(&place), name),
            None => Self::temporary(name),
        }
    }

    fn temporary_in(place: &Path, name: &str) -> io::Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let path = place.join(format!("wahook-{name}-{}-{number}", process::id()));
            match fs::create_dir(&path) {
                Ok(()) => {
                    return Ok(Self {
                        path,
                        temporary: true,
                    });
                }
                // Left over from an earlier process of the same number.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Opens a folder that keeps its content between runs; creates it if missing.
    pub fn lasting(path: impl Into<PathBuf>) -> io::Result<Self> {
        let path = path.into();
        fs::create_dir_all(&path)?;
        Ok(Self {
            path,
            temporary: false,
        })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn is_temporary(&self) -> bool {
        self.temporary
    }

    /// Returns the path of `name` in this folder.
    pub fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

impl Drop for RunFolder {
    fn drop(&mut self) {
        if !self.temporary {
            return;
        }
        if thread::panicking() {
            eprintln!("kept for inspection: {}", self.path.display());
        } else if let Err(error) = fs::remove_dir_all(&self.path) {
            eprintln!("could not remove {}: {error}", self.path.display());
        }
    }
}

/// Returns the last `lines` lines of a log file, or an empty string if it does not exist.
pub fn tail(path: &Path, lines: usize) -> String {
    let content = fs::read(path).unwrap_or_default();
    let content = String::from_utf8_lossy(&content);
    let all: Vec<&str> = content.lines().collect();
    let start = all.len().saturating_sub(lines);
    all.get(start..).unwrap_or_default().join("\n")
}
