//! `shardcart keys`: makes, lists and revokes API keys. A key itself is shown once and kept nowhere.

use std::io::{self, Write as _};
use std::path::PathBuf;

use clap::{Args, Subcommand};
use shardcart::access::{KeyFile, Role};

#[derive(Args)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Make a key and print it, once.
    New {
        #[command(flatten)]
        file: KeysFile,
        /// What it may do: read, write (and read) or admin (and write).
        #[arg(long)]
        role: Role,
        /// For people: who has it, what for.
        #[arg(long, default_value = "")]
        name: String,
    },
    /// Show ids, roles, when they were made, and names.
    List {
        #[command(flatten)]
        file: KeysFile,
    },
    /// Take a key back: facades stop taking it within two seconds.
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
            // Without whoever reads it the key would be lost.
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

/// For people. Nobody may be reading; what is done is done.
fn explain(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}
