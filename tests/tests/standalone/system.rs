//! One process on one file, at addresses that stay when it is started anew.

use std::time::Duration;

use rusqlite::Connection;
use wahook_tests::folder::RunFolder;
use wahook_tests::pair::SECRET;
use wahook_tests::ports::free_port;
use wahook_tests::program::Program;
use wahook_tests::receiver::Receiver;

const READY_WITHIN: Duration = Duration::from_secs(30);

pub(crate) struct System {
    pub(crate) settings: Vec<(String, String)>,
    pub(crate) events: String,
    folder: RunFolder,
}

impl System {
    pub(crate) fn new(receiver: &Receiver, settings: &[(&str, &str)]) -> Self {
        let folder = RunFolder::temporary("standalone").unwrap();
        let (producer, consumer) = (free_port().unwrap(), free_port().unwrap());
        let data = folder.join("wahook.db").display().to_string();
        let ours = [
            ("WAHOOK_DATA", data),
            ("PRODUCER_LISTEN", format!("127.0.0.1:{producer}")),
            ("CONSUMER_LISTEN", format!("127.0.0.1:{consumer}")),
            ("WEBHOOK_URL", receiver.url()),
            ("WEBHOOK_SECRET", SECRET.to_owned()),
        ];
        let ours = ours.map(|(name, value)| (name.to_owned(), value));
        let theirs = settings
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Self {
            settings: ours.into_iter().chain(theirs).collect(),
            events: format!("http://127.0.0.1:{producer}"),
            folder,
        }
    }

    pub(crate) fn borrowed(&self) -> Vec<(&str, &str)> {
        let pairs = self.settings.iter();
        pairs.map(|(n, v)| (n.as_str(), v.as_str())).collect()
    }

    pub(crate) async fn start(&self) -> Program {
        let program = Program::standalone(&self.borrowed()).await;
        program.wait_ready(READY_WITHIN).await;
        program
    }

    /// The file, as a user's shell opens it.
    pub(crate) fn data(&self) -> Connection {
        let data = Connection::open(self.folder.join("wahook.db")).unwrap();
        data.busy_timeout(READY_WITHIN).unwrap();
        data
    }

    /// One number.
    pub(crate) fn count(&self, question: &str) -> i64 {
        let data = self.data();
        data.query_row(question, [], |row| row.get(0)).unwrap()
    }

    /// Two columns of text.
    pub(crate) fn pairs(&self, question: &str) -> Vec<(String, String)> {
        let data = self.data();
        let mut statement = data.prepare(question).unwrap();
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
        rows.unwrap().map(Result::unwrap).collect()
    }
}
