//! One process on its data file.

use std::time::Duration;

use wahook_tests::folder::RunFolder;
use wahook_tests::ports::free_port;
use wahook_tests::program::Program;
use wahook_tests::random::Random;
use wahook_tests::receiver::Receiver;
use wahook_tests::stored_log::StoredIn;

use super::system::{KILLS, SETTINGS, System, receiver};

const READY_WITHIN: Duration = Duration::from_secs(60);

pub(super) struct OneProcess {
    receiver: Receiver,
    settings: Vec<(&'static str, String)>,
    events: String,
    log: StoredIn,
    program: Program,
    _folder: RunFolder,
}

impl OneProcess {
    pub(super) async fn start() -> anyhow::Result<Self> {
        let receiver = receiver().await;
        let folder = RunFolder::temporary("chaos-order")?;
        let data = folder.join("wahook.db");
        let events = format!("127.0.0.1:{}", free_port()?);
        let own = [
            ("WAHOOK_DATA", data.display().to_string()),
            ("PRODUCER_LISTEN", events.clone()),
            ("CONSUMER_LISTEN", format!("127.0.0.1:{}", free_port()?)),
            ("WEBHOOK_URL", receiver.url()),
        ];
        let others = SETTINGS.map(|(name, value)| (name, value.to_owned()));
        let settings: Vec<_> = own.into_iter().chain(others).collect();
        Ok(Self {
            program: started(&settings).await,
            receiver,
            settings,
            events: format!("http://{events}"),
            log: StoredIn::DataFile(data),
            _folder: folder,
        })
    }
}

async fn started(settings: &[(&'static str, String)]) -> Program {
    let settings = settings.iter().map(|(name, value)| (*name, value.as_str()));
    let program = Program::standalone(&settings.collect::<Vec<_>>()).await;
    program.wait_ready(READY_WITHIN).await;
    program
}

impl System for OneProcess {
    fn receiver(&self) -> &Receiver {
        &self.receiver
    }

    fn url(&self) -> String {
        self.events.clone()
    }

    async fn versions(&self) -> anyhow::Result<String> {
        Ok("one process on its data file".to_owned())
    }

    async fn kill(&mut self, _kill: usize, _random: &mut Random) -> anyhow::Result<()> {
        self.program.kill9().await;
        self.program = started(&self.settings).await;
        Ok(())
    }

    fn killed(&self) -> String {
        format!("{KILLS} processes")
    }

    async fn dead_letters(&self) -> anyhow::Result<u64> {
        self.log.count_failed().await
    }
}
