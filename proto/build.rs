//! Compiles shard.proto in pure Rust, so that nothing but a Rust toolchain is needed, and puts the
//! sections of the OpenAPI document together, so that a broken one fails the build.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs};

use prost::Message;

const PROTO: &str = "proto/shard.proto";
/// The sections of the OpenAPI document in their order; the first ends where the paths begin.
const SECTIONS: [&str; 16] = [
    "info",
    "carts",
    "keys",
    "products",
    "books",
    "catalogue",
    "orders",
    "deliveries",
    "checkout",
    "operations",
    "components",
    "parameters",
    "responses",
    "executions",
    "schemas",
    "shop_schemas",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto/build.rs");
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    compile_proto(&out)?;
    assemble_document(&out)
}

fn compile_proto(out: &Path) -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={PROTO}");
    let descriptors = protox::compile([PROTO], ["proto"])?;
    fs::write(out.join("shard.descriptors"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure()
        .bytes(".shardcart.v1.Reply")
        .bytes(".shardcart.v1.Products")
        .bytes(".shardcart.v1.OrderReply")
        // wire/shop.rs writes it without the number.
        .skip_debug(["shardcart.v1.Card"])
        .compile_fds(descriptors)?;
    Ok(())
}

/// Writes the document as YAML, comments and all, and as JSON.
fn assemble_document(out: &Path) -> Result<(), Box<dyn Error>> {
    let mut yaml = String::new();
    for section in SECTIONS {
        let path = format!("src/http/openapi/{section}.yaml");
        println!("cargo::rerun-if-changed={path}");
        yaml.push_str(&fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?);
    }
    let document: serde_json::Value =
        serde_saphyr::from_str(&yaml).map_err(|error| format!("the OpenAPI document, all sections as one: {error}"))?;
    fs::write(out.join("openapi.json"), serde_json::to_vec(&document)?)?;
    fs::write(out.join("openapi.yaml"), yaml)?;
    Ok(())
}
