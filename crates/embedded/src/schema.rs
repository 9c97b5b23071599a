//! Schema of the data file.

/// Version of the schema. Files with a newer version are rejected.
pub(crate) const VERSION: i64 = 6;
/// Oldest version of which the table `webhooklogs` is the same.
pub(crate) const OLDEST_LOG_VERSION: i64 = 1;

/// Columns of a message, described in `columns.rs`.
macro_rules! typed_columns {
    () => {
        "event_id TEXT, event TEXT, attempt INTEGER, accepted_at INTEGER, redriven_at INTEGER, \
         traceparent TEXT, endpoint TEXT, reason TEXT, dead_at INTEGER, death_queue TEXT, \
         death_reason TEXT, death_at INTEGER, result TEXT, origin TEXT, key TEXT, \
         redelivery INTEGER, exact INTEGER, tracestate TEXT, baggage TEXT, \
         auto_redrives INTEGER, outage INTEGER, body BLOB NOT NULL"
    };
}

/// Tables and indexes. Times are milliseconds since 1970. `webhooklogs` has the field
/// names of the MongoDB collection, so that queries look the same.
pub(crate) const SCHEMA: &str = concat!(
    "
    CREATE TABLE IF NOT EXISTS messages (
        seq INTEGER PRIMARY KEY,
        queue TEXT NOT NULL,
        deliveries INTEGER NOT NULL DEFAULT 0,
        ",
    typed_columns!(),
    "
    );
    CREATE INDEX IF NOT EXISTS messages_by_queue ON messages (queue, seq);
    CREATE TABLE IF NOT EXISTS waiting (
        id INTEGER PRIMARY KEY,
        due_at INTEGER NOT NULL,
        queue TEXT NOT NULL,
        delay_ms INTEGER,
        ",
    typed_columns!(),
    "
    );
    CREATE INDEX IF NOT EXISTS waiting_by_time ON waiting (due_at);
    CREATE TABLE IF NOT EXISTS webhooklogs (
        _id TEXT PRIMARY KEY,
        event TEXT NOT NULL,
        payload TEXT NOT NULL,
        webhookUrl TEXT NOT NULL,
        status TEXT NOT NULL,
        statusCode INTEGER,
        retryCount INTEGER NOT NULL,
        errorMessage TEXT,
        createdAt INTEGER NOT NULL,
        updatedAt INTEGER NOT NULL,
        lastRetryAt INTEGER,
        completedAt INTEGER,
        nextAttemptAt INTEGER,
        eventId TEXT NOT NULL,
        endpoint TEXT NOT NULL,
        attempts TEXT NOT NULL,
        timestamp TEXT NOT NULL,
        source TEXT,
        session TEXT,
        chat TEXT,
        messageId TEXT,
        sent TEXT,
        sentBody BLOB
    );
    CREATE INDEX IF NOT EXISTS webhooklogs_by_status ON webhooklogs (status, createdAt);
    CREATE INDEX IF NOT EXISTS webhooklogs_by_event ON webhooklogs (event, createdAt);
    PRAGMA user_version = 6;"
);

/// Columns of messages that version 2 lacks.
pub(crate) const ORIGIN_OF_MESSAGES: &str = "
    ALTER TABLE messages ADD COLUMN origin TEXT;
    ALTER TABLE waiting ADD COLUMN origin TEXT;";

/// Columns of the log that versions 1 and 2 lack.
pub(crate) const ORIGIN_OF_RECORDS: &str = "
    ALTER TABLE webhooklogs ADD COLUMN source TEXT;
    ALTER TABLE webhooklogs ADD COLUMN session TEXT;
    ALTER TABLE webhooklogs ADD COLUMN chat TEXT;
    ALTER TABLE webhooklogs ADD COLUMN messageId TEXT;";

/// Columns of the log that versions 1 to 5 lack.
pub(crate) const SENT_OF_RECORDS: &str = "
    ALTER TABLE webhooklogs ADD COLUMN sent TEXT;
    ALTER TABLE webhooklogs ADD COLUMN sentBody BLOB;";

