//! Start of a server, and its place in a replica set.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;
use std::{env, fs};

use anyhow::{Context, bail};
use mongodb::bson::{Document, doc};
use mongodb::options::ClientOptions;
use mongodb::{Client, Database};
use tokio::time::{sleep, timeout};

use crate::folder::{RunFolder, tail};
use crate::guard::Guarded;
use crate::small_disk::SmallDisk;
use crate::workspace;

const READY_WITHIN: Duration = Duration::from_secs(300);
/// File whose presence makes the server require logins.
pub(super) const KEY_FILE: &str = "key";
/// Name of each replica set.
pub(crate) const SET: &str = "rs0";
/// Error code of a repeated initiation of the replica set.
const ALREADY_INITIALIZED: i32 = 23;
const PAUSE: Duration = Duration::from_millis(20);

/// Replica set of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Only member of its own set.
    Alone,
    /// Member of a set with others, which initiates it.
    Member,
}

pub(super) fn uri(port: u16) -> String {
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

/// Starts a server; returns when it is primary, or when a member answers.
pub(super) async fn launch(
    folder: &RunFolder,
    disk: Option<&SmallDisk>,
    port: u16,
    role: Role,
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
            .args(["--bind_ip", "127.0.0.1", "--replSet", SET])
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
        ready = become_ready(port, role, is_secured) => ready,
        status = process.wait() => Err(anyhow::anyhow!("mongod ended with {}", status?)),
    };
    ready.with_context(|| format!("its last output:\n{}", tail(&log, 5)))?;
    Ok(process)
}

/// Returns the database of commands of one server, which fail after a second without it.
pub(crate) async fn admin(port: u16) -> anyhow::Result<Database> {
    let mut options = ClientOptions::parse(uri(port)).await?;
    options.server_selection_timeout = Some(Duration::from_secs(1));
    Ok(Client::with_options(options)?.database("admin"))
}

async fn become_ready(port: u16, role: Role, is_member: bool) -> anyhow::Result<()> {
    let admin = admin(port).await?;
    let ready = async {
        match role {
            Role::Alone => become_primary(&admin, port, is_member).await,
            Role::Member => {
                while hello(&admin).await.is_err() {
                    sleep(PAUSE).await;
                }
            }
        }
    };
    timeout(READY_WITHIN, ready)
        .await
        .with_context(|| format!("not ready within {READY_WITHIN:?}"))
}

/// Makes the server the only member of its replica set, unless it `is_member`, and waits until it
/// is primary.
async fn become_primary(admin: &Database, port: u16, mut is_member: bool) {
    let host = format!("127.0.0.1:{port}");
    loop {
        if !is_member {
            is_member = join_replica_set(admin, &host).await.is_ok();
        } else if is_primary(admin).await {
            return;
        }
        sleep(PAUSE).await;
    }
}

async fn join_replica_set(admin: &Database, host: &str) -> mongodb::error::Result<()> {
    let mut set = doc! { "_id": SET, "members": [{ "_id": 0, "host": host }] };
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

/// Returns true if the server says that it takes writes.
pub(crate) async fn is_primary(admin: &Database) -> bool {
    let hello = hello(admin).await;
    hello.is_ok_and(|hello| hello.get_bool("isWritablePrimary").unwrap_or(false))
}

async fn hello(admin: &Database) -> mongodb::error::Result<Document> {
    admin.run_command(doc! { "hello": 1 }).await
}

fn error_code(error: &mongodb::error::Error) -> Option<i32> {
    match error.kind.as_ref() {
        mongodb::error::ErrorKind::Command(command) => Some(command.code),
        _ => None,
    }
}
