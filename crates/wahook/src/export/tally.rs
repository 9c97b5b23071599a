//! What was in the file, and what has become of it.

use std::fmt;
use wahook_embedded::Amounts;
use wahook_queue::topology::{DEAD_QUEUE, RESULTS_QUEUE};

/// Of one kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Count {
    in_the_file: u64,
    /// Confirmed where they belong.
    pub(super) exported: u64,
    /// Not needed there: of messages, those whose attempt is in the log; of records, those
    /// that are there as they are here.
    pub(super) already_there: u64,
}

/// Of all kinds.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) queued: Count,
    pub(super) waiting: Count,
    pub(super) dead: Count,
    pub(super) results: Count,
    pub(super) records: Count,
}

impl Tally {
    pub(super) fn of(amounts: &Amounts) -> Self {
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

    pub(super) fn adds_up(&self) -> bool {
        self.rows().iter().all(|(_, count)| count.left() == 0)
    }

    /// How much there is, without a word on what became of it.
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
    fn every_kind_is_counted_apart_and_all_must_be_gone_for_it_to_add_up() {
        let queues = [
            ("wahook.deliver.a", 5),
            ("wahook.deliver.b", 2),
            (DEAD_QUEUE, 3),
            (RESULTS_QUEUE, 1),
        ];
        let mut tally = Tally::of(&Amounts {
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
        assert!(!tally.adds_up());
        let table = tally.to_string();
        let last = table.lines().last().unwrap();
        let last: Vec<_> = last.split_whitespace().collect();
        assert_eq!(last, ["log", "records", "6", "0", "5", "1"]);
        tally.records.exported = 1;
        assert!(tally.adds_up());
    }
}
