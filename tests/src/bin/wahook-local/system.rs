//! In which order does everything start and stop?

use std::net::SocketAddr;
use std::time::Instant;

use anyhow::Context;
use wahook_tests::folder::RunFolder;
use wahook_tests::mongod::Mongod;
use wahook_tests::rabbitmq::{BrokerOptions, RabbitMq};
use wahook_tests::receiver::{Answer, Receiver};

use crate::deliveries;
use crate::places::{Places, address_for, random_secret, secret, setting};
use crate::service::Service;

/// What runs so far. Each part is there only while it runs and is ours.
#[derive(Debug, Default)]
pub(crate) struct System {
    producer: Option<Service>,
    consumer: Option<Service>,
    receiver: Option<Receiver>,
    mongod: Option<Mongod>,
    rabbitmq: Option<RabbitMq>,
}

/// Where everything is, ours or the user's.
#[derive(Debug)]
struct Addresses {
    amqp_url: String,
    mongodb_uri: String,
    webhook_url: String,
    secret: String,
}

impl System {
    /// Starts everything and shows the deliveries; returns only with an error.
    pub(crate) async fn start_and_watch(&mut self, places: &Places) -> anyhow::Result<()> {
        println!(
            "starting (data and logs are in {})",
            places.folder("").display()
        );
        let secret = match secret("WEBHOOK_SECRET")? {
            Some(secret) => secret,
            None => random_secret()?,
        };
        self.start_servers(places).await?;
        self.start_receiver(&secret).await?;
        let addresses = self.addresses(secret)?;
        let consumer = self.start_consumer(places, &addresses).await?;
        let consumer_url = consumer.base_url();
        let producer = self.start_producer(places, &addresses).await?;
        print_banner(&addresses, &producer.base_url(), &consumer_url);
        self.watch(&addresses).await
    }

    /// Stops what runs: first what brings work, last what others depend on.
    pub(crate) async fn stop(&mut self) -> anyhow::Result<()> {
        println!("\nstopping");
        let mut result = Ok(());
        for service in [self.producer.take(), self.consumer.take()] {
            if let Some(service) = service {
                // The rest has to be stopped too, so the first error waits.
                result = result.and(service.stop().await);
            }
        }
        self.receiver = None;
        if let Some(mongod) = self.mongod.take() {
            result = result.and(mongod.try_stop().await.context("mongod"));
        }
        if let Some(rabbitmq) = self.rabbitmq.take() {
            result = result.and(rabbitmq.try_stop().await.context("RabbitMQ"));
        }
        result
    }

    async fn start_servers(&mut self, places: &Places) -> anyhow::Result<()> {
        let begin = Instant::now();
        let rabbitmq = async {
            if setting("AMQP_URL").is_some() {
                return anyhow::Ok(None);
            }
            let folder = RunFolder::lasting(places.folder("rabbitmq"))?;
            let started = RabbitMq::try_start(folder, BrokerOptions::default()).await?;
            println!(
                "  RabbitMQ is ready ({:.1} s)",
                begin.elapsed().as_secs_f32()
            );
            Ok(Some(started))
        };
        let mongod = async {
            if setting("MONGODB_URI").is_some() {
                return anyhow::Ok(None);
            }
            let folder = RunFolder::lasting(places.folder("mongod"))?;
            let started = Mongod::try_start(folder).await?;
            println!(
                "  MongoDB is ready ({:.1} s)",
                begin.elapsed().as_secs_f32()
            );
            Ok(Some(started))
        };
        let (rabbitmq, mongod) = tokio::join!(rabbitmq, mongod);
        self.rabbitmq = rabbitmq.context("RabbitMQ did not start")?;
        self.mongod = mongod.context("MongoDB did not start")?;
        Ok(())
    }

    async fn start_receiver(&mut self, secret: &str) -> anyhow::Result<()> {
        if setting("WEBHOOK_URL").is_some() {
            return Ok(());
        }
        let address: SocketAddr = address_for("the test receiver", 4000)?;
        let secret = secret.to_owned();
        let receiver = Receiver::try_answering_on(address, move |post| {
            println!("{}", deliveries::received(post, &secret));
            Answer::status(200)
        });
        self.receiver = Some(receiver.await.context("the test receiver did not start")?);
        Ok(())
    }

