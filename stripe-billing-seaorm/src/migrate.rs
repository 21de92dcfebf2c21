//! The tables, which the library owns: an append-only list of versions.

use sea_orm::{ConnectionTrait, DatabaseTransaction};
use stripe_billing_core::StoreError;

use crate::classify::classify;
#[cfg(feature = "mysql")]
use crate::classify::is_trigger_refused;
use crate::db::{self, Db};
use crate::dialect::Dialect;
use crate::error::ConnectError;

/// One version: its statements in each dialect, separated by semicolons that end a line. Every
/// statement can be run again, because MySQL commits each on its own and a crash may come in between.
struct Migration {
    version: i64,
    sqlite: &'static str,
    postgres: &'static str,
    mysql: &'static str,
}

/// Released versions are never edited; a change of the tables is a new entry at the end.
const MIGRATIONS: &[Migration] = &[Migration {
    version: 1,
    sqlite: include_str!("schema/v1/sqlite.sql"),
    postgres: include_str!("schema/v1/postgres.sql"),
    mysql: include_str!("schema/v1/mysql.sql"),
}];

const CREATE_HISTORY: &str = "CREATE TABLE IF NOT EXISTS {p}migrations \
     (version BIGINT NOT NULL PRIMARY KEY)";

/// Brings the tables up to date; nodes that start at once take turns.
pub(crate) async fn run(db: &Db) -> Result<(), ConnectError> {
    // In one transaction, and so on one connection, which is what the locks need.
    let tx = db.begin().await?;
    lock(db, &tx).await?;
    let migrated = apply(db, &tx).await;
    if db.dialect == Dialect::Mysql {
        // Held by the connection, not by the transaction.
        let released = db
            .query(
                &tx,
                "SELECT RELEASE_LOCK(SHA2(CONCAT(DATABASE(), '.', ?), 256))",
                vec![lock_name(db).into()],
            )
            .await;
        migrated?;
        released?;
    } else {
        migrated?;
    }
    Ok(db.commit(tx).await?)
}

async fn lock(db: &Db, tx: &DatabaseTransaction) -> Result<(), ConnectError> {
    match db.dialect {
        // `BEGIN IMMEDIATE` has taken the only lock there is.
        Dialect::Sqlite => {}
        Dialect::Postgres => {
            db.query(
                tx,
                "SELECT 1 FROM pg_advisory_xact_lock(hashtextextended($1, 0))",
                vec![lock_name(db).into()],
            )
            .await?;
        }
        Dialect::Mysql => {
            let rows = db
                .query(
                    tx,
                    "SELECT GET_LOCK(SHA2(CONCAT(DATABASE(), '.', ?), 256), 60)",
                    vec![lock_name(db).into()],
                )
                .await?;
            let taken = match rows.first() {
                Some(row) => db::column::<Option<i64>>(row, 0)?,
                None => None,
            };
            if taken != Some(1) {
                return Err(ConnectError::MigrationLocked);
            }
        }
    }
    Ok(())
}

/// Locks of MySQL are the server's, so the statements add the database to the name, and hash both to
/// the 64 characters that it may have. By `SHA2`: MySQL 9.6 has no `SHA1` any more.
fn lock_name(db: &Db) -> String {
    format!("stripe_billing.migrate.{}", db.prefix)
}

async fn apply(db: &Db, tx: &DatabaseTransaction) -> Result<(), ConnectError> {
    let table = match db.dialect {
        Dialect::Mysql => table_options(db, tx).await?,
        Dialect::Sqlite | Dialect::Postgres => String::new(),
    };
    run_script(db, tx, CREATE_HISTORY, &table).await?;
    let rows = db
        .query(tx, db.render("SELECT COALESCE(MAX(version), 0) FROM {p}migrations"), Vec::new())
        .await?;
    let found: i64 = match rows.first() {
        Some(row) => db::column(row, 0)?,
        None => 0,
    };
    let supported = MIGRATIONS.last().map_or(0, |newest| newest.version);
    if found > supported {
        return Err(ConnectError::SchemaTooNew { found, supported });
    }
    for migration in MIGRATIONS.iter().filter(|step| step.version > found) {
        let script = match db.dialect {
            Dialect::Sqlite => migration.sqlite,
            Dialect::Postgres => migration.postgres,
            Dialect::Mysql => migration.mysql,
        };
        run_script(db, tx, script, &table).await?;
        db.execute(
            tx,
            db.render("INSERT INTO {p}migrations (version) VALUES (?)"),
            vec![migration.version.into()],
        )
        .await?;
        tracing::info!(version = migration.version, prefix = db.prefix, "billing tables migrated");
    }
    Ok(())
}

async fn run_script(
    db: &Db,
    tx: &DatabaseTransaction,
    script: &str,
    table: &str,
) -> Result<(), StoreError> {
    // At the ends of lines: a trigger's body has semicolons within them.
    for statement in script.split(";\n").map(str::trim) {
        if statement.is_empty() {
            continue;
        }
        let rendered = db.render(&statement.replace("{table}", table));
        match tx.execute_unprepared(&rendered).await.map_err(classify) {
            Ok(_) => {}
            #[cfg(feature = "mysql")]
            Err(error) if statement.contains(" TRIGGER ") && is_trigger_refused(&error) => {
                tracing::warn!(
                    "this user may make no triggers, so nothing but its rights keeps the audit \
                     log and the entries of the ledger from being changed: {error}"
                );
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Ids differ by case and by trailing spaces, which `utf8mb4_bin` does not see; the collation that
/// does has two names.
async fn table_options(db: &Db, tx: &DatabaseTransaction) -> Result<String, StoreError> {
    let rows = db.query(tx, "SELECT VERSION()", Vec::new()).await?;
    let version: String = match rows.first() {
        Some(row) => db::column(row, 0)?,
        None => String::new(),
    };
    let collation =
        if version.contains("MariaDB") { "utf8mb4_nopad_bin" } else { "utf8mb4_0900_bin" };
    Ok(format!("ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE={collation}"))
}
