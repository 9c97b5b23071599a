//! Servers shared by all tests of a suite, with a separate virtual host and database for each test.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use libtest_mimic::{Arguments, Trial};
use tokio::runtime::{Handle, Runtime};

use crate::or_fail;
use crate::pair::{Pair, Place, Servers};
use crate::receiver::Receiver;

/// Servers of all tests, and the virtual host of each test by its name.
#[derive(Debug)]
struct World {
    servers: Servers,
    vhosts: BTreeMap<String, String>,
}

/// Access of one test to the shared servers.
#[derive(Debug, Clone)]
pub struct Test {
    world: Arc<World>,
    name: String,
}

type Body = Box<dyn FnOnce(Test) -> Pin<Box<dyn Future<Output = ()>>> + Send>;

/// Tests by name, in the order of addition.
#[derive(Default)]
#[expect(missing_debug_implementations, reason = "they are closures")]
pub struct Tests(Vec<(String, Body)>);

impl Tests {
    pub fn add<F>(&mut self, name: impl Into<String>, body: impl FnOnce(Test) -> F + Send + 'static)
    where
        F: Future<Output = ()> + 'static,
    {
        self.0
            .push((name.into(), Box::new(move |test| Box::pin(body(test)))));
    }

    /// Runs the tests that the command line selects, `at_once` in parallel unless it sets
    /// another number, on servers that are started once.
    pub fn run(self, at_once: usize) -> ExitCode {
        let mut arguments = Arguments::from_args();
        arguments.test_threads.get_or_insert(at_once);
        if arguments.list {
            return libtest_mimic::run(&arguments, self.into_trials(None)).exit_code();
        }
        let runtime = or_fail("the tests", Runtime::new().context("no runtime"));
        let world = runtime.block_on(World::start(&self.names()));
        let trials = self.into_trials(Some((Arc::clone(&world), runtime.handle().clone())));
        let conclusion = libtest_mimic::run(&arguments, trials);
        // Stops the servers and removes their folders before the process ends.
        drop(world);
        drop(runtime);
        conclusion.exit_code()
    }

    fn names(&self) -> Vec<String> {
        self.0.iter().map(|(name, _)| name.clone()).collect()
    }

    /// Without a world the trials can only be listed.
    fn into_trials(self, world: Option<(Arc<World>, Handle)>) -> Vec<Trial> {
        let trial = |(name, body): (String, Body)| {
            let world = world.clone();
            Trial::test(name.clone(), move || {
                let (world, runtime) = world.ok_or("the servers are not started")?;
                runtime.block_on(body(Test { world, name }));
                Ok(())
            })
        };
        self.0.into_iter().map(trial).collect()
    }
}

impl World {
    /// Starts the servers and creates a virtual host for each name, in one call of
    /// `rabbitmqctl`, which takes a second to start.
    async fn start(names: &[String]) -> Arc<Self> {
        let servers = Servers::start().await;
        let vhosts: BTreeMap<_, _> = names
            .iter()
            .enumerate()
            .map(|(n, name)| (name.clone(), format!("test{n}")))
            .collect();
        let list = vhosts.values().map(|vhost| format!("<<\"{vhost}\">>"));
        let list = list.collect::<Vec<_>>().join(", ");
        let make = format!(
            "[begin rabbit_vhost:add(V, <<\"tests\">>), \
             rabbit_auth_backend_internal:set_permissions(\
             <<\"guest\">>, V, <<\".*\">>, <<\".*\">>, <<\".*\">>, <<\"tests\">>) end || V <- [{list}]]."
        );
        or_fail(
            "the virtual hosts",
            servers.rabbitmq.ctl(&["eval", &make]).await,
        );
        Arc::new(Self { servers, vhosts })
    }
}

impl Test {
    /// Returns the virtual host and the database of this test.
    pub fn place(&self) -> Place {
        let vhost = self.vhost();
        let amqp_url = self.world.servers.rabbitmq.amqp_url();
        Place {
            amqp_url: amqp_url.replace("/%2f", &format!("/{vhost}")),
            mongodb_uri: self.world.servers.mongod.uri(),
            database: vhost.to_owned(),
        }
    }

    fn vhost(&self) -> &str {
        let vhost = self.world.vhosts.get(&self.name).map(String::as_str);
        or_fail(&self.name, vhost.context("has no virtual host"))
    }

    /// Returns what a command such as `list_queues` of `rabbitmqctl` prints for the virtual host of
    /// this test, as JSON.
    pub async fn list(&self, command: &str, columns: &[&str]) -> String {
        let vhost = self.vhost();
        let options = [command, "--vhost", vhost, "--formatter=json"];
        let arguments = [&options, columns].concat();
        or_fail(command, self.world.servers.rabbitmq.ctl(&arguments).await)
    }

    /// Starts a producer and a consumer for this test.
    pub async fn pair(&self, receiver: Receiver, settings: &[(&str, &str)]) -> Pair {
        Pair::start(self.place(), receiver, settings).await
    }
}
