//! Databases that a run has for itself, and what they cost.

use std::time::Duration;

use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, Statement};
use tempfile::TempDir;

use crate::{Outcome, cpu};

/// An empty database; [`Scratch::drop_it`] removes it.
pub(crate) struct Scratch {
    pub(crate) url: String,
    kind: Kind,
}

enum Kind {
    Sqlite(TempDir),
    Postgres(Postgres),
}

struct Postgres {
    /// A connection to another database of the server.
    admin: DatabaseConnection,
    name: String,
    /// The server's first process, the parent of all others.
    postmaster: u32,
}

/// What a database has done so far. `None` where it cannot be told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    pub(crate) cpu: Option<Duration>,
    /// Transactions that wrote.
    pub(crate) commits: Option<i64>,
    /// Statements, `BEGIN` and `COMMIT` included: with `pg_stat_statements` only.
    pub(crate) statements: Option<i64>,
}

pub(crate) async fn connect(url: &str, connections: u32) -> Outcome<DatabaseConnection> {
    let mut options = ConnectOptions::new(url.to_owned());
    options.max_connections(connections).test_before_acquire(false).sqlx_logging(false);
    Ok(Database::connect(options).await?)
}

async fn number(connection: &DatabaseConnection, sql: &str) -> Outcome<i64> {
    let statement = Statement::from_string(connection.get_database_backend(), sql);
    let row = connection.query_one_raw(statement).await?;
    Ok(row.ok_or("no row")?.try_get_by_index(0)?)
}

impl Scratch {
    pub(crate) async fn create(server: &str) -> Outcome<Self> {
        if server == "sqlite" {
            let directory = tempfile::tempdir()?;
            let file = directory.path().join("load.db");
            return Ok(Self {
                url: format!("sqlite://{}?mode=rwc", file.display()),
                kind: Kind::Sqlite(directory),
            });
        }
        if !server.starts_with("postgres") {
            return Err("the harness knows `sqlite` and postgres:// URLs".into());
        }
        let admin = connect(server, 1).await?;
        let name = format!("stripe_billing_load_{}", std::process::id());
        let drop = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
        admin.execute_unprepared(&drop).await?;
        let create = format!("CREATE DATABASE {name}");
        admin.execute_unprepared(&create).await?;
        let backend = number(&admin, "SELECT pg_backend_pid()::bigint").await?;
        let postmaster = cpu::of_process(u32::try_from(backend)?)
            .map_err(|error| format!("the server's processes have to be on this machine: {error}"))?
            .parent;
        let (base, _) = server.rsplit_once('/').ok_or("a URL with a database")?;
        Ok(Self {
            url: format!("{base}/{name}"),
            kind: Kind::Postgres(Postgres { admin, name, postmaster }),
        })
    }

    pub(crate) async fn read(&self) -> Outcome<Reading> {
        let Kind::Postgres(postgres) = &self.kind else {
            return Ok(Reading { cpu: None, commits: None, statements: None });
        };
        // Unlike pg_stat_database, this is exact at once; a reader takes no number.
        let commits =
            number(&postgres.admin, "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint");
        let commits = Some(commits.await?);
        let statements = format!(
            "SELECT COALESCE(SUM(calls), 0)::bigint FROM pg_stat_statements s \
             JOIN pg_database d ON d.oid = s.dbid WHERE d.datname = '{}'",
            postgres.name
        );
        let statements = number(&postgres.admin, &statements).await.ok();
        Ok(Reading { cpu: Some(cpu::of_family(postgres.postmaster)?), commits, statements })
    }

    /// What autovacuum does of itself in a database that has been there for a while.
    pub(crate) async fn analyze(&self) -> Outcome {
        let connection = connect(&self.url, 1).await?;
        connection.execute_unprepared("ANALYZE").await?;
        Ok(connection.close().await?)
    }

    /// The database in words, for the report.
    pub(crate) async fn version(&self) -> Outcome<String> {
        let connection = connect(&self.url, 1).await?;
        let sql = match self.kind {
            Kind::Sqlite(_) => "SELECT 'SQLite ' || sqlite_version()",
            Kind::Postgres(_) => "SELECT 'PostgreSQL ' || current_setting('server_version')",
        };
        let statement = Statement::from_string(connection.get_database_backend(), sql);
        let row = connection.query_one_raw(statement).await?;
        let version = row.ok_or("no row")?.try_get_by_index(0)?;
        connection.close().await?;
        Ok(version)
    }

    pub(crate) async fn drop_it(self) -> Outcome {
        match self.kind {
            Kind::Sqlite(directory) => directory.close()?,
            Kind::Postgres(Postgres { admin, name, .. }) => {
                let drop = format!("DROP DATABASE {name} WITH (FORCE)");
                admin.execute_unprepared(&drop).await?;
                admin.close().await?;
            }
        }
        Ok(())
    }
}
