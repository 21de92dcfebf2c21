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
    deferrals BIGINT NOT NULL DEFAULT 0,
    crashes BIGINT NOT NULL DEFAULT 0,
    epoch BIGINT NOT NULL DEFAULT 0,
    worker TEXT,
    subject TEXT COLLATE "C",
    reason TEXT,
    error_class TEXT,
    message TEXT,
    differs BOOLEAN NOT NULL DEFAULT FALSE,
    anomalies TEXT,
    ticket TEXT COLLATE "C",
    payload BYTEA NOT NULL,
    UNIQUE (event_id, stripe_account, livemode)
);
ALTER TABLE {p}events ALTER COLUMN payload SET STORAGE EXTERNAL;
CREATE INDEX IF NOT EXISTS {p}events_due ON {p}events (due_at, seq) WHERE due_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS {p}events_status ON {p}events (status, seq);
CREATE INDEX IF NOT EXISTS {p}events_type ON {p}events (event_type, seq);
CREATE INDEX IF NOT EXISTS {p}events_subject ON {p}events (subject, seq) WHERE subject IS NOT NULL;
CREATE INDEX IF NOT EXISTS {p}events_parked ON {p}events (stripe_account, livemode, subject) WHERE status = 'parked';
CREATE INDEX IF NOT EXISTS {p}events_ticket ON {p}events (ticket, status) WHERE ticket IS NOT NULL;
CREATE TABLE IF NOT EXISTS {p}subjects (
    stripe_account TEXT COLLATE "C" NOT NULL,
    livemode BOOLEAN NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    version BIGINT NOT NULL,
    owner TEXT COLLATE "C",
    account TEXT COLLATE "C",
    links TEXT NOT NULL,
    PRIMARY KEY (stripe_account, livemode, id)
) WITH (fillfactor = 80);
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
) WITH (fillfactor = 80);
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
    deferrals BIGINT NOT NULL DEFAULT 0,
    crashes BIGINT NOT NULL DEFAULT 0,
    epoch BIGINT NOT NULL DEFAULT 0,
    worker TEXT,
    reason TEXT,
    error_class TEXT,
    message TEXT,
    ticket TEXT COLLATE "C",
    told_at BIGINT,
    UNIQUE (stripe_account, livemode, fact_key)
);
CREATE INDEX IF NOT EXISTS {p}outbox_due ON {p}outbox (due_at, seq) WHERE due_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS {p}outbox_status ON {p}outbox (status);
CREATE INDEX IF NOT EXISTS {p}outbox_subject ON {p}outbox (subject, stripe_account, livemode, kind, told_at);
CREATE INDEX IF NOT EXISTS {p}outbox_ticket ON {p}outbox (ticket, status) WHERE ticket IS NOT NULL;
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
    context TEXT,
    revision BIGINT NOT NULL DEFAULT 1,
    told BIGINT NOT NULL DEFAULT 0,
    told_open BOOLEAN,
    UNIQUE (stripe_account, livemode, ticket_key)
);
CREATE INDEX IF NOT EXISTS {p}tickets_news ON {p}tickets (updated_at, number) WHERE revision <> told;
CREATE INDEX IF NOT EXISTS {p}tickets_opened ON {p}tickets (opened_at);
CREATE INDEX IF NOT EXISTS {p}tickets_status ON {p}tickets (status, number);
CREATE INDEX IF NOT EXISTS {p}tickets_subject ON {p}tickets (subject, number);
CREATE TABLE IF NOT EXISTS {p}attempts (
    seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_seq BIGINT NOT NULL,
    at BIGINT NOT NULL,
    class TEXT COLLATE "C" NOT NULL,
    code TEXT COLLATE "C" NOT NULL,
    message TEXT NOT NULL,
    worker TEXT
);
CREATE INDEX IF NOT EXISTS {p}attempts_event ON {p}attempts (event_seq, seq);
CREATE INDEX IF NOT EXISTS {p}attempts_at ON {p}attempts (at, seq);
CREATE TABLE IF NOT EXISTS {p}orders (
    request TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    verb TEXT NOT NULL,
    carried TEXT NOT NULL,
    at BIGINT NOT NULL
);
CREATE TABLE IF NOT EXISTS {p}switches (
    name TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
);
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
    FOR EACH STATEMENT EXECUTE FUNCTION {p}audit_refuse();
