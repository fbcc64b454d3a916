//! `shardcart repair`: shows what is damaged in a data directory, and gives up commits when it is told how many.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use shardcart::process::logging::{self, LogFormat};
use shardcart::{shard, storage};
use storage::{GiveUp, Verdict};

const EXAMPLES: &str = "\
Examples:
  shardcart repair --data data                        what is in all shards of a store
  shardcart repair --data data/shard-1                what is in one
  shardcart repair --data data/shard-1 --give-up 12   give up the 12 commits that it said would be lost

The exit status is 0 when everything is sound, else 1. Without --give-up nothing is changed.

Documentation: docs/operations.md in the source.";

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// The data directory of a shard, or of a store that `launch` has made. No process may use it.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Give up the commits behind the damage: exactly as many as are said to be lost, or `unknown` where that is
    /// said. What is cut is saved in the data directory first.
    #[arg(long, value_name = "N|unknown")]
    give_up: Option<GiveUp>,
}

pub fn run(arguments: Arguments, format: LogFormat) -> anyhow::Result<ExitCode> {
    logging::init(format, None).context("cannot start the log")?;
    let directories = shards_in(&arguments.data)?;
    match (arguments.give_up, &directories[..]) {
        (None, _) => show(&directories),
        (Some(wanted), [directory]) => give_up(directory, wanted),
        (Some(_), _) => bail!("--give-up needs the directory of one shard, as {}", directories[0].display()),
    }
}

/// The directories of all shards of a store, in order; or the directory itself, if it is a shard's.
fn shards_in(directory: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(directory).with_context(|| format!("cannot read {}", directory.display()))?;
    let number = |path: &PathBuf| path.file_name()?.to_str()?.strip_prefix("shard-")?.parse::<u32>().ok();
    let mut shards: Vec<_> =
        entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.is_dir()).collect();
    shards.retain(|path| number(path).is_some());
    shards.sort_by_key(number);
    Ok(if shards.is_empty() { vec![directory.to_owned()] } else { shards })
}

fn show(directories: &[PathBuf]) -> anyhow::Result<ExitCode> {
    let mut is_sound = true;
    for directory in directories {
        let found = shard::lock(directory).and_then(|_lock| storage::find(directory));
        match found {
            Ok(found) => {
                is_sound &= found.verdict == Verdict::Sound;
                writeln!(io::stdout(), "{found}")?;
            }
            Err(error) => {
                is_sound = false;
                writeln!(io::stdout(), "{}\n  result    {error}", directory.display())?;
            }
        }
    }
    Ok(if is_sound { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn give_up(directory: &Path, wanted: GiveUp) -> anyhow::Result<ExitCode> {
    let _lock = shard::lock(directory)?;
    let (last, saved) = storage::give_up(directory, wanted)?;
    writeln!(
        io::stdout(),
        "{}\n  what came after commit {last} is given up. Carts, stock, orders and values are as they were then: an update that\n  \
        was acknowledged later is gone, and other shards may know of orders that this one does not. Compare the payments.\n  \
        what was cut is in {}",
        directory.display(),
        saved.display()
    )?;
    Ok(ExitCode::SUCCESS)
}