    fn addresses(&self, secret: String) -> anyhow::Result<Addresses> {
        let ours_or = |ours: Option<String>, name: &str| {
            ours.or_else(|| setting(name)).context(name.to_owned())
        };
        Ok(Addresses {
            amqp_url: ours_or(self.rabbitmq.as_ref().map(RabbitMq::amqp_url), "AMQP_URL")?,
            mongodb_uri: ours_or(self.mongod.as_ref().map(Mongod::uri), "MONGODB_URI")?,
            webhook_url: ours_or(self.receiver.as_ref().map(Receiver::url), "WEBHOOK_URL")?,
            secret,
        })
    }

    async fn start_consumer(
        &mut self,
        places: &Places,
        addresses: &Addresses,
    ) -> anyhow::Result<&Service> {
        let settings = [
            ("AMQP_URL", addresses.amqp_url.clone()),
            ("MONGODB_URI", addresses.mongodb_uri.clone()),
            ("WEBHOOK_URL", addresses.webhook_url.clone()),
            ("WEBHOOK_SECRET", addresses.secret.clone()),
            (
                "CONSUMER_LISTEN",
                listen("CONSUMER_LISTEN", "the consumer", 9091)?,
            ),
        ];
        let consumer = Service::start(places, "wahook-consumer", &settings).await?;
        println!(
            "  the consumer is ready (log: {})",
            consumer.log().display()
        );
        Ok(self.consumer.insert(consumer))
    }

    async fn start_producer(
        &mut self,
        places: &Places,
        addresses: &Addresses,
    ) -> anyhow::Result<&Service> {
        let settings = [
            ("AMQP_URL", addresses.amqp_url.clone()),
            (
                "PRODUCER_LISTEN",
                listen("PRODUCER_LISTEN", "the producer", 8080)?,
            ),
        ];
        let producer = Service::start(places, "wahook-producer", &settings).await?;
        println!(
            "  the producer is ready (log: {})",
            producer.log().display()
        );
        Ok(self.producer.insert(producer))
    }

    /// Returns when a program ends by itself.
    async fn watch(&self, addresses: &Addresses) -> anyhow::Result<()> {
        let ended = async |service: &Option<Service>| match service {
            Some(service) => Err(service.ended_early().await),
            None => std::future::pending().await,
        };
        let show_log = async {
            // The test receiver shows its posts itself, and at once.
            if self.receiver.is_some() {
                std::future::pending().await
            } else {
                deliveries::follow_log(&addresses.mongodb_uri).await
            }
        };
        tokio::select! {
            error = ended(&self.producer) => error,
            error = ended(&self.consumer) => error,
            error = show_log => error,
        }
    }
}

fn listen(name: &str, what: &str, usual: u16) -> anyhow::Result<String> {
    match setting(name) {
        Some(given) => Ok(given),
        None => Ok(address_for(what, usual)?.to_string()),
    }
}

fn print_banner(addresses: &Addresses, producer: &str, consumer: &str) {
    let token = secret("PRODUCER_TOKEN").ok().flatten();
    let authorization = token.as_deref().and_then(|tokens| tokens.split(',').next());
    let authorization = authorization
        .map(|token| format!("-H 'authorization: Bearer {}' ", token.trim()))
        .unwrap_or_default();
    println!(
        "
  producer   {producer}/v1/events
  metrics    {producer}/metrics (producer)
             {consumer}/metrics (consumer)
  webhook    {}
  secret     {}
  MongoDB    {}
  RabbitMQ   {}

Send an event (in another terminal):

curl -sS {producer}/v1/events {authorization}-H 'content-type: application/json' -d '{SAMPLE}'

Deliveries (Ctrl-C stops everything):
",
        addresses.webhook_url, addresses.secret, addresses.mongodb_uri, addresses.amqp_url
    );
}

/// Without a timestamp of its own, so that each time it is a new event.
const SAMPLE: &str = concat!(
    r#"{"event":"message_create","data":{"id":{"fromMe":false,"remote":"15551234567@c.us","#,
    r#""id":"3EB0C767D26A1B7F5C83","_serialized":"false_15551234567@c.us_3EB0C767D26A1B7F5C83"},"#,
    r#""body":"Hello","type":"chat","timestamp":1727784000,"from":"15551234567@c.us","#,
    r#""to":"15557654321@c.us","fromMe":false,"hasMedia":false,"isForwarded":false}}"#,
);
