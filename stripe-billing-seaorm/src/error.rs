use stripe_billing_core::StoreError;

/// Why a store could not be opened. No variant carries the URL, which may hold a password.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The URL cannot be read.
    #[error(
        "the database URL is not valid: {reason}; write for example \
         `sqlite://billing.db?mode=rwc`, `postgres://user:password@host/database` or \
         `mysql://user:password@host/database`"
    )]
    InvalidUrl {
        /// What is wrong with it.
        reason: String,
    },
    /// The URL's scheme names a database that is not supported.
    #[error(
        "the database scheme `{scheme}` is not supported; use a URL that begins with `sqlite:`, \
         `postgres:` or `mysql:` (also for MariaDB)"
    )]
    UnsupportedScheme {
        /// What stands before the colon.
        scheme: String,
    },
    /// The database is supported, but not compiled in.
    #[error(
        "support for {feature} is not compiled in; add it in Cargo.toml: \
         stripe-billing-seaorm = {{ features = [\"{feature}\"] }}"
    )]
    FeatureDisabled {
        /// The Cargo feature to enable.
        feature: &'static str,
    },
    /// The table prefix cannot be used.
    #[error(
        "the table prefix {prefix:?} cannot be used: it has 1 to 24 characters of a-z, 0-9 and _, \
         and begins with a letter"
    )]
    InvalidPrefix {
        /// The prefix.
        prefix: String,
    },
    /// The database cannot be reached or refuses the connection.
    #[error("no connection to the database ({hint}): {source}")]
    Unreachable {
        /// What to look at.
        hint: &'static str,
        /// What the driver said.
        source: StoreError,
    },
    /// The tables were made by a newer version of this library.
    #[error(
        "the billing tables have version {found}, and this library knows up to {supported}: \
         it is older than the one that migrated the database; deploy the newer one"
    )]
    SchemaTooNew {
        /// The version of the tables.
        found: i64,
        /// The newest version that this library knows.
        supported: i64,
    },
    /// Another node has been migrating the tables for a minute.
    #[error("another node has been migrating the billing tables for a minute; try again")]
    MigrationLocked,
    /// The tables could not be brought up to date.
    #[error("the billing tables could not be migrated: {0}")]
    Migration(#[from] StoreError),
}

impl ConnectError {
    /// Whether the same call may succeed later without anyone changing anything.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Unreachable { source, .. } | Self::Migration(source) => source.is_retryable(),
            Self::MigrationLocked => true,
            Self::InvalidUrl { .. }
            | Self::UnsupportedScheme { .. }
            | Self::FeatureDisabled { .. }
            | Self::InvalidPrefix { .. }
            | Self::SchemaTooNew { .. } => false,
        }
    }
}
