CREATE TABLE IF NOT EXISTS {p}events (
    seq BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    stripe_account VARCHAR(128) NOT NULL,
    livemode BOOLEAN NOT NULL,
    event_id VARCHAR(255) NOT NULL,
    kind VARCHAR(32) NOT NULL,
    event_type VARCHAR(255) NOT NULL,
    api_version VARCHAR(255),
    created BIGINT NOT NULL,
    received_at BIGINT NOT NULL,
    status VARCHAR(16) NOT NULL,
    due_at BIGINT,
    attempts BIGINT NOT NULL DEFAULT 0,
    deferrals BIGINT NOT NULL DEFAULT 0,
    crashes BIGINT NOT NULL DEFAULT 0,
    epoch BIGINT NOT NULL DEFAULT 0,
    worker TEXT,
    subject VARCHAR(255),
    reason VARCHAR(255),
    error_class VARCHAR(16),
    message TEXT,
    differs BOOLEAN NOT NULL DEFAULT FALSE,
    anomalies LONGTEXT,
    ticket VARCHAR(512),
    payload LONGBLOB NOT NULL,
    UNIQUE KEY {p}events_key (event_id, stripe_account, livemode),
    KEY {p}events_due (due_at, seq),
    KEY {p}events_status (status, seq),
    KEY {p}events_type (event_type, seq),
    KEY {p}events_subject (subject, seq),
    KEY {p}events_ticket (ticket)
) {table};
CREATE TABLE IF NOT EXISTS {p}subjects (
    stripe_account VARCHAR(128) NOT NULL,
    livemode BOOLEAN NOT NULL,
    id VARCHAR(255) NOT NULL,
    version BIGINT NOT NULL,
    owner VARCHAR(255),
    account VARCHAR(255),
    links LONGTEXT NOT NULL,
    PRIMARY KEY (stripe_account, livemode, id),
    KEY {p}subjects_account (stripe_account, account)
) {table};
CREATE TABLE IF NOT EXISTS {p}records (
    stripe_account VARCHAR(128) NOT NULL,
    livemode BOOLEAN NOT NULL,
    subject VARCHAR(255) NOT NULL,
    kind VARCHAR(32) NOT NULL,
    id VARCHAR(255) NOT NULL,
    is_current BOOLEAN NOT NULL,
    body LONGTEXT NOT NULL,
    PRIMARY KEY (stripe_account, livemode, subject, kind, id),
    KEY {p}records_current (stripe_account, livemode, subject, is_current)
) {table};
CREATE TABLE IF NOT EXISTS {p}outbox (
    seq BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    stripe_account VARCHAR(128) NOT NULL,
    livemode BOOLEAN NOT NULL,
    fact_key VARCHAR(512) NOT NULL,
    kind VARCHAR(64) NOT NULL,
    is_notice BOOLEAN NOT NULL,
    body LONGTEXT NOT NULL,
    subject VARCHAR(255) NOT NULL,
    created_at BIGINT NOT NULL,
    status VARCHAR(16) NOT NULL,
    due_at BIGINT,
    attempts BIGINT NOT NULL DEFAULT 0,
    deferrals BIGINT NOT NULL DEFAULT 0,
    crashes BIGINT NOT NULL DEFAULT 0,
    epoch BIGINT NOT NULL DEFAULT 0,
    worker TEXT,
    reason VARCHAR(255),
    error_class VARCHAR(16),
    message TEXT,
    ticket VARCHAR(512),
    told_at BIGINT,
    UNIQUE KEY {p}outbox_key (stripe_account, livemode, fact_key),
    KEY {p}outbox_due (due_at, seq),
    KEY {p}outbox_status (status),
    KEY {p}outbox_subject (subject, stripe_account, livemode, kind, told_at),
    KEY {p}outbox_ticket (ticket)
) {table};
CREATE TABLE IF NOT EXISTS {p}calls (
    call_key VARCHAR(512) NOT NULL PRIMARY KEY,
    generation BIGINT NOT NULL,
    fingerprint TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    result LONGTEXT
) {table};
CREATE TABLE IF NOT EXISTS {p}tickets (
    number BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    stripe_account VARCHAR(128) NOT NULL,
    livemode BOOLEAN NOT NULL,
    ticket_key VARCHAR(512) NOT NULL,
    type VARCHAR(64) NOT NULL,
    priority VARCHAR(16) NOT NULL,
    status VARCHAR(16) NOT NULL,
    subject VARCHAR(255) NOT NULL,
    object_kind VARCHAR(32),
    object_id VARCHAR(255),
    event VARCHAR(255),
    title TEXT NOT NULL,
    due_by BIGINT,
    count BIGINT NOT NULL,
    opened_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    context LONGTEXT,
    revision BIGINT NOT NULL DEFAULT 1,
    told BIGINT NOT NULL DEFAULT 0,
    told_open BOOLEAN,
    UNIQUE KEY {p}tickets_key (stripe_account, livemode, ticket_key),
    KEY {p}tickets_opened (opened_at),
    KEY {p}tickets_status (status, number),
    KEY {p}tickets_subject (subject, number)
) {table};
CREATE TABLE IF NOT EXISTS {p}attempts (
    seq BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    event_seq BIGINT NOT NULL,
    at BIGINT NOT NULL,
    class VARCHAR(16) NOT NULL,
    code VARCHAR(255) NOT NULL,
    message TEXT NOT NULL,
    worker TEXT,
    KEY {p}attempts_event (event_seq, seq),
    KEY {p}attempts_at (at, seq)
) {table};
CREATE TABLE IF NOT EXISTS {p}orders (
    request VARCHAR(255) NOT NULL PRIMARY KEY,
    verb LONGTEXT NOT NULL,
    carried LONGTEXT NOT NULL,
    at BIGINT NOT NULL
) {table};
CREATE TABLE IF NOT EXISTS {p}switches (
    name VARCHAR(255) NOT NULL PRIMARY KEY,
    value LONGTEXT NOT NULL
) {table};
CREATE TABLE IF NOT EXISTS {p}audit (
    seq BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    at BIGINT NOT NULL,
    stripe_account VARCHAR(128) NOT NULL,
    livemode BOOLEAN NOT NULL,
    subject VARCHAR(255) NOT NULL,
    actor VARCHAR(255) NOT NULL,
    action VARCHAR(64) NOT NULL,
    object_kind VARCHAR(32) NOT NULL,
    object_id VARCHAR(255) NOT NULL,
    state_before TEXT,
    state_after TEXT,
    reason TEXT,
    KEY {p}audit_subject (subject, seq)
) {table};
DROP TRIGGER IF EXISTS {p}audit_no_update;
CREATE TRIGGER {p}audit_no_update BEFORE UPDATE ON {p}audit FOR EACH ROW
    SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'the audit log is append-only';
