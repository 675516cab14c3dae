//! Secrets from the environment or a folder of files.

use std::path::PathBuf;

use tollgate_core::operator::SECRET_PREFIX;
use tollgate_core::secret::Secret;
use tollgate_edge::ports::{Secrets, Unavailable};

/// Where `${secret.NAME}` is looked up. Its values are never printed.
#[derive(Clone, Debug)]
pub enum SecretSource {
    /// `TOLLGATE_SECRET_<NAME>`, with the name in upper case and `_` for every character that is not a letter or digit.
    /// The secrets of the operator endpoint, such as `TOLLGATE_OPERATOR_READ`, have no prefix.
    Environment,
    /// A file with the secret's name in this folder, as Kubernetes and Docker mount them; one trailing line break is
    /// removed.
    Folder(PathBuf),
    /// Values of the program that embeds the server: tests, and the local launcher.
    Given(std::collections::BTreeMap<String, Secret>),
}

impl SecretSource {
    /// The secret's value, or `None` if there is no secret with this name.
    ///
    /// # Errors
    /// [`Unavailable`] if it cannot be read.
    pub fn read(&self, name: &str) -> Result<Option<Secret>, Unavailable> {
        if !is_plain(name) {
            return Ok(None);
        }
        match self {
            Self::Environment => from_environment(name),
            Self::Folder(folder) => from_file(&folder.join(name)),
            Self::Given(values) => Ok(values.get(name).cloned()),
        }
    }
}

impl Secrets for SecretSource {
    async fn secret(&self, name: &str) -> Result<Option<Secret>, Unavailable> {
        self.read(name)
    }
}

/// Whether the name is safe as a variable or file name: it cannot refer to another folder.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
}

fn from_environment(name: &str) -> Result<Option<Secret>, Unavailable> {
    let name = name.to_ascii_uppercase().replace('-', "_");
    let variable = if name.starts_with(SECRET_PREFIX) { name } else { format!("TOLLGATE_SECRET_{name}") };
    match std::env::var(variable) {
        Ok(value) => Ok(Some(Secret::new(value))),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(std::env::VarError::NotUnicode(_)) => Err(Unavailable::new("a secret in the environment is not UTF-8")),
    }
}

fn from_file(path: &std::path::Path) -> Result<Option<Secret>, Unavailable> {
    match std::fs::read_to_string(path) {
        Ok(text) => {
            let value = text.strip_suffix('\n').unwrap_or(&text);
            let value = value.strip_suffix('\r').unwrap_or(value);
            Ok(Some(Secret::new(value.to_owned())))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Unavailable::new(format!("a secret's file cannot be read: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn value(source: &SecretSource, name: &str) -> Option<String> {
        let secret = source.secret(name).await.unwrap();
        secret.map(|s| s.expose().to_owned())
    }

    #[tokio::test]
    async fn a_mounted_file_is_read_without_its_line_break() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("TOKEN"), "s3cret\n").unwrap();
        let source = SecretSource::Folder(folder.path().to_owned());
        assert_eq!(value(&source, "TOKEN").await.as_deref(), Some("s3cret"));
        assert_eq!(value(&source, "OTHER").await, None);
    }

    #[tokio::test]
    async fn a_name_cannot_refer_to_another_folder() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("in")).unwrap();
        std::fs::write(folder.path().join("TOKEN"), "s3cret").unwrap();
        let source = SecretSource::Folder(folder.path().join("in"));
        assert_eq!(value(&source, "../TOKEN").await, None);
        assert_eq!(value(&source, "").await, None);
    }

    #[tokio::test]
    async fn a_missing_variable_is_an_absent_secret() {
        assert_eq!(value(&SecretSource::Environment, "NOT_SET_ANYWHERE").await, None);
    }
}
