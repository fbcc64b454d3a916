//! Compiles shard.proto in pure Rust, so that nothing but a Rust toolchain is needed.

use std::error::Error;
use std::{env, fs, path::PathBuf};

use prost::Message;

const PROTO: &str = "proto/shard.proto";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={PROTO}");
    println!("cargo::rerun-if-changed=proto/build.rs");
    let descriptors = protox::compile([PROTO], ["proto"])?;
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
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
