//! The options in force, and where each comes from.

use std::fmt;
use std::path::{Path, PathBuf};

use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command};
use shardcart::error::Invalid;

use super::file::Values;
use super::values::is_flag;
use super::variables::{name_of, variable};

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    Argument,
    Variable(String),
    File(PathBuf),
    Default,
}

/// An option with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    pub option: String,
    pub value: String,
    pub source: Source,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Argument => f.write_str("argument"),
            Source::Variable(name) => f.write_str(name),
            Source::File(path) => path.display().fmt(f),
            Source::Default => f.write_str("default"),
        }
    }
}

/// The options of a command that have a value.
pub fn in_force(command: &Command, matches: &ArgMatches, file: Option<(&Path, &Values)>) -> Vec<Setting> {
    let mut found = Vec::new();
    for option in command.get_arguments() {
        let (Some(name), id) = (name_of(option), option.get_id().as_str()) else { continue };
        let Ok(Some(values)) = matches.try_get_raw(id) else { continue };
        let value = values.map(|value| value.to_string_lossy()).collect::<Vec<_>>().join(",");
        let source = match matches.value_source(id) {
            Some(ValueSource::CommandLine) => Source::Argument,
            Some(ValueSource::EnvVariable) => Source::Variable(variable(name)),
            _ => match file {
                Some((path, values)) if values.contains_key(name) => Source::File(path.to_owned()),
                _ => Source::Default,
            },
        };
        found.push(Setting { option: name.to_owned(), value, source });
    }
    found
}

/// Refuses options that exclude each other where one of them is from the file: clap sees only arguments and variables.
///
/// # Errors
/// [`Invalid`] that names both.
pub fn check_conflicts(command: &Command, settings: &[Setting]) -> Result<(), Invalid> {
    let setting_of = |option: &Arg| {
        let setting = settings.iter().find(|setting| Some(&*setting.option) == option.get_long())?;
        let is_set = setting.source != Source::Default && !(is_flag(option) && setting.value == "false");
        is_set.then_some(setting)
    };
    for option in command.get_arguments() {
        let Some(one) = setting_of(option) else { continue };
        if let Some(other) = command.get_arg_conflicts_with(option).into_iter().find_map(setting_of) {
            return Err(Invalid::general(format!(
                "--{} ({}) cannot be used with --{} ({})",
                one.option, one.source, other.option, other.source
            )));
        }
    }
    Ok(())
}
