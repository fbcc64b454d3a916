//! Sends the requests of a load run, each connection one after the other.

use std::time::Duration;

use futures_util::future::join_all;
use reqwest::Method;
use tokio::time::Instant;
use uuid::Uuid;

use super::report::Report;
use crate::error::Invalid;
use crate::remote::{Client, Failure, Path, Request};

/// The time limit of one request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// The time limit for removing a cart, with all attempts.
const REMOVAL_TIMEOUT: Duration = Duration::from_secs(30);
/// The pause after a request that failed, so that a store that is away is not asked in a loop.
const PAUSE: Duration = Duration::from_millis(20);
/// The different items in a cart.
const ITEMS: u64 = 5;
const PER_CENT: u64 = 100;
/// What is put into a cart.
const OFFER: &str = r#"{"offeredPrice":1.00,"itemCount":1}"#;
/// An addition to a line that is full begins it anew.
const MAX_ADDITIONS: u64 = 900_000;

/// The options of a load run.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// The connections, each with one request at a time.
    pub connections: u32,
    /// The time during which requests are sent.
    pub duration: Duration,
    /// The part of additions to carts, in hundredths; the others are reads.
    pub write_percent: u32,
}

/// Loads a store until the time is over or `stop` ends, and removes what it made. Customers have ids of their own.
///
/// # Errors
/// [`Failure`] when no request at all was carried out.
pub async fn run(client: &Client, options: Options, stop: impl Future<Output = ()>) -> Result<Report, Failure> {
    let run = Uuid::new_v4().simple().to_string();
    let deadline = Instant::now() + options.duration;
    let (ended, _) = tokio::sync::watch::channel(false);
    let began = Instant::now();
    let workers = (0..options.connections).map(|number| {
        let worker = Worker { client: client.clone(), customer: format!("bench-{}-{number}", &run[..8]), options };
        worker.work(deadline, ended.subscribe())
    });
    let mut workers = Box::pin(join_all(workers));
    let parts = tokio::select! {
        parts = &mut workers => parts,
        () = stop => {
            ended.send_replace(true);
            workers.await
        }
    };
    let mut report = Report::default();
    let mut failure = None;
    for (part, last) in parts {
        report.add(&part);
        failure = failure.or(last);
    }
    report.elapsed = began.elapsed().min(options.duration);
    match failure {
        Some(failure) if report.reads.count() + report.writes.count() == 0 => Err(failure),
        _ => Ok(report),
    }
}

/// One connection.
struct Worker {
    client: Client,
    customer: String,
    options: Options,
}

impl Worker {
    async fn work(self, deadline: Instant, ended: tokio::sync::watch::Receiver<bool>) -> (Report, Option<Failure>) {
        let mut report = Report::default();
        let mut last = None;
        let mut number = 0_u64;
        while Instant::now() < deadline && !*ended.borrow() && number < MAX_ADDITIONS * ITEMS {
            // Spreads the writes evenly.
            let percent = u64::from(self.options.write_percent);
            let is_write = (number + 1) * percent / PER_CENT > number * percent / PER_CENT;
            let Ok(request) = self.request(is_write, number) else { break };
            number += 1;
            let started = Instant::now();
            match self.client.send_once(&request, REQUEST_TIMEOUT).await {
                Ok(_) if is_write => report.writes.record(started.elapsed()),
                Ok(_) => report.reads.record(started.elapsed()),
                Err(failure) => {
                    let status =
                        failure.status.map_or_else(|| "no answer".into(), |status| status.as_u16().to_string());
                    let code = failure.code.iter().map(|code| format!(" {code}"));
                    *report.errors.entry(code.fold(status, |text, code| text + &code)).or_default() += 1;
                    last = Some(failure);
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
        if !self.clean_up().await {
            report.left_behind.push(self.customer);
        }
        (report, last)
    }

    fn request(&self, is_write: bool, number: u64) -> Result<Request, Invalid> {
        match is_write {
            false => Ok(Request::get(Path::of(&["items", &self.customer])?)),
            // Without a key, since the store would keep each one for a day.
            true => {
                let path = Path::of(&["item", &self.customer, &format!("item-{}", number % ITEMS)])?;
                Ok(Request::once(Method::POST, path).with_json(OFFER))
            }
        }
    }

    /// Empties the cart; true when it is empty then.
    async fn clean_up(&self) -> bool {
        let Ok(path) = Path::of(&["items", &self.customer]) else { return true };
        let removed = self.client.send(&Request::repeatable(Method::DELETE, path), REMOVAL_TIMEOUT).await;
        removed.is_ok() || removed.is_err_and(|failure| failure.status.is_some_and(|status| status == 404))
    }
}
