//! `tollgate completions`: scripts for shells that complete the command line.

use clap::{Args, Command};
use clap_complete::Shell;

use crate::terminal;

/// Print the completion script of a shell.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tollgate completions bash > ~/.local/share/bash-completion/completions/tollgate
  tollgate completions zsh > ~/.zfunc/_tollgate             with ~/.zfunc in fpath
  tollgate completions fish > ~/.config/fish/completions/tollgate.fish
  tollgate completions elvish >> ~/.config/elvish/rc.elv
  tollgate completions powershell >> $PROFILE")]
pub(crate) struct CompletionsArgs {
    /// The shell.
    #[arg(value_enum)]
    shell: Shell,
}

pub(crate) fn run(args: &CompletionsArgs, mut command: Command) {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "tollgate", &mut script);
    terminal::print(&String::from_utf8_lossy(&script));
}
