//! Private MongoDB process that a test can kill, freeze and restart.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use std::{env, fs};

use anyhow::{Context, bail};
use mongodb::bson::{Document, doc};
use mongodb::options::ClientOptions;
use mongodb::{Client, Database};
use nix::sys::signal::Signal;
use tokio::time::sleep;

use crate::folder::{RunFolder, tail};
use crate::guard::Guarded;
use crate::ports::free_port;
use crate::small_disk::SmallDisk;
use crate::{or_fail, workspace};

const READY_WITHIN: Duration = Duration::from_secs(300);
/// File whose presence makes the server require logins.
const KEY_FILE: &str = "key";
const STOPPED_WITHIN: Duration = Duration::from_secs(120);
/// Error code of a repeated initiation of the replica set.
const ALREADY_INITIALIZED: i32 = 23;

/// mongod that runs, or was killed and can be restarted: a replica set of one.
#[derive(Debug)]
pub struct Mongod {
    /// `None` between a kill or stop and the restart.
    process: Mutex<Option<Guarded>>,
    port: u16,
    /// User and password that the server requires, if any.
    login: Option<&'static str>,
    /// Separate disk for the data, if any.
    disk: Option<SmallDisk>,
    /// Declared last: removed after the process has ended.
    folder: RunFolder,
}

impl Mongod {
    /// Starts an empty server; fails the test if it does not start.
    pub async fn start() -> Self {
        let started = async { Self::try_start(RunFolder::temporary("mongod")?).await };
        or_fail("mongod did not start", started.await)
    }

    /// Starts an empty server with its data on a separate disk that can be filled.
    pub async fn start_on_small_disk(megabytes: u32) -> Self {
        let started = async {
            let folder = RunFolder::temporary("mongod")?;
            let disk = SmallDisk::mount(&folder.join("data"), megabytes).await?;
            Self::start_in(folder, Some(disk)).await
        };
        or_fail("mongod did not start", started.await)
    }

    /// Starts an empty server that requires a login, which [`Self::uri`] has: that of a user with
    /// these roles.
    pub async fn start_with_roles(roles: Vec<Document>) -> Self {
        or_fail("mongod with a user", Self::try_start_with(roles).await)
    }

    async fn try_start_with(roles: Vec<Document>) -> anyhow::Result<Self> {
        let mut server = Self::try_start(RunFolder::temporary("mongod")?).await?;
        let admin = server.client().await.database("admin");
        let create = doc! { "createUser": "wahook", "pwd": "secret", "roles": roles };
        admin.run_command(create).await?;
        // Members of a replica set that requires logins share a key.
        let key = server.folder.join(KEY_FILE);
        fs::write(&key, "a key of one member")?;
        fs::set_permissions(&key, fs::Permissions::from_mode(0o400))?;
        server.login = Some("wahook:secret");
        server.try_restart().await?;
        Ok(server)
    }

    /// Returns the separate disk; fails the test if there is none.
    pub fn disk(&self) -> &SmallDisk {
        let disk = self.disk.as_ref().context("it has no separate disk");
        or_fail("mongod", disk)
    }

    /// Starts a server in `folder` with the data in it.
    pub async fn try_start(folder: RunFolder) -> anyhow::Result<Self> {
        Self::start_in(folder, None).await
    }

    async fn start_in(folder: RunFolder, disk: Option<SmallDisk>) -> anyhow::Result<Self> {
        let mut tries_left = 3;
        loop {
            tries_left -= 1;
            let port = free_port()?;
            match launch(&folder, disk.as_ref(), port).await {
                Ok(process) => {
                    return Ok(Self {
                        process: Mutex::new(Some(process)),
                        port,
                        login: None,
                        disk,
                        folder,
                    });
                }
                // Most likely another process has taken the port.
                Err(_) if tries_left > 0 => {}
                Err(error) => return Err(error),
            }
        }
    }

    pub fn uri(&self) -> String {
        let uri = uri(self.port);
        match self.login {
            Some(login) => uri.replace("://", &format!("://{login}@")) + "&authSource=admin",
            None => uri,
        }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Process id; `None` while the server does not run.
    pub fn pid(&self) -> Option<u32> {
        self.process().as_ref().map(Guarded::pid)
    }

    pub async fn client(&self) -> Client {
        let client = Client::with_uri_str(self.uri()).await;
        or_fail("a client for mongod", client.map_err(Into::into))
    }

    /// Sends SIGKILL; returns after the process has ended.
    pub async fn kill9(&self) {
        or_fail("kill -9 of mongod", self.try_kill9().await);
    }

    /// Stops the server in order; returns after the process has ended.
    pub async fn stop(&self) {
        or_fail("stop of mongod", self.try_stop().await);
    }

    /// Restarts the server on the same port with the same data; returns when it is primary.
    pub async fn restart(&self) {
        or_fail("restart of mongod", self.try_restart().await);
    }

    /// Sends SIGSTOP: connections stay open, but nothing is answered.
    pub fn freeze(&self) {
        or_fail("freeze of mongod", self.signal(Signal::SIGSTOP));
    }

    /// Sends SIGCONT to end a freeze.
    pub fn thaw(&self) {
        or_fail("thaw of mongod", self.signal(Signal::SIGCONT));
    }

    pub async fn try_kill9(&self) -> anyhow::Result<()> {
        match self.take_process() {
            Some(process) => process.kill9().await,
            None => Ok(()),
        }
    }

    pub async fn try_stop(&self) -> anyhow::Result<()> {
        if let Some(process) = self.take_process() {
            process.terminate(STOPPED_WITHIN).await?;
        }
        Ok(())
    }

    pub async fn try_restart(&self) -> anyhow::Result<()> {
        self.try_stop().await?;
        let process = launch(&self.folder, self.disk.as_ref(), self.port).await?;
        *self.process() = Some(process);
        Ok(())
    }

    /// Returns true while the process runs, frozen or not.
    pub fn is_running(&self) -> bool {
        self.process()
            .as_ref()
            .is_some_and(|process| process.exit_status().is_none())
    }

    fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let process = self.process();
        let process = process.as_ref().context("it is not running")?;
        Ok(process.signal(signal)?)
    }

