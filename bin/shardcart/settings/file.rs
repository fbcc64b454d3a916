//! The configuration file: TOML with a table for each command, `[client]` for what all client commands have in common, and
//! options of every command before the first table.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::{Arg, Args as _, Command};
use shardcart::error::Invalid;
use toml::{Table, Value};

use super::values::{is_flag, is_list, nearest};
use super::variables::name_of;
use crate::client::StoreOptions;

/// The longest file, in bytes.
const MAX_BYTES: u64 = 1 << 20;
/// The table of options that all client commands have.
const CLIENT: &str = "client";
/// The option that names this file, which it cannot do itself.
const CONFIG: &str = "config";

/// A file whose names are all known.
pub struct ConfigFile {
    path: PathBuf,
    table: Table,
}

/// Values of options, by the options' names, each with its place in the file.
pub type Values = BTreeMap<String, (Vec<String>, String)>;

impl ConfigFile {
    /// Reads a file for the command line of this program.
    ///
    /// # Errors
    /// [`Invalid`] when it cannot be read, or has a table or a key that is not known.
    pub fn read(path: &Path, root: &Command) -> Result<Self, Invalid> {
        let invalid = |reason: &str| Invalid::general(format!("--config {}: {reason}", path.display()));
        let mut text = String::new();
        let file = File::open(path).map_err(|error| invalid(&error.to_string()))?;
        file.take(MAX_BYTES + 1).read_to_string(&mut text).map_err(|error| invalid(&error.to_string()))?;
        if text.len() as u64 > MAX_BYTES {
            return Err(invalid(&format!("is longer than {MAX_BYTES} bytes")));
        }
        let table: Table = text.parse().map_err(|error: toml::de::Error| invalid(error.to_string().trim_end()))?;
        let file = ConfigFile { path: path.to_owned(), table };
        file.check_names(&file.table, root, &[])?;
        Ok(file)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The values for a command, which `names` leads to from the root.
    ///
    /// # Errors
    /// [`Invalid`] for a value of a kind that no option has.
    pub fn values(&self, root: &Command, names: &[String]) -> Result<Values, Invalid> {
        let mut values = Values::new();
        self.take(&self.table, &options(root), "", &mut values)?;
        let mut found = options(root);
        let (mut command, mut table) = (root, &self.table);
        for (depth, name) in names.iter().enumerate() {
            let Some(part) = command.find_subcommand(name) else { break };
            command = part;
            found.extend(options(command));
            if let (0, Some(Value::Table(common))) = (depth, self.table.get(CLIENT)) {
                let shared: Vec<_> = found.iter().filter(|option| is_client_option(option)).cloned().collect();
                self.take(common, &shared, CLIENT, &mut values)?;
            }
            let Some(Value::Table(own)) = table.get(name) else { break };
            table = own;
            self.take(own, &found, &dotted(&names[..=depth]), &mut values)?;
        }
        Ok(values)
    }

    /// Takes the values of those options that a table has.
    fn take(&self, table: &Table, options: &[Arg], prefix: &str, values: &mut Values) -> Result<(), Invalid> {
        for option in options {
            let Some(name) = option.get_long() else { continue };
            let Some(value) = table.get(name).filter(|value| !value.is_table()) else { continue };
            let place = format!("{}: {}", self.path.display(), dotted(&[prefix, name]));
            let texts = texts(option, value).map_err(|reason| Invalid::general(format!("{place}: {reason}")))?;
            values.insert(name.to_owned(), (texts, place));
        }
        Ok(())
    }

    fn check_names(&self, table: &Table, command: &Command, above: &[&str]) -> Result<(), Invalid> {
        let is_root = above.is_empty();
        let mut own = options(command);
        if !is_root {
            own.extend(client_options(command));
        }
        for (name, value) in table {
            let place: Vec<_> = above.iter().copied().chain([name.as_str()]).collect();
            let is_option = |options: &[Arg]| options.iter().any(|option| option.get_long() == Some(name));
            match (value, command.find_subcommand(name)) {
                (Value::Table(table), Some(command)) => self.check_names(table, command, &place)?,
                (Value::Table(table), None) if is_root && name == CLIENT => {
                    let shared = StoreOptions::augment_args(Command::new(CLIENT));
                    self.check_names(table, &shared, &place)?;
                }
                (Value::Table(_), None) => {
                    let commands = command.get_subcommands().map(Command::get_name).chain(is_root.then_some(CLIENT));
                    return Err(self.unknown(&place, "command", nearest(name, commands)));
                }
                (_, _) if is_option(&own) => {}
                _ => {
                    let names = own.iter().filter_map(|option| option.get_long());
                    return Err(self.unknown(&place, "option", nearest(name, names)));
                }
            }
        }
        Ok(())
    }

    fn unknown(&self, place: &[&str], what: &str, nearest: Option<String>) -> Invalid {
        let tip = nearest.map_or_else(String::new, |name| format!("; is `{name}` meant?"));
        Invalid::general(format!("{}: {}: there is no such {what}{tip}", self.path.display(), dotted(place)))
    }
}

/// The options of a command that a file can set.
fn options(command: &Command) -> Vec<Arg> {
    let settable = command.get_arguments().filter(|option| name_of(option).is_some_and(|name| name != CONFIG));
    settable.cloned().collect()
}

/// The options that a part of a client command has from the whole.
fn client_options(command: &Command) -> Vec<Arg> {
    match command.has_subcommands() {
        true => Vec::new(),
        false => options(&StoreOptions::augment_args(Command::new(CLIENT))),
    }
}

fn is_client_option(option: &Arg) -> bool {
    let shared = options(&StoreOptions::augment_args(Command::new(CLIENT)));
    shared.iter().any(|other| other.get_id() == option.get_id())
}

fn dotted(names: &[impl AsRef<str>]) -> String {
    names.iter().map(AsRef::as_ref).filter(|name| !name.is_empty()).collect::<Vec<_>>().join(".")
}

/// A value as the texts that arguments would be.
fn texts(option: &Arg, value: &Value) -> Result<Vec<String>, &'static str> {
    match value {
        Value::Array(values) if is_list(option) => values.iter().map(text).collect(),
        Value::Array(_) => Err("takes one value"),
        Value::Boolean(_) if !is_flag(option) => Err("is not true or false: it takes a value"),
        Value::Boolean(_) => Ok(vec![text(value)?]),
        _ if is_flag(option) => Err("must be true or false"),
        _ => Ok(vec![text(value)?]),
    }
}

fn text(value: &Value) -> Result<String, &'static str> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Integer(number) => Ok(number.to_string()),
        Value::Float(number) => Ok(number.to_string()),
        Value::Boolean(flag) => Ok(flag.to_string()),
        Value::Datetime(time) => Ok(time.to_string()),
        Value::Array(_) | Value::Table(_) => Err("is a list or table where one value is wanted"),
    }
}