CREATE TABLE IF NOT EXISTS {p}credit_accounts (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    stripe_account TEXT COLLATE "C" NOT NULL,
    account TEXT COLLATE "C" NOT NULL,
    livemode BOOLEAN NOT NULL,
    unit TEXT COLLATE "C" NOT NULL,
    version BIGINT NOT NULL DEFAULT 0,
    seq BIGINT NOT NULL DEFAULT 0,
    available BIGINT NOT NULL DEFAULT 0,
    held BIGINT NOT NULL DEFAULT 0 CHECK (held >= 0),
    frozen BIGINT NOT NULL DEFAULT 0 CHECK (frozen >= 0),
    debt BIGINT NOT NULL DEFAULT 0 CHECK (debt >= 0),
    overdraft_limit BIGINT NOT NULL DEFAULT 0 CHECK (overdraft_limit >= 0),
    written_off BIGINT NOT NULL DEFAULT 0,
    level TEXT COLLATE "C" NOT NULL DEFAULT 'fine',
    epoch BIGINT NOT NULL DEFAULT 0,
    recorded_at BIGINT,
    next_due_at BIGINT,
    rolled_seq BIGINT NOT NULL DEFAULT 0,
    UNIQUE (stripe_account, account, livemode, unit)
) WITH (fillfactor = 50);
CREATE INDEX IF NOT EXISTS {p}credit_accounts_due ON {p}credit_accounts (next_due_at) WHERE next_due_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS {p}credit_accounts_debt ON {p}credit_accounts (id) WHERE debt > 0;
CREATE TABLE IF NOT EXISTS {p}credit_lots (
    account_id BIGINT NOT NULL,
    id BIGINT NOT NULL,
    is_open BOOLEAN NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    category TEXT COLLATE "C" NOT NULL,
    grant_key TEXT COLLATE "C" NOT NULL,
    source_id TEXT COLLATE "C",
    in_period TEXT COLLATE "C",
    in_series TEXT COLLATE "C",
    granted BIGINT NOT NULL CHECK (granted > 0),
    priority BIGINT NOT NULL CHECK (priority BETWEEN 0 AND 100),
    effective_at BIGINT NOT NULL,
    expires_at BIGINT,
    ended_at BIGINT,
    remaining BIGINT NOT NULL CHECK (remaining >= 0),
    held BIGINT NOT NULL CHECK (held >= 0),
    frozen BIGINT NOT NULL CHECK (frozen >= 0),
    consumed BIGINT NOT NULL CHECK (consumed >= 0),
    expired BIGINT NOT NULL CHECK (expired >= 0),
    clawed BIGINT NOT NULL CHECK (clawed >= 0),
    repaid BIGINT NOT NULL CHECK (repaid >= 0),
    CHECK (granted = remaining + held + frozen + consumed + expired + clawed + repaid),
    CHECK (is_open = (remaining + held + frozen > 0)),
    PRIMARY KEY (account_id, id),
    UNIQUE (account_id, grant_key)
) WITH (fillfactor = 70);
CREATE INDEX IF NOT EXISTS {p}credit_lots_open ON {p}credit_lots (account_id) WHERE is_open;
CREATE TABLE IF NOT EXISTS {p}credit_entries (
    account_id BIGINT NOT NULL,
    seq BIGINT NOT NULL CHECK (seq > 0),
    kind TEXT COLLATE "C" NOT NULL,
    delta_available BIGINT NOT NULL,
    delta_held BIGINT NOT NULL,
    delta_debt BIGINT NOT NULL,
    available_after BIGINT NOT NULL,
    held_after BIGINT NOT NULL,
    overdraft_limit BIGINT NOT NULL,
    moves TEXT NOT NULL,
    written_off BIGINT NOT NULL,
    idem_key TEXT COLLATE "C",
    request_hash TEXT COLLATE "C",
    actor TEXT COLLATE "C",
    feature TEXT COLLATE "C",
    reference TEXT COLLATE "C",
    reason TEXT,
    reverses BIGINT,
    effective_at BIGINT NOT NULL,
    recorded_at BIGINT NOT NULL,
    PRIMARY KEY (account_id, seq)
);
CREATE TABLE IF NOT EXISTS {p}credit_keys (
    account_id BIGINT NOT NULL,
    idem_key TEXT COLLATE "C" NOT NULL,
    request_hash TEXT COLLATE "C" NOT NULL,
    first_seq BIGINT NOT NULL,
    reply TEXT NOT NULL,
    PRIMARY KEY (account_id, idem_key)
);
CREATE TABLE IF NOT EXISTS {p}credit_reservations (
    account_id BIGINT NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    is_open BOOLEAN NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (account_id, id)
);
CREATE INDEX IF NOT EXISTS {p}credit_reservations_open ON {p}credit_reservations (account_id) WHERE is_open;
CREATE TABLE IF NOT EXISTS {p}credit_freezes (
    account_id BIGINT NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    is_open BOOLEAN NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (account_id, id)
);
CREATE TABLE IF NOT EXISTS {p}credit_sources (
    account_id BIGINT NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (account_id, id)
);
CREATE TABLE IF NOT EXISTS {p}credit_scheduled (
    account_id BIGINT NOT NULL,
    grant_key TEXT COLLATE "C" NOT NULL,
    source_id TEXT COLLATE "C",
    body TEXT NOT NULL,
    PRIMARY KEY (account_id, grant_key)
);
CREATE TABLE IF NOT EXISTS {p}credit_limits (
    account_id BIGINT NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (account_id, id)
);
CREATE TABLE IF NOT EXISTS {p}credit_usage (
    account_id BIGINT NOT NULL,
    day BIGINT NOT NULL,
    place TEXT COLLATE "C" NOT NULL,
    credits BIGINT NOT NULL,
    uses BIGINT NOT NULL,
    PRIMARY KEY (account_id, day, place)
);
CREATE OR REPLACE FUNCTION {p}credit_refuse() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'the entries of the ledger are append-only'; END $$;
DROP TRIGGER IF EXISTS {p}credit_append_only ON {p}credit_entries;
CREATE TRIGGER {p}credit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {p}credit_entries
    FOR EACH STATEMENT EXECUTE FUNCTION {p}credit_refuse()
