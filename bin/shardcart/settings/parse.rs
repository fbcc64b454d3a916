//! The command line, completed by the environment and the configuration file.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{ArgMatches, Command, CommandFactory as _, FromArgMatches as _};
use shardcart::error::Invalid;

use super::file::{ConfigFile, Values};
use super::in_force::{Setting, check_conflicts, in_force};
use super::values::check;
use super::variables::{name_of, variable, with_variables};
use crate::Cli;

/// An argument that only a launcher passes: such a process has everything from it, and reads neither variables nor a file.
const CHILD: &str = "--parent-pipe";

/// A command line that can be run.
pub struct Parsed {
    pub cli: Cli,
    /// The options of the command, and where each comes from.
    pub settings: Vec<Setting>,
}

/// A command line that cannot be run.
pub enum Refusal {
    /// The arguments, or help that was asked for.
    Arguments(clap::Error),
    /// A variable or the file.
    Setting(Invalid),
}

impl From<clap::Error> for Refusal {
    fn from(error: clap::Error) -> Self {
        Refusal::Arguments(error)
    }
}

impl From<Invalid> for Refusal {
    fn from(invalid: Invalid) -> Self {
        Refusal::Setting(invalid)
    }
}

/// Parses arguments, the first of which is the program.
///
/// # Errors
/// [`Refusal`].
pub fn parse(arguments: &[OsString]) -> Result<Parsed, Refusal> {
    if arguments.iter().any(|argument| argument == CHILD) {
        let cli = Cli::from_arg_matches(&Cli::command().try_get_matches_from(arguments)?)?;
        return Ok(Parsed { cli, settings: Vec::new() });
    }
    let mut command = with_variables(Cli::command());
    let (config, names) = look_ahead(&command, arguments);
    check_variables(&command, &names)?;
    let file = config.as_deref().map(|path| ConfigFile::read(path, &command)).transpose()?;
    let values = file.as_ref().map(|file| file.values(&command, &names)).transpose()?.unwrap_or_default();
    command = with_defaults(command, &names, &values)?;
    let mut matches = command.clone().try_get_matches_from(arguments)?;
    // Propagates options of the whole to its parts, so that each command knows all of its own.
    command.build();
    let found = file.as_ref().map(|file| (file.path(), &values));
    let settings = settings_of(&command, &matches, found)?;
    let cli = Cli::from_arg_matches_mut(&mut matches)?;
    Ok(Parsed { cli, settings })
}

/// The configuration file, and the command by its names, as far as the arguments can be read. Errors are found later.
fn look_ahead(command: &Command, arguments: &[OsString]) -> (Option<PathBuf>, Vec<String>) {
    let Ok(matches) = command.clone().ignore_errors(true).try_get_matches_from(arguments) else {
        return (None, Vec::new());
    };
    let mut names = Vec::new();
    let mut part = &matches;
    let mut config = None;
    loop {
        if let Ok(Some(path)) = part.try_get_one::<PathBuf>("config") {
            config = Some(path.clone());
        }
        let Some((name, of_part)) = part.subcommand() else { return (config, names) };
        names.push(name.to_owned());
        part = of_part;
    }
}

/// The commands from the root to the one that `names` leads to.
fn commands<'a>(root: &'a Command, names: &[String]) -> Vec<&'a Command> {
    let mut path = vec![root];
    for name in names {
        path.extend(path.last().and_then(|command| command.find_subcommand(name)));
    }
    path
}

/// Checks variables here, so that an error names them.
fn check_variables(root: &Command, names: &[String]) -> Result<(), Invalid> {
    for option in commands(root, names).into_iter().flat_map(Command::get_arguments) {
        let Some(variable) = name_of(option).map(variable) else { continue };
        let Some(value) = env::var_os(&variable) else { continue };
        let value = value.into_string();
        let value = value.map_err(|_| Invalid::general(format!("{variable}: is not UTF-8")))?;
        let values = match option.get_value_delimiter() {
            Some(delimiter) => value.split(delimiter).map(str::to_owned).collect(),
            None => vec![value],
        };
        check(option, &values, &variable)?;
    }
    Ok(())
}

/// The command with the values of the file as its defaults.
fn with_defaults(root: Command, names: &[String], values: &Values) -> Result<Command, Invalid> {
    for option in commands(&root, names).into_iter().flat_map(Command::get_arguments) {
        if let Some((values, place)) = option.get_long().and_then(|name| values.get(name)) {
            check(option, values, place)?;
        }
    }
    Ok(set_defaults(root, names, values))
}

fn set_defaults(command: Command, names: &[String], values: &Values) -> Command {
    let command = command.mut_args(|option| match option.get_long().and_then(|name| values.get(name)) {
        Some((values, _)) if name_of(&option).is_some() => option.required(false).default_values(values),
        _ => option,
    });
    match names {
        [] => command,
        [first, rest @ ..] => command.mut_subcommand(first, |command| set_defaults(command, rest, values)),
    }
}

fn settings_of(root: &Command, matches: &ArgMatches, file: Option<(&Path, &Values)>) -> Result<Vec<Setting>, Invalid> {
    let (mut command, mut part) = (root, matches);
    while let Some((name, of_part)) = part.subcommand() {
        let Some(next) = command.find_subcommand(name) else { break };
        (command, part) = (next, of_part);
    }
    let settings = in_force(command, part, file);
    check_conflicts(command, &settings)?;
    Ok(settings)
}
