//! The statements whose text never varies, rendered once per store so that drivers find them in
//! their cache of prepared statements.

use stripe_billing_core::ledger::Scope;
use stripe_billing_core::store::{Backlog, EVENT_STATUSES, OPEN_STATUSES, OUTBOX_STATUSES};

#[cfg(feature = "postgres")]
use crate::commit;
use crate::dialect::Dialect;
use crate::ledger;

/// What an insert into the inbox names, in this order.
pub(crate) const EVENT_COLUMNS: &str = "stripe_account, livemode, event_id, kind, event_type, \
     api_version, created, received_at, status, due_at, payload";

/// One row of [`EVENT_COLUMNS`].
pub(crate) const EVENT_ROW: &str = "(?, ?, ?, ?, ?, ?, ?, ?, 'received', ?, ?)";

#[derive(Debug)]
pub(crate) struct Sql {
    /// Settles an event under its lease.
    pub(crate) settle: String,
    /// The same, as part of a commit.
    pub(crate) settle_committed: String,
    /// Whom an event is about.
    pub(crate) event_subject: String,
    /// Whom a message is about.
    pub(crate) fact_subject: String,
    /// Keeps a failed attempt, with who tried.
    pub(crate) note_attempt: String,
    /// Whether operators have paused the queue.
    pub(crate) paused: String,
    /// Flags an event that came again with other content.
    pub(crate) flag_event: String,
    /// Whether anything in the inbox is due.
    pub(crate) event_due: String,
    /// Whether anything in the outbox is due.
    pub(crate) fact_due: String,
    pub(crate) release_catalog: String,
    pub(crate) release_subject: String,
    pub(crate) insert_subject: String,
    pub(crate) update_subject: String,
    /// Makes a known id another name of a subject.
    pub(crate) point_name: String,
    /// Gives events, messages and tickets to another subject.
    pub(crate) move_subject: [String; 3],
    pub(crate) delete_records: String,
    pub(crate) tell_ticket: String,
    pub(crate) close_ticket: String,
    pub(crate) open_ticket: String,
    pub(crate) insert_call: String,
    pub(crate) select_call: String,
    pub(crate) finish_call: String,
    pub(crate) restart_call: String,
    pub(crate) subjects_of: String,
    /// The same with all of their records.
    pub(crate) subjects_whole: String,
    pub(crate) subject: String,
    pub(crate) events_by_id: String,
    pub(crate) stats: String,
    pub(crate) backlog: String,
    /// Postgres writes a whole batch, and the decisions on one, in one statement.
    #[cfg(feature = "postgres")]
    pub(crate) insert_events: String,
    #[cfg(feature = "postgres")]
    pub(crate) commit: String,
    /// Why a decision was refused.
    #[cfg(feature = "postgres")]
    pub(crate) refusal: String,
    /// Reads an account of the ledger with what is open of it.
    pub(crate) credit_open: String,
    /// Reads all of an account.
    pub(crate) credit_all: String,
    pub(crate) credit_lock: String,
    pub(crate) credit_create: String,
    pub(crate) credit_head: String,
    pub(crate) credit_unschedule: String,
    /// Postgres writes several operations in one statement.
    #[cfg(feature = "postgres")]
    pub(crate) credit_write: [String; ledger::SHAPES],
}

