//! The store that a client command speaks to: its address, its API key, and how its answers are shown.

use std::fs::File;
use std::io::{IsTerminal as _, Read as _};
use std::path::{Path as FilePath, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use reqwest::StatusCode;
use shardcart::access::{Secret, development_key};
use shardcart::load_run;
use shardcart::remote::{Answer, Client, Failure, Outcome, Path, Request, StoreUrl};
use tokio::runtime::Runtime;

use super::failed::{Failed, Retry};
use crate::access::environment_key;
use crate::duration::{DurationOption, request_timeout};
use crate::terminal::output;

/// The most bytes that are read of a file with a key or a card.
const MAX_SECRET_BYTES: u64 = 4_096;
/// The wait after which a person is told why nothing happens.
const NOTED_WAIT: Duration = Duration::from_millis(1_500);

#[derive(Args, Clone)]
pub struct StoreOptions {
    /// The address of the store.
    #[arg(long, global = true, value_name = "URL", default_value = "http://127.0.0.1:5000", help_heading = "Store")]
    pub url: StoreUrl,
    /// A file whose first line is the API key. Without it the key is the variable SHARDCART_API_KEY or BOOKSTORE_API_KEY;
    /// without any, the development key is tried on this machine.
    #[arg(long, global = true, value_name = "FILE", help_heading = "Store")]
    pub api_key_file: Option<PathBuf>,
    /// Print the store's own JSON, one line an answer, instead of text for people.
    #[arg(long, global = true, help_heading = "Store")]
    pub json: bool,
    /// The time for a request with all its attempts.
    #[arg(long, global = true, value_name = "DURATION", default_value = "30s", value_parser = request_timeout, help_heading = "Store")]
    pub timeout: DurationOption,
}

/// A store, and what is known of its keys.
pub struct Store {
    client: Client,
    /// The client with the development key, while no other key is known and the store is on this machine.
    development: Option<Client>,
    has_key: bool,
    runtime: Runtime,
    options: StoreOptions,
}

impl Store {
    /// Prepares to speak to a store. Nothing is sent yet.
    pub fn new(options: &StoreOptions) -> anyhow::Result<Self> {
        let key = options.key()?;
        let client = Client::new(options.url.clone(), key.as_ref())?;
        let development = match key.is_none() && options.url.is_loopback() {
            true => Some(Client::new(options.url.clone(), Some(&development_key()))?),
            false => None,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.context("cannot start the runtime")?;
        Ok(Store { client, development, has_key: key.is_some(), runtime, options: options.clone() })
    }

    /// True when programs read the output.
    pub fn is_json(&self) -> bool {
        self.options.json
    }

    /// The result of one request, with all attempts that its time allows.
    pub fn try_send(&self, request: &Request) -> Result<Answer, Failure> {
        let timeout = self.options.timeout.0;
        let result = self.runtime.block_on(self.with_note(self.client.send(request, timeout)));
        match (result, &self.development) {
            // Without a key nothing was applied, so that the request may be sent with one.
            (Err(denied), Some(development)) if denied.status == Some(StatusCode::UNAUTHORIZED) => {
                let again = self.runtime.block_on(development.send(request, timeout));
                // A store with keys of its own does not know this one: the first answer says what is missing.
                again.map_err(|failure| if failure.outcome == Outcome::Denied { denied } else { failure })
            }
            (result, _) => result,
        }
    }

    /// Waits for a result, and says that it does when that takes long and a person looks on.
    async fn with_note<T>(&self, result: impl Future<Output = T>) -> T {
        let mut result = std::pin::pin!(result);
        tokio::select! {
            result = &mut result => return result,
            () = tokio::time::sleep(NOTED_WAIT), if std::io::stderr().is_terminal() => {}
        }
        output::note(&format!("waiting for {} for up to {}", self.options.url, self.options.timeout));
        result.await
    }

    /// The result of one attempt of a request that needs no key.
    pub fn try_send_once(&self, request: &Request) -> Result<Answer, Failure> {
        self.runtime.block_on(self.client.send_once(request, self.options.timeout.0))
    }

    /// True when requests carry a key that somebody made.
    pub fn has_key(&self) -> bool {
        self.has_key
    }

    /// Loads the store until the time is over or Ctrl-C.
    ///
    /// # Errors
    /// [`Failed`] when no request was carried out.
    pub fn load(&self, options: load_run::Options) -> anyhow::Result<load_run::Report> {
        let client = self.development.as_ref().unwrap_or(&self.client);
        // An error means that signals cannot be handled: then Ctrl-C ends the process.
        let stop = async {
            if tokio::signal::ctrl_c().await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        let report = self.runtime.block_on(load_run::run(client, options, stop));
        Ok(report.map_err(|failure| Failed { failure, retry: Retry::Read, is_json: self.is_json() })?)
    }

    /// Sends a request.
    ///
    /// # Errors
    /// [`Failed`].
    pub fn send(&self, request: &Request, retry: Retry) -> anyhow::Result<Answer> {
        let failed = |failure| Failed { failure, retry, is_json: self.is_json() };
        Ok(self.try_send(request).map_err(failed)?)
    }

    /// Reads, and shows the answer: unchanged, or as `view` has it.
    pub fn show(&self, path: Path, view: impl FnOnce(&Answer) -> anyhow::Result<String>) -> anyhow::Result<()> {
        let answer = self.send(&Request::get(path), Retry::Read)?;
        self.print(&answer, view)
    }

    /// Shows an answer: unchanged, or as `view` has it.
    pub fn print(&self, answer: &Answer, view: impl FnOnce(&Answer) -> anyhow::Result<String>) -> anyhow::Result<()> {
        if self.is_json() {
            output::bytes_as_line(&answer.body)?;
            return Ok(());
        }
        output::text(&view(answer)?)?;
        Ok(())
    }
}

impl StoreOptions {
    fn key(&self) -> anyhow::Result<Option<Secret>> {
        match &self.api_key_file {
            Some(file) => {
                let text = read_secret(file).with_context(|| format!("--api-key-file {}", file.display()))?;
                let first = text.lines().next().unwrap_or_default().trim();
                Ok(Some(Secret::new(first).with_context(|| format!("--api-key-file {}", file.display()))?))
            }
            None => environment_key(),
        }
    }
}

/// Reads a small file; `-` is standard input.
pub fn read_secret(file: &FilePath) -> anyhow::Result<String> {
    let mut text = String::new();
    let read =
        |source: &mut dyn std::io::Read, text: &mut String| source.take(MAX_SECRET_BYTES + 1).read_to_string(text);
    match file.as_os_str() == "-" {
        true => read(&mut std::io::stdin().lock(), &mut text).context("standard input")?,
        false => read(&mut File::open(file)?, &mut text)?,
    };
    if text.len() as u64 > MAX_SECRET_BYTES {
        bail!("is longer than {MAX_SECRET_BYTES} bytes");
    }
    Ok(text)
}
