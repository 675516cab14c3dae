//! `tollgate man`: the manual pages, one for each command.

use std::path::PathBuf;

use clap::{Args, Command};
use clap_mangen::Man;

use crate::failure::Failure;
use crate::terminal;
use crate::write::{Staged, unwritten};

/// Write the manual pages, one for each command, into a folder.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tollgate man ~/.local/share/man/man1
  man tollgate-fmt")]
pub(crate) struct ManArgs {
    /// The folder; it is created if it does not exist.
    folder: PathBuf,
}

pub(crate) fn run(args: &ManArgs, command: Command) -> Result<(), Failure> {
    let pages = pages(command);
    let mut staged = Staged::default();
    staged.folder(&args.folder).map_err(unwritten)?;
    for (name, page) in &pages {
        staged.replace(&args.folder.join(name), page).map_err(unwritten)?;
    }
    staged.commit().map_err(unwritten)?;
    terminal::message(&format!("{} pages are in {}", pages.len(), args.folder.display()));
    Ok(())
}

/// The pages with their file names, `tollgate.1` first.
pub(crate) fn pages(command: Command) -> Vec<(String, Vec<u8>)> {
    let mut command = command.disable_help_subcommand(true);
    command.build();
    let mut pages = Vec::new();
    add(&command, &mut pages);
    pages
}

fn add(command: &Command, pages: &mut Vec<(String, Vec<u8>)>) {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned();
    let mut page = Vec::new();
    // Writing to memory does not fail.
    let _ = Man::new(command.clone()).render(&mut page);
    pages.push((format!("{name}.1"), page));
    command.get_subcommands().filter(|command| !command.is_hide_set()).for_each(|command| add(command, pages));
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn every_command_has_a_page_that_names_its_options() {
        fn check(command: &Command, pages: &[(String, Vec<u8>)]) -> usize {
            let name = format!("{}.1", command.get_display_name().unwrap_or_else(|| command.get_name()));
            let page = pages.iter().find(|(page, _)| *page == name).map(|(_, page)| page);
            let page = String::from_utf8_lossy(page.unwrap_or_else(|| panic!("no {name}"))).replace('\\', "");
            for option in command.get_arguments().filter(|option| !option.is_hide_set()) {
                let value = option.get_value_names().and_then(|names| names.first()).map(ToString::to_string);
                let positional = || value.unwrap_or_else(|| option.get_id().to_string());
                let word = option.get_long().map_or_else(positional, |long| format!("--{long}"));
                assert!(page.to_lowercase().contains(&word.to_lowercase()), "{name} does not name {word}:\n{page}");
            }
            for part in [".TH", ".SH NAME", ".SH SYNOPSIS"] {
                assert!(page.contains(part), "{name} has no {part}");
            }
            1 + command.get_subcommands().map(|command| check(command, pages)).sum::<usize>()
        }
        let pages = pages(crate::Cli::command());
        let mut command = crate::Cli::command().disable_help_subcommand(true);
        command.build();
        assert_eq!(check(&command, &pages), pages.len());
        assert!(pages.len() > 12, "{}", pages.len());
    }
}
