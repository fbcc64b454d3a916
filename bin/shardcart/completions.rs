//! `shardcart completions`: what a shell needs to complete commands and options.

use clap::{Args, Command};
use clap_complete::{Shell, generate};

use crate::terminal::output;

const EXAMPLES: &str = "\
Examples:
  shardcart completions bash > ~/.local/share/bash-completion/completions/shardcart
  shardcart completions fish > ~/.config/fish/completions/shardcart.fish

Documentation: docs/command-line.md in the source.";

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// bash, elvish, fish, powershell or zsh.
    shell: Shell,
}

/// Prints the completions of a command.
pub fn run(arguments: Arguments, mut command: Command) -> anyhow::Result<()> {
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    generate(arguments.shell, &mut command, name, &mut script);
    output::bytes_as_line(&script)?;
    Ok(())
}
