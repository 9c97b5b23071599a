//! Private MongoDB process that a test can kill, freeze and restart.

mod launch;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use mongodb::Client;
use mongodb::bson::{Document, doc};
use nix::sys::signal::Signal;

use crate::folder::RunFolder;
use crate::guard::Guarded;
use crate::or_fail;
use crate::ports::free_port;
use crate::small_disk::SmallDisk;
use launch::{KEY_FILE, Role, launch, uri};
pub(crate) use launch::{SET, admin, is_primary};

const STOPPED_WITHIN: Duration = Duration::from_secs(120);

/// mongod that runs, or was killed and can be restarted: a replica set of one, or a member of a
/// [`ReplicaSet`](crate::replica_set::ReplicaSet).
#[derive(Debug)]
pub struct Mongod {
    /// `None` between a kill or stop and the restart.
    process: Mutex<Option<Guarded>>,
    port: u16,
    role: Role,
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
        let started = async { Self::try_start(RunFolder::of_server("mongod")?).await };
        or_fail("mongod did not start", started.await)
    }

    /// Starts an empty server with its data on a separate disk that can be filled.
    pub async fn start_on_small_disk(megabytes: u32) -> Self {
        let started = async {
            let folder = RunFolder::of_server("mongod")?;
            let disk = SmallDisk::mount(&folder.join("data"), megabytes).await?;
            Self::start_in(folder, Some(disk), Role::Alone).await
        };
        or_fail("mongod did not start", started.await)
    }

    /// Starts an empty server that requires a login, which [`Self::uri`] has: that of a user with
    /// these roles.
    pub async fn start_with_roles(roles: Vec<Document>) -> Self {
        or_fail("mongod with a user", Self::try_start_with(roles).await)
    }

    async fn try_start_with(roles: Vec<Document>) -> anyhow::Result<Self> {
        let mut server = Self::try_start(RunFolder::of_server("mongod")?).await?;
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
        Self::start_in(folder, None, Role::Alone).await
    }

    pub(crate) async fn try_start_member() -> anyhow::Result<Self> {
        Self::start_in(RunFolder::of_server("mongod")?, None, Role::Member).await
    }

    async fn start_in(
        folder: RunFolder,
        disk: Option<SmallDisk>,
        role: Role,
    ) -> anyhow::Result<Self> {
        let mut tries_left = 3;
        loop {
            tries_left -= 1;
            let port = free_port()?;
            match launch(&folder, disk.as_ref(), port, role).await {
                Ok(process) => {
                    return Ok(Self {
                        process: Mutex::new(Some(process)),
                        port,
                        role,
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

    /// Restarts the server on the same port with the same data; returns when it is primary, or
    /// when a member answers.
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
        let process = launch(&self.folder, self.disk.as_ref(), self.port, self.role).await?;
        *self.process() = Some(process);
        Ok(())
    }

    /// Makes the only member of a set give up its office for `seconds`, so that it refuses writes;
    /// returns when it is primary again.
    pub async fn try_step_down(&self, seconds: u32) -> anyhow::Result<()> {
        let admin = admin(self.port).await?;
        let command = doc! {
            "replSetStepDown": seconds, "secondaryCatchUpPeriodSecs": 0, "force": true,
        };
        admin.run_command(command).await?;
        let end = Instant::now() + STOPPED_WITHIN;
        while !is_primary(&admin).await {
            ensure!(
                Instant::now() < end,
                "not primary within {STOPPED_WITHIN:?}"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
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
