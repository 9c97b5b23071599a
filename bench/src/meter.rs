//! CPU time and memory of processes during a run.

use std::time::Duration;

use wahook_tests::pair::Servers;
use wahook_tests::process;

use crate::figures::Figures;

/// CPU time of processes since the start of the meter.
pub(crate) struct Meter {
    before: Vec<(&'static str, u32, Duration)>,
}

impl Meter {
    pub(crate) fn start(
        servers: &Servers,
        programs: &[(&'static str, u32)],
    ) -> anyhow::Result<Self> {
        let servers = [
            ("broker", servers.rabbitmq.pid()),
            ("mongod", servers.mongod.pid()),
        ];
        let running = servers
            .iter()
            .filter_map(|(name, pid)| Some((*name, (*pid)?)));
        let all = running.chain(programs.iter().copied());
        let before = all.map(|(name, pid)| Ok((name, pid, process::cpu(pid)?)));
        let before = before.collect::<anyhow::Result<_>>()?;
        Ok(Self { before })
    }

    /// Adds processes, counted from their own start.
    pub(crate) fn with(mut self, programs: &[(&'static str, u32)]) -> Self {
        let new = programs
            .iter()
            .map(|(name, pid)| (*name, *pid, Duration::ZERO));
        self.before.extend(new);
        self
    }

    pub(crate) fn read(self, events: u64, took: Duration) -> anyhow::Result<Figures> {
        let mut figures = Figures {
            per_second: events as f64 / took.as_secs_f64(),
            ..Figures::default()
        };
        for (name, pid, before) in self.before {
            let used = process::cpu(pid)?.saturating_sub(before);
            *figures.cpu.entry(name).or_default() += used.as_secs_f64() * 1e6 / events as f64;
            let (_, peak) = process::memory(pid)?;
            let peak = peak as f64 / 1024.0;
            let most = figures.peak_memory.entry(name).or_default();
            *most = most.max(peak);
        }
        Ok(figures)
    }
}
