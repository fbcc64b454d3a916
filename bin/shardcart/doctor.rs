//! `shardcart doctor`: looks at this machine as a store needs it, and shows which options are in force.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, thread};

use anyhow::bail;
use clap::{Args, CommandFactory as _};
use serde::Serialize;
use shardcart::doctor::{self, Finding, Level, StoreState};
use shardcart::remote::{self, Request};
use shardcart::shard::default_max_memory;

use crate::client::{Store, StoreOptions};
use crate::settings::{self, Parsed, Refusal, Setting};
use crate::terminal::columns;
use crate::terminal::output;
use crate::terminal::style::{Style, paint};
use crate::terminal::table::{Column, Table, wrapped};
use crate::{Cli, Role, launch};

const EXAMPLES: &str = "\
Examples:
  shardcart doctor
  shardcart doctor --data /srv/shop
  shardcart doctor --config shardcart.toml -- --http 0.0.0.0:5000 --api-keys keys.json

The exit status is 0 when nothing is wrong, else 1. Warnings are not wrong.

Documentation: docs/command-line.md in the source.";

/// The longest wait for a store, which need not run.
const STORE_TIMEOUT: Duration = Duration::from_secs(3);
/// The columns before the text of a finding.
const INDENT: usize = 22;

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    #[command(flatten)]
    store: StoreOptions,
    /// The data directory to look at [default: that of `launch`].
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Options of `launch`, to look at what they would need.
    #[arg(last = true, value_name = "OPTIONS OF LAUNCH")]
    launch: Vec<OsString>,
}

/// What programs read.
#[derive(Serialize)]
struct Report<'a> {
    ok: bool,
    findings: &'a [Finding],
    settings: Vec<ShownSetting>,
}

#[derive(Serialize)]
struct ShownSetting {
    option: String,
    value: String,
    from: String,
}

/// Looks at everything. True when nothing is wrong.
pub fn run(arguments: Arguments, config: Option<&Path>) -> anyhow::Result<bool> {
    let (launch, settings) = options_of_launch(&arguments, config)?;
    let (mut findings, state) = look_at_store(&arguments.store)?;
    findings.extend(look_at_machine(&launch, state));
    findings.extend(look_at_keys(&arguments.store, &launch)?);
    findings.extend(look_at_environment());
    let ok = findings.iter().all(|finding| finding.level < Level::Wrong);
    if arguments.store.json {
        let settings = settings.into_iter().map(shown).collect();
        output::bytes_as_line(&serde_json::to_vec(&Report { ok, findings: &findings, settings })?)?;
    } else {
        output::text(&render(&findings, &settings))?;
    }
    Ok(ok)
}

/// The options that `launch` would run with, and where each comes from.
fn options_of_launch(
    arguments: &Arguments,
    config: Option<&Path>,
) -> anyhow::Result<(Box<launch::Arguments>, Vec<Setting>)> {
    let mut line: Vec<OsString> = vec![env!("CARGO_PKG_NAME").into()];
    line.extend(config.into_iter().flat_map(|config| ["--config".into(), config.into()]));
    line.push("launch".into());
    line.extend(arguments.data.iter().flat_map(|data| ["--data".into(), data.into()]));
    line.extend(arguments.launch.iter().cloned());
    match settings::parse(&line) {
        Ok(Parsed { cli: Cli { role: Role::Launch(launch), .. }, settings, .. }) => Ok((Box::new(launch), settings)),
        Ok(_) => bail!("these are no options of launch"),
        Err(Refusal::Setting(invalid)) => Err(invalid.into()),
        Err(Refusal::Arguments(error)) => Err(error.into()),
    }
}

fn look_at_store(options: &StoreOptions) -> anyhow::Result<(Vec<Finding>, StoreState)> {
    let mut options = options.clone();
    options.timeout.0 = options.timeout.0.min(STORE_TIMEOUT);
    let store = Store::new(&options)?;
    let index = store.try_send_once(&Request::get(remote::Path::root()));
    // A store that does not answer once is not waited for a second time.
    let ready =
        if index.is_ok() { store.try_send(&Request::get(remote::Path::of(&["readyz"])?)) } else { index.clone() };
    Ok(doctor::store(&options.url, store.has_key(), index, ready))
}

fn look_at_machine(launch: &launch::Arguments, state: StoreState) -> Vec<Finding> {
    let ports = launch.http.iter().chain([&launch.kv]);
    let mut found: Vec<_> = ports.map(|address| doctor::port(*address, state == StoreState::Up)).collect();
    found.push(doctor::descriptors(launch.facade.max_connections));
    let max_memory = launch.max_memory.map_or_else(|| default_max_memory(launch.shards), |bytes| bytes.0);
    found.push(doctor::memory(launch.shards, max_memory));
    let cores = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    found.push(Finding::good("processors", format!("{cores}, for {} shards and a facade", launch.shards)));
    found.extend(doctor::disk(&launch.store_directory(), launch.shard.min_free.0));
    found.push(doctor::clock(launch.facade.ntp_server.as_ref()));
    found
}

fn look_at_keys(store: &StoreOptions, launch: &launch::Arguments) -> anyhow::Result<Vec<Finding>> {
    let listeners: Vec<SocketAddr> = launch.http.iter().chain([&launch.kv]).copied().collect();
    let mut found = vec![doctor::server_keys(&launch.access.settings()?, &listeners)];
    found.extend(store.api_key_file.as_deref().map(doctor::client_key));
    Ok(found)
}

fn look_at_environment() -> Vec<Finding> {
    let set = env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    let unknown = settings::unknown_variables(&Cli::command(), set);
    let finding = |(name, nearest): (String, Option<String>)| {
        let remedy = nearest.map_or_else(|| format!("unset {name}"), |nearest| format!("is {nearest} meant?"));
        Finding::warning("environment", format!("{name} is set, and has no meaning"), remedy)
    };
    unknown.into_iter().map(finding).collect()
}

fn shown(setting: Setting) -> ShownSetting {
    ShownSetting { option: setting.option, value: setting.value, from: setting.source.to_string() }
}

fn render(findings: &[Finding], settings: &[Setting]) -> String {
    let mut text = String::new();
    for finding in findings {
        let (mark, style) = match finding.level {
            Level::Good => ("ok", Style::Good),
            Level::Warning => ("warning", Style::Warning),
            Level::Wrong => ("wrong", Style::Bad),
        };
        let remedy = finding.remedy.iter().map(|remedy| format!("-> {remedy}"));
        let lines = wrapped(&finding.text, columns() - INDENT).into_iter();
        let lines = lines.chain(remedy.flat_map(|remedy| wrapped(&remedy, columns() - INDENT)));
        for (number, line) in lines.enumerate() {
            let head = if number == 0 { format!("{:8} {:12}", mark, finding.area) } else { String::new() };
            let row = format!("{head:21} {line}");
            text.push_str(&row.trim_end().replacen(mark, &paint(mark, style), usize::from(number == 0)));
            text.push('\n');
        }
    }
    let mut table = Table::new([Column::fixed("OPTION OF LAUNCH"), Column::text("VALUE"), Column::text("FROM")]);
    for Setting { option, value, source } in settings {
        table.row([&format!("--{option}"), value, &source.to_string()]);
    }
    let worst = findings.iter().map(|finding| finding.level).max();
    let verdict = match worst {
        Some(Level::Wrong) => "Something is wrong: see above.",
        Some(Level::Warning) => "A store would run; the warnings say what could be better.",
        _ => "All is well.",
    };
    format!("{text}\n{table}\n{verdict}\n")
}
