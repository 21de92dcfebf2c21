//! The statements whose text never varies, rendered once per store so that drivers find them in
//! their cache of prepared statements.

use crate::dialect::Dialect;

/// What an insert into the inbox names, in this order.
pub(crate) const EVENT_COLUMNS: &str = "stripe_account, livemode, event_id, kind, event_type, \
     api_version, created, received_at, status, due_at, payload";

/// One row of [`EVENT_COLUMNS`].
pub(crate) const EVENT_ROW: &str = "(?, ?, ?, ?, ?, ?, ?, ?, 'received', ?, ?)";

#[derive(Debug)]
pub(crate) struct Sql {
    /// Settles an event under its lease.
    pub(crate) settle: String,
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
    pub(crate) insert_call: String,
    pub(crate) select_call: String,
    pub(crate) finish_call: String,
    pub(crate) restart_call: String,
    pub(crate) subjects_of: String,
    pub(crate) stats: String,
    /// Postgres writes a whole batch, and a whole decision, in one statement.
    #[cfg(feature = "postgres")]
    pub(crate) insert_events: String,
    #[cfg(feature = "postgres")]
    pub(crate) commit: [String; 8],
}

impl Sql {
    pub(crate) fn new(dialect: Dialect, prefix: &str) -> Self {
        let render = |template: &str| dialect.render(prefix, template);
        let ignore = match dialect {
            Dialect::Sqlite | Dialect::Postgres => " ON CONFLICT DO NOTHING",
            // MySQL's IGNORE would hide other errors as well: the duplicate key is caught instead.
            Dialect::Mysql => "",
        };
        Self {
            settle: render(
                "UPDATE {p}events SET status = ?, due_at = ?, attempts = attempts + ?, \
                 reason = ?, message = COALESCE(?, message), \
                 error_class = COALESCE(?, error_class), subject = COALESCE(?, subject) \
                 WHERE seq = ? AND epoch = ? AND status = 'processing'",
            ),
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
            release_subject: render(
                "UPDATE {p}events SET status = 'received', due_at = ?, reason = NULL \
                 WHERE stripe_account = ? AND livemode = ? AND subject = ? AND seq <> ? \
                 AND status = 'parked' AND reason = 'unlinked'",
            ),
            insert_subject: render(&format!(
                "INSERT INTO {{p}}subjects (stripe_account, livemode, id, version, account, links) \
                 VALUES (?, ?, ?, 1, ?, ?){ignore}"
            )),
            update_subject: render(
                "UPDATE {p}subjects SET version = version + 1, account = ?, links = ? \
                 WHERE stripe_account = ? AND livemode = ? AND id = ? AND version = ?",
            ),
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
            stats: render(
                // The typed branches come first: they give the union its types.
                "SELECT 'events', '', 0, MIN(due_at) FROM {p}events WHERE due_at <= ? \
                 UNION ALL SELECT 'outbox', '', 0, MIN(due_at) FROM {p}outbox WHERE due_at <= ? \
                 UNION ALL SELECT 'events', status, COUNT(*), NULL FROM {p}events GROUP BY status \
                 UNION ALL SELECT 'outbox', status, COUNT(*), NULL FROM {p}outbox GROUP BY status",
            ),
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
            commit: std::array::from_fn(|shape| render(&commit(CommitShape::of(shape)))),
        }
    }
}

/// Which parts the one-statement commit has.
#[cfg(feature = "postgres")]
#[derive(Clone, Copy, Debug)]
pub(crate) struct CommitShape {
    /// The subject is new.
    pub(crate) create: bool,
    /// There are facts to tell.
    pub(crate) facts: bool,
    /// Parked events are released.
    pub(crate) release: bool,
}

#[cfg(feature = "postgres")]
impl CommitShape {
    pub(crate) fn index(self) -> usize {
        usize::from(self.create) | usize::from(self.facts) << 1 | usize::from(self.release) << 2
    }

    fn of(index: usize) -> Self {
        Self { create: index & 1 != 0, facts: index & 2 != 0, release: index & 4 != 0 }
    }
}

/// A decision in one statement: each part happens only if the lease is held (`fence`) and the
/// subject's version was the expected one (`subject`). Both lock their row, so that a concurrent
/// writer is waited for and its outcome seen. A fact that is there with other content is set to
/// `NULL`, which its column refuses, and with it the whole statement.
#[cfg(feature = "postgres")]
fn commit(shape: CommitShape) -> String {
    let mut sql = String::from(
        "WITH fence AS MATERIALIZED (SELECT seq FROM {p}events \
         WHERE seq = $1 AND epoch = $2 AND status = 'processing' FOR UPDATE), subject AS (",
    );
    sql.push_str(if shape.create {
        "INSERT INTO {p}subjects (stripe_account, livemode, id, version, account, links) \
         SELECT $9::text, $10::bool, $11::text, 1, $13::text, $14::text FROM fence \
         WHERE $12::bigint = 0 ON CONFLICT DO NOTHING RETURNING 1"
    } else {
        "UPDATE {p}subjects SET version = version + 1, account = $13, links = $14 \
         WHERE stripe_account = $9 AND livemode = $10 AND id = $11 AND version = $12 \
         AND EXISTS (SELECT 1 FROM fence) RETURNING 1"
    });
    sql.push_str(
        "), settled AS (UPDATE {p}events SET status = $3, due_at = $4, \
         attempts = attempts + $5, reason = $6, message = COALESCE($7, message), \
         error_class = COALESCE($8, error_class), subject = $11 \
         WHERE seq = $1 AND EXISTS (SELECT 1 FROM subject)), \
         written AS (INSERT INTO {p}records \
         (stripe_account, livemode, subject, kind, id, is_current, body) \
         SELECT $9, $10, $11, r.kind, r.id, r.is_current, r.body \
         FROM unnest($15::text[], $16::text[], $17::bool[], $18::text[]) \
         AS r(kind, id, is_current, body) WHERE EXISTS (SELECT 1 FROM subject) \
         ON CONFLICT (stripe_account, livemode, subject, kind, id) \
         DO UPDATE SET is_current = excluded.is_current, body = excluded.body)",
    );
    if shape.facts {
        sql.push_str(
            ", told AS (INSERT INTO {p}outbox AS o \
             (stripe_account, livemode, fact_key, kind, body, subject, created_at, status, due_at) \
             SELECT $9, $10, f.key, f.kind, f.body, $11, $19, 'pending', $19 \
             FROM unnest($20::text[], $21::text[], $22::text[]) AS f(key, kind, body) \
             WHERE EXISTS (SELECT 1 FROM subject) \
             ON CONFLICT (stripe_account, livemode, fact_key) \
             DO UPDATE SET body = NULL WHERE o.body <> excluded.body)",
        );
    }
    if shape.release {
        sql.push_str(
            ", released AS (UPDATE {p}events SET status = 'received', due_at = $19, \
             reason = NULL WHERE stripe_account = $9 AND livemode = $10 AND subject = $11 \
             AND seq <> $1 AND status = 'parked' AND reason = 'unlinked' \
             AND EXISTS (SELECT 1 FROM subject))",
        );
    }
    sql.push_str(" SELECT (SELECT COUNT(*) FROM fence), (SELECT COUNT(*) FROM subject)");
    sql
}
