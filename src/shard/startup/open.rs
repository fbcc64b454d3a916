//! Opens a data directory: loads its identity, or creates it together with the initial catalog.

use super::identity::{ExpectedIdentity, Identity};
use super::import;
use crate::catalog::Catalog;
use crate::error::Result;
use crate::process::shutdown::Shutdown;
use crate::shard::disk::DiskLimit;
use crate::storage::Storage;

/// Opens a storage for a shard. A new one gets a header and the initial catalog. An interrupted import is finished
/// first.
///
/// # Errors
/// [`crate::error::Error::Internal`] when the storage belongs to another shard or store, or fails; and the errors of
/// an import.
pub fn open(
    storage: &dyn Storage,
    expected: ExpectedIdentity,
    catalog: &Catalog,
    disk: &DiskLimit,
    shutdown: &Shutdown,
) -> Result<Identity> {
    if let Some(identity) = Identity::load(storage, expected)? {
        if let Some(interrupted) = identity.pending_import() {
            import::resume(storage, &identity, &interrupted, catalog, (disk, shutdown))?;
        }
        return Ok(identity);
    }
    let identity = Identity::new(expected);
    match catalog {
        Catalog::None => identity.create(storage, Vec::new())?,
        Catalog::Sample => identity.create(storage, import::sample_records(&identity.slots()))?,
        Catalog::File(path) => import::import(storage, &identity, path, (disk, shutdown))?,
    }
    Ok(identity)
}
