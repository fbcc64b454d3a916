//! Where options come from: argument, environment, file, default, in this order.

use std::fs::{self, File};
use std::path::Path;

use serde_json::Value;

use crate::harness::command::Program;
use crate::harness::launcher::{ANY_PORT, Launcher, PROGRAM};
use crate::harness::{Client, Scripted};

/// An option of `launch`, its value, and where it comes from.
fn setting(program: Program, option: &str) -> (String, String) {
    let said = program.run();
    let report: Value = serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {said:?}"));
    let settings = report["settings"].as_array().unwrap();
    let found = settings.iter().find(|setting| setting["option"] == option);
    let found = found.unwrap_or_else(|| panic!("no {option} in {settings:?}"));
    let text = |member: &str| found[member].as_str().unwrap().to_owned();
    (text("value"), text("from"))
}

/// A doctor that finds no store, and does not wait for one.
fn doctor(directory: &Path, arguments: &[&str]) -> Program {
    let nowhere = ["doctor", "--json", "--url", "http://127.0.0.1:1", "--timeout", "100ms"];
    Program::new(directory, &[&nowhere, arguments].concat())
}

#[test]
fn an_argument_comes_before_a_variable_before_the_file_before_the_default() {
    let directory = tempfile::tempdir().unwrap();
    let file = "[launch]\nmin-free = \"3MiB\"\nhttp = [\"127.0.0.1:0\", \"127.0.0.2:0\"]\nrequire-key = true\n";
    fs::write(directory.path().join("c.toml"), file).unwrap();
    let from = |value: &str, source: &str| (value.to_owned(), source.to_owned());
    let plain = || doctor(directory.path(), &[]);
    assert_eq!(setting(plain(), "min-free"), from("256MiB", "default"));
    let with_file = || plain().env("SHARDCART_CONFIG", "c.toml");
    assert_eq!(setting(with_file(), "min-free"), from("3MiB", "c.toml"));
    assert_eq!(setting(with_file(), "http"), from("127.0.0.1:0,127.0.0.2:0", "c.toml"));
    assert_eq!(setting(with_file(), "require-key"), from("true", "c.toml"));
    let with_variable = || with_file().env("SHARDCART_MIN_FREE", "2MiB").env("SHARDCART_REQUIRE_KEY", "no");
    assert_eq!(setting(with_variable(), "min-free"), from("2MiB", "SHARDCART_MIN_FREE"));
    assert_eq!(setting(with_variable(), "require-key").1, "SHARDCART_REQUIRE_KEY");
    let argument = doctor(directory.path(), &["--config", "c.toml", "--", "--min-free", "1MiB"]);
    assert_eq!(setting(argument.env("SHARDCART_MIN_FREE", "2MiB"), "min-free"), from("1MiB", "argument"));
}

#[test]
fn what_is_not_known_or_not_taken_is_refused_and_the_place_is_named() {
    let directory = tempfile::tempdir().unwrap();
    for (file, line) in [
        ("[launch]\nshard = 2", "launch.shard: there is no such option; is `shards` meant?"),
        ("[lauch]\nshards = 2", "lauch: there is no such command; is `launch` meant?"),
        ("[cart.ad]\nprice = 1", "cart.ad: there is no such command; is `add` meant?"),
        ("[clients]\nurl = \"x\"", "clients: there is no such command; is `client` meant?"),
        ("[client]\ntimeuot = \"1s\"", "client.timeuot: there is no such option; is `timeout` meant?"),
        ("shards = 2", "shards: there is no such option"),
        ("config = \"x\"", "config: there is no such option"),
        ("[repair]\ngive-up = 3", "repair.give-up: there is no such option"),
        ("[launch]\nshards = 65", "launch.shards 65: is not in 1..=64"),
        ("[launch]\nshards = [1]", "launch.shards: takes one value"),
        ("[launch]\nopen-writes = 1", "launch.open-writes: must be true or false"),
    ] {
        fs::write(directory.path().join("c.toml"), file).unwrap();
        let said = Program::new(directory.path(), &["launch", "--config", "c.toml"]).run().expect(2);
        assert_eq!(said.err, format!("error: c.toml: {line}\n"), "{file}");
    }
    let both = "[launch]\nopen-writes = true\nguard-writes = true";
    fs::write(directory.path().join("c.toml"), both).unwrap();
    let said = Program::new(directory.path(), &["launch", "--config", "c.toml"]).run().expect(2);
    assert!(said.err.contains("--guard-writes (c.toml) cannot be used with --open-writes (c.toml)"), "{said:?}");
    fs::write(directory.path().join("c.toml"), "= 1").unwrap();
    let said = Program::new(directory.path(), &["launch", "--config", "c.toml"]).run().expect(2);
    assert!(said.err.starts_with("error: --config c.toml: ") && said.err.contains("line 1"), "{said:?}");
    Program::new(directory.path(), &["launch", "--config", "absent"]).run().expect(2);
    let said = Program::new(directory.path(), &["launch"]).env("SHARDCART_SHARDS", "65").run().expect(2);
    assert_eq!(said.err, "error: SHARDCART_SHARDS 65: is not in 1..=64\n");
    assert!(fs::read_dir(directory.path()).unwrap().all(|entry| entry.unwrap().file_name() == "c.toml"));
}

