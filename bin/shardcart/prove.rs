//! `shardcart prove`: shows on a store of its own that nothing acknowledged is lost while processes are killed.

use std::env;
use std::ffi::OsString;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, value_parser};
use indicatif::{ProgressBar, ProgressStyle};
use shardcart::access::Settings;
use shardcart::catalog::Catalog;
use shardcart::error::{Error, Invalid};
use shardcart::launcher::{self, DEFAULT_ANSWER_TIMEOUT, MAX_LOCAL_SHARDS, PaymentKind};
use shardcart::playground::{self, MAX_KILLS_PER_SECOND, MAX_RATE, Progress, Proof, ProofOptions};
use shardcart::process::logging::{self, FILTER_VARIABLE, LogFormat};
use shardcart::process::shutdown::Shutdown;
use shardcart::shard::{DEFAULT_MIN_FREE_BYTES, default_max_memory};
use shardcart::storage::StorageKind;

use crate::access::environment_key;

const EXAMPLES: &str = "\
Examples:
  shardcart prove
  shardcart prove --seconds 600 --kills 200 --rate 300
  shardcart prove --seed 4711 --json

It exits with 0 if everything acknowledged was found once, and with 1 if not.
Documentation: docs/playground.md in the source.";

/// The longest proof, in seconds.
const MAX_SECONDS: u64 = 3_600;
/// What is logged unless the environment says otherwise: processes that die are no news here.
const LOG_FILTER: &str = "off";
/// The bytes of each shard's commit log at most. A proof is over before it needs more.
const LOG_SIZE: &str = "--log-size=64MiB";
/// The longest finding in the table, in characters; `--json` has all of it.
const FINDING_WIDTH: usize = 78;

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// How long shoppers use the store, in seconds, 1 to 3600.
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = value_parser!(u64).range(1..=MAX_SECONDS))]
    seconds: u64,
    /// How often a shard, the facade or the payment gateway is killed meanwhile: at most twice a second.
    #[arg(long, value_name = "N", default_value_t = 20)]
    kills: u32,
    /// The number of shards, 1 to 64.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = value_parser!(u32).range(1..=i64::from(MAX_LOCAL_SHARDS)))]
    shards: u32,
    /// The changes a second that shoppers make, 1 to 1000.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = value_parser!(u32).range(1..=i64::from(MAX_RATE)))]
    rate: u32,
    /// Decides what shoppers want, and what is killed when [default: random].
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
    /// The data directory, which must not exist yet [default: one among the system's temporary files].
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Leave the data directory at the end.
    #[arg(long)]
    keep: bool,
    /// The storage. Memory loses what was acknowledged, so that the proof must fail.
    #[arg(long, hide = true, default_value = "log")]
    storage: StorageKind,
}

