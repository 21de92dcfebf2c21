CREATE TABLE IF NOT EXISTS {p}events (
    seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    stripe_account TEXT COLLATE "C" NOT NULL,
    livemode BOOLEAN NOT NULL,
    event_id TEXT COLLATE "C" NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    event_type TEXT COLLATE "C" NOT NULL,
    api_version TEXT,
    created BIGINT NOT NULL,
    received_at BIGINT NOT NULL,
    status TEXT COLLATE "C" NOT NULL,
    due_at BIGINT,
    attempts BIGINT NOT NULL DEFAULT 0,
    crashes BIGINT NOT NULL DEFAULT 0,
    epoch BIGINT NOT NULL DEFAULT 0,
    worker TEXT,
    subject TEXT COLLATE "C",
    reason TEXT,
    error_class TEXT,
    message TEXT,
    differs BOOLEAN NOT NULL DEFAULT FALSE,
    anomalies TEXT,
    payload BYTEA NOT NULL,
    UNIQUE (event_id, stripe_account, livemode)
);
ALTER TABLE {p}events ALTER COLUMN payload SET STORAGE EXTERNAL;
CREATE INDEX IF NOT EXISTS {p}events_due ON {p}events (due_at, seq) WHERE due_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS {p}events_status ON {p}events (status, seq);
CREATE INDEX IF NOT EXISTS {p}events_type ON {p}events (event_type, seq);
CREATE INDEX IF NOT EXISTS {p}events_subject ON {p}events (subject, seq) WHERE subject IS NOT NULL;
CREATE INDEX IF NOT EXISTS {p}events_parked ON {p}events (stripe_account, livemode, subject) WHERE status = 'parked';
CREATE TABLE IF NOT EXISTS {p}subjects (
    stripe_account TEXT COLLATE "C" NOT NULL,
    livemode BOOLEAN NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    version BIGINT NOT NULL,
    owner TEXT COLLATE "C",
    account TEXT COLLATE "C",
    links TEXT NOT NULL,
    PRIMARY KEY (stripe_account, livemode, id)
);
CREATE INDEX IF NOT EXISTS {p}subjects_account ON {p}subjects (stripe_account, account) WHERE account IS NOT NULL;
CREATE TABLE IF NOT EXISTS {p}records (
    stripe_account TEXT COLLATE "C" NOT NULL,
    livemode BOOLEAN NOT NULL,
    subject TEXT COLLATE "C" NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    is_current BOOLEAN NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (stripe_account, livemode, subject, kind, id)
);
CREATE INDEX IF NOT EXISTS {p}records_current ON {p}records (stripe_account, livemode, subject) WHERE is_current;
CREATE TABLE IF NOT EXISTS {p}outbox (
    seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    stripe_account TEXT COLLATE "C" NOT NULL,
    livemode BOOLEAN NOT NULL,
    fact_key TEXT COLLATE "C" NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    is_notice BOOLEAN NOT NULL,
    body TEXT NOT NULL,
    subject TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    status TEXT COLLATE "C" NOT NULL,
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
    call_key TEXT COLLATE "C" PRIMARY KEY,
    generation BIGINT NOT NULL,
    fingerprint TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    result TEXT
);
CREATE TABLE IF NOT EXISTS {p}tickets (
    number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    stripe_account TEXT COLLATE "C" NOT NULL,
    livemode BOOLEAN NOT NULL,
    ticket_key TEXT COLLATE "C" NOT NULL,
    type TEXT COLLATE "C" NOT NULL,
    priority TEXT COLLATE "C" NOT NULL,
    status TEXT COLLATE "C" NOT NULL,
    subject TEXT COLLATE "C" NOT NULL,
    object_kind TEXT COLLATE "C",
    object_id TEXT COLLATE "C",
    event TEXT COLLATE "C",
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
    seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at BIGINT NOT NULL,
    stripe_account TEXT COLLATE "C" NOT NULL,
    livemode BOOLEAN NOT NULL,
    subject TEXT COLLATE "C" NOT NULL,
    actor TEXT NOT NULL,
    action TEXT COLLATE "C" NOT NULL,
    object_kind TEXT COLLATE "C" NOT NULL,
    object_id TEXT COLLATE "C" NOT NULL,
    state_before TEXT,
    state_after TEXT,
    reason TEXT
);
CREATE INDEX IF NOT EXISTS {p}audit_subject ON {p}audit (subject, seq);
CREATE OR REPLACE FUNCTION {p}audit_refuse() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'the audit log is append-only'; END $$;
DROP TRIGGER IF EXISTS {p}audit_append_only ON {p}audit;
CREATE TRIGGER {p}audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {p}audit
    FOR EACH STATEMENT EXECUTE FUNCTION {p}audit_refuse()
