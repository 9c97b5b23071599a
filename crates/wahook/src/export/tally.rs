//! Counts of an export: contents of the file, and exported items.

use std::fmt;
use wahook_embedded::Amounts;
use wahook_queue::topology::{DEAD_QUEUE, RESULTS_QUEUE};

/// Counts of one kind of item.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Count {
    in_the_file: u64,
    /// Items that broker or MongoDB confirmed.
    pub(super) exported: u64,
    /// Items that need no export: messages whose attempt is in the log, and records that
    /// MongoDB already contains.
    pub(super) already_there: u64,
}

/// Counts of all kinds of items.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) queued: Count,
    pub(super) waiting: Count,
    pub(super) dead: Count,
    pub(super) results: Count,
    pub(super) records: Count,
}

impl Tally {
    pub(super) fn new(amounts: &Amounts) -> Self {
        let mut tally = Self::default();
        for (queue, messages) in &amounts.queues {
            tally.of_queue(queue).in_the_file += messages;
        }
        tally.waiting.in_the_file = amounts.waiting;
        tally.records.in_the_file = amounts.records;
        tally
    }

    pub(super) fn of_queue(&mut self, queue: &str) -> &mut Count {
        match queue {
            DEAD_QUEUE => &mut self.dead,
            RESULTS_QUEUE => &mut self.results,
            _ => &mut self.queued,
        }
    }

    pub(super) fn in_the_file(&self) -> u64 {
        self.rows().iter().map(|(_, count)| count.in_the_file).sum()
    }

    pub(super) fn is_complete(&self) -> bool {
        self.rows().iter().all(|(_, count)| count.left() == 0)
    }

    /// Formats the contents of the file only.
    pub(super) fn counted(&self) -> String {
        let rows = self.rows();
        let rows = rows.iter().map(|(name, count)| {
            let in_the_file = count.in_the_file;
            format!("\n{name:14}{in_the_file:>13}")
        });
        format!("{:14}{:>13}{}", "", "IN THE FILE", rows.collect::<String>())
    }

    fn rows(&self) -> [(&'static str, Count); 5] {
        [
            ("queued", self.queued),
            ("waiting", self.waiting),
            ("dead letters", self.dead),
            ("results", self.results),
            ("log records", self.records),
        ]
    }
}

impl Count {
    fn left(self) -> u64 {
        let done = self.exported + self.already_there;
        self.in_the_file.abs_diff(done)
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (file, exported, there) = ("IN THE FILE", "EXPORTED", "ALREADY THERE");
        write!(
            f,
            "{:14}{file:>13}{exported:>11}{there:>16}{:>8}",
            "", "LEFT"
        )?;
        for (name, count) in self.rows() {
            let (file, left) = (count.in_the_file, count.left());
            let (exported, there) = (count.exported, count.already_there);
            write!(f, "\n{name:14}{file:>13}{exported:>11}{there:>16}{left:>8}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn export_is_complete_if_nothing_of_any_kind_is_left() {
        let queues = [
            ("wahook.deliver.a", 5),
            ("wahook.deliver.b", 2),
            (DEAD_QUEUE, 3),
            (RESULTS_QUEUE, 1),
        ];
        let mut tally = Tally::new(&Amounts {
            queues: queues.map(|(name, n)| (name.to_owned(), n)).into(),
            waiting: 4,
            records: 6,
        });
        assert_eq!(tally.in_the_file(), 21);
        tally.of_queue("wahook.deliver.b").exported = 6;
        tally.queued.already_there = 1;
        for count in [&mut tally.waiting, &mut tally.dead, &mut tally.results] {
            count.exported = count.in_the_file;
        }
        tally.records.already_there = 5;
        assert!(!tally.is_complete());
        let table = tally.to_string();
        let last = table.lines().last().unwrap();
        let last: Vec<_> = last.split_whitespace().collect();
        assert_eq!(last, ["log", "records", "6", "0", "5", "1"]);
        tally.records.exported = 1;
        assert!(tally.is_complete());
    }
}
