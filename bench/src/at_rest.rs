//! Size, start time and memory of idle programs.

use std::fs;
use std::time::{Duration, Instant};

use wahook_tests::folder::RunFolder;
use wahook_tests::process;

use crate::figures::ONE_PROCESS;
use crate::lab::{Lab, Subject};
use crate::queues::Queues;
use crate::sink::{Behaviour, Sink};

/// Figures of one program once it is ready.
pub(crate) struct AtRest {
    pub(crate) name: &'static str,
    /// Size of the executable.
    pub(crate) file_mib: f64,
    /// Time from the start to the first ready answer, polled every 20 ms.
    pub(crate) ready_after: Duration,
    pub(crate) resident_mib: f64,
}

impl AtRest {
    fn of(name: &'static str, started: Instant, pid: u32) -> anyhow::Result<Self> {
        let ready_after = started.elapsed();
        let (resident, _) = process::memory(pid)?;
        let file = fs::metadata(format!("/proc/{pid}/exe"))?.len();
        Ok(Self {
            name,
            file_mib: file as f64 / 1024.0 / 1024.0,
            ready_after,
            resident_mib: resident as f64 / 1024.0,
        })
    }
}

/// Measures the producer, the consumer and the single process.
pub(crate) async fn all(lab: &Lab) -> anyhow::Result<Vec<AtRest>> {
    let sink = Sink::start(Behaviour::default(), Instant::now()).await?;
    let mut all = Vec::new();

    let started = Instant::now();
    let producer = lab.ingest(Subject::Wahook).await?;
    all.push(AtRest::of("producer", started, producer.pid())?);
    drop(producer);

    let started = Instant::now();
    let consumer = lab.drain(Subject::Wahook, &sink, 128, Queues::One).await?;
    consumer.wait_ready().await;
    all.push(AtRest::of("consumer", started, consumer.pid())?);
    consumer.stop().await?;

    let started = Instant::now();
    let folder = RunFolder::temporary("bench")?;
    let one_process = lab.one_process(&sink, &folder.join("wahook.db")).await?;
    all.push(AtRest::of(ONE_PROCESS, started, one_process.pid())?);
    Ok(all)
}
