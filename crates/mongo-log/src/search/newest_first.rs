//! Order of the deliveries of a page.

use std::{cmp::Reverse, mem};

use wahook_delivery_log::{Cursor, FoundDelivery, Page};

/// Orders deliveries that arrive by time, the newest first, also by key, both descending, and
/// takes those of a page. No index has both, so the server can't.
pub(super) struct NewestFirst<'a> {
    cursor: Option<&'a Cursor>,
    limit: usize,
    taken: Vec<FoundDelivery>,
    /// Deliveries with the time of the last one that arrived.
    same_time: Vec<FoundDelivery>,
}

impl<'a> NewestFirst<'a> {
    pub(super) fn after(cursor: Option<&'a Cursor>, limit: usize) -> Self {
        Self {
            cursor,
            limit,
            taken: Vec::new(),
            same_time: Vec::new(),
        }
    }

    /// Returns true if the page, and the start of the next, are taken.
    pub(super) fn is_complete(&self) -> bool {
        self.taken.len() > self.limit
    }

    pub(super) fn push(&mut self, found: FoundDelivery) {
        let last = self.same_time.last();
        if last.is_some_and(|last| last.created_at != found.created_at) {
            self.take_same_time();
        }
        self.same_time.push(found);
    }

    fn take_same_time(&mut self) {
        let mut found = mem::take(&mut self.same_time);
        if let Some(cursor) = self.cursor {
            let reached = (cursor.created_at, cursor.key.as_str());
            found.retain(|found| {
                let position = found.position();
                (position.created_at, position.key.as_str()) < reached
            });
        }
        found.sort_by_cached_key(|found| Reverse(found.position().key));
        self.taken.extend(found);
    }

    pub(super) fn page(mut self) -> Page {
        self.take_same_time();
        Page::of(self.taken, self.limit)
    }
}
