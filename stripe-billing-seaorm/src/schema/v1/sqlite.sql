CREATE TABLE IF NOT EXISTS {p}events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    stripe_account TEXT NOT NULL,
    livemode BOOLEAN NOT NULL,
    event_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    event_type TEXT NOT NULL,
    api_version TEXT,
    created BIGINT NOT NULL,
    received_at BIGINT NOT NULL,
    status TEXT NOT NULL,
    due_at BIGINT,
    attempts BIGINT NOT NULL DEFAULT 0,
    crashes BIGINT NOT NULL DEFAULT 0,
    epoch BIGINT NOT NULL DEFAULT 0,
    worker TEXT,
    subject TEXT,
    reason TEXT,
    error_class TEXT,
    message TEXT,
    differs BOOLEAN NOT NULL DEFAULT FALSE,
    anomalies TEXT,
    payload BLOB NOT NULL,
    UNIQUE (event_id, stripe_account, livemode)
);
CREATE INDEX IF NOT EXISTS {p}events_due ON {p}events (due_at, seq) WHERE due_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS {p}events_status ON {p}events (status, seq);
CREATE INDEX IF NOT EXISTS {p}events_type ON {p}events (event_type, seq);
CREATE INDEX IF NOT EXISTS {p}events_subject ON {p}events (subject, seq) WHERE subject IS NOT NULL;
CREATE INDEX IF NOT EXISTS {p}events_parked ON {p}events (stripe_account, livemode, subject) WHERE status = 'parked';
CREATE TABLE IF NOT EXISTS {p}subjects (
    stripe_account TEXT NOT NULL,
    livemode BOOLEAN NOT NULL,
    id TEXT NOT NULL,
    version BIGINT NOT NULL,
    owner TEXT,
    account TEXT,
    links TEXT NOT NULL,
    PRIMARY KEY (stripe_account, livemode, id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS {p}subjects_account ON {p}subjects (stripe_account, account) WHERE account IS NOT NULL;
CREATE TABLE IF NOT EXISTS {p}records (
    stripe_account TEXT NOT NULL,
    livemode BOOLEAN NOT NULL,
    subject TEXT NOT NULL,
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    is_current BOOLEAN NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (stripe_account, livemode, subject, kind, id)
);
CREATE INDEX IF NOT EXISTS {p}records_current ON {p}records (stripe_account, livemode, subject) WHERE is_current;
CREATE TABLE IF NOT EXISTS {p}outbox (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    stripe_account TEXT NOT NULL,
    livemode BOOLEAN NOT NULL,
    fact_key TEXT NOT NULL,
    kind TEXT NOT NULL,
    is_notice BOOLEAN NOT NULL,
    body TEXT NOT NULL,
    subject TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    status TEXT NOT NULL,
    due_at BIGINT,
    attempts BIGINT NOT NULL DEFAULT 0,
    epoch BIGINT NOT NULL DEFAULT 0,
    worker TEXT,
    reason TEXT,
    error_class TEXT,
    message TEXT,
    UNIQUE (stripe_account, livemode, fact_key)
);
CREATE INDEX IF NOT EXISTS {p}outbox_due ON {p}outbox (due_at, seq) WHERE due_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS {p}outbox_status ON {p}outbox (status);
CREATE INDEX IF NOT EXISTS {p}outbox_subject ON {p}outbox (subject);
CREATE TABLE IF NOT EXISTS {p}calls (
    call_key TEXT PRIMARY KEY,
    generation BIGINT NOT NULL,
    fingerprint TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    result TEXT
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS {p}tickets (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    stripe_account TEXT NOT NULL,
    livemode BOOLEAN NOT NULL,
    ticket_key TEXT NOT NULL,
    type TEXT NOT NULL,
    priority TEXT NOT NULL,
    status TEXT NOT NULL,
    subject TEXT NOT NULL,
    object_kind TEXT,
    object_id TEXT,
    event TEXT,
    title TEXT NOT NULL,
    due_by BIGINT,
    count BIGINT NOT NULL,
    opened_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE (stripe_account, livemode, ticket_key)
);
CREATE INDEX IF NOT EXISTS {p}tickets_status ON {p}tickets (status, number);
CREATE INDEX IF NOT EXISTS {p}tickets_subject ON {p}tickets (subject, number);
CREATE TABLE IF NOT EXISTS {p}audit (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    at BIGINT NOT NULL,
    stripe_account TEXT NOT NULL,
    livemode BOOLEAN NOT NULL,
    subject TEXT NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    object_kind TEXT NOT NULL,
    object_id TEXT NOT NULL,
    state_before TEXT,
    state_after TEXT,
    reason TEXT
);
CREATE INDEX IF NOT EXISTS {p}audit_subject ON {p}audit (subject, seq);
CREATE TRIGGER IF NOT EXISTS {p}audit_no_update BEFORE UPDATE ON {p}audit
    BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER IF NOT EXISTS {p}audit_no_delete BEFORE DELETE ON {p}audit
    BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END
