//! The servers that all tests of this suite share, and a place of its own for each.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;

use libtest_mimic::Trial;
use tokio::runtime::Handle;
use wahook_tests::pair::{Pair, Place, Servers};
use wahook_tests::receiver::Receiver;

/// What is shared.
pub(crate) struct World {
    servers: Servers,
    vhosts: BTreeMap<String, String>,
}

/// One test's part of the world.
#[derive(Clone)]
pub(crate) struct Test {
    world: Arc<World>,
    name: String,
}

type Body = Box<dyn FnOnce(Test) -> Pin<Box<dyn Future<Output = ()>>> + Send>;

/// Tests by name, in the order in which they were added.
#[derive(Default)]
pub(crate) struct Tests(Vec<(String, Body)>);

impl Tests {
    pub(crate) fn add<F>(
        &mut self,
        name: impl Into<String>,
        body: impl FnOnce(Test) -> F + Send + 'static,
    ) where
        F: Future<Output = ()> + 'static,
    {
        self.0
            .push((name.into(), Box::new(move |test| Box::pin(body(test)))));
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.0.iter().map(|(name, _)| name.clone()).collect()
    }

    /// Without a world they can only be listed.
    pub(crate) fn into_trials(self, world: Option<(Arc<World>, Handle)>) -> Vec<Trial> {
        let trial = |(name, body): (String, Body)| {
            let world = world.clone();
            Trial::test(name.clone(), move || {
                let (world, runtime) = world.ok_or("no world to test in")?;
                runtime.block_on(body(Test { world, name }));
                Ok(())
            })
        };
        self.0.into_iter().map(trial).collect()
    }
}

impl World {
    /// Starts the servers and makes a virtual host for each name, all in one call of the
    /// broker's own program, which takes a second to start.
    pub(crate) async fn start(names: &[String]) -> Arc<Self> {
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
        servers.rabbitmq.ctl(&["eval", &make]).await.unwrap();
        Arc::new(Self { servers, vhosts })
    }
}

impl Test {
    /// Queues and a log that no other test uses.
    pub(crate) fn place(&self) -> Place {
        let vhost = &self.world.vhosts[&self.name];
        let amqp_url = self.world.servers.rabbitmq.amqp_url();
        Place {
            amqp_url: amqp_url.replace("/%2f", &format!("/{vhost}")),
            mongodb_uri: self.world.servers.mongod.uri(),
            database: vhost.clone(),
        }
    }

    /// A pair of its own.
    pub(crate) async fn pair(&self, receiver: Receiver, settings: &[(&str, &str)]) -> Pair {
        Pair::start(self.place(), receiver, settings).await
    }
}
