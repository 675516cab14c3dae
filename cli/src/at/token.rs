//! Where the operator's token is found: a file, the environment, or what `tollgate dev` left for this machine.

use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use http::Uri;
use tollgate_core::hex;
use tollgate_core::secret::Secret;

use super::is_loopback;
use crate::failure::Failure;

/// The token to send, if there is one.
pub(super) fn find(file: Option<&Path>, at: &Uri) -> Result<Option<Secret>, Failure> {
    if let Some(file) = file {
        return token_in(file).map(Some);
    }
    match std::env::var(VARIABLE) {
        Ok(token) if !token.is_empty() => {
            check(&token).map_err(|why| Failure::usage(format!("{VARIABLE} {why}")))?;
            Ok(Some(Secret::new(token)))
        }
        Ok(_) | Err(std::env::VarError::NotPresent) => Ok(of_dev(at)),
        Err(std::env::VarError::NotUnicode(_)) => Err(Failure::usage(format!("{VARIABLE} {NO_TOKEN}"))),
    }
}

/// The token in a file; its last line end is dropped.
fn token_in(file: &Path) -> Result<Secret, Failure> {
    let text =
        std::fs::read_to_string(file).map_err(|error| Failure::problem(format!("{}: {error}", file.display())))?;
    let token = text.trim_end_matches(['\n', '\r']);
    check(token).map_err(|why| Failure::problem(format!("{} {why}", file.display())))?;
    Ok(Secret::new(token.to_owned()))
}

/// The token that a development server accepts, and the files where the commands of this user find it.
///
/// The files are removed when this is dropped.
pub(crate) struct DevToken {
    token: Secret,
    files: Vec<PathBuf>,
}

impl DevToken {
    /// A new token, in no file yet.
    pub(crate) fn new() -> Result<Self, Failure> {
        let mut random = [0u8; 24];
        getrandom::fill(&mut random)
            .map_err(|error| Failure::problem(format!("the system has no entropy: {error}")))?;
        Ok(Self { token: Secret::new(hex::encode(&random)), files: Vec::new() })
    }

    /// The token, as a secret binds it.
    pub(crate) fn bound(&self) -> String {
        format!("dev:{}", self.token.expose())
    }

    /// Leaves the token to the commands of this user, for the server at a URL of this machine.
    ///
    /// Where it cannot be left the server runs on; the commands then need a token of one's own.
    pub(crate) fn leave(&mut self, url: &str) {
        let Some(path) = url.parse().ok().as_ref().and_then(file_of) else { return };
        if write(&path, &self.token).is_ok() {
            self.files.push(path);
        }
    }
}

impl Drop for DevToken {
    fn drop(&mut self) {
        for file in &self.files {
            // A token that is left behind opens nothing: the server that accepted it is gone.
            let _ = std::fs::remove_file(file);
        }
    }
}

fn of_dev(at: &Uri) -> Option<Secret> {
    token_in(&file_of(at)?).ok()
}

/// A file for each port of this machine, in a folder that is the user's own.
fn file_of(at: &Uri) -> Option<PathBuf> {
    let port = at.port_u16().filter(|_| at.host().is_some_and(is_loopback))?;
    let folder = std::env::var_os("XDG_RUNTIME_DIR").filter(|folder| !folder.is_empty()).map(PathBuf::from);
    let folder = folder.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".local/state")))?;
    Some(folder.join("tollgate").join(format!("dev-{port}.token")))
}

fn write(path: &Path, token: &Secret) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    // What an earlier server left at this port; a link is removed, not followed.
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(token.expose().as_bytes())
}

fn check(token: &str) -> Result<(), &'static str> {
    let is_token = !token.is_empty() && token.bytes().all(|b| b.is_ascii_graphic());
    match (is_token, token.contains(':')) {
        (true, false) => Ok(()),
        (true, true) => Err(NAMED_TOKEN),
        (false, _) => Err(NO_TOKEN),
    }
}

const NO_TOKEN: &str = "holds no token: one line of visible ASCII characters is expected";

/// `NAME:TOKEN` is the form of the secret that binds a token; a token itself has no colon.
const NAMED_TOKEN: &str = "holds a name and a token: remove the name and the colon, only the token is sent";

const VARIABLE: &str = "TOLLGATE_OPERATOR_TOKEN";