DROP TRIGGER IF EXISTS {p}audit_no_delete;
CREATE TRIGGER {p}audit_no_delete BEFORE DELETE ON {p}audit FOR EACH ROW
    SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'the audit log is append-only';
CREATE TABLE IF NOT EXISTS {p}credit_accounts (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    stripe_account VARCHAR(128) NOT NULL,
    account VARCHAR(255) NOT NULL,
    livemode BOOLEAN NOT NULL,
    unit VARCHAR(128) NOT NULL,
    version BIGINT NOT NULL DEFAULT 0,
    seq BIGINT NOT NULL DEFAULT 0,
    available BIGINT NOT NULL DEFAULT 0,
    held BIGINT NOT NULL DEFAULT 0 CHECK (held >= 0),
    frozen BIGINT NOT NULL DEFAULT 0 CHECK (frozen >= 0),
    debt BIGINT NOT NULL DEFAULT 0 CHECK (debt >= 0),
    overdraft_limit BIGINT NOT NULL DEFAULT 0 CHECK (overdraft_limit >= 0),
    written_off BIGINT NOT NULL DEFAULT 0,
    level VARCHAR(16) NOT NULL DEFAULT 'fine',
    epoch BIGINT NOT NULL DEFAULT 0,
    recorded_at BIGINT,
    next_due_at BIGINT,
    rolled_seq BIGINT NOT NULL DEFAULT 0,
    UNIQUE KEY {p}credit_accounts_key (stripe_account, account, livemode, unit),
    KEY {p}credit_accounts_due (next_due_at),
    KEY {p}credit_accounts_debt (debt)
) {table};
CREATE TABLE IF NOT EXISTS {p}credit_lots (
    account_id BIGINT NOT NULL,
    id BIGINT NOT NULL,
    is_open BOOLEAN NOT NULL,
    kind VARCHAR(16) NOT NULL,
    category VARCHAR(16) NOT NULL,
    grant_key VARCHAR(512) NOT NULL,
    source_id VARCHAR(255),
    in_period VARCHAR(255),
    in_series VARCHAR(255),
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
    UNIQUE KEY {p}credit_lots_grant (account_id, grant_key),
    KEY {p}credit_lots_open (account_id, is_open)
) {table};
CREATE TABLE IF NOT EXISTS {p}credit_entries (
    account_id BIGINT NOT NULL,
    seq BIGINT NOT NULL CHECK (seq > 0),
    kind VARCHAR(32) NOT NULL,
    delta_available BIGINT NOT NULL,
    delta_held BIGINT NOT NULL,
    delta_debt BIGINT NOT NULL,
    available_after BIGINT NOT NULL,
    held_after BIGINT NOT NULL,
    overdraft_limit BIGINT NOT NULL,
    moves LONGTEXT NOT NULL,
    written_off BIGINT NOT NULL,
    idem_key VARCHAR(512),
    request_hash VARCHAR(64),
    actor VARCHAR(255),
    feature VARCHAR(255),
    reference VARCHAR(512),
    reason TEXT,
    reverses BIGINT,
    effective_at BIGINT NOT NULL,
    recorded_at BIGINT NOT NULL,
    PRIMARY KEY (account_id, seq)
) {table};
CREATE TABLE IF NOT EXISTS {p}credit_keys (
    account_id BIGINT NOT NULL,
    idem_key VARCHAR(512) NOT NULL,
    request_hash VARCHAR(64) NOT NULL,
    first_seq BIGINT NOT NULL,
    reply LONGTEXT NOT NULL,
    PRIMARY KEY (account_id, idem_key)
) {table};
CREATE TABLE IF NOT EXISTS {p}credit_reservations (
    account_id BIGINT NOT NULL,
    id VARCHAR(512) NOT NULL,
    is_open BOOLEAN NOT NULL,
    body LONGTEXT NOT NULL,
    PRIMARY KEY (account_id, id),
    KEY {p}credit_reservations_open (account_id, is_open),
    KEY {p}credit_reservations_state (is_open)
) {table};
CREATE TABLE IF NOT EXISTS {p}credit_freezes (
    account_id BIGINT NOT NULL,
    id VARCHAR(255) NOT NULL,
    is_open BOOLEAN NOT NULL,
    body LONGTEXT NOT NULL,
    PRIMARY KEY (account_id, id)
) {table};
CREATE TABLE IF NOT EXISTS {p}credit_sources (
    account_id BIGINT NOT NULL,
    id VARCHAR(255) NOT NULL,
    body LONGTEXT NOT NULL,
    PRIMARY KEY (account_id, id)
) {table};
CREATE TABLE IF NOT EXISTS {p}credit_scheduled (
    account_id BIGINT NOT NULL,
    grant_key VARCHAR(512) NOT NULL,
    source_id VARCHAR(255),
    body LONGTEXT NOT NULL,
    PRIMARY KEY (account_id, grant_key)
) {table};
CREATE TABLE IF NOT EXISTS {p}credit_limits (
    account_id BIGINT NOT NULL,
    id VARCHAR(640) NOT NULL,
    body LONGTEXT NOT NULL,
    PRIMARY KEY (account_id, id)
) {table};
CREATE TABLE IF NOT EXISTS {p}credit_usage (
    account_id BIGINT NOT NULL,
    day BIGINT NOT NULL,
    place VARCHAR(640) NOT NULL,
    credits BIGINT NOT NULL,
    uses BIGINT NOT NULL,
    PRIMARY KEY (account_id, day, place)
) {table};
DROP TRIGGER IF EXISTS {p}credit_no_update;
CREATE TRIGGER {p}credit_no_update BEFORE UPDATE ON {p}credit_entries FOR EACH ROW
    SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'the entries of the ledger are append-only';
DROP TRIGGER IF EXISTS {p}credit_no_delete;
CREATE TRIGGER {p}credit_no_delete BEFORE DELETE ON {p}credit_entries FOR EACH ROW
    SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'the entries of the ledger are append-only'
