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
    crashes BIGINT NOT NULL DEFAULT 0,
    epoch BIGINT NOT NULL DEFAULT 0,
    worker TEXT,
    subject VARCHAR(255),
    reason VARCHAR(255),
    error_class VARCHAR(16),
    message TEXT,
    differs BOOLEAN NOT NULL DEFAULT FALSE,
    anomalies LONGTEXT,
    payload LONGBLOB NOT NULL,
    UNIQUE KEY {p}events_key (event_id, stripe_account, livemode),
    KEY {p}events_due (due_at, seq),
    KEY {p}events_status (status, seq),
    KEY {p}events_type (event_type, seq),
    KEY {p}events_subject (subject, seq)
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
    epoch BIGINT NOT NULL DEFAULT 0,
    worker TEXT,
    reason VARCHAR(255),
    error_class VARCHAR(16),
    message TEXT,
    UNIQUE KEY {p}outbox_key (stripe_account, livemode, fact_key),
    KEY {p}outbox_due (due_at, seq),
    KEY {p}outbox_status (status),
    KEY {p}outbox_subject (subject)
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
    UNIQUE KEY {p}tickets_key (stripe_account, livemode, ticket_key),
    KEY {p}tickets_status (status, number),
    KEY {p}tickets_subject (subject, number)
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
    SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'the audit log is append-only'