    fn take_process(&self) -> Option<Guarded> {
        self.process().take()
    }

    fn process(&self) -> MutexGuard<'_, Option<Guarded>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn uri(port: u16) -> String {
    format!("mongodb://127.0.0.1:{port}/?directConnection=true")
}

/// Returns `MONGOD_BIN`, or the executable that `deploy/local/install.sh` downloads.
fn executable() -> anyhow::Result<PathBuf> {
    let fetched = workspace().join(".local/mongod/bin/mongod");
    let path = env::var_os("MONGOD_BIN").map_or(fetched, PathBuf::from);
    if !path.is_file() {
        bail!(
            "{} is missing; deploy/local/install.sh downloads it",
            path.display()
        );
    }
    Ok(path)
}

async fn launch(
    folder: &RunFolder,
    disk: Option<&SmallDisk>,
    port: u16,
) -> anyhow::Result<Guarded> {
    let data = folder.join("data");
    let key = folder.join(KEY_FILE);
    let is_secured = key.exists();
    let log = folder.join("mongod.log");
    fs::create_dir_all(&data)?;
    let mut command = disk.map(SmallDisk::enter).unwrap_or_default();
    command.push(executable()?.into_os_string());
    let program = command.remove(0);
    let process = Guarded::spawn(program, |arguments| {
        arguments
            .args(command)
            .args(["--bind_ip", "127.0.0.1", "--replSet", "rs0"])
            .args(["--port", &port.to_string()])
            .args(["--wiredTigerCacheSizeGB", "0.25", "--oplogSize", "128"])
            .args(["--setParameter", "diagnosticDataCollectionEnabled=false"])
            .args(["--nounixsocket", "--logappend"])
            .args(is_secured.then_some("--keyFile"))
            .args(is_secured.then_some(&key))
            .arg("--dbpath")
            .arg(&data)
            .arg("--logpath")
            .arg(&log)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
    })?;
    let ready = tokio::select! {
        ready = become_primary(port, is_secured) => ready,
        status = process.wait() => Err(anyhow::anyhow!("mongod ended with {}", status?)),
    };
    ready.with_context(|| format!("its last output:\n{}", tail(&log, 5)))?;
    Ok(process)
}

/// Makes the server the only member of its replica set, unless it `is_member`, and waits until it
/// is primary.
async fn become_primary(port: u16, mut is_member: bool) -> anyhow::Result<()> {
    let mut options = ClientOptions::parse(uri(port)).await?;
    options.server_selection_timeout = Some(Duration::from_secs(1));
    let admin = Client::with_options(options)?.database("admin");
    let host = format!("127.0.0.1:{port}");
    let end = Instant::now() + READY_WITHIN;
    loop {
        if !is_member {
            is_member = join_replica_set(&admin, &host).await.is_ok();
        } else if is_primary(&admin).await {
            return Ok(());
        }
        if Instant::now() > end {
            bail!("not the primary within {READY_WITHIN:?}");
        }
        sleep(Duration::from_millis(20)).await;
    }
}

async fn join_replica_set(admin: &Database, host: &str) -> mongodb::error::Result<()> {
    let mut set = doc! { "_id": "rs0", "members": [{ "_id": 0, "host": host }] };
    match admin
        .run_command(doc! { "replSetInitiate": set.clone() })
        .await
    {
        Ok(_) => return Ok(()),
        Err(error) if error_code(&error) == Some(ALREADY_INITIALIZED) => {}
        Err(error) => return Err(error),
    }
    // The data is from an earlier run, possibly on another port.
    let known = admin.run_command(doc! { "replSetGetConfig": 1 }).await?;
    if known.to_string().contains(&format!("\"{host}\"")) {
        return Ok(());
    }
    let version = known
        .get_document("config")
        .and_then(|config| config.get_i32("version"));
    set.insert("version", version.unwrap_or(1).saturating_add(1));
    set.insert("protocolVersion", 1);
    let reconfigure = doc! { "replSetReconfig": set, "force": true };
    admin.run_command(reconfigure).await?;
    Ok(())
}

async fn is_primary(admin: &Database) -> bool {
    let hello: Result<Document, _> = admin.run_command(doc! { "hello": 1 }).await;
    hello.is_ok_and(|hello| hello.get_bool("isWritablePrimary").unwrap_or(false))
}

fn error_code(error: &mongodb::error::Error) -> Option<i32> {
    match error.kind.as_ref() {
        mongodb::error::ErrorKind::Command(command) => Some(command.code),
        _ => None,
    }
}
