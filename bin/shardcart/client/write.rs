//! Writes of client commands: their idempotency key, and the command line that repeats one safely.

use std::env;

use clap::Args;
use reqwest::Method;
use shardcart::remote::{IdempotencyKey, Path, Request};

use super::failed::Retry;

const KEY_OPTION: &str = "--idempotency-key";

#[derive(Args, Clone)]
pub struct WriteOptions {
    /// The key under which the store applies this write once, as that of an earlier attempt [default: a new one].
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<IdempotencyKey>,
}

impl WriteOptions {
    /// A write that is applied once, and how to repeat it.
    pub fn request(&self, method: Method, path: Path, body: Option<Vec<u8>>) -> (Request, Retry) {
        let key = self.idempotency_key.clone().unwrap_or_else(IdempotencyKey::random);
        let retry = Retry::Command(self.command_line(&key));
        let request = Request::keyed(method, path, key);
        (body.into_iter().fold(request, Request::with_json), retry)
    }

    /// This process's command line with the key.
    fn command_line(&self, key: &IdempotencyKey) -> String {
        let mut arguments = own_arguments();
        if self.idempotency_key.is_none() {
            let at = arguments.iter().position(|argument| argument == "--").unwrap_or(arguments.len());
            arguments.insert(at, format!("{KEY_OPTION}={key}"));
        }
        command_line(&arguments)
    }
}

/// This process's command line, to be repeated as it is.
pub fn same_command_line() -> String {
    command_line(&own_arguments())
}

fn own_arguments() -> Vec<String> {
    env::args_os().map(|argument| argument.to_string_lossy().into_owned()).collect()
}

/// Arguments as a line for a shell.
pub fn command_line(arguments: &[String]) -> String {
    arguments.iter().map(|argument| quoted(argument)).collect::<Vec<_>>().join(" ")
}

fn quoted(argument: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:=@%+,".contains(&byte);
    match !argument.is_empty() && argument.bytes().all(is_plain) {
        true => argument.to_owned(),
        false => format!("'{}'", argument.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_quoted_for_a_shell() {
        let arguments = ["shardcart", "--price=1.00", "a b", "it's", "", "$HOME"].map(str::to_owned);
        assert_eq!(command_line(&arguments), r"shardcart --price=1.00 'a b' 'it'\''s' '' '$HOME'");
    }
}
