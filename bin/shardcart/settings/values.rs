//! Values of options that are set elsewhere than in the arguments: checked as arguments are, so that an error names where it
//! is.

use clap::error::ContextKind;
use clap::{Arg, ArgAction, Command};
use shardcart::error::Invalid;

use crate::failure::value_error;

/// How alike two names have to be, from 0 to 1, for one to be proposed for the other.
const LIKENESS: f64 = 0.7;

/// True for an option with any number of values.
pub fn is_list(option: &Arg) -> bool {
    matches!(option.get_action(), ArgAction::Append) || option.get_value_delimiter().is_some()
}

/// True for an option without a value.
pub fn is_flag(option: &Arg) -> bool {
    matches!(option.get_action(), ArgAction::SetTrue)
}

/// Checks the values of an option. `place` says where they are.
///
/// # Errors
/// [`Invalid`] that names the place.
pub fn check(option: &Arg, values: &[String], place: &str) -> Result<(), Invalid> {
    // Without what it requires and excludes: that is looked at when all are known.
    let mut alone = Arg::new("option").long("option").value_parser(option.get_value_parser().clone());
    alone = alone.action(if is_list(option) { ArgAction::Append } else { ArgAction::Set });
    let arguments = values.iter().map(|value| format!("--option={value}"));
    match Command::new("one").no_binary_name(true).arg(alone).try_get_matches_from(arguments) {
        Ok(_) => Ok(()),
        Err(error) if error.get(ContextKind::InvalidValue).is_some() => {
            Err(Invalid::general(value_error(place, &error)))
        }
        Err(_) => Err(Invalid::general(format!("{place}: must be given once"))),
    }
}

/// The name that is most like another, if one is like it.
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    let alike = known.map(|other| (strsim::jaro_winkler(name, other), other));
    let (likeness, nearest) = alike.max_by(|(one, _), (other, _)| one.total_cmp(other))?;
    (likeness >= LIKENESS).then(|| nearest.to_owned())
}
