//! What readers of a bundle must support: kinds of sections and grammars, each with a version.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;
use thiserror::Error;
use tollgate_core::json::{FromJson, Unfit, Value, form};

use crate::{RecordError, policies};

/// A kind of section, or a grammar of strings, in a version that a reader must support; written `jwt@900`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(into = "String")]
pub struct Need {
    kind: String,
    version: u16,
}

/// A text that is not a kind with a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not a kind and a version, such as `jwt@900`")]
pub struct NeedError;

impl Need {
    pub(crate) fn new(kind: &str, version: u16) -> Self {
        // It may be logged, although it is read from a record.
        let kind = kind.chars().filter(|c| !c.is_control()).take(KIND_CHARS_MAX).collect();
        Self { kind, version }
    }

    pub(crate) fn kind(&self) -> &str {
        &self.kind
    }

    /// Checks whether this program supports the kind in this version.
    ///
    /// # Errors
    /// [`RecordError::Unknown`] or [`RecordError::TooOld`], which name it.
    pub fn is_met(&self) -> Result<(), RecordError> {
        self.check(known(&self.kind))
    }

    pub(crate) fn check(&self, known: Option<(u16, u16)>) -> Result<(), RecordError> {
        match known {
            Some((oldest, _)) if self.version < oldest => Err(RecordError::TooOld { need: self.clone() }),
            Some((_, newest)) if self.version <= newest => Ok(()),
            Some(_) | None => Err(RecordError::Unknown { need: self.clone() }),
        }
    }
}

impl FromJson for Need {
    fn blank() -> Self {
        Self { kind: String::new(), version: 0 }
    }

    fn take(&mut self, value: Value) -> Result<(), Unfit> {
        form::parse(self, &value)
    }
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.kind, self.version)
    }
}

impl FromStr for Need {
    type Err = NeedError;

    fn from_str(text: &str) -> Result<Self, NeedError> {
        let (kind, version) = text.rsplit_once('@').ok_or(NeedError)?;
        let version = version.parse().map_err(|_| NeedError)?;
        let is_kind = kind.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        if kind.is_empty() || kind.len() > KIND_CHARS_MAX || !is_kind {
            return Err(NeedError);
        }
        Ok(Self { kind: kind.to_owned(), version })
    }
}

impl From<Need> for String {
    fn from(need: Need) -> Self {
        need.to_string()
    }
}

/// The versions of a kind that this program reads, the oldest and the newest.
fn known(kind: &str) -> Option<(u16, u16)> {
    let mut fixed = crate::part::KINDS.iter().chain(crate::manifest::KINDS).chain(crate::grammars::KINDS);
    fixed.find(|(known, _)| *known == kind).map(|(_, versions)| *versions).or_else(|| policies::known(kind))
}

/// Maximum length of a kind's name: twice the length of the longest one.
const KIND_CHARS_MAX: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_need_is_a_kind_and_a_version() {
        let need: Need = "jwt@900".parse().unwrap();
        assert_eq!(need.to_string(), "jwt@900");
        for wrong in ["", "jwt", "@1", "jwt@", "jwt@x", "jwt@70000", "JWT@1", "a b@1", &format!("{}@1", "a".repeat(41))]
        {
            assert_eq!(wrong.parse::<Need>(), Err(NeedError), "{wrong}");
        }
    }

    #[test]
    fn unknown_needs_are_refused_by_name() {
        let refused = |need: &str| need.parse::<Need>().unwrap().is_met().unwrap_err().to_string();
        assert!(refused("jwt@900").starts_with("this program does not know jwt@900"), "{}", refused("jwt@900"));
        assert!(refused("rate-limit@900").starts_with("this program does not know rate-limit@900"));
        assert!(refused("routes@0").starts_with("this program does not read routes@0 any more"));
        for known in ["rate-limit@1", "api-key@1", "routes@1", "gateway@1", "path-template@1"] {
            assert_eq!(known.parse::<Need>().unwrap().is_met(), Ok(()), "{known}");
        }
    }
}