/// Columns of messages that versions 2 and 3 lack.
pub(crate) const KEY_AND_REDELIVERY_OF_MESSAGES: &str = "
    ALTER TABLE messages ADD COLUMN key TEXT;
    ALTER TABLE messages ADD COLUMN redelivery INTEGER;
    ALTER TABLE waiting ADD COLUMN key TEXT;
    ALTER TABLE waiting ADD COLUMN redelivery INTEGER;";

/// Columns of messages that versions 2 to 4 lack.
pub(crate) const COLUMNS_OF_VERSION_5: &str = "
    ALTER TABLE messages ADD COLUMN exact INTEGER;
    ALTER TABLE messages ADD COLUMN tracestate TEXT;
    ALTER TABLE messages ADD COLUMN baggage TEXT;
    ALTER TABLE messages ADD COLUMN auto_redrives INTEGER;
    ALTER TABLE messages ADD COLUMN outage INTEGER;
    ALTER TABLE waiting ADD COLUMN exact INTEGER;
    ALTER TABLE waiting ADD COLUMN tracestate TEXT;
    ALTER TABLE waiting ADD COLUMN baggage TEXT;
    ALTER TABLE waiting ADD COLUMN auto_redrives INTEGER;
    ALTER TABLE waiting ADD COLUMN outage INTEGER;";

/// Optional additions, which some files of any version lack. `webhooklogs_search` has every
/// field that deliveries are searched by, and replaces the index on the time alone (decision 62).
pub(crate) const ADDITIONS: &str = "
    CREATE TABLE IF NOT EXISTS queues (name TEXT PRIMARY KEY) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS retention (id INTEGER PRIMARY KEY CHECK (id = 1), days INTEGER);
    CREATE TABLE IF NOT EXISTS wahookendpoints (
        _id TEXT PRIMARY KEY,
        pausedBy TEXT,
        pausedAt INTEGER,
        pauseReason TEXT,
        probes INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS wahookgiveups (
        endpoint TEXT NOT NULL,
        event TEXT NOT NULL,
        givenUpBy TEXT NOT NULL,
        PRIMARY KEY (endpoint, event)
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS wahookactions (
        seq INTEGER PRIMARY KEY,
        at INTEGER NOT NULL,
        who TEXT NOT NULL,
        action TEXT NOT NULL,
        subject TEXT NOT NULL,
        count INTEGER NOT NULL
    );
    CREATE TABLE IF NOT EXISTS wahookjobs (
        _id TEXT PRIMARY KEY,
        kind TEXT NOT NULL,
        who TEXT NOT NULL,
        count INTEGER NOT NULL,
        createdAt INTEGER NOT NULL,
        jobOrder TEXT NOT NULL,
        done INTEGER NOT NULL DEFAULT 0,
        failed INTEGER NOT NULL DEFAULT 0,
        notes TEXT NOT NULL DEFAULT '',
        cancelled INTEGER NOT NULL DEFAULT 0,
        state TEXT NOT NULL DEFAULT 'running',
        endedAt INTEGER,
        error TEXT,
        claim TEXT,
        claimedUntil INTEGER NOT NULL DEFAULT 0
    );
    CREATE TABLE IF NOT EXISTS wahookjobitems (
        job TEXT NOT NULL,
        part INTEGER NOT NULL,
        items TEXT NOT NULL,
        PRIMARY KEY (job, part)
    );
    CREATE TABLE IF NOT EXISTS wahookcircuits (
        endpoint TEXT PRIMARY KEY,
        since INTEGER NOT NULL,
        nextProbeAt INTEGER NOT NULL,
        reason TEXT NOT NULL,
        validUntil INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS webhooklogs_by_end ON webhooklogs (completedAt)
    WHERE completedAt IS NOT NULL;
    CREATE INDEX IF NOT EXISTS webhooklogs_search ON webhooklogs
    (createdAt, status, endpoint, event, statusCode, source, session, chat, messageId);
    DROP INDEX IF EXISTS webhooklogs_by_time;";
