//! Compiles shard.proto in pure Rust, so that the build needs no protoc, and merges the OpenAPI document from its
//! files, so that a broken document fails the build.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs};

use prost::Message;
use serde_json::{Map, Value};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const PROTO: &str = "proto/shard.proto";
const OPENAPI: &str = "src/http/openapi";
/// The files of `paths/`, in the document's order.
const GROUPS: [&str; 10] =
    ["carts", "values", "products", "lists", "orders", "deliveries", "operations", "pages", "playground", "status"];
/// The files of `components/`, in the document's order. Each is one section of the components.
const SECTIONS: [&str; 5] = ["securitySchemes", "headers", "parameters", "responses", "schemas"];

fn main() -> Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    compile_proto(&out)?;
    let document = openapi_document()?;
    fs::write(out.join("openapi.json"), serde_json::to_vec(&document)?)?;
    fs::write(out.join("openapi.yaml"), serde_saphyr::to_string(&document)?)?;
    Ok(())
}

fn compile_proto(out: &Path) -> Result<()> {
    println!("cargo::rerun-if-changed={PROTO}");
    let descriptors = protox::compile([PROTO], ["proto"])?;
    fs::write(out.join("shard.descriptors"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure()
        .codec_path("crate::protocol::BoundedCodec")
        .bytes(".shardcart.v1.Reply")
        .bytes(".shardcart.v1.Products")
        .bytes(".shardcart.v1.OrderReply")
        .bytes(".shardcart.v1.Orders")
        // The protocol module implements it without the card's number.
        .skip_debug(["shardcart.v1.Card"])
        .compile_fds(descriptors)?;
    Ok(())
}

/// Merges the files into one document without references to other files.
fn openapi_document() -> Result<Value> {
    println!("cargo::rerun-if-changed={OPENAPI}");
    let mut document = read("document")?;
    document["info"]["version"] = env::var("CARGO_PKG_VERSION")?.into();
    let mut paths = Map::new();
    for group in GROUPS {
        let mut file = read(&format!("paths/{group}"))?;
        let own = file["paths"].as_object_mut().ok_or_else(|| format!("paths/{group}.yaml has no paths"))?;
        for (path, item) in std::mem::take(own) {
            if paths.insert(path.clone(), item).is_some() {
                return Err(format!("paths/{group}.yaml: another file has {path} too").into());
            }
        }
    }
    document["paths"] = paths.into();
    let mut components = Map::new();
    for section in SECTIONS {
        let mut file = read(&format!("components/{section}"))?;
        make_references_local(&mut file, section)?;
        components.insert(section.into(), file);
    }
    make_references_local(&mut document["paths"], "")?;
    document["components"] = components.into();
    Ok(document)
}

fn read(name: &str) -> Result<Value> {
    let path = format!("{OPENAPI}/{name}.yaml");
    let text = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
    Ok(serde_saphyr::from_str(&text).map_err(|error| format!("{path}: {error}"))?)
}

/// Rewrites references to components: `../components/schemas.yaml#/Id`, and `#/Id` within that file,
/// become `#/components/schemas/Id`. `section` is the section that the value is part of.
fn make_references_local(value: &mut Value, section: &str) -> Result<()> {
    match value {
        Value::Object(members) => {
            if let Some(Value::String(reference)) = members.get_mut("$ref") {
                let (file, pointer) = reference.split_once('#').ok_or_else(|| format!("{reference}: no #"))?;
                let file = Path::new(file).file_stem().and_then(|stem| stem.to_str()).unwrap_or(section);
                if !SECTIONS.contains(&file) {
                    return Err(format!("{reference}: leads to no file of components").into());
                }
                *reference = format!("#/components/{file}{pointer}");
            }
            members.values_mut().try_for_each(|value| make_references_local(value, section))
        }
        Value::Array(values) => values.iter_mut().try_for_each(|value| make_references_local(value, section)),
        _ => Ok(()),
    }
}
