//! Reads as much of a database URL as is needed to open it without ever showing its password.

use std::fmt;

use stripe_billing_core::Secret;

use crate::dialect::Dialect;
use crate::error::ConnectError;

/// A database URL, taken apart.
pub(crate) struct DatabaseUrl {
    pub(crate) dialect: Dialect,
    /// Without the password, so that drivers cannot log it.
    pub(crate) url: String,
    #[cfg_attr(
        not(any(feature = "postgres", feature = "mysql")),
        allow(dead_code, reason = "a file has none")
    )]
    pub(crate) password: Option<Secret>,
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatabaseUrl").field("dialect", &self.dialect).finish_non_exhaustive()
    }
}

impl DatabaseUrl {
    pub(crate) fn parse(url: &str) -> Result<Self, ConnectError> {
        let invalid = |reason: &str| ConnectError::InvalidUrl { reason: reason.to_owned() };
        let url = url.trim();
        let (scheme, rest) = url.split_once(':').ok_or_else(|| invalid("it has no scheme"))?;
        let (dialect, scheme) = match scheme.to_ascii_lowercase().as_str() {
            "sqlite" => (Dialect::Sqlite, "sqlite"),
            "postgres" | "postgresql" => (Dialect::Postgres, "postgres"),
            "mysql" | "mariadb" => (Dialect::Mysql, "mysql"),
            other if rest.starts_with("//") => {
                return Err(ConnectError::UnsupportedScheme { scheme: other.to_owned() });
            }
            // Not what stands there: without a scheme it may be a user's name.
            _ => return Err(invalid("it has no scheme")),
        };
        if dialect == Dialect::Sqlite {
            return Ok(Self { dialect, url: format!("{scheme}:{rest}"), password: None });
        }
        let rest = rest.strip_prefix("//").ok_or_else(|| invalid("after the scheme comes `//`"))?;
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let Some((user_info, host)) = authority.rsplit_once('@') else {
            return Ok(Self {
                dialect,
                url: format!("{scheme}://{authority}{path}"),
                password: None,
            });
        };
        let (user, password) = match user_info.split_once(':') {
            Some((user, password)) => (user, Some(password)),
            None => (user_info, None),
        };
        let password = password
            .filter(|password| !password.is_empty())
            .map(decode)
            .transpose()
            .map_err(|()| invalid("the password is not percent-encoded UTF-8"))?;
        Ok(Self {
            dialect,
            url: format!("{scheme}://{user}@{host}{path}"),
            password: password.map(Secret::new),
        })
    }

    /// A server on this machine.
    #[cfg(any(feature = "postgres", test))]
    pub(crate) fn is_local(&self) -> bool {
        let authority = self.url.split_once("//").map_or("", |(_, rest)| rest);
        let end = authority.find(['/', '?', '#']).unwrap_or(authority.len());
        let host = authority[..end].rsplit('@').next().unwrap_or_default();
        let host = match host.strip_prefix('[') {
            Some(host) => host.split(']').next().unwrap_or_default(),
            None => host.split(':').next().unwrap_or_default(),
        };
        host == "localhost"
            || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    /// A SQLite database that lives in memory, and dies with its connection.
    #[cfg(any(feature = "sqlite", test))]
    pub(crate) fn is_in_memory(&self) -> bool {
        self.dialect == Dialect::Sqlite
            && (self.url.contains(":memory:") || self.url.contains("mode=memory"))
    }
}

fn decode(text: &str) -> Result<String, ()> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| char::from(byte.unwrap_or_default()).to_digit(16).ok_or(());
        let value = digit(rest.next())? * 16 + digit(rest.next())?;
        bytes.push(u8::try_from(value).map_err(|_| ())?);
    }
    String::from_utf8(bytes).map_err(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_is_taken_out_of_the_url() {
        let url = DatabaseUrl::parse("postgresql://app:p%40ss%3A@db:5432/billing?a=b").unwrap();
        assert_eq!(url.dialect, Dialect::Postgres);
        assert_eq!(url.url, "postgres://app@db:5432/billing?a=b");
        assert_eq!(url.password.as_ref().unwrap().expose(), "p@ss:");
        assert!(!format!("{url:?}").contains("ss"), "{url:?}");

        let url = DatabaseUrl::parse("mariadb://root@127.0.0.1:3306/").unwrap();
        assert_eq!(url.dialect, Dialect::Mysql);
        assert_eq!(url.url, "mysql://root@127.0.0.1:3306/");
        assert!(url.password.is_none());
    }

    #[test]
    fn servers_on_this_machine_are_known() {
        for (url, local) in [
            ("postgres://app:p@127.0.0.1:5432/x", true),
            ("postgres://localhost/x", true),
            ("postgres://app@[::1]:5432/x", true),
            ("postgres://app@db.example.com/127.0.0.1", false),
            ("postgres://localhost:p@db/x?host=y", false),
            ("postgres:///x", false),
        ] {
            assert_eq!(DatabaseUrl::parse(url).unwrap().is_local(), local, "{url}");
        }
    }

    #[test]
    fn sqlite_urls_are_left_as_they_are() {
        for (url, in_memory) in [
            ("sqlite::memory:", true),
            ("sqlite://:memory:", true),
            ("sqlite://billing.db?mode=rwc", false),
            ("sqlite:billing.db", false),
        ] {
            let parsed = DatabaseUrl::parse(url).unwrap();
            assert_eq!((parsed.url.as_str(), parsed.is_in_memory()), (url, in_memory));
        }
    }

    #[test]
    fn a_wrong_url_is_refused_and_never_shown() {
        for (url, says) in [
            ("oracle://scott:tiger@db/x", "`oracle` is not supported"),
            ("billing.db", "no scheme"),
            ("", "no scheme"),
            ("postgres:tiger", "after the scheme comes `//`"),
            ("postgres://scott:tiger%zz@db/x", "percent-encoded"),
            ("user_name:tiger@db/x", "no scheme"),
        ] {
            let error = DatabaseUrl::parse(url).unwrap_err();
            let shown = format!("{error} {error:?}");
            assert!(shown.contains(says), "{shown}");
            assert!(!shown.contains("tiger"), "{shown}");
            assert!(!error.is_retryable());
        }
    }
}