pub fn run(arguments: Arguments, format: LogFormat) -> anyhow::Result<ExitCode> {
    let shutdown = Shutdown::on_signals(false).context("cannot handle signals")?;
    logging::init_with_default(format, None, LOG_FILTER).context("cannot start the log")?;
    if u64::from(arguments.kills) > arguments.seconds * u64::from(MAX_KILLS_PER_SECOND) {
        let reason = format!("must be at most {MAX_KILLS_PER_SECOND} a second");
        return Err(Error::from(Invalid::general(format!("--kills {}: {reason}", arguments.kills))).into());
    }
    let options = ProofOptions {
        store: store(&arguments)?,
        time: Duration::from_secs(arguments.seconds),
        kills: arguments.kills,
        rate: arguments.rate,
        seed: arguments.seed.unwrap_or_else(|| fastrand::u64(..)),
        data: arguments.data,
        is_kept: arguments.keep,
    };
    let bar = progress_bar(arguments.seconds);
    let proof = playground::prove(options, shutdown, |progress| show_progress(&bar, progress));
    bar.finish_and_clear();
    let proof = proof?.ok_or_else(|| Error::Unavailable("asked to end before anybody could shop".into()))?;
    let text = if arguments.json { format!("{}\n", serde_json::to_string(&proof)?) } else { table(&proof) };
    // Whoever closed standard output wants only the exit status.
    let _ = io::stdout().lock().write_all(text.as_bytes());
    Ok(if proof.holds { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The options of the store that is tested, on free ports.
fn store(arguments: &Arguments) -> anyhow::Result<launcher::Options> {
    let any_port = || "127.0.0.1:0".parse().expect("it is an address");
    let is_filtered = env::var_os(FILTER_VARIABLE).is_some();
    let environment = (!is_filtered).then(|| (OsString::from(FILTER_VARIABLE), OsString::from(LOG_FILTER)));
    Ok(launcher::Options {
        shards: arguments.shards,
        http: vec![any_port()],
        kv: any_port(),
        data: PathBuf::new(),
        storage: arguments.storage,
        catalog: Catalog::None,
        min_free: DEFAULT_MIN_FREE_BYTES,
        payment: PaymentKind::Simulated,
        payment_insecure: false,
        access: Settings { key: environment_key()?, ..Settings::default() },
        answer_timeout: DEFAULT_ANSWER_TIMEOUT,
        common: Vec::new(),
        shard: vec![LOG_SIZE.into(), format!("--max-memory={}", default_max_memory(arguments.shards)).into()],
        facade: Vec::new(),
        environment: environment.into_iter().collect(),
        notes: Vec::new(),
        is_quiet: true,
    })
}

/// A bar that is drawn on a terminal only.
fn progress_bar(seconds: u64) -> ProgressBar {
    let bar = ProgressBar::new(seconds * 1_000);
    if let Ok(style) = ProgressStyle::with_template("{wide_bar} {msg}") {
        bar.set_style(style);
    }
    bar.set_message("starting");
    bar
}

fn show_progress(bar: &ProgressBar, progress: Progress) {
    bar.set_position(u64::try_from(progress.shopped.as_millis()).unwrap_or(u64::MAX));
    let stage = if progress.is_checking { "checking: " } else { "" };
    bar.set_message(format!("{stage}{} acknowledged, {} kills", progress.acknowledged, progress.kills));
}

/// The result for people, on at most 80 columns.
fn table(proof: &Proof) -> String {
    let kills = |is_counted: &dyn Fn(&str) -> bool| {
        let counted = proof.kills.iter().filter(|(name, _)| is_counted(name));
        counted.map(|(_, count)| count).sum::<u64>().to_string()
    };
    let rows = [
        ("acknowledged changes", proof.acknowledged.to_string()),
        ("refused changes", proof.refused.to_string()),
        ("requests sent once more", proof.retried.to_string()),
        ("orders created", proof.orders_created.to_string()),
        ("orders refused", proof.orders_refused.to_string()),
        ("orders cancelled", proof.orders_cancelled.to_string()),
        ("kills of shards", kills(&|name| name.starts_with("shard-"))),
        ("kills of the facade", kills(&|name| name == "facade")),
        ("kills of the payment gateway", kills(&|name| name == "gateway")),
        ("longest wait", format!("{:.1} s", proof.longest_wait_ms as f64 / 1e3)),
        ("", String::new()),
        ("lost", proof.lost.to_string()),
        ("applied twice", proof.applied_twice.to_string()),
        ("stock drift", proof.stock_drift.to_string()),
        ("refusals of what is there", proof.contradictions.to_string()),
        ("unknown outcomes", proof.unknown.to_string()),
        ("not checked", proof.unchecked.to_string()),
    ];
    let early = if proof.ended_early { ", ended early" } else { "" };
    let mut text = format!(
        "{:.0} s{early}, {} shards, {} shoppers, {} changes/s\n--seed {}\n\n",
        proof.seconds, proof.shards, proof.shoppers, proof.rate_per_s, proof.seed
    );
    for (name, number) in rows {
        text.push_str(format!("{name:<30}{number:>12}").trim_end());
        text.push('\n');
    }
    text.push('\n');
    for finding in &proof.findings {
        let is_long = finding.chars().count() > FINDING_WIDTH;
        text.extend(finding.chars().take(FINDING_WIDTH));
        text.push_str(if is_long { "…\n" } else { "\n" });
    }
    text.push_str(verdict(proof));
    text
}

fn verdict(proof: &Proof) -> &'static str {
    match proof {
        Proof { holds: true, .. } => "Everything acknowledged is there, once, and the stock adds up.\n",
        Proof { lost: 0, applied_twice: 0, stock_drift: 0, contradictions: 0, .. } => {
            "Not everything could be checked.\n"
        }
        _ => "The store did not keep what it acknowledged.\n",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proof(lost: u64, unchecked: u64) -> Proof {
        Proof {
            holds: lost == 0 && unchecked == 0,
            seed: u64::MAX,
            seconds: 3_600.0,
            ended_early: true,
            shards: 64,
            shoppers: 64,
            rate_per_s: 1_000,
            acknowledged: 3_600_000,
            refused: 1,
            retried: 2,
            orders_created: 3,
            orders_refused: 4,
            orders_cancelled: 5,
            kills: [("facade".into(), 1), ("gateway".into(), 2), ("shard-0".into(), 3), ("shard-9".into(), 4)].into(),
            longest_wait_ms: 1_234,
            lost,
            applied_twice: 0,
            stock_drift: 0,
            contradictions: 0,
            unknown: 0,
            unchecked,
            findings: vec!["ä".repeat(300)],
        }
    }

    #[test]
    fn the_table_fits_a_terminal_and_says_what_it_means() {
        for (lost, unchecked, says) in [(0, 0, "is there, once"), (0, 1, "could be checked"), (1, 1, "did not keep")] {
            let text = table(&proof(lost, unchecked));
            assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
            assert!(text.ends_with('\n') && text.lines().last().unwrap_or_default().contains(says), "{text}");
            let row = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim();
            assert_eq!([row("kills of shards"), row("kills of the facade"), row("longest wait")], ["7", "1", "1.2 s"]);
        }
    }
}
