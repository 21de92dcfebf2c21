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
    payload LONGBLOB NOT NULL,
    UNIQUE KEY {p}events_key (stripe_account, livemode, event_id),
    KEY {p}events_due (due_at, seq),
    KEY {p}events_status (status, seq),
    KEY {p}events_subject (subject, seq)
) {table};
CREATE TABLE IF NOT EXISTS {p}subjects (
    stripe_account VARCHAR(128) NOT NULL,
    livemode BOOLEAN NOT NULL,
    id VARCHAR(255) NOT NULL,
    version BIGINT NOT NULL,
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
    KEY {p}outbox_status (status)
) {table};
CREATE TABLE IF NOT EXISTS {p}calls (
    call_key VARCHAR(512) NOT NULL PRIMARY KEY,
    generation BIGINT NOT NULL,
    fingerprint TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    result LONGTEXT
) {table}
