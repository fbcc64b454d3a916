//! The error that ends the program: one line, `error: OPTION VALUE: REASON` or `error: REASON`, for every role of the
//! process and every origin of the error.

use std::error::Error as _;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use shardcart::error::{Error, Invalid};
use shardcart::process::logging::{self, LogFormat};

use crate::client::Failed;
use crate::terminal::output;

/// The exit status for options that cannot be used, which is also clap's.
const USAGE: u8 = 2;

/// Reports an error and returns the exit status: that of a request's outcome, 2 for options that cannot be used, else 1.
pub fn report(error: &anyhow::Error, format: LogFormat) -> ExitCode {
    if let Some(failed) = error.downcast_ref::<Failed>() {
        return report_request(failed, error, format);
    }
    logging::report_fatal(format, format_args!("{error:#}"));
    if let Some(error) = error.downcast_ref::<clap::Error>() {
        return report_usage(error);
    }
    let is_usage = matches!(error.downcast_ref(), Some(Error::Invalid(_))) || error.is::<Invalid>();
    if is_usage { ExitCode::from(USAGE) } else { ExitCode::FAILURE }
}

/// Reports a request that failed, and what to do next.
fn report_request(failed: &Failed, error: &anyhow::Error, format: LogFormat) -> ExitCode {
    match failed.document() {
        Some(document) => output::note(&document),
        None => logging::report_fatal(format, format_args!("{error:#}")),
    }
    logging::finish();
    let advice = failed.advice();
    if !advice.is_empty() {
        output::note(&advice);
    }
    ExitCode::from(failed.exit_code())
}

/// Reports arguments that clap refuses. Help and version are printed unchanged.
pub fn report_usage(error: &clap::Error) -> ExitCode {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            error.exit()
        }
        _ => logging::report_fatal(LogFormat::Human, usage_line(error)),
    }
    ExitCode::from(USAGE)
}

/// Reports a variable or a configuration file that cannot be used.
pub fn report_setting(invalid: &Invalid) -> ExitCode {
    logging::report_fatal(LogFormat::Human, invalid);
    ExitCode::from(USAGE)
}

fn context(error: &clap::Error, kind: ContextKind) -> Option<&str> {
    match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text),
        _ => None,
    }
}

/// The error of a value that is not taken: `PLACE VALUE: REASON`.
pub fn value_error(place: &str, error: &clap::Error) -> String {
    let value = context(error, ContextKind::InvalidValue).unwrap_or_default();
    let reason = error.source().map_or_else(|| "is not taken".into(), ToString::to_string);
    format!("{place} {value}: {}", without_value(&reason, value))
}

fn usage_line(error: &clap::Error) -> String {
    if let (ErrorKind::ValueValidation, Some(argument)) = (error.kind(), context(error, ContextKind::InvalidArg)) {
        return value_error(argument.split(' ').next().unwrap_or(argument), error);
    }
    // The first paragraph is the error; a tip may follow. The rest is about usage.
    let text = error.render().to_string();
    let paragraphs = text.split("\n\n").enumerate();
    let told = paragraphs.filter(|(number, text)| *number == 0 || text.trim_start().starts_with("tip: "));
    let told = told.map(|(_, text)| text.split_whitespace().collect::<Vec<_>>().join(" "));
    let line = told.collect::<Vec<_>>().join("; ");
    format!("{}; see --help", line.strip_prefix("error: ").unwrap_or(&line))
}

/// Strips the value from the beginning of a reason, since the line already shows it.
fn without_value<'a>(reason: &'a str, value: &str) -> &'a str {
    let rest = reason.strip_prefix(value).or_else(|| reason.strip_prefix(&format!("`{value}`")));
    rest.map_or(reason, |rest| rest.trim_start_matches(':').trim_start())
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::usage_line;
    use crate::Cli;

    #[test]
    fn a_refused_argument_is_reported_in_one_line() {
        for (arguments, line) in [
            (&["launch", "--shards", "0"][..], "--shards 0: is not in 1..=64"),
            (&["launch", "--workers=0"], "--workers 0: is not in 1..=1024"),
            (&["launch", "--storage", "tape"], "--storage tape: is neither log nor memory"),
            (&["launch", "--min-free", "much"], "--min-free much: is not a number of bytes, as 1000000, 512MiB or 1GB"),
            (&["launch", "--http", "5000"], "--http 5000: is not HOST:PORT"),
            (
                &["launch", "--shard", "2"],
                "unexpected argument '--shard' found; tip: a similar argument exists: '--shards'; see --help",
            ),
            (
                &["facade", "--data", "x"],
                "the following required arguments were not provided: --shards <ADDR,ADDR,…>; see --help",
            ),
            (&["keys", "new", "--file", "keys.json", "--role", "king"], "--role king: is none of read, write, admin"),
        ] {
            let arguments = ["shardcart"].iter().chain(arguments);
            let Err(error) = Cli::try_parse_from(arguments) else { panic!("{line}: it is taken") };
            assert_eq!(usage_line(&error), line);
        }
    }
}
