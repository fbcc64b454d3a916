//! The card of an order. Its number is never an argument: lists of processes and histories of shells show those.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use serde::{Serialize, Serializer};
use shardcart::domain::card::Card;
use shardcart::error::Error;
use zeroize::Zeroizing;

use super::store::read_secret;
use crate::terminal::output;

/// A card that pays with the simulated gateway.
const TEST_CARD: &str = "4242424242424242";

#[derive(Args)]
pub struct CardOptions {
    /// A file (- is standard input) with the card's number, and on a second line its expiry. Without it the order is paid with
    /// the test card 4242424242424242, which only the simulated gateway takes.
    #[arg(long, value_name = "FILE")]
    card_file: Option<PathBuf>,
}

/// The member `payment` of a request.
pub struct Payment(Card);

impl Serialize for Payment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Members<'a> {
            card_number: &'a str,
            expiry: Option<&'a str>,
        }
        Members { card_number: self.0.number.reveal(), expiry: self.0.expiry.as_deref() }.serialize(serializer)
    }
}

impl CardOptions {
    /// Reads the card.
    pub fn payment(&self) -> anyhow::Result<Payment> {
        let Some(file) = &self.card_file else {
            output::note("paying with the test card; --card-file names another");
            return Ok(Payment(Card::new(TEST_CARD, None).map_err(Error::from)?));
        };
        let option = || format!("--card-file {}", file.display());
        let text = Zeroizing::new(read_secret(file).with_context(option)?);
        let mut lines = text.lines().map(str::trim);
        let number = lines.next().unwrap_or_default().replace([' ', '-'], "");
        let expiry = lines.next().filter(|line| !line.is_empty()).map(str::to_owned);
        // Checked here, so that nothing else that the file may hold is sent.
        Ok(Payment(Card::new(number, expiry).map_err(Error::from).with_context(option)?))
    }
}