impl Sql {
    pub(crate) fn new(dialect: Dialect, prefix: &str) -> Self {
        let render = |template: &str| dialect.render(prefix, template);
        let ignore = match dialect {
            Dialect::Sqlite | Dialect::Postgres => " ON CONFLICT DO NOTHING",
            // MySQL's IGNORE would hide other errors as well: the duplicate key is caught instead.
            Dialect::Mysql => "",
        };
        // Whatever the statistics say, so that no other rows are locked.
        let by_subject = match dialect {
            Dialect::Sqlite | Dialect::Postgres => "",
            Dialect::Mysql => " FORCE INDEX ({p}events_subject)",
        };
        Self {
            settle: render(
                "UPDATE {p}events SET status = ?, due_at = ?, attempts = attempts + ?, \
                 reason = ?, message = COALESCE(?, message), \
                 error_class = COALESCE(?, error_class), deferrals = deferrals + ?, \
                 ticket = COALESCE(?, ticket), subject = COALESCE(?, subject) \
                 WHERE seq = ? AND epoch = ? AND status = 'processing'",
            ),
            settle_committed: render(
                "UPDATE {p}events SET status = ?, due_at = ?, attempts = attempts + ?, \
                 reason = ?, message = COALESCE(?, message), \
                 error_class = COALESCE(?, error_class), subject = ?, anomalies = ? \
                 WHERE seq = ? AND epoch = ? AND status = 'processing'",
            ),
            event_subject: render(
                "SELECT stripe_account, livemode, COALESCE(subject, event_id) FROM {p}events \
                 WHERE seq = ?",
            ),
            fact_subject: render(
                "SELECT stripe_account, livemode, subject FROM {p}outbox WHERE seq = ?",
            ),
            note_attempt: render(
                "INSERT INTO {p}attempts (event_seq, at, class, code, message, worker) \
                 SELECT seq, ?, ?, ?, ?, worker FROM {p}events WHERE seq = ?",
            ),
            paused: render("SELECT value FROM {p}switches WHERE name = 'paused'"),
            flag_event: render(
                "UPDATE {p}events SET differs = TRUE \
                 WHERE stripe_account = ? AND livemode = ? AND event_id = ?",
            ),
            event_due: render("SELECT 1 FROM {p}events WHERE due_at <= ? LIMIT 1"),
            fact_due: render("SELECT 1 FROM {p}outbox WHERE due_at <= ? LIMIT 1"),
            release_catalog: render(
                "UPDATE {p}events SET status = 'received', due_at = ?, reason = NULL \
                 WHERE status = 'parked' AND reason LIKE 'catalog:%' AND reason <> ?",
            ),
            release_subject: render(&format!(
                "UPDATE {{p}}events{by_subject} SET status = 'received', due_at = ?, \
                 reason = NULL WHERE stripe_account = ? AND livemode = ? AND subject = ? \
                 AND seq <> ? AND status = 'parked' AND reason = 'unlinked'"
            )),
            insert_subject: render(&format!(
                "INSERT INTO {{p}}subjects (stripe_account, livemode, id, version, account, links) \
                 VALUES (?, ?, ?, 1, ?, ?){ignore}"
            )),
            update_subject: render(
                "UPDATE {p}subjects SET version = version + 1, account = ?, links = ? \
                 WHERE stripe_account = ? AND livemode = ? AND id = ? AND version = ?",
            ),
            point_name: render(
                "UPDATE {p}subjects SET version = version + 1, owner = ?, account = NULL, \
                 links = ? WHERE stripe_account = ? AND livemode = ? AND id = ? AND version = ?",
            ),
            move_subject: [&format!("events{by_subject}"), "outbox", "tickets"].map(|table| {
                render(&format!(
                    "UPDATE {{p}}{table} SET subject = ? \
                     WHERE stripe_account = ? AND livemode = ? AND subject = ?"
                ))
            }),
            delete_records: render(
                "DELETE FROM {p}records WHERE stripe_account = ? AND livemode = ? AND subject = ?",
            ),
            tell_ticket: render(&tell_ticket(
                "CASE status WHEN 'resolved' THEN 'open' ELSE status END",
            )),
            close_ticket: render(&tell_ticket("'resolved'")),
            open_ticket: render(&format!(
                "INSERT INTO {{p}}tickets (stripe_account, livemode, ticket_key, type, priority, \
                 subject, object_kind, object_id, event, title, due_by, context, updated_at, \
                 opened_at, status, count) \
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'open', 1){ignore}"
            )),
            insert_call: render(&format!(
                "INSERT INTO {{p}}calls (call_key, generation, fingerprint, started_at) \
                 VALUES (?, 1, ?, ?){ignore}"
            )),
            select_call: render(
                "SELECT generation, fingerprint, started_at, result FROM {p}calls \
                 WHERE call_key = ?",
            ),
            finish_call: render(
                "UPDATE {p}calls SET result = ? \
                 WHERE call_key = ? AND generation = ? AND result IS NULL",
            ),
            restart_call: render(
                "UPDATE {p}calls SET generation = generation + 1, fingerprint = ?, \
                 started_at = ?, result = NULL WHERE call_key = ? AND generation = ?",
            ),
            subjects_of: render(&format!(
                "SELECT s.livemode, s.id, s.version, s.links, r.body FROM {{p}}subjects s \
                 LEFT JOIN {{p}}records r ON r.stripe_account = s.stripe_account \
                 AND r.livemode = s.livemode AND r.subject = s.id AND r.{} \
                 WHERE s.stripe_account = ? AND s.account = ? AND s.livemode IN (?, ?)",
                dialect.is_current()
            )),
            subjects_whole: render(&format!(
                "SELECT w.livemode, w.id, w.version, w.links, w.body FROM ( \
                 SELECT s.livemode, s.id, s.version, s.links, r.body, ROW_NUMBER() OVER \
                 (PARTITION BY s.livemode, s.id ORDER BY r.is_current DESC, r.kind, r.id) AS place \
                 FROM {{p}}subjects s LEFT JOIN {{p}}records r \
                 ON r.stripe_account = s.stripe_account \
                 AND r.livemode = s.livemode AND r.subject = s.id \
                 WHERE s.stripe_account = ? AND s.account = ? AND s.livemode IN (?, ?) \
                 ) w WHERE w.place <= {MAX_RECORDS}"
            )),
            subject: render(&format!(
                "SELECT s.livemode, s.id, s.version, s.links, r.body FROM {{p}}subjects a \
                 JOIN {{p}}subjects s ON s.stripe_account = a.stripe_account \
                 AND s.livemode = a.livemode AND s.id = COALESCE(a.owner, a.id) \
                 LEFT JOIN {{p}}records r ON r.stripe_account = s.stripe_account \
                 AND r.livemode = s.livemode AND r.subject = s.id \
                 WHERE a.stripe_account = ? AND a.livemode = ? AND a.id = ? \
                 ORDER BY r.is_current DESC, r.kind, r.id LIMIT {MAX_RECORDS}"
            )),
            events_by_id: render(&format!(
                "SELECT {EVENT_SUMMARY}, {EVENT_BODY} FROM {{p}}events WHERE event_id = ? \
                 ORDER BY seq"
            )),
            stats: render(&stats()),
            backlog: render(&backlog(dialect)),
            #[cfg(feature = "postgres")]
            insert_events: render(&format!(
                "INSERT INTO {{p}}events ({EVENT_COLUMNS}) \
                 SELECT r.account, r.live, r.id, r.kind, r.type, NULLIF(r.api, ''), r.created, \
                 r.received, 'received', r.received, r.payload \
                 FROM unnest($1::text[], $2::bool[], $3::text[], $4::text[], $5::text[], \
                 $6::text[], $7::bigint[], $8::bigint[], $9::bytea[]) \
                 AS r(account, live, id, kind, type, api, created, received, payload) \
                 ON CONFLICT (stripe_account, livemode, event_id) DO NOTHING \
                 RETURNING stripe_account, livemode, event_id"
            )),
            #[cfg(feature = "postgres")]
            commit: render(&commit::statement()),
            #[cfg(feature = "postgres")]
            refusal: render(commit::REFUSAL),
            credit_open: render(&ledger::load_statement(Scope::Open, 0)),
            credit_all: render(&ledger::load_statement(Scope::All, 0)),
            credit_lock: render(&ledger::lock_statement(dialect)),
            credit_create: render(&ledger::create_statement(dialect)),
            credit_head: render(ledger::HEAD),
            credit_unschedule: render(ledger::UNSCHEDULE),
            #[cfg(feature = "postgres")]
            credit_write: std::array::from_fn(|shape| render(&ledger::write_statement(shape))),
        }
    }
}

