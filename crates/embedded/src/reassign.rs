//! Moves of the messages of a queue that no process serves, each in one transaction.
//!
//! A message that becomes one of another work queue is stored as a waiting message that is
//! due at once, because a running process numbers the messages of its queues by itself. A
//! dead letter keeps its number: no process holds dead letters in memory.

use rusqlite::{Connection, Transaction, TransactionBehavior, params};
use wahook_domain::{EndpointName, UnixMillis};
use wahook_queue::{
    DROPPED, PublishError,
    local::{ReassignedTo, Reassignment},
    topology::DEAD_QUEUE,
};

use crate::{columns::message_columns, declared};

/// Moves at most `max` queued and `max` waiting messages; returns their number, or the
/// reason for which nothing was moved.
pub(crate) fn reassign(
    db: &Connection,
    reassignment: &Reassignment,
) -> rusqlite::Result<Result<u32, PublishError>> {
    let Reassignment { from, to, max } = reassignment;
    let transaction = Transaction::new_unchecked(db, TransactionBehavior::Immediate)?;
    // Meanwhile a process may have started with other settings.
    if declared::is_declared(&transaction, from)? {
        return Ok(Err(PublishError::Refused));
    }
    let moved = match to {
        ReassignedTo::Queue(queue) => {
            if !declared::has(&transaction, queue)? {
                return Ok(Err(PublishError::Unroutable));
            }
            to_queue(&transaction, from, queue, *max)?
        }
        ReassignedTo::DeadLetters {
            endpoint,
            reason,
            now,
        } => to_dead_letters(&transaction, from, endpoint, reason, *now, *max)?,
    };
    transaction.commit()?;
    Ok(Ok(u32::try_from(moved).unwrap_or(u32::MAX)))
}

fn to_queue(db: &Connection, from: &str, to: &str, max: u32) -> rusqlite::Result<usize> {
    db.execute(
        concat!(
            "INSERT INTO waiting (due_at, queue, ",
            message_columns!(),
            ") SELECT 0, ?2, ",
            message_columns!(),
            " FROM messages WHERE queue = ?1 ORDER BY seq LIMIT ?3"
        ),
        params![from, to, max],
    )?;
    let queued = db.execute(
        "DELETE FROM messages WHERE seq IN \
         (SELECT seq FROM messages WHERE queue = ?1 ORDER BY seq LIMIT ?2)",
        params![from, max],
    )?;
    let waiting = db.execute(
        "UPDATE waiting SET queue = ?2 WHERE id IN \
         (SELECT id FROM waiting WHERE queue = ?1 ORDER BY id LIMIT ?3)",
        params![from, to, max],
    )?;
    Ok(queued + waiting)
}

