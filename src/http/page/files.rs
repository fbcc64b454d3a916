//! The files of the pages, as the build has put them into the binary.

use xxhash_rust::xxh3::xxh3_64;

use crate::domain::tag::Tag;

/// A file of the pages.
#[derive(Debug)]
pub struct File {
    /// Its name in `/assets/`.
    name: &'static str,
    /// Its media type.
    pub content_type: &'static str,
    /// Its content.
    pub bytes: &'static [u8],
}

impl File {
    /// The entity tag, which depends on the content only, so that a new release has new ones.
    pub fn tag(&self) -> Tag {
        Tag::of_version(xxh3_64(self.bytes))
    }
}

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

macro_rules! file {
    ($name:literal, $content_type:expr) => {
        File { name: $name, content_type: $content_type, bytes: include_bytes!(concat!("assets/", $name)) }
    };
}

/// The shell of the page at `/`.
pub static STATUS: File = file!("status.html", HTML);
/// The shell of the page at `/shop`.
pub static SHOP: File = file!("shop.html", HTML);

/// What the shells load from `/assets/`.
static ASSETS: [File; 39] = [
    file!("icon.svg", SVG),
    file!("base.css", CSS),
    file!("shop.css", CSS),
    file!("status.css", CSS),
    file!("access.js", SCRIPT),
    file!("api.js", SCRIPT),
    file!("as-command.js", SCRIPT),
    file!("cart-table.js", SCRIPT),
    file!("catalog.js", SCRIPT),
    file!("dom.js", SCRIPT),
    file!("event-stream.js", SCRIPT),
    file!("fault-list.js", SCRIPT),
    file!("feed-state.js", SCRIPT),
    file!("feed.js", SCRIPT),
    file!("format.js", SCRIPT),
    file!("history.js", SCRIPT),
    file!("key-form.js", SCRIPT),
    file!("last-action.js", SCRIPT),
    file!("look-up.js", SCRIPT),
    file!("order-states.js", SCRIPT),
    file!("order-timeline.js", SCRIPT),
    file!("order-words.js", SCRIPT),
    file!("playground-panel.js", SCRIPT),
    file!("shard-table.js", SCRIPT),
    file!("shop-cart.js", SCRIPT),
    file!("shop-checkout.js", SCRIPT),
    file!("shop-orders.js", SCRIPT),
    file!("shop-page.js", SCRIPT),
    file!("shop-shelf.js", SCRIPT),
    file!("shopper-bar.js", SCRIPT),
    file!("shopper.js", SCRIPT),
    file!("slot-map.js", SCRIPT),
    file!("slot-paint.js", SCRIPT),
    file!("status-page.js", SCRIPT),
    file!("stock-check.js", SCRIPT),
    file!("store-facts.js", SCRIPT),
    file!("time-plot.js", SCRIPT),
    file!("time-plots.js", SCRIPT),
    file!("verdict-line.js", SCRIPT),
];

/// The file `/assets/{name}`.
pub fn find(name: &str) -> Option<&'static File> {
    ASSETS.iter().find(|file| file.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::fs;

    #[test]
    fn every_file_of_the_folder_is_served() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/http/page/assets");
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let served = ASSETS.iter().chain([&STATUS, &SHOP]).map(|file| file.name.to_owned());
        assert_eq!(served.collect::<BTreeSet<_>>(), entries.collect());
    }
}
