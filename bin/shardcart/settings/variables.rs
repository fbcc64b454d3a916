//! The variables of the environment: `SHARDCART_` and the option's name, for every option of every command.

use std::collections::BTreeSet;

use clap::builder::BoolishValueParser;
use clap::{Arg, ArgAction, Command};

use super::values::{is_list, nearest};

const PREFIX: &str = "SHARDCART_";
/// Options that are arguments only: repeated by accident, each would do harm.
const ARGUMENTS_ONLY: [&str; 2] = ["give-up", "idempotency-key"];
/// Variables that are no options.
const OTHERS: [&str; 6] = ["API_KEY", "PAYMENT_TOKEN", "LOG", "FAIL_POINT", "STALL_POINT", "ERROR_POINT"];

/// The name of an option, if it can also be set elsewhere than in the arguments.
pub fn name_of(option: &Arg) -> Option<&str> {
    let name = option.get_long()?;
    let is_settable = !option.is_hide_set() && !ARGUMENTS_ONLY.contains(&name);
    let takes_part = !matches!(option.get_action(), ArgAction::Help | ArgAction::Version);
    (is_settable && takes_part).then_some(name)
}

/// The variable of an option.
pub fn variable(name: &str) -> String {
    format!("{PREFIX}{}", name.replace('-', "_").to_ascii_uppercase())
}

/// The command with a variable for each option.
pub fn with_variables(command: Command) -> Command {
    let command = command.mut_args(|option| match name_of(&option).map(variable) {
        None => option,
        Some(variable) => {
            let option = match option.get_action() {
                ArgAction::SetTrue => option.value_parser(BoolishValueParser::new()),
                // One variable holds all values.
                _ if is_list(&option) => option.value_delimiter(','),
                _ => option,
            };
            option.env(variable).hide_env_values(true)
        }
    });
    command.mut_subcommands(with_variables)
}

/// The variables that begin as ours and are not, each with the one that may be meant.
pub fn unknown_variables(command: &Command, set: impl Iterator<Item = String>) -> Vec<(String, Option<String>)> {
    let mut known: BTreeSet<_> = OTHERS.iter().map(|name| format!("{PREFIX}{name}")).collect();
    collect(command, &mut known);
    let unknown = set.filter(|name| name.starts_with(PREFIX) && !known.contains(name));
    unknown.map(|name| (name.clone(), nearest(&name, known.iter().map(String::as_str)))).collect()
}

fn collect(command: &Command, known: &mut BTreeSet<String>) {
    known.extend(command.get_arguments().filter_map(name_of).map(variable));
    command.get_subcommands().for_each(|command| collect(command, known));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Cli;
    use clap::CommandFactory as _;

    #[test]
    fn every_option_has_a_variable_that_no_other_meaning_has() {
        let mut known = BTreeSet::new();
        collect(&Cli::command(), &mut known);
        assert!(known.contains("SHARDCART_MIN_FREE") && known.contains("SHARDCART_URL"), "{known:?}");
        assert!(OTHERS.iter().all(|name| !known.contains(&format!("{PREFIX}{name}"))), "{known:?}");
        assert!(!known.contains("SHARDCART_GIVE_UP") && !known.contains("SHARDCART_PARENT_PIPE"), "{known:?}");
    }

    #[test]
    fn a_variable_with_a_typing_error_is_found() {
        let set = ["SHARDCART_SHARD", "SHARDCART_LOG", "SHARDCART_DATA", "PATH"].map(str::to_owned).into_iter();
        let found = unknown_variables(&Cli::command(), set);
        assert_eq!(found, [("SHARDCART_SHARD".into(), Some("SHARDCART_SHARDS".into()))]);
    }
}
