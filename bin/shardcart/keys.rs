//! `shardcart keys`: makes, lists and revokes API keys. A key itself is shown once and stored nowhere.

use std::io::{self, Write as _};
use std::path::PathBuf;

use clap::{Args, Subcommand};
use shardcart::access::{KeyFile, Role};

const EXAMPLES: &str = "\
Examples:
  shardcart keys new --file keys.json --role write --name checkout
  shardcart keys list --file keys.json
  shardcart keys revoke --file keys.json 0123456789ab

Documentation: README.md and docs/ in the source.";

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Make a key and print it, once.
    #[command(after_help = "Example:\n  shardcart keys new --file keys.json --role write --name checkout")]
    New {
        #[command(flatten)]
        file: KeysFile,
        /// The role: read, write (and read) or admin (and write).
        #[arg(long)]
        role: Role,
        /// A note for people: who has the key, what for.
        #[arg(long, default_value = "")]
        name: String,
    },
    /// Show the ids, roles, dates and names of all keys.
    #[command(after_help = "Example:\n  shardcart keys list --file keys.json")]
    List {
        #[command(flatten)]
        file: KeysFile,
    },
    /// Revoke a key: facades refuse it within two seconds.
    #[command(after_help = "Example:\n  shardcart keys revoke --file keys.json 0123456789ab")]
    Revoke {
        #[command(flatten)]
        file: KeysFile,
        /// The key's id, as `list` shows it.
        id: String,
    },
}

#[derive(Args)]
struct KeysFile {
    /// The file of keys, which facades are given as --api-keys; `new` makes it when it is missing.
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
}

pub fn run(arguments: Arguments) -> anyhow::Result<()> {
    match arguments.action {
        Action::New { file: KeysFile { file }, role, name } => {
            let (entry, key) = KeyFile::add(&file, &name, role)?;
            // An error matters here: a key that nobody reads would be lost.
            writeln!(io::stdout(), "{}", key.reveal())?;
            explain(&format!("{}: the key {} of the role {role}; it is not shown again", file.display(), entry.id));
        }
        Action::List { file: KeysFile { file } } => {
            for entry in KeyFile::read(&file)?.entries() {
                writeln!(io::stdout(), "{}  {:5}  {:.0}  {}", entry.id, entry.role, entry.created, entry.name)?;
            }
        }
        Action::Revoke { file: KeysFile { file }, id } => {
            let entry = KeyFile::revoke(&file, &id)?;
            explain(&format!("{}: the key {} {} is revoked", file.display(), entry.id, entry.name));
        }
    }
    Ok(())
}

/// Prints a line for people. Errors are ignored, since the change is already made.
fn explain(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}
