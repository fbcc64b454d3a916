//! The error that ends the program: one line, `error: OPTION VALUE: REASON` or `error: REASON`, for every role of the
//! process and every origin of the error.

use std::error::Error as _;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use shardcart::error::Error;
use shardcart::process::logging::{self, LogFormat};

/// The exit status for options that cannot be used, which is also clap's.
const USAGE: u8 = 2;

/// Reports an error and returns the exit status: 2 for options that cannot be used, else 1.
pub fn report(error: &anyhow::Error, format: LogFormat) -> ExitCode {
    logging::report_fatal(format, format_args!("{error:#}"));
    match error.downcast_ref() {
        Some(Error::Invalid(_)) => ExitCode::from(USAGE),
        _ => ExitCode::FAILURE,
    }
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

fn usage_line(error: &clap::Error) -> String {
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    if let (ErrorKind::ValueValidation, Some(argument), Some(value), Some(reason)) =
        (error.kind(), context(ContextKind::InvalidArg), context(ContextKind::InvalidValue), error.source())
    {
        let option = argument.split(' ').next().unwrap_or(argument);
        return format!("{option} {value}: {}", without_value(&reason.to_string(), value));
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
