//! `tollgate key password`.

use std::io::Read;

use clap::Args;
use tollgate_core::authn::NameAndPassword;

use super::random;
use crate::failure::Failure;
use crate::terminal;

/// Hash the password of a person, for `users` of a policy of the kind `basic`.
///
/// The password is read from standard input, without the end of its line. Only its hash is printed: argon2id, with the parameters that
/// OWASP recommends. It is written to no store.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tollgate key password
  pass show portal/ada | tollgate key password")]
pub(super) struct PasswordArgs {}

pub(super) fn run() -> Result<(), Failure> {
    let mut text = String::new();
    let mut input = std::io::stdin().lock().take(READ_MAX);
    input.read_to_string(&mut text).map_err(|error| Failure::problem(format!("standard input: {error}")))?;
    let password = text.strip_suffix('\n').map_or(text.as_str(), |line| line.strip_suffix('\r').unwrap_or(line));
    check(password).map_err(Failure::problem)?;
    let mut salt = [0; 16];
    salt.copy_from_slice(&random()?[..16]);
    let hash = tollgate_signatures::hash_password(password, &salt);
    let hash = hash.ok_or_else(|| Failure::problem("the hash cannot be computed on this computer"))?;
    terminal::print(&format!("{hash}\n"));
    Ok(())
}

/// Whether a request can present the password, and nobody guesses it at once.
fn check(password: &str) -> Result<(), String> {
    if password.chars().count() < CHARACTERS_MIN {
        return Err(format!("standard input has less than {CHARACTERS_MIN} characters; choose a longer password"));
    }
    let sent = NameAndPassword::parse(&NameAndPassword::encode("user", password));
    sent.map(drop).map_err(|error| format!("no request can present this password: {error}"))
}

/// NIST SP 800-63B-4, section 3.1.1.2, for passwords that are used alone.
const CHARACTERS_MIN: usize = 15;

const READ_MAX: u64 = 4_096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_long_enough_and_can_be_presented() {
        assert_eq!(check("correct horse battery staple"), Ok(()));
        assert_eq!(check("p\u{e4}ssw\u{f6}rter: 15 of them"), Ok(()));
        for (bad, words) in [("", "less than 15"), ("short", "less than 15"), ("several\nlines of text", "control")] {
            assert!(check(bad).is_err_and(|error| error.contains(words)), "{bad}");
        }
        assert!(check(&"a".repeat(600)).is_err_and(|error| error.contains("512")));
    }
}
