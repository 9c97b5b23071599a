//! Configuration and environment of a private node.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::{fs, io, process};

use anyhow::Context;

use super::installation::Installation;
use super::options::BrokerOptions;
use crate::folder::RunFolder;
use crate::guard::Guarded;
use crate::ports::free_port;

/// Limits for many brokers on one small machine, and queue figures (of `list_queues`) that are
/// at most one second old instead of five. Written as Erlang terms, because the other format
/// makes the start a second slower.
const CONFIG: &str = "[{rabbit, [{loopback_users, [<<\"guest\">>]},OPTIONS
          {disk_free_limit, 67108864},
          {vm_memory_high_watermark, {absolute, 4294967296}},
          {collect_statistics_interval, 1000},
          {quorum_tick_interval, 1000}]},
 {rabbitmq_prometheus, [{tcp_config, [{ip, \"127.0.0.1\"}, {port, METRICS_PORT}]}]}].
";
/// Two schedulers with very short spinning: without spinning the start-up, which reads a
/// thousand small files, takes twice as long on a virtual machine; with the default an idle
/// broker takes processor time from the programs under test.
const VM_ARGUMENTS: &str = "+S 2:2 +sbwt very_short +sbwtdcpu very_short +sbwtdio very_short";
const LOOPBACK_ONLY: &str = "-kernel inet_dist_use_interface {127,0,0,1} -start_epmd false";

/// Name of a node and of the others of its cluster.
#[derive(Debug)]
pub(super) struct Identity {
    pub(super) name: String,
    /// Port of the port mapper, which the nodes of a cluster share.
    pub(super) epmd_port: u16,
    pub(super) cluster: Option<Membership>,
}

/// Membership of a node in a cluster.
#[derive(Debug, Clone)]
pub(super) struct Membership {
    /// Names of all nodes.
    pub(super) names: Vec<String>,
    /// Secret with which the nodes connect to each other.
    pub(super) cookie: String,
}

impl Identity {
    /// Identity of a single node.
    pub(super) fn single(folder: &RunFolder) -> anyhow::Result<Self> {
        Ok(Self {
            name: node_name(folder),
            epmd_port: free_port()?,
            cluster: None,
        })
    }
}

#[derive(Debug)]
pub(super) struct Node {
    pub(super) installation: Installation,
    pub(super) amqp_port: u16,
    /// Port of the plugin `rabbitmq_prometheus`, if enabled.
    pub(super) metrics_port: u16,
    pub(super) name: String,
    epmd_port: u16,
    distribution_port: u16,
    folder: PathBuf,
    plugins_folder: PathBuf,
}

impl Node {
    /// Selects the ports and writes the files of a node in `folder`.
    pub(super) fn prepare(
        folder: &RunFolder,
        options: &BrokerOptions,
        identity: Identity,
    ) -> anyhow::Result<Self> {
        let installation = match identity.cluster {
            Some(_) => Installation::for_clusters()?,
            None => Installation::find()?,
        };
        let applications = folder.join("applications");
        let plugins_folder =
            link_applications(&installation.plugins, &options.plugins, &applications)?;
        let metrics_port = free_port()?;
        let members = identity.cluster.map(|cluster| join(folder, &cluster));
        let config = CONFIG
            .replace("METRICS_PORT", &metrics_port.to_string())
            .replace(
                "OPTIONS",
                &(options.configuration() + &members.transpose()?.unwrap_or_default()),
            );
        fs::write(folder.join("advanced.config"), config)?;
        let plugins = format!("[{}].\n", options.plugins.join(","));
        fs::write(folder.join("enabled_plugins"), plugins)?;
        fs::create_dir_all(folder.join("log"))?;
        Ok(Self {
            installation,
            amqp_port: free_port()?,
            metrics_port,
            name: identity.name,
            epmd_port: identity.epmd_port,
            distribution_port: free_port()?,
            folder: folder.path().to_owned(),
            plugins_folder,
        })
    }

    /// Starts a port mapper of Erlang, which `rabbitmqctl` needs to find the node. It is not
    /// shared: a shared one is started by the first node, serves all users of the machine, and
    /// outlives the node.
    pub(super) fn spawn_epmd(&self) -> io::Result<Guarded> {
        let output = fs::File::create(self.folder.join("log/epmd"))?;
        Guarded::spawn(self.installation.epmd(), |command| {
            command
                .args(["-address", "127.0.0.1", "-port"])
                .arg(self.epmd_port.to_string())
                .stdout(process::Stdio::null())
                .stderr(output);
        })
    }

    /// Starts the node. Each start script replaces itself, so the child is the Erlang VM.
    pub(super) fn spawn_beam(&self) -> anyhow::Result<Guarded> {
        let output = fs::File::create(self.output_file())?;
        let errors = output.try_clone()?;
        let server = self.installation.script("rabbitmq-server");
        Ok(Guarded::spawn(server, |command| {
            self.environment(command);
            command
                .arg("-noinput")
                .current_dir(&self.folder)
                .stdout(output)
                .stderr(errors);
        })?)
    }

    pub(super) fn data_folder(&self) -> PathBuf {
        self.folder.join("data")
    }

    pub(super) fn output_file(&self) -> PathBuf {
        self.folder.join("log/output")
    }

    /// Sets the complete environment of the node and its tools.
    pub(super) fn environment(&self, command: &mut Command) {
        let folder = |name: &str| self.folder.join(name);
        command
            .env_clear()
            .env("PATH", self.installation.search_path())
            .env("LANG", "C.UTF-8")
            // Folder of the Erlang cookie.
            .env("HOME", &self.folder)
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("ERL_EPMD_PORT", self.epmd_port.to_string())
            .env("ERL_FLAGS", LOOPBACK_ONLY)
            .env("ERL_CRASH_DUMP_SECONDS", "0")
            // Prevents any use of /etc/rabbitmq and /var/lib/rabbitmq.
            .env("RABBITMQ_CONF_ENV_FILE", "/dev/null")
            .env("RABBITMQ_CONFIG_FILE", folder("none"))
            .env("RABBITMQ_ADVANCED_CONFIG_FILE", folder("advanced.config"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", folder("enabled_plugins"))
            .env("RABBITMQ_PLUGINS_DIR", &self.plugins_folder)
            .env("RABBITMQ_PLUGINS_EXPAND_DIR", folder("expanded"))
            .env("RABBITMQ_MNESIA_BASE", self.data_folder())
            .env("RABBITMQ_LOG_BASE", folder("log"))
            .env("RABBITMQ_LOGS", folder("log/broker"))
            .env("RABBITMQ_PID_FILE", folder("pid"))
            .env("RABBITMQ_NODENAME", &self.name)
            .env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_NODE_PORT", self.amqp_port.to_string())
            .env("RABBITMQ_DIST_PORT", self.distribution_port.to_string())
            .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", VM_ARGUMENTS)
            // Makes the start script exec the VM instead of waiting for it.
            .env("RABBITMQ_ALLOW_INPUT", "true");
    }
}

/// Writes the cookie of the cluster, and returns the configuration of its members. The nodes
/// find each other at their first start.
fn join(folder: &RunFolder, cluster: &Membership) -> anyhow::Result<String> {
    let cookie = folder.join(".erlang.cookie");
    fs::write(&cookie, &cluster.cookie)?;
    fs::set_permissions(&cookie, fs::Permissions::from_mode(0o400))?;
    let names: Vec<_> = cluster.names.iter().map(|n| format!("'{n}'")).collect();
    Ok(format!(
        " {{cluster_nodes, {{[{}], disc}}}}, {{queue_leader_locator, <<\"balanced\">>}},",
        names.join(", ")
    ))
}

/// Returns the node name. The data depends on the name, so a lasting folder has a fixed one.
/// The others are unique, so that two nodes with the same port mapper by accident fail.
pub(super) fn node_name(folder: &RunFolder) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    if folder.is_temporary() {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        format!("wahook-{}-{number}@localhost", process::id())
    } else {
        "wahook@localhost".to_owned()
    }
}

/// Fills `target` with links to the broker's own applications and the wanted plugins. Erlang
/// searches every folder for every module of the broker: with all 70 folders a start takes
/// 12 s instead of 4 s.
fn link_applications(plugins: &Path, wanted: &[String], target: &Path) -> anyhow::Result<PathBuf> {
    if target.exists() {
        fs::remove_dir_all(target)?;
    }
    fs::create_dir_all(target)?;
    for entry in fs::read_dir(plugins).context("RabbitMQ's plugins folder")? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_wanted = |plugin: &String| name.strip_prefix(plugin).is_some_and(is_version);
        if !name.starts_with("rabbitmq_")
            || name.starts_with("rabbitmq_prelaunch")
            || wanted.iter().any(is_wanted)
        {
            symlink(entry.path(), target.join(name))?;
        }
    }
    Ok(target.to_owned())
}

/// Returns true for the version suffix of a plugin's folder or archive; newer brokers have none.
fn is_version(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with('-')
}
