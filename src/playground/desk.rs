//! The launcher's side of the socket: answers the facade, which asks for counts and passes on what the page's buttons want.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};

use super::crowd::MAX_RATE;
use super::floor::Floor;
use super::messages::{Count, Granted, MAX_LINE_BYTES, Wish};
use super::mode::GatewayControl;
use crate::error::{Error, Result};
use crate::launcher::{Crashes, Target};

/// The most exchanges at a time. More wait to be accepted.
const MAX_EXCHANGES: usize = 16;
/// The time limit of an exchange.
const TIMEOUT: Duration = Duration::from_secs(3);
/// The pause after a failed accept, for example when file descriptors have run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// The time that a facade has to answer whoever wants it to crash.
const LAST_ANSWER: Duration = Duration::from_millis(100);

/// Everything that a facade can ask for.
pub struct Desk<S> {
    /// The shoppers' common ground.
    pub floor: Arc<Floor<S>>,
    /// How many changes a second they make.
    pub rate: watch::Sender<u32>,
    /// How many they are.
    pub shoppers: usize,
    /// When they began.
    pub began: Instant,
    /// What can be killed.
    pub crashes: Crashes,
    /// The payment gateway.
    pub gateway: GatewayControl,
}

impl<S: Send + Sync + 'static> Desk<S> {
    /// Serves the socket until it is dropped.
    pub async fn serve(self: Arc<Self>, listener: UnixListener) {
        let permits = Arc::new(Semaphore::new(MAX_EXCHANGES));
        // The permit comes first: what is not accepted waits in the operating system's queue.
        while let Ok(permit) = permits.clone().acquire_owned().await {
            match listener.accept().await {
                Ok((stream, _)) => {
                    let desk = self.clone();
                    tokio::spawn(async move {
                        // Whoever is too slow gets no answer.
                        let _ = timeout(TIMEOUT, desk.exchange(stream)).await;
                        drop(permit);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection to the playground");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    async fn exchange(&self, mut stream: UnixStream) -> Option<()> {
        let mut line = Vec::new();
        let (reader, mut writer) = stream.split();
        BufReader::new(reader).take(MAX_LINE_BYTES as u64).read_until(b'\n', &mut line).await.ok()?;
        let wish = serde_json::from_slice(&line).ok()?;
        let mut answer = serde_json::to_vec(&self.grant(wish).await).ok()?;
        answer.push(b'\n');
        writer.write_all(&answer).await.ok()
    }

    async fn grant(&self, wish: Wish) -> Granted {
        match wish {
            Wish::Count => Granted::Count(Box::new(self.count().await)),
            Wish::Rate(rate) if rate > MAX_RATE => {
                Err(Error::invalid("per_s", format!("must be 0 to {MAX_RATE}"))).into()
            }
            Wish::Rate(rate) => {
                self.rate.send_replace(rate);
                Granted::Done
            }
            Wish::Crash(target) => self.crash(&target).await.into(),
            Wish::Gateway(mode) => self.gateway.set(mode).await.into(),
        }
    }

    async fn crash(&self, target: &str) -> Result<()> {
        let target: Target = target.parse().map_err(|error| match error {
            Error::Invalid(invalid) => Error::Invalid(invalid.at("target")),
            other => other,
        })?;
        if target == Target::Facade {
            let (floor, crashes) = (self.floor.clone(), self.crashes.clone());
            tokio::spawn(async move {
                sleep(LAST_ANSWER).await;
                // An error means that it has died by itself meanwhile.
                if crashes.crash(target).await.is_ok() {
                    floor.tally.kills.add(1);
                }
            });
            return Ok(());
        }
        self.crashes.crash(target).await?;
        self.floor.tally.kills.add(1);
        Ok(())
    }

    async fn count(&self) -> Count {
        let gateway = self.gateway.mode().await;
        let tally = &self.floor.tally;
        Count {
            rate_per_s: *self.rate.borrow(),
            shoppers: self.shoppers as u64,
            running_s: self.began.elapsed().as_secs(),
            acknowledged: tally.acknowledged.get(),
            retried: tally.retried.get(),
            lost: tally.lost.get(),
            applied_twice: tally.applied_twice.get(),
            stock_drift: self.floor.stock.drift(),
            longest_wait_ms: tally.longest_wait_ms(),
            kills: tally.kills.get(),
            refused: tally.refused.get(),
            unknown: tally.unknown(),
            gateway,
            findings: tally.findings(),
        }
    }
}
