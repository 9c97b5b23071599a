//! Numbers of the deliveries of a period.

use rusqlite::Connection;
use wahook_delivery_log::{Summary, Tally};
use wahook_domain::{Status, UnixMillis};

/// Counts the deliveries of events accepted at or after `since` and before `until`. Reads an
/// index that has all the fields, in order of time.
pub(super) fn summary(
    db: &Connection,
    since: UnixMillis,
    until: UnixMillis,
) -> rusqlite::Result<Summary> {
    let mut statement = db.prepare(
        "SELECT createdAt, event, endpoint, status FROM webhooklogs \
         WHERE createdAt >= ? AND createdAt < ? ORDER BY createdAt",
    )?;
    let mut rows = statement.query([since.get(), until.get()])?;
    let mut summary = Summary::new(since, until);
    // Of one hour. Few, so that a search through them is faster than a map.
    let mut tallies: Vec<Tally> = Vec::new();
    while let Some(row) = rows.next()? {
        let text = |column| Ok::<_, rusqlite::Error>(row.get_ref(column)?.as_str()?);
        let hour = Summary::hour(since, UnixMillis::new(row.get(0)?));
        let (event, endpoint) = (text(1)?, text(2)?);
        let Some(status) = Status::parse(text(3)?) else {
            continue;
        };
        if tallies.first().is_some_and(|tally| tally.hour != hour) {
            tallies.drain(..).for_each(|tally| summary.add(tally));
        }
        let counted = tallies.iter_mut().find(|tally| {
            tally.status == status && tally.event == event && tally.endpoint == endpoint
        });
        match counted {
            Some(tally) => tally.count += 1,
            None => tallies.push(Tally {
                hour,
                event: event.to_owned(),
                endpoint: endpoint.to_owned(),
                status,
                count: 1,
            }),
        }
    }
    tallies.into_iter().for_each(|tally| summary.add(tally));
    Ok(summary)
}
