//! The questions, each with a default; they go to standard error, because standard output is for the answer.

use std::io::{BufRead, IsTerminal, Write};

use tollgate_kv_schemas::keys;

use super::{InitArgs, NAME_RULE, Wishes};
use crate::failure::Failure;

/// Whether questions can be asked.
pub(super) fn can() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Asks for the values that the command line does not give.
pub(super) fn about(args: &InitArgs, defaults: Wishes) -> Result<Wishes, Failure> {
    questions(args, defaults, &mut std::io::stdin().lock(), &mut std::io::stderr().lock())
        .map_err(|error| Failure::problem(format!("no answer, so nothing was created: {error}")))
}

fn questions(
    args: &InitArgs,
    mut wishes: Wishes,
    from: &mut impl BufRead,
    to: &mut impl Write,
) -> std::io::Result<Wishes> {
    writeln!(to, "A new project in {}. Press Enter to accept the value in brackets.", args.folder.display())?;
    if args.name.is_none() {
        wishes.name = answer("The gateway's name", &wishes.name, from, to, |name| {
            if keys::is_gateway_name(name) { Ok(()) } else { Err(NAME_RULE) }
        })?;
    }
    if args.upstream.is_none() {
        wishes.upstream = answer("The server it calls", &wishes.upstream, from, to, |url| {
            let is_url = url.starts_with("http://") || url.starts_with("https://");
            if is_url { Ok(()) } else { Err("a server is a URL that begins with http:// or https://") }
        })?;
    }
    if args.hosts.is_empty() {
        let hosts = answer("The hosts it answers on, * for every host", "*", from, to, |_| Ok(()))?;
        wishes.hosts =
            hosts.split([' ', ',']).filter(|host| !host.is_empty() && *host != "*").map(str::to_owned).collect();
    }
    Ok(wishes)
}

/// Asks until an answer is valid.
fn answer(
    question: &str,
    default: &str,
    from: &mut impl BufRead,
    to: &mut impl Write,
    check: impl Fn(&str) -> Result<(), &'static str>,
) -> std::io::Result<String> {
    loop {
        write!(to, "{question} [{default}]: ")?;
        to.flush()?;
        let mut line = String::new();
        if from.read_line(&mut line)? == 0 {
            writeln!(to)?;
            return Err(std::io::Error::other("the input ended"));
        }
        let given = line.trim();
        let given = if given.is_empty() { default } else { given };
        match check(given) {
            Ok(()) => return Ok(given.to_owned()),
            Err(reason) => writeln!(to, "  {reason}")?,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: InitArgs,
    }

    #[track_caller]
    fn check(words: &[&str], input: &str, expected: Option<(&str, &str, &[&str])>) {
        let args = Line::parse_from([&["init"], words].concat()).args;
        let defaults = Wishes {
            name: args.name.clone().unwrap_or("shop".into()),
            upstream: args.upstream.clone().unwrap_or("http://a".into()),
            hosts: args.hosts.clone(),
            targets: Vec::new(),
        };
        let found = questions(&args, defaults, &mut input.as_bytes(), &mut Vec::new()).ok();
        let found = found.as_ref().map(|w| (w.name.as_str(), w.upstream.as_str(), w.hosts.clone()));
        assert_eq!(found, expected.map(|(n, u, h)| (n, u, h.iter().map(|h| (*h).to_owned()).collect())));
    }

    #[test]
    fn enter_takes_the_default_and_a_wrong_answer_is_asked_again() {
        check(&[], "\n\n\n", Some(("shop", "http://a", &[])));
        check(
            &[],
            "Not a name\nb\nftp://x\nhttps://b\na.example, b.example\n",
            Some(("b", "https://b", &["a.example", "b.example"])),
        );
        check(&["--name", "c", "--host", "h.example"], "https://d\n", Some(("c", "https://d", &["h.example"])));
    }

    #[test]
    fn an_input_that_ends_makes_nothing() {
        check(&[], "shop\n", None);
        check(&[], "", None);
    }
}
