//! Crashes on request: a playground and a proof end children with SIGKILL, and the launcher restarts them as after any
//! other crash. Only a child that is ready is killed, so that no amount of requests keeps a store from coming back.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::error::{Error, Invalid, Result};

/// The longest wait for the task that keeps the child running.
const TIMEOUT: Duration = Duration::from_secs(1);

const GATEWAY: &str = "gateway";
const FACADE: &str = "facade";
const SHARD: &str = "shard-";

/// A child of a launcher.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Target {
    /// The facade.
    Facade,
    /// The simulated payment gateway.
    Gateway,
    /// The shard with this index.
    Shard(u32),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Facade => f.write_str(FACADE),
            Target::Gateway => f.write_str(GATEWAY),
            Target::Shard(index) => write!(f, "{SHARD}{index}"),
        }
    }
}

impl FromStr for Target {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let shard = || text.strip_prefix(SHARD)?.parse().ok().map(Target::Shard);
        let target = match text {
            FACADE => Some(Target::Facade),
            GATEWAY => Some(Target::Gateway),
            // A sign or a leading zero would be a second name.
            _ => shard().filter(|target| target.to_string() == text),
        };
        target.ok_or_else(|| Invalid::general("is none of facade, gateway, shard-0, shard-1, …").into())
    }
}

/// A request to crash; the answer says whether the child was killed.
type Request = oneshot::Sender<bool>;

/// The children of a store that can be crashed.
#[derive(Debug, Clone)]
pub struct Crashes(Arc<[(Target, mpsc::Sender<Request>)]>);

/// The requests to crash one child.
#[derive(Debug)]
pub struct CrashRequests(mpsc::Receiver<Request>);

impl Crashes {
    /// Makes the requests of each child. There is room for one request a child.
    pub fn of(targets: impl Iterator<Item = Target>) -> (Self, Vec<(Target, CrashRequests)>) {
        let channels = targets.map(|target| (target, mpsc::channel(1)));
        let (senders, receivers) = channels
            .map(|(target, (sender, receiver))| ((target, sender), (target, CrashRequests(receiver))))
            .collect::<(Vec<_>, Vec<_>)>();
        (Crashes(senders.into()), receivers)
    }

    /// The children.
    pub fn targets(&self) -> impl Iterator<Item = Target> {
        self.0.iter().map(|(target, _)| *target)
    }

    /// Kills a child with SIGKILL. The launcher restarts it.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the store has no such child; [`Error::Unavailable`] when it is not ready, so that there is
    /// nothing to crash yet.
    pub async fn crash(&self, target: Target) -> Result<()> {
        let known = self.0.iter().find(|(other, _)| *other == target);
        let (_, requests) = known.ok_or_else(|| Error::invalid("target", format!("there is no {target}")))?;
        let (reply, killed) = oneshot::channel();
        let is_killed = requests.try_send(reply).is_ok() && matches!(timeout(TIMEOUT, killed).await, Ok(Ok(true)));
        if !is_killed {
            return Err(Error::Unavailable(format!("{target}: it is being started, so there is nothing to crash yet")));
        }
        Ok(())
    }
}

impl CrashRequests {
    /// Waits for a request whose sender still waits for the answer.
    pub async fn next(&mut self) -> Request {
        loop {
            match self.0.recv().await {
                Some(request) if !request.is_closed() => return request,
                Some(_) => {}
                None => std::future::pending().await,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_has_one_name() {
        for target in [Target::Facade, Target::Gateway, Target::Shard(0), Target::Shard(63)] {
            assert_eq!(target.to_string().parse::<Target>().unwrap(), target);
        }
        for text in ["", "shard", "shard-", "shard-01", "shard-+1", "shard--1", "Facade", "launcher"] {
            assert!(matches!(text.parse::<Target>(), Err(Error::Invalid(_))), "{text}");
        }
    }

    #[tokio::test]
    async fn a_crash_is_refused_by_a_child_that_starts_and_unknown_of_one_that_is_not_there() {
        let (crashes, mut requests) = Crashes::of([Target::Facade, Target::Shard(0)].into_iter());
        assert!(matches!(crashes.crash(Target::Shard(1)).await, Err(Error::Invalid(_))));
        let facade = &mut requests[0].1;
        for is_ready in [true, false] {
            let answer = async { facade.next().await.send(is_ready).unwrap() };
            let (crashed, ()) = tokio::join!(crashes.crash(Target::Facade), answer);
            assert_eq!(crashed.is_ok(), is_ready);
        }
    }

    #[tokio::test]
    async fn a_request_that_nobody_waits_for_any_more_kills_nothing() {
        let (crashes, mut requests) = Crashes::of([Target::Facade].into_iter());
        let gave_up = timeout(Duration::ZERO, crashes.crash(Target::Facade)).await;
        assert!(gave_up.is_err(), "it was sent, and is not awaited any more");
        let next = timeout(Duration::ZERO, requests[0].1.next()).await;
        assert!(next.is_err(), "it is passed over");
    }
}
