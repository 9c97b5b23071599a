//! Runs the test receiver and its page in this process.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use wahook_receiver::{Keys, Receiver};
use wahook_runtime::{Shutdown, Trigger};

use crate::deliveries;

const STOPS_WITHIN: Duration = Duration::from_secs(5);

/// Running test receiver. If dropped, it runs until the process exits.
#[derive(Debug)]
pub(crate) struct TestReceiver {
    address: SocketAddr,
    trigger: Trigger,
    server: JoinHandle<io::Result<()>>,
}

impl TestReceiver {
    /// Starts the receiver, which prints a line for each request.
    pub(crate) async fn start(address: SocketAddr, secret: String) -> anyhow::Result<Self> {
        let keys = Keys::new(secret).context("WEBHOOK_SECRET")?;
        let listener = TcpListener::bind(address).await?;
        let (shutdown, trigger) = Shutdown::manual();
        let receiver = Receiver::new(Some(keys))
            .with_listener(|seen| println!("{}", deliveries::received(seen)));
        let server = tokio::spawn(receiver.serve(listener, shutdown));
        Ok(Self {
            address,
            trigger,
            server,
        })
    }

    /// Returns the URL for deliveries.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/webhook", self.address)
    }

    /// Returns the URL of the page that shows the deliveries.
    pub(crate) fn page(&self) -> String {
        format!("http://{}/", self.address)
    }

    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        self.trigger.soft();
        tokio::time::timeout(STOPS_WITHIN, self.server).await???;
        Ok(())
    }
}
