//! Report of all parts.

use std::path::Path;

use anyhow::Context;
use wahook_tests::document;

use super::figures::Figure;
use super::outcome::Outcome;
use crate::brokers::Nodes;
use crate::report::{series, versions};

pub(super) struct Report<'a> {
    versions: String,
    /// Name of the part of the document.
    part: String,
    nodes: Nodes,
    seed: u64,
    file: Option<&'a Path>,
    figures: Vec<Figure>,
    outcomes: Vec<Outcome>,
}

impl<'a> Report<'a> {
    /// Creates an empty report. Fails if `file` is missing, or has no part for these servers.
    pub(super) fn new(
        servers: &str,
        nodes: Nodes,
        seed: u64,
        file: Option<&'a Path>,
    ) -> anyhow::Result<Self> {
        let on = match nodes {
            Nodes::One => "",
            Nodes::Three => ", three nodes",
        };
        let report = Self {
            versions: versions(servers)?,
            part: format!("lanes, {}{on}", series(servers)),
            nodes,
            seed,
            file,
            figures: Vec::new(),
            outcomes: Vec::new(),
        };
        println!("{}, seed {seed}", report.versions);
        report.filled()?;
        Ok(report)
    }

    /// Adds the times of a part, and what became of its events.
    pub(super) fn add_times(&mut self, (figures, outcome): (Vec<Figure>, Outcome)) {
        self.figures.extend(figures);
        self.outcomes.push(outcome);
    }

    pub(super) fn add(&mut self, outcome: Outcome) {
        self.outcomes.push(outcome);
    }

    pub(super) fn markdown(&self) -> String {
        let (of_nodes, command) = match self.nodes {
            Nodes::One => ("", "make chaos-lanes"),
            Nodes::Three => (" on three nodes", "make chaos-lanes NODES=3"),
        };
        let head = format!(
            "Results of `{command}` on {}{of_nodes}, seed {}.\n",
            self.versions, self.seed
        );
        let times = if self.figures.is_empty() {
            String::new()
        } else {
            format!("\n{}", Figure::table(&self.figures))
        };
        format!("{head}{times}\n{}", Outcome::table(&self.outcomes))
    }

    /// Writes the results into the file, if there is one.
    pub(super) fn write(&self) -> anyhow::Result<()> {
        let Some((path, text)) = self.filled()? else {
            return Ok(());
        };
        std::fs::write(path, text).with_context(|| path.display().to_string())
    }

    /// Returns what exceeds its bound.
    pub(super) fn exceeded(&self) -> Vec<String> {
        let times = self.figures.iter().filter_map(Figure::exceeded);
        let events = self.outcomes.iter().flat_map(Outcome::exceeded);
        times.chain(events).collect()
    }

    /// Returns the file, and its text with the results so far.
    fn filled(&self) -> anyhow::Result<Option<(&'a Path, String)>> {
        let Some(path) = self.file else {
            return Ok(None);
        };
        let text = document::filled(path, &self.part, &self.markdown())?;
        Ok(Some((path, text)))
    }
}
