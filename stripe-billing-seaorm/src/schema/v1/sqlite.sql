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
    deferrals BIGINT NOT NULL DEFAULT 0,
    crashes BIGINT NOT NULL DEFAULT 0,
    epoch BIGINT NOT NULL DEFAULT 0,
    worker TEXT,
    subject TEXT,
    reason TEXT,
    error_class TEXT,
    message TEXT,
    differs BOOLEAN NOT NULL DEFAULT FALSE,
    anomalies TEXT,
    ticket TEXT,
    payload BLOB NOT NULL,
    UNIQUE (event_id, stripe_account, livemode)
);
CREATE INDEX IF NOT EXISTS {p}events_due ON {p}events (due_at, seq) WHERE due_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS {p}events_status ON {p}events (status, seq);
CREATE INDEX IF NOT EXISTS {p}events_type ON {p}events (event_type, seq);
CREATE INDEX IF NOT EXISTS {p}events_subject ON {p}events (subject, seq) WHERE subject IS NOT NULL;
CREATE INDEX IF NOT EXISTS {p}events_parked ON {p}events (stripe_account, livemode, subject) WHERE status = 'parked';
CREATE INDEX IF NOT EXISTS {p}events_ticket ON {p}events (ticket, status) WHERE ticket IS NOT NULL;
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
    deferrals BIGINT NOT NULL DEFAULT 0,
    crashes BIGINT NOT NULL DEFAULT 0,
    epoch BIGINT NOT NULL DEFAULT 0,
    worker TEXT,
    reason TEXT,
    error_class TEXT,
    message TEXT,
    ticket TEXT,
    told_at BIGINT,
    UNIQUE (stripe_account, livemode, fact_key)
);
CREATE INDEX IF NOT EXISTS {p}outbox_due ON {p}outbox (due_at, seq) WHERE due_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS {p}outbox_status ON {p}outbox (status);
CREATE INDEX IF NOT EXISTS {p}outbox_subject ON {p}outbox (subject, stripe_account, livemode, kind, told_at);
CREATE INDEX IF NOT EXISTS {p}outbox_ticket ON {p}outbox (ticket, status) WHERE ticket IS NOT NULL;
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
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    event_seq BIGINT NOT NULL,
    at BIGINT NOT NULL,
    class TEXT NOT NULL,
    code TEXT NOT NULL,
    message TEXT NOT NULL,
    worker TEXT
);
CREATE INDEX IF NOT EXISTS {p}attempts_event ON {p}attempts (event_seq, seq);
CREATE INDEX IF NOT EXISTS {p}attempts_at ON {p}attempts (at, seq);
CREATE TABLE IF NOT EXISTS {p}orders (
    request TEXT NOT NULL PRIMARY KEY,
    verb TEXT NOT NULL,
    carried TEXT NOT NULL,
    at BIGINT NOT NULL
);
CREATE TABLE IF NOT EXISTS {p}switches (
    name TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
);
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
    BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TABLE IF NOT EXISTS {p}credit_accounts (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    stripe_account TEXT NOT NULL,
    account TEXT NOT NULL,
    livemode BOOLEAN NOT NULL,
    unit TEXT NOT NULL,
    version BIGINT NOT NULL DEFAULT 0,
    seq BIGINT NOT NULL DEFAULT 0,
    available BIGINT NOT NULL DEFAULT 0,
    held BIGINT NOT NULL DEFAULT 0 CHECK (held >= 0),
    frozen BIGINT NOT NULL DEFAULT 0 CHECK (frozen >= 0),
    debt BIGINT NOT NULL DEFAULT 0 CHECK (debt >= 0),
    overdraft_limit BIGINT NOT NULL DEFAULT 0 CHECK (overdraft_limit >= 0),
    written_off BIGINT NOT NULL DEFAULT 0,
    level TEXT NOT NULL DEFAULT 'fine',
    epoch BIGINT NOT NULL DEFAULT 0,
    recorded_at BIGINT,
    next_due_at BIGINT,
    rolled_seq BIGINT NOT NULL DEFAULT 0,
    UNIQUE (stripe_account, account, livemode, unit)
);
CREATE INDEX IF NOT EXISTS {p}credit_accounts_due ON {p}credit_accounts (next_due_at) WHERE next_due_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS {p}credit_accounts_debt ON {p}credit_accounts (id) WHERE debt > 0;
CREATE TABLE IF NOT EXISTS {p}credit_lots (
    account_id BIGINT NOT NULL,
    id BIGINT NOT NULL,
    is_open BOOLEAN NOT NULL,
    kind TEXT NOT NULL,
    category TEXT NOT NULL,
    grant_key TEXT NOT NULL,
    source_id TEXT,
    in_period TEXT,
    in_series TEXT,
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
);
CREATE INDEX IF NOT EXISTS {p}credit_lots_open ON {p}credit_lots (account_id) WHERE is_open;
CREATE TABLE IF NOT EXISTS {p}credit_entries (
    account_id BIGINT NOT NULL,
    seq BIGINT NOT NULL CHECK (seq > 0),
    kind TEXT NOT NULL,
    delta_available BIGINT NOT NULL,
    delta_held BIGINT NOT NULL,
    delta_debt BIGINT NOT NULL,
    available_after BIGINT NOT NULL,
    held_after BIGINT NOT NULL,
    overdraft_limit BIGINT NOT NULL,
    moves TEXT NOT NULL,
    written_off BIGINT NOT NULL,
    idem_key TEXT,
    request_hash TEXT,
    actor TEXT,
    feature TEXT,
    reference TEXT,
    reason TEXT,
    reverses BIGINT,
    effective_at BIGINT NOT NULL,
    recorded_at BIGINT NOT NULL,
    PRIMARY KEY (account_id, seq)
);
CREATE TABLE IF NOT EXISTS {p}credit_keys (
    account_id BIGINT NOT NULL,
    idem_key TEXT NOT NULL,
    request_hash TEXT NOT NULL,
    first_seq BIGINT NOT NULL,
    reply TEXT NOT NULL,
    PRIMARY KEY (account_id, idem_key)
);
CREATE TABLE IF NOT EXISTS {p}credit_reservations (
    account_id BIGINT NOT NULL,
    id TEXT NOT NULL,
    is_open BOOLEAN NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (account_id, id)
);
CREATE INDEX IF NOT EXISTS {p}credit_reservations_open ON {p}credit_reservations (account_id) WHERE is_open;
CREATE TABLE IF NOT EXISTS {p}credit_freezes (
    account_id BIGINT NOT NULL,
    id TEXT NOT NULL,
    is_open BOOLEAN NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (account_id, id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS {p}credit_sources (
    account_id BIGINT NOT NULL,
    id TEXT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (account_id, id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS {p}credit_scheduled (
    account_id BIGINT NOT NULL,
    grant_key TEXT NOT NULL,
    source_id TEXT,
    body TEXT NOT NULL,
    PRIMARY KEY (account_id, grant_key)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS {p}credit_limits (
    account_id BIGINT NOT NULL,
    id TEXT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (account_id, id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS {p}credit_usage (
    account_id BIGINT NOT NULL,
    day BIGINT NOT NULL,
    place TEXT NOT NULL,
    credits BIGINT NOT NULL,
    uses BIGINT NOT NULL,
    PRIMARY KEY (account_id, day, place)
) WITHOUT ROWID;
CREATE TRIGGER IF NOT EXISTS {p}credit_no_update BEFORE UPDATE ON {p}credit_entries
    BEGIN SELECT RAISE(ABORT, 'the entries of the ledger are append-only'); END;
CREATE TRIGGER IF NOT EXISTS {p}credit_no_delete BEFORE DELETE ON {p}credit_entries
    BEGIN SELECT RAISE(ABORT, 'the entries of the ledger are append-only'); END
