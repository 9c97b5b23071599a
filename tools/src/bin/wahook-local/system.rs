//! Starts and stops all servers and programs in order.

use std::time::Instant;

use anyhow::{Context, bail};
use wahook_tests::folder::RunFolder;
use wahook_tests::mongod::Mongod;
use wahook_tests::rabbitmq::{BrokerOptions, RabbitMq};

use crate::deliveries;
use crate::places::{Places, address_for, random_secret, secret, setting};
use crate::receiver::TestReceiver;
use crate::service::Service;

/// Running parts of the system. A part is `None` while it does not run, or if the user has
/// configured their own server.
#[derive(Debug, Default)]
pub(crate) struct System {
    pub(crate) producer: Option<Service>,
    pub(crate) consumer: Option<Service>,
    pub(crate) receiver: Option<TestReceiver>,
    pub(crate) mongod: Option<Mongod>,
    pub(crate) rabbitmq: Option<RabbitMq>,
    /// Random webhook secret, if the user has set none.
    pub(crate) secret: Option<String>,
}

impl System {
    /// Starts everything.
    pub(crate) async fn start(&mut self, places: &Places) -> anyhow::Result<()> {
        let folder = places.folder().display();
        println!("starting; data and logs are in {folder}");
        if let Err(error) = self.start_servers(places).await {
            bail!("{error:#}\nIf the data of an earlier run is damaged, remove {folder}.");
        }
        self.start_receiver().await?;
        self.start_consumer(places).await?;
        self.start_producer(places).await
    }

    /// Prints the deliveries. Returns only with an error.
    pub(crate) async fn watch(&self) -> anyhow::Result<()> {
        tokio::select! {
            error = ended_early(self.producer.as_ref()) => Err(error),
            error = ended_early(self.consumer.as_ref()) => Err(error),
            // The test receiver prints its posts itself, without delay.
            shown = self.follow_log(), if self.receiver.is_none() => shown,
        }
    }

    /// Stops all parts: first the sources of work, last the servers that others depend on.
    pub(crate) async fn stop(&mut self) -> anyhow::Result<()> {
        println!("\nstopping");
        // All parts are stopped even after an error, so the first error is kept.
        let mut result = Ok(());
        for service in [self.producer.take(), self.consumer.take()]
            .iter()
            .flatten()
        {
            result = result.and(service.stop().await);
        }
        if let Some(receiver) = self.receiver.take() {
            result = result.and(receiver.stop().await.context("the test receiver"));
        }
        if let Some(mongod) = self.mongod.take() {
            result = result.and(mongod.try_stop().await.context("mongod"));
        }
        if let Some(rabbitmq) = self.rabbitmq.take() {
            result = result.and(rabbitmq.try_stop().await.context("RabbitMQ"));
        }
        result
    }

    async fn follow_log(&self) -> anyhow::Result<()> {
        let uri = match &self.mongod {
            Some(ours) => ours.uri(),
            None => secret("MONGODB_URI")?.context("MONGODB_URI")?,
        };
        deliveries::follow_log(&uri).await
    }

    async fn start_servers(&mut self, places: &Places) -> anyhow::Result<()> {
        let begin = Instant::now();
        let ready = |name: &str| {
            println!("  {name} is ready ({:.1} s)", begin.elapsed().as_secs_f32());
        };
        let rabbitmq = async {
            if secret("AMQP_URL")?.is_some() {
                return anyhow::Ok(None);
            }
            let folder = RunFolder::lasting(places.join("rabbitmq"))?;
            let started = RabbitMq::try_start(folder, BrokerOptions::default()).await?;
            ready("RabbitMQ");
            Ok(Some(started))
        };
        let mongod = async {
            if secret("MONGODB_URI")?.is_some() {
                return anyhow::Ok(None);
            }
            let folder = RunFolder::lasting(places.join("mongod"))?;
            let started = Mongod::try_start(folder).await?;
            ready("MongoDB");
            Ok(Some(started))
        };
        let (rabbitmq, mongod) = tokio::join!(rabbitmq, mongod);
        self.rabbitmq = rabbitmq.context("RabbitMQ did not start")?;
        self.mongod = mongod.context("MongoDB did not start")?;
        Ok(())
    }

    async fn start_receiver(&mut self) -> anyhow::Result<()> {
        let given = secret("WEBHOOK_SECRET")?;
        let key = match &given {
            Some(given) => given.clone(),
            None => random_secret()?,
        };
        self.secret = given.is_none().then(|| key.clone());
        if setting("WEBHOOK_URL").is_none() {
            let address = address_for("the test receiver", 4000)?;
            let receiver = TestReceiver::start(address, key).await;
            let receiver = receiver.context("the test receiver did not start")?;
            self.receiver = Some(receiver);
        }
        Ok(())
    }

    async fn start_consumer(&mut self, places: &Places) -> anyhow::Result<()> {
        let listen = listen_on("CONSUMER_LISTEN", "the consumer", 9091)?;
        let settings = [
            ("AMQP_URL", self.rabbitmq.as_ref().map(RabbitMq::amqp_url)),
            ("MONGODB_URI", self.mongod.as_ref().map(Mongod::uri)),
            ("WEBHOOK_URL", self.receiver.as_ref().map(TestReceiver::url)),
            ("WEBHOOK_SECRET", self.secret.clone()),
            ("CONSUMER_LISTEN", Some(listen)),
        ];
        self.consumer = Some(Service::start(places, "wahook-consumer", settings).await?);
        Ok(())
    }

    async fn start_producer(&mut self, places: &Places) -> anyhow::Result<()> {
        let listen = listen_on("PRODUCER_LISTEN", "the producer", 8080)?;
        let settings = [
            ("AMQP_URL", self.rabbitmq.as_ref().map(RabbitMq::amqp_url)),
            ("PRODUCER_LISTEN", Some(listen)),
        ];
        self.producer = Some(Service::start(places, "wahook-producer", settings).await?);
        Ok(())
    }
}

/// Returns the address set by the user, or a free one.
fn listen_on(variable: &str, what: &str, usual: u16) -> anyhow::Result<String> {
    match setting(variable) {
        Some(given) => Ok(given),
        None => Ok(address_for(what, usual)?.to_string()),
    }
}

async fn ended_early(service: Option<&Service>) -> anyhow::Error {
    match service {
        Some(service) => service.ended_early().await,
        None => std::future::pending().await,
    }
}
