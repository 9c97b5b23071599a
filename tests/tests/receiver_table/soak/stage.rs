//! Programs of a run, within the memory limits of the shipped manifests.

use std::fmt::Write;
use std::fs;
use std::net::SocketAddr;

use wahook_tests::eventually::AT_LAST;
use wahook_tests::folder::RunFolder;
use wahook_tests::image::allocator;
use wahook_tests::memory_limit::MemoryLimit;
use wahook_tests::pair::Place;
use wahook_tests::ports::free_port;
use wahook_tests::program::{Program, ProgramName};
use wahook_tests::workspace;

use super::endpoints::HostileEndpoint;

type Settings = [(&'static str, String)];

/// Program and its limit.
pub(super) struct Limited {
    pub(super) name: &'static str,
    pub(super) program: Program,
    // Removed after the program.
    pub(super) limit: MemoryLimit,
}

/// Running programs.
pub(super) struct Stage {
    pub(super) name: &'static str,
    pub(super) programs: Vec<Limited>,
    /// Address for events.
    pub(super) events: SocketAddr,
    pub(super) console: SocketAddr,
    /// Base URL of each server with health checks.
    pub(super) health: Vec<(&'static str, String)>,
}

impl Stage {
    /// Starts producer, consumer and console.
    pub(super) async fn distributed(place: &Place, settings: &Settings) -> Self {
        let broker = ("AMQP_URL", place.amqp_url.clone());
        let log = [
            ("MONGODB_URI", place.mongodb_uri.clone()),
            ("MONGODB_DATABASE", place.database.clone()),
        ];
        let broker_and_log = [&[broker.clone()][..], &log].concat();
        let of_consumer = [&broker_and_log, settings, &allocator("consumer").unwrap()].concat();
        let programs = vec![
            start(
                "consumer",
                &["consumer.yaml"],
                ProgramName::Consumer,
                &of_consumer,
            )
            .await,
            start(
                "producer",
                &["producer.yaml"],
                ProgramName::Producer,
                &[broker],
            )
            .await,
            start(
                "console",
                &["console.yaml"],
                ProgramName::Console,
                &[broker_and_log, allocator("console").unwrap()].concat(),
            )
            .await,
        ];
        let health = programs
            .iter()
            .map(|limited| (limited.name, limited.program.base_url()))
            .collect();
        Self {
            name: "three programs",
            events: address(&programs[1].program.base_url()),
            console: address(&programs[2].program.base_url()),
            programs,
            health,
        }
    }

    /// Starts `wahook` within the sum of the limits of producer and consumer, which it contains.
    pub(super) async fn one_process(folder: &RunFolder, settings: &Settings) -> Self {
        let [consumer, console] = [(); 2].map(|()| format!("127.0.0.1:{}", free_port().unwrap()));
        let own = [
            (
                "WAHOOK_DATA",
                folder.join("wahook.db").display().to_string(),
            ),
            ("CONSUMER_LISTEN", consumer.clone()),
            ("CONSOLE_LISTEN", console.clone()),
        ];
        let manifests = ["producer.yaml", "consumer.yaml"];
        let settings = [&own, settings].concat();
        let limited = start("wahook", &manifests, ProgramName::Standalone, &settings).await;
        let base_url = limited.program.base_url();
        Self {
            name: "one process",
            events: address(&base_url),
            console: console.parse().unwrap(),
            programs: vec![limited],
            health: vec![
                ("wahook", base_url),
                ("operations of wahook", format!("http://{consumer}")),
                ("console", format!("http://{console}")),
            ],
        }
    }

    pub(super) fn consumer(&self) -> &Program {
        &self.programs[0].program
    }

    pub(super) fn assert_running(&self) {
        for Limited { name, program, .. } in &self.programs {
            assert!(program.is_running(), "{name}: {}", program.stderr_so_far());
        }
    }
}

async fn start(
    name: &'static str,
    manifests: &[&str],
    program: ProgramName,
    settings: &Settings,
) -> Limited {
    let kib = manifests.iter().map(|manifest| shipped_limit(manifest));
    let limit = MemoryLimit::new(kib.sum());
    let settings: Vec<_> = settings
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let program = Program::limited(program, &limit, &settings).await;
    program.wait_ready(AT_LAST).await;
    Limited {
        name,
        program,
        limit,
    }
}

/// Returns the memory limit of a shipped manifest in KiB.
fn shipped_limit(manifest: &str) -> u64 {
    let path = workspace().join("deploy/kubernetes").join(manifest);
    let manifest = fs::read_to_string(path).unwrap();
    let (_, limits) = manifest.split_once("limits:").unwrap();
    let (_, memory) = limits.split_once("memory: ").unwrap();
    let (mib, _) = memory.split_once("Mi").unwrap();
    mib.parse::<u64>().unwrap() << 10
}

fn address(base_url: &str) -> SocketAddr {
    let address = base_url.strip_prefix("http://").unwrap();
    address.parse().unwrap()
}

pub(super) fn endpoints_file([good, slow]: [&str; 2], hostile: &[HostileEndpoint]) -> String {
    let mut file = format!(
        "[[endpoint]]\nname = \"good\"\nurl = \"{good}\"\nevents = [\"message_create\", \"media\"]\n\
         [[endpoint]]\nname = \"slow\"\nurl = \"{slow}\"\nevents = [\"media\"]\ntimeout = 300000\n"
    );
    for HostileEndpoint { name, url, .. } in hostile {
        // Without a pause, so that the attack goes on.
        write!(
            file,
            "[[endpoint]]\nname = \"{name}\"\nurl = \"{url}\"\nevents = [\"attack\"]\n\
             circuit = false\nretry_attempts = 0\ntimeout = 5000\nconcurrency = 4\n"
        )
        .unwrap();
    }
    file
}
