//! How the simulated payment gateway behaves: the choices of a playground, and the gateway's words for them.

use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use reqwest::redirect::Policy;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Invalid, Result};
use crate::process::tls;

/// The delay of a slow gateway's answers, in milliseconds.
const SLOW_MS: u64 = 2_000;
/// The time limit of a call to the gateway, which is on this machine.
const TIMEOUT: Duration = Duration::from_secs(1);
/// The URL on the gateway's socket. No host is looked up.
const CONTROL_URL: &str = "http://gateway/control";

/// The behaviour of the simulated gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GatewayMode {
    /// It answers at once.
    Ok,
    /// Its answers are late.
    Slow,
    /// It refuses new payments.
    Refusing,
    /// It does not answer.
    Away,
}

impl GatewayMode {
    const ALL: [GatewayMode; 4] = [GatewayMode::Ok, GatewayMode::Slow, GatewayMode::Refusing, GatewayMode::Away];

    /// The gateway's own words for it.
    fn control(self) -> Control {
        Control {
            delay_ms: if self == GatewayMode::Slow { SLOW_MS } else { 0 },
            refuse: self == GatewayMode::Refusing,
            away: self == GatewayMode::Away,
        }
    }

    fn of(control: &Control) -> Self {
        match control {
            Control { away: true, .. } => GatewayMode::Away,
            Control { refuse: true, .. } => GatewayMode::Refusing,
            Control { delay_ms: 1.., .. } => GatewayMode::Slow,
            _ => GatewayMode::Ok,
        }
    }
}

impl fmt::Display for GatewayMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            GatewayMode::Ok => "ok",
            GatewayMode::Slow => "slow",
            GatewayMode::Refusing => "refusing",
            GatewayMode::Away => "away",
        })
    }
}

impl FromStr for GatewayMode {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mode = Self::ALL.into_iter().find(|mode| mode.to_string() == text);
        mode.ok_or_else(|| Invalid::general("is none of ok, slow, refusing, away").into())
    }
}

/// The body of the gateway's control.
#[derive(Serialize, Deserialize)]
struct Control {
    delay_ms: u64,
    refuse: bool,
    away: bool,
}

/// The control of a simulated gateway on a Unix socket.
#[derive(Debug, Clone)]
pub struct GatewayControl(reqwest::Client);

impl GatewayControl {
    /// Makes the control of a gateway.
    ///
    /// # Errors
    /// [`Error::Internal`] when no client can be made.
    pub fn of(socket: &Path) -> Result<Self> {
        tls::choose_provider();
        let client = reqwest::Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .timeout(TIMEOUT)
            .unix_socket(socket)
            .tls_certs_only([])
            .build();
        client.map(GatewayControl).map_err(|error| Error::Internal(format!("the gateway's client: {error}")))
    }

    /// Makes the gateway behave like this, until it is restarted.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when it does not answer.
    pub async fn set(&self, mode: GatewayMode) -> Result<()> {
        let body = serde_json::to_vec(&mode.control()).map_err(|error| Error::Internal(error.to_string()))?;
        let sent = self.0.put(CONTROL_URL).body(body).send().await;
        match sent.and_then(reqwest::Response::error_for_status) {
            Ok(_) => Ok(()),
            Err(_) => Err(Error::Unavailable("the payment gateway does not answer; is it being restarted?".into())),
        }
    }

    /// The behaviour now. A gateway that is being restarted is away.
    pub async fn mode(&self) -> GatewayMode {
        let asked = async { self.0.get(CONTROL_URL).send().await.ok()?.bytes().await.ok() };
        let control = asked.await.and_then(|body| serde_json::from_slice::<Control>(&body).ok());
        control.map_or(GatewayMode::Away, |control| GatewayMode::of(&control))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_has_one_name_and_survives_the_gateways_words() {
        for mode in GatewayMode::ALL {
            assert_eq!(mode.to_string().parse::<GatewayMode>().unwrap(), mode);
            assert_eq!(serde_json::to_string(&mode).unwrap(), format!("\"{mode}\""));
            assert_eq!(GatewayMode::of(&mode.control()), mode);
        }
        assert!(matches!("OK".parse::<GatewayMode>(), Err(Error::Invalid(_))));
    }
}
