//! The address of a Redis server: `redis://user:password@host:port/database`.

use std::fmt;
use std::num::NonZeroU16;
use std::str::FromStr;

use thiserror::Error;
use tollgate_core::secret::Secret;

use crate::secrets::SecretSource;

/// Where counters are kept, if not in the process; its password is never printed.
///
/// `redis://` and `rediss://` (TLS) name one server, `redis-cluster://` and `rediss-cluster://` some nodes of a cluster, divided
/// by commas. User and password are texts with percent-encoding, or `${secret.NAME}`.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisAddress {
    pub(super) is_cluster: bool,
    pub(super) has_tls: bool,
    pub(super) nodes: Vec<(String, u16)>,
    pub(super) user: Option<Credential>,
    pub(super) password: Option<Credential>,
    pub(super) database: u16,
}

/// A user or a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Credential {
    Given(Secret),
    /// The name of a secret, which is read for each connection.
    Named(String),
}

/// Why a text is not the address of a Redis server; it contains nothing of the text, which may have a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum RedisAddressError {
    /// It has none of the schemes.
    #[error("it has to begin with redis://, rediss://, redis-cluster:// or rediss-cluster://")]
    Scheme,
    /// A host is missing or a port is not a number.
    #[error("after the scheme and the user, write HOST or HOST:PORT, with a port from 1 to 65535")]
    Host,
    /// One server has several hosts.
    #[error("one server has one host; for the nodes of a cluster write redis-cluster:// or rediss-cluster://")]
    SeveralHosts,
    /// The database is not a number.
    #[error("the path is the number of a database, such as /0")]
    Database,
    /// A cluster has only one database.
    #[error("a cluster has only the database 0: leave out the path")]
    DatabaseOfCluster,
    /// Something follows that has no meaning.
    #[error("`?` and `#` have no meaning in it: encode them in a password as %3F and %23")]
    Rest,
    /// A percent sign is not followed by two hexadecimal digits, or the result is not UTF-8.
    #[error("the user or the password has a wrong percent-encoding; encode a percent sign as %25")]
    Encoding,
}

impl RedisAddress {
    /// Whether a text was meant as an address of Redis, and not as the path of a file.
    #[must_use]
    pub fn is_meant(text: &str) -> bool {
        text.split_once("://").is_some_and(|(scheme, _)| scheme.starts_with("redis"))
    }

    /// Whether connections use TLS.
    #[must_use]
    pub fn has_tls(&self) -> bool {
        self.has_tls
    }
}

impl Credential {
    /// Its value; the error names the secret and what is wrong with it.
    pub(super) fn value(&self, secrets: &SecretSource) -> Result<String, String> {
        match self {
            Self::Given(secret) => Ok(secret.expose().to_owned()),
            Self::Named(name) => match secrets.read(name) {
                Ok(Some(secret)) => Ok(secret.values().first().copied().unwrap_or_default().to_owned()),
                Ok(None) => Err(format!("the secret {name} of their address does not exist")),
                Err(error) => Err(error.to_string()),
            },
        }
    }

    fn parse(text: &str) -> Result<Self, RedisAddressError> {
        match text.strip_prefix("${secret.").and_then(|rest| rest.strip_suffix('}')) {
            Some(name) => Ok(Self::Named(name.to_owned())),
            None => decoded(text).map(|text| Self::Given(Secret::new(text))).ok_or(RedisAddressError::Encoding),
        }
    }
}

impl FromStr for RedisAddress {
    type Err = RedisAddressError;

    fn from_str(text: &str) -> Result<Self, RedisAddressError> {
        let (scheme, rest) = text.split_once("://").ok_or(RedisAddressError::Scheme)?;
        let (has_tls, is_cluster) = match scheme {
            "redis" => (false, false),
            "rediss" => (true, false),
            "redis-cluster" => (false, true),
            "rediss-cluster" => (true, true),
            _ => return Err(RedisAddressError::Scheme),
        };
        if rest.contains(['?', '#']) {
            return Err(RedisAddressError::Rest);
        }
        let (user, rest) = rest.rsplit_once('@').map_or((None, rest), |(user, rest)| (Some(user), rest));
        let (hosts, path) = rest.split_once('/').unwrap_or((rest, ""));
        let nodes = hosts.split(',').map(node).collect::<Option<Vec<_>>>().ok_or(RedisAddressError::Host)?;
        if nodes.len() > 1 && !is_cluster {
            return Err(RedisAddressError::SeveralHosts);
        }
        let database = match path {
            "" => 0,
            number => number.parse().map_err(|_| RedisAddressError::Database)?,
        };
        if database != 0 && is_cluster {
            return Err(RedisAddressError::DatabaseOfCluster);
        }
        let (user, password) = user.map_or(("", ""), |user| user.split_once(':').unwrap_or((user, "")));
        let credential = |text: &str| (!text.is_empty()).then(|| Credential::parse(text)).transpose();
        let (user, password) = (credential(user)?, credential(password)?);
        Ok(Self { is_cluster, has_tls, nodes, user, password, database })
    }
}