#[test]
fn client_commands_share_a_table() {
    let directory = tempfile::tempdir().unwrap();
    let server = Scripted::start(&[&crate::harness::scripted::answer(200, "", "{}")]);
    let elsewhere = "http://127.0.0.1:1";
    let file = |cart: &str| format!("[client]\nurl = \"{}\"\njson = true\ntimeout = \"1s\"\n{cart}", server.url());
    fs::write(directory.path().join("c.toml"), file("")).unwrap();
    let get = |arguments: &[&str]| {
        let arguments = [&["cart", "get", "alice", "--config", "c.toml"], arguments].concat();
        Program::new(directory.path(), &arguments)
    };
    assert_eq!(get(&[]).run().expect(0).out, "{}\n");
    get(&["--url", elsewhere]).run().expect(6);
    get(&[]).env("SHARDCART_URL", elsewhere).run().expect(6);
    fs::write(directory.path().join("c.toml"), file(&format!("[cart]\nurl = \"{elsewhere}\""))).unwrap();
    get(&[]).run().expect(6);
    fs::write(directory.path().join("c.toml"), file(&format!("[cart.get]\nurl = \"{elsewhere}\""))).unwrap();
    get(&[]).run().expect(6);
    Program::new(directory.path(), &["product", "show", "x", "--config", "c.toml"]).run().expect(0);
}

#[test]
fn a_launcher_is_configured_by_its_environment_and_its_children_by_the_launcher() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("c.toml"), "[launch]\nhttp = [\"127.0.0.1:0\"]\n[shard]\ncart-ttl = \"1h\"\n")
        .unwrap();
    // Each of these would end or change a child that read it.
    let environment = [
        ("SHARDCART_SHARDS", "1"),
        ("SHARDCART_KV", ANY_PORT),
        ("SHARDCART_CONFIG", "c.toml"),
        ("SHARDCART_INDEX", "7"),
        ("SHARDCART_LISTEN", "127.0.0.1:1"),
        ("SHARDCART_STORE_ID", "no-uuid"),
        ("SHARDCART_REQUIRE_PAYMENTS", "true"),
        ("SHARDCART_CORS_ORIGIN", "https://a.example,https://b.example"),
    ];
    let log = File::create(directory.path().join("launcher.log")).unwrap();
    let program = Path::new(PROGRAM);
    let launcher = Launcher::spawn_logging(program, directory.path(), &[], log, &environment).until_ready();
    Client::new(launcher.shop()).get("/items/alice").expect(200);
    let children = launcher.children();
    assert_eq!(children.iter().filter(|role| role.arguments.contains(" shard ")).count(), 1);
    assert!(!children.iter().any(|role| role.arguments.contains("cart-ttl")));
    let facade = children.iter().find(|role| role.arguments.contains(" facade ")).unwrap();
    for origin in ["--cors-origin=https://a.example", "--cors-origin=https://b.example"] {
        assert!(facade.arguments.contains(origin), "{}", facade.arguments);
    }
}