/// What operators see of an event.
pub(crate) const EVENT_SUMMARY: &str = "seq, stripe_account, livemode, event_id, event_type, \
     status, reason, message, subject, created, received_at, attempts, differs, anomalies, \
     error_class, ticket, due_at, crashes";

/// What is stored of it besides.
pub(crate) const EVENT_BODY: &str = "kind, api_version, payload";

/// Records of a subject that are read at most.
const MAX_RECORDS: u32 = 10_000;

/// As far as what waits is counted.
const MAX_BACKLOG: u64 = Backlog::MAX;

/// As far as the items of a status are counted: an exact number of more is worth no one's wait.
const MAX_COUNT: u32 = 1_000_000;

fn tell_ticket(status: &str) -> String {
    format!(
        "UPDATE {{p}}tickets SET type = ?, priority = ?, subject = ?, object_kind = ?, \
         object_id = ?, event = ?, title = ?, due_by = ?, context = COALESCE(?, context), \
         updated_at = ?, count = count + 1, revision = revision + 1, \
         status = {status} WHERE stripe_account = ? AND livemode = ? AND ticket_key = ?"
    )
}

/// Words as a list of SQL.
pub(crate) fn quoted<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let words: Vec<String> = words.into_iter().map(|word| format!("'{word}'")).collect();
    words.join(", ")
}

