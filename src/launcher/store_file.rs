//! The file `store.json`: the id and layout of the store in a data directory. It is written last when a store is
//! created, so it marks a complete directory.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::Path;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::{Error, Result};
use crate::process::files::{self, failed_to};
use crate::storage::StorageKind;

/// The name of the file.
pub const STORE_FILE: &str = "store.json";
const FORMAT: u32 = 1;

/// The content of `store.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreFile {
    format: u32,
    /// The store's id, which its shards and facades check.
    pub store_id: Uuid,
    shards: u32,
    storage: String,
    created: String,
    /// True once all shards were ready: from then on what is missing of one was lost.
    #[serde(default)]
    pub was_ready: bool,
    /// True once all shards were ready with the simulated gateway: from then on its payments must be there.
    #[serde(default)]
    pub has_payments: bool,
    /// The products that new shards begin with.
    #[serde(default)]
    pub catalog: InitialCatalog,
}

/// The products that new shards begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InitialCatalog {
    /// The built-in sample.
    Sample,
    /// No products, or none any more, since all shards have imported theirs.
    #[default]
    None,
    /// A file, kept as a copy in the data directory until all shards have imported it.
    File,
}

impl StoreFile {
    /// Makes the content for a new store.
    pub fn new(shards: u32, storage: StorageKind, catalog: InitialCatalog) -> Self {
        StoreFile {
            format: FORMAT,
            store_id: Uuid::new_v4(),
            shards,
            storage: storage.to_string(),
            created: jiff::Timestamp::now().to_string(),
            was_ready: false,
            has_payments: false,
            catalog,
        }
    }

    /// Reads the file of a data directory; `None` when it has none.
    ///
    /// # Errors
    /// [`Error::Internal`] when it cannot be read or has an unknown format.
    pub fn read(directory: &Path) -> Result<Option<Self>> {
        let path = directory.join(STORE_FILE);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed_to("read", &path)(error)),
        };
        let store: StoreFile = serde_json::from_slice(&text).map_err(|error| failed_to("read", &path)(error.into()))?;
        if store.format != FORMAT {
            return Err(Error::Internal(format!(
                "{}: its format is {}, this release knows {FORMAT}",
                directory.display(),
                store.format
            )));
        }
        Ok(Some(store))
    }

    /// Writes the file durably into a data directory.
    ///
    /// # Errors
    /// [`Error::Internal`] when it cannot be written.
    pub fn write(&self, directory: &Path) -> Result<()> {
        let path = directory.join(STORE_FILE);
        let written = serde_json::to_vec_pretty(self).map_err(Into::into);
        written
            .and_then(|text| files::replace(&path, &text, |path| File::create(path)))
            .map_err(failed_to("write", &path))
    }

    /// Checks that the store has the layout of the options.
    ///
    /// # Errors
    /// [`Error::Internal`] when it has another number of shards or another storage.
    pub fn check(&self, directory: &Path, shards: u32, storage: StorageKind) -> Result<()> {
        let refuse = |text: String| Err(Error::Internal(format!("{}: {text}", directory.display())));
        if self.shards != shards {
            return refuse(format!(
                "it holds {} shards, --shards asks for {shards}; use --shards {} or another directory",
                self.shards, self.shards
            ));
        }
        if self.storage != storage.to_string() {
            return refuse(format!("its storage is {}, --storage asks for {storage}", self.storage));
        }
        Ok(())
    }

    /// True when the storage is in memory, so that the shards are new at every start.
    pub fn is_volatile(&self) -> bool {
        self.storage == StorageKind::Memory.to_string()
    }
}