/// The servers without user and password.
impl fmt::Display for RedisAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (tls, cluster) = (if self.has_tls { "s" } else { "" }, if self.is_cluster { "-cluster" } else { "" });
        write!(f, "redis{tls}{cluster}://")?;
        for (place, (host, port)) in self.nodes.iter().enumerate() {
            let comma = if place == 0 { "" } else { "," };
            let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
            write!(f, "{comma}{host}:{port}")?;
        }
        if self.database != 0 {
            write!(f, "/{}", self.database)?;
        }
        Ok(())
    }
}

impl fmt::Debug for RedisAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedisAddress({self})")
    }
}

fn node(text: &str) -> Option<(String, u16)> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map(|(host, port)| (host, port.strip_prefix(':')))?,
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let port = port.map_or(Some(PORT), |port| port.parse().ok().map(NonZeroU16::get))?;
    (!host.is_empty()).then(|| (host.to_owned(), port))
}

fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || char::from(rest.next()?).to_digit(16);
        bytes.push(u8::try_from(digit()? * 16 + digit()?).ok()?);
    }
    String::from_utf8(bytes).ok()
}

/// The port of Redis and Valkey.
const PORT: u16 = 6379;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, shown: &str, user: Option<&str>, password: Option<&str>) {
        let address: RedisAddress = text.parse().unwrap();
        assert_eq!(address.to_string(), shown);
        let secrets = [("PASSWORD".to_owned(), Secret::new("from-the-source".to_owned()))];
        let secrets = SecretSource::Given(secrets.into());
        let value = |credential: &Option<Credential>| credential.as_ref().map(|one| one.value(&secrets).unwrap());
        assert_eq!(value(&address.user).as_deref(), user);
        assert_eq!(value(&address.password).as_deref(), password);
    }

    #[test]
    fn addresses_are_read() {
        check("redis://localhost", "redis://localhost:6379", None, None);
        check(
            "rediss://ada:pa%40ss@cache.internal:7000/3",
            "rediss://cache.internal:7000/3",
            Some("ada"),
            Some("pa@ss"),
        );
        check("redis://:only@[::1]:7000", "redis://[::1]:7000", None, Some("only"));
        check("redis://ada:${secret.PASSWORD}@h", "redis://h:6379", Some("ada"), Some("from-the-source"));
        check("redis-cluster://:p@a,b:7001,c", "redis-cluster://a:6379,b:7001,c:6379", None, Some("p"));
        check("rediss-cluster://a/0", "rediss-cluster://a:6379", None, None);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, error) in [
            ("localhost:6379", RedisAddressError::Scheme),
            ("redisx://h", RedisAddressError::Scheme),
            ("redis://", RedisAddressError::Host),
            ("redis://h:0", RedisAddressError::Host),
            ("redis://h:port", RedisAddressError::Host),
            ("redis-cluster://a,,b", RedisAddressError::Host),
            ("redis://a,b", RedisAddressError::SeveralHosts),
            ("redis://h/first", RedisAddressError::Database),
            ("redis-cluster://h/1", RedisAddressError::DatabaseOfCluster),
            ("redis://h?timeout=1", RedisAddressError::Rest),
            ("redis://:%4@h", RedisAddressError::Encoding),
            ("redis://:%ff@h", RedisAddressError::Encoding),
        ] {
            assert_eq!(text.parse::<RedisAddress>(), Err(error), "{text}");
        }
    }

    #[test]
    fn credentials_are_never_shown() {
        let address: RedisAddress = "redis://ada:hidden@h".parse().unwrap();
        let texts = [address.to_string(), format!("{address:?}"), format!("{:?}", address.password)];
        assert!(texts.iter().all(|text| !text.contains("hidden") && !text.contains("ada")), "{texts:?}");
        let missing = Credential::Named("ABSENT".into()).value(&SecretSource::Given(Default::default()));
        assert_eq!(missing, Err("the secret ABSENT of their address does not exist".to_owned()));
    }
}