fn backlog(dialect: Dialect) -> String {
    // The partial indexes are about the bare column; MySQL's is not partial.
    let is_open = match dialect {
        Dialect::Mysql => "is_open = TRUE",
        Dialect::Sqlite | Dialect::Postgres => "is_open",
    };
    let statuses = quoted(OPEN_STATUSES);
    format!(
        "SELECT 'events', status, event_type, COUNT(*) FROM (SELECT status, event_type \
         FROM {{p}}events WHERE status IN ({statuses}) LIMIT {MAX_BACKLOG}) waiting \
         GROUP BY status, event_type \
         UNION ALL SELECT 'tickets', '', type, COUNT(*) FROM (SELECT type FROM {{p}}tickets \
         WHERE status IN ('open', 'investigating') LIMIT {MAX_BACKLOG}) tickets GROUP BY type \
         UNION ALL SELECT 'reservations', '', '', COUNT(*) FROM (SELECT 1 AS one \
         FROM {{p}}credit_reservations WHERE {is_open} LIMIT {MAX_BACKLOG}) reservations \
         UNION ALL SELECT 'debtors', '', '', COUNT(*) FROM (SELECT 1 AS one \
         FROM {{p}}credit_accounts WHERE debt > 0 LIMIT {MAX_BACKLOG}) debtors"
    )
}

fn stats() -> String {
    // The typed branches come first: they give the union its types.
    let mut sql = String::from(
        "SELECT 'events', '', 0, MIN(due_at) FROM {p}events WHERE due_at <= ? \
         UNION ALL SELECT 'outbox', '', 0, MIN(due_at) FROM {p}outbox WHERE due_at <= ?",
    );
    let tables = EVENT_STATUSES
        .map(|status| ("events", status))
        .into_iter()
        .chain(OUTBOX_STATUSES.map(|status| ("outbox", status)));
    for (table, status) in tables {
        sql.push_str(&format!(
            " UNION ALL SELECT '{table}', '{status}', COUNT(*), NULL FROM (SELECT 1 AS one \
             FROM {{p}}{table} WHERE status = '{status}' LIMIT {MAX_COUNT}) counted"
        ));
    }
    sql
}