fn to_dead_letters(
    db: &Connection,
    from: &str,
    endpoint: &EndpointName,
    reason: &str,
    now: UnixMillis,
    max: u32,
) -> rusqlite::Result<usize> {
    let values = params![
        from,
        DEAD_QUEUE,
        endpoint.as_str(),
        reason,
        DROPPED,
        now.get(),
        max
    ];
    let queued = db.execute(
        "UPDATE messages SET queue = ?2, endpoint = ?3, reason = ?4, death_queue = ?1, \
         death_reason = ?5, death_at = ?6, deliveries = 0 WHERE seq IN \
         (SELECT seq FROM messages WHERE queue = ?1 ORDER BY seq LIMIT ?7)",
        values,
    )?;
    let waiting = db.execute(
        "UPDATE waiting SET queue = ?2, endpoint = ?3, reason = ?4, death_queue = ?1, \
         death_reason = ?5, death_at = ?6, due_at = 0, delay_ms = NULL WHERE id IN \
         (SELECT id FROM waiting WHERE queue = ?1 ORDER BY id LIMIT ?7)",
        values,
    )?;
    Ok(queued + waiting)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{ADDITIONS, SCHEMA};

    const OLD: &str = "wahook.deliver.old";
    const NEW: &str = "wahook.deliver.new";

    fn file() -> Connection {
        let db = Connection::open_in_memory().unwrap();
        db.execute_batch(SCHEMA).unwrap();
        db.execute_batch(ADDITIONS).unwrap();
        db.execute_batch(
            "INSERT INTO queues VALUES ('wahook.deliver.new'), ('wahook.dead');
             INSERT INTO messages (seq, queue, event_id, attempt, body) VALUES
                 (1, 'wahook.deliver.old', 'a', 1, x'01'), (2, 'wahook.deliver.new', 'b', 1, x'02'),
                 (3, 'wahook.deliver.old', 'c', 2, x'03');
             INSERT INTO waiting (due_at, queue, event_id, attempt, body) VALUES
                 (5000, 'wahook.deliver.old', 'd', 3, x'04'),
                 (6000, 'wahook.deliver.new', 'e', 3, x'05')",
        )
        .unwrap();
        db
    }

    fn move_all(db: &Connection, from: &str, to: &ReassignedTo) -> Vec<u32> {
        let one = Reassignment {
            from: from.to_owned(),
            to: to.clone(),
            max: 1,
        };
        let mut moved = Vec::new();
        loop {
            let count = reassign(db, &one).unwrap().unwrap();
            moved.push(count);
            if count == 0 {
                return moved;
            }
        }
    }

    fn rows(db: &Connection, query: &str) -> Vec<String> {
        let mut statement = db.prepare(query).unwrap();
        let rows = statement.query_map([], |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    }

    #[test]
    fn moved_messages_keep_their_order_attempts_and_due_times() {
        let db = file();
        let to = ReassignedTo::Queue(NEW.to_owned());
        assert_eq!(move_all(&db, OLD, &to), [2, 1, 0]);
        let all = "SELECT event_id || attempt || '@' || due_at || queue FROM waiting \
                   ORDER BY due_at, id";
        let expected = ["a1@0", "c2@0", "d3@5000", "e3@6000"];
        let expected: Vec<_> = expected.map(|row| format!("{row}{NEW}")).into();
        assert_eq!(rows(&db, all), expected);
        assert_eq!(rows(&db, "SELECT event_id FROM messages"), ["b"]);
    }

    #[test]
    fn dropped_messages_are_dead_letters_with_endpoint_reason_and_time() {
        let db = file();
        let to = ReassignedTo::DeadLetters {
            endpoint: EndpointName::parse("old").unwrap(),
            reason: "no longer needed".to_owned(),
            now: UnixMillis::new(7),
        };
        assert_eq!(move_all(&db, OLD, &to), [2, 1, 0]);
        let dead = "SELECT event_id || endpoint || reason || death_queue || death_at FROM \
                    (SELECT * FROM (SELECT event_id, endpoint, reason, death_queue, death_at, queue \
                    FROM messages UNION ALL SELECT event_id, endpoint, reason, death_queue, death_at, \
                    queue FROM waiting WHERE due_at = 0)) WHERE queue = 'wahook.dead' ORDER BY event_id";
        let expected = ["a", "c", "d"].map(|id| format!("{id}oldno longer needed{OLD}7"));
        assert_eq!(rows(&db, dead), expected);
    }

    #[test]
    fn a_served_queue_is_not_emptied_and_nothing_moves_to_a_missing_one() {
        let db = file();
        let reassignment = |from: &str, to: &str| Reassignment {
            from: from.to_owned(),
            to: ReassignedTo::Queue(to.to_owned()),
            max: 10,
        };
        for (from, to, refused) in [
            (NEW, "wahook.deliver.old", PublishError::Refused),
            (OLD, "wahook.deliver.other", PublishError::Unroutable),
        ] {
            let moved = reassign(&db, &reassignment(from, to)).unwrap();
            assert_eq!(moved, Err(refused), "{from}");
        }
        assert_eq!(rows(&db, "SELECT event_id FROM messages").len(), 3);
    }
}
