//! API keys: the requests that need one, the roles that they need, and that no key is shown.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output};

use shardcart::access::KEY_VARIABLES;
use tempfile::TempDir;

use crate::harness::http::Connection;
use crate::harness::{Answer, Client, Process, Setup, Store, eventually, offer};

const DEVELOPMENT_KEY: &str = "secret123";
const ANYTHING: &str = "/api/anything";
const METHODS: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH"];

/// A file of keys, which only `shardcart keys` changes.
struct Keys {
    _directory: TempDir,
    file: PathBuf,
}

impl Keys {
    fn none() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Keys { file: directory.path().join("keys.json"), _directory: directory }
    }

    fn path(&self) -> &str {
        self.file.to_str().unwrap()
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_shardcart"));
        command.arg("keys").arg(arguments[0]).args(["--file", self.path()]).args(&arguments[1..]).output().unwrap()
    }

    /// Creates a key, and asserts that it is alone on stdout.
    fn make(&self, role: &str) -> String {
        let output = self.run(&["new", "--role", role, "--name", &format!("the {role}")]);
        assert!(output.status.success(), "{output:?}");
        let key = String::from_utf8(output.stdout).unwrap();
        let key = key.strip_suffix('\n').unwrap().to_owned();
        assert!(key.starts_with("sck_") && key.len() >= 4 + 32, "{key}");
        assert!(!String::from_utf8_lossy(&output.stderr).contains(&key));
        assert!(!fs::read_to_string(&self.file).unwrap().contains(&key), "a key itself is kept nowhere");
        key
    }

    fn list(&self) -> Vec<String> {
        let output = self.run(&["list"]);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().lines().map(ToOwned::to_owned).collect()
    }

    fn revoke(&self, role: &str) {
        let line = self.list().into_iter().find(|line| line.ends_with(&format!("the {role}"))).unwrap();
        let output = self.run(&["revoke", line.split(' ').next().unwrap()]);
        assert!(output.status.success(), "{output:?}");
    }
}

fn ask(client: &mut Client, method: &str, path: &str, keys: &[&str]) -> Answer {
    let call = client.call(method, path);
    keys.iter().fold(call, |call, key| call.header("X-API-Key", key)).send()
}

#[track_caller]
fn expect_unauthorized(answer: Answer) {
    assert_eq!(answer.header("www-authenticate"), Some("ApiKey"));
    answer.expect_problem(401, "X-API-Key");
}

#[test]
fn the_api_needs_a_key_of_the_right_role() {
    let keys = Keys::none();
    let [read, write, admin] = ["read", "write", "admin"].map(|role| keys.make(role));
    let store = Setup::new(1).facade_options(&["--api-keys", keys.path()]).start();
    let mut client = store.client();
    for path in [ANYTHING, "/api", "/api/", "/api/elsewhere/1?x=y"] {
        for method in METHODS {
            let is_read = ["GET", "HEAD"].contains(&method);
            for keys in [&[][..], &[""], &["unknown"], &[DEVELOPMENT_KEY], &[&read, &read], &[&admin, "unknown"]] {
                let answer = ask(&mut client, method, path, keys);
                if method == "HEAD" {
                    drop(answer.expect(401))
                } else {
                    expect_unauthorized(answer)
                };
            }
            let status = |key: &String| store.client().call(method, path).header("X-API-Key", key).send().status;
            assert_eq!(status(&read), if is_read { 404 } else { 403 }, "{method} {path}");
            assert_eq!([status(&write), status(&admin)], [404, 404], "{method} {path}");
        }
    }
    ask(&mut client, "POST", ANYTHING, &[&read]).expect_problem(403, "role is read, this wants write");
    client.post("/item/alice/tea", &offer("1", 1)).expect(201);
    client.get("/items/alice").expect(200);
    // On the key-value port it is a key like any other.
    store.kv_client().call("PUT", "/api").body("x").send().expect(201);
}

#[test]
fn the_key_of_the_environment_is_an_admin_beside_those_of_the_file() {
    let keys = Keys::none();
    let write = keys.make("write");
    let setup = Setup::new(1).facade_environment(KEY_VARIABLES[0], "a-key-of-mine");
    let store = setup.facade_options(&["--api-keys", keys.path()]).start();
    let mut client = store.client();
    for key in ["a-key-of-mine", &write] {
        ask(&mut client, "POST", ANYTHING, &[key]).expect_problem(404, "");
    }
    expect_unauthorized(ask(&mut client, "GET", ANYTHING, &[DEVELOPMENT_KEY]));
    assert!(!store.facade.process.log().contains("development"));
}

#[test]
fn the_key_of_the_environment_has_two_names() {
    for variable in KEY_VARIABLES {
        let store = Setup::new(1).facade_environment(variable, "a-key-of-mine").start();
        ask(&mut store.client(), "POST", ANYTHING, &["a-key-of-mine"]).expect_problem(404, "");
        expect_unauthorized(ask(&mut store.client(), "POST", ANYTHING, &[DEVELOPMENT_KEY]));
    }
    let directory = tempfile::tempdir().unwrap();
    let environment = KEY_VARIABLES.map(|variable| (variable.to_owned(), format!("the-key-in-{variable}")));
    let arguments = ["facade", "--shards", "unix:/none", "--http", "127.0.0.1:0"].map(ToOwned::to_owned);
    let (status, log) = match Process::try_start_in("facade", directory.path(), &arguments, &environment) {
        Ok(_) => panic!("two different keys were not refused"),
        Err(refused) => refused,
    };
    assert_eq!(status.code(), Some(2), "{log}");
    assert!(KEY_VARIABLES.iter().all(|variable| log.contains(variable)), "{log}");
    assert!(!log.contains("the-key-in"), "{log}");
}

#[test]
fn the_development_key_works_where_nothing_is_configured_and_the_log_says_so_once() {
    let store = Setup::new(1).start();
    ask(&mut store.client(), "POST", ANYTHING, &[DEVELOPMENT_KEY]).expect_problem(404, "");
    expect_unauthorized(ask(&mut store.client(), "GET", ANYTHING, &[]));
    store.facade.process.expect_logged(&format!("the development key `{DEVELOPMENT_KEY}` works"), 1);
}

#[test]
fn every_path_needs_a_key_where_it_is_required() {
    let keys = Keys::none();
    let (read, write) = (keys.make("read"), keys.make("write"));
    let store = Setup::new(1).facade_options(&["--api-keys", keys.path(), "--require-key"]).start();
    let (mut shop, mut kv) = (store.client(), store.kv_client());
    for path in ["/livez", "/readyz", "/readyz?shards=1", "/livez/"] {
        shop.get(path).expect(200);
    }
    for path in
        ["/items/alice", "/metrics", "/status", "/status/slots", "/where/alice", "/kv/key", "/none", "/livez/more", "/"]
    {
        expect_unauthorized(shop.get(path));
        assert_ne!(ask(&mut shop, "GET", path, &[&read]).status, 401, "{path}");
    }
    shop.post("/item/alice/tea", &offer("1", 1)).expect_problem(401, "");
    shop.call("POST", "/item/alice/tea").header("x-api-key", &read).json(&offer("1", 1)).send().expect_problem(403, "");
    shop.call("POST", "/item/alice/tea").header("x-api-key", &write).json(&offer("1", 1)).send().expect(201);
    for path in ["/key", "/livez", "/readyz", "/api"] {
        expect_unauthorized(kv.get(path));
        expect_unauthorized(kv.call("PUT", path).body("x").send());
        kv.call("PUT", path).header("X-API-Key", &read).body("x").send().expect_problem(403, "");
        kv.call("PUT", path).header("X-API-Key", &write).body("x").send().expect(201);
        ask(&mut kv, "GET", path, &[&read]).expect(200);
    }
}

/// Starts a facade that must refuse. Returns its exit status and its log.
fn refusal(options: &[&str]) -> (Option<i32>, String) {
    let directory = tempfile::tempdir().unwrap();
    let mut arguments: Vec<_> = ["facade", "--shards", "unix:/none"].map(ToOwned::to_owned).into();
    arguments.extend(options.iter().map(ToString::to_string));
    match Process::try_start("facade", directory.path(), &arguments) {
        Ok(_) => panic!("{options:?} was not refused"),
        Err((status, log)) => (status.code(), log),
    }
}

#[test]
fn a_facade_that_others_can_reach_is_refused_without_a_key() {
    let empty = Keys::none();
    empty.make("read");
    empty.revoke("read");
    for options in [
        &["--http", "0.0.0.0:0"][..],
        &["--http", "127.0.0.1:0", "--http", "0.0.0.0:0"],
        &["--http", "127.0.0.1:0", "--kv", "0.0.0.0:0"],
        &["--http", "[::]:0", "--open-writes"],
        &["--http", "0.0.0.0:0", "--require-key"],
        &["--http", "0.0.0.0:0", "--api-keys", empty.path()],
    ] {
        let (status, log) = refusal(options);
        assert_eq!(status, Some(2), "{options:?}: {log}");
        assert!(log.contains("there is no API key: set BOOKSTORE_API_KEY"), "{options:?}: {log}");
    }
    let (status, log) = refusal(&["--http", "127.0.0.1:0", "--api-keys", "/none/keys.json"]);
    assert!(status == Some(1) && log.contains("cannot read /none/keys.json"), "{log}");
}

/// A store that other machines can reach, and its address for them.
fn exposed(options: &[&str]) -> (Store, SocketAddr) {
    let setup = Setup::new(1).facade_environment(KEY_VARIABLES[0], "a-long-key-of-mine");
    let store = setup.facade_options(&["--http", "0.0.0.0:0"]).facade_options(options).start();
    let mut address = store.facade.http[2];
    assert!(address.ip().is_unspecified());
    address.set_ip([127, 0, 0, 1].into());
    (store, address)
}

#[test]
fn writes_need_a_key_where_others_can_connect() {
    let (store, address) = exposed(&[]);
    let tea = offer("1", 1);
    for mut client in [Client::new(address), store.client()] {
        expect_unauthorized(client.post("/item/alice/tea", &tea));
        for (method, path) in [("PUT", "/kv/key"), ("DELETE", "/items/alice"), ("POST", "/none"), ("OPTIONS", "/livez")]
        {
            expect_unauthorized(ask(&mut client, method, path, &[]));
        }
        client.put("/buy", "{}").expect_executed_problem(401, "X-API-Key");
        client.get("/items/alice").expect(200);
        client.get("/metrics").expect(200);
        expect_unauthorized(client.get(ANYTHING));
    }
    let mut client = Client::new(address);
    client.call("POST", "/item/alice/tea").header("X-API-Key", "a-long-key-of-mine").json(&tea).send().expect(201);
    let mut kv = store.kv_client();
    expect_unauthorized(kv.call("PUT", "/key").body("x").send());
    kv.call("PUT", "/key").header("X-API-Key", "a-long-key-of-mine").body("x").send().expect(201);
    kv.get("/key").expect(200);
}

#[test]
fn a_proxy_in_front_makes_writes_need_a_key() {
    let setup = Setup::new(1).facade_environment(KEY_VARIABLES[0], "a-long-key-of-mine");
    let store = setup.facade_options(&["--guard-writes"]).start();
    let mut client = store.client();
    expect_unauthorized(client.post("/item/alice/tea", &offer("1", 1)));
    expect_unauthorized(store.kv_client().call("PUT", "/key").body("x").send());
    client.get("/items/alice").expect(200);
    let call = client.call("POST", "/item/alice/tea").header("X-API-Key", "a-long-key-of-mine");
    call.json(&offer("1", 1)).send().expect(201);
    let (status, log) = refusal(&["--http", "127.0.0.1:0", "--guard-writes"]);
    assert!(status == Some(2) && log.contains("there is no API key"), "{log}");
}

#[test]
fn a_key_that_is_easily_guessed_is_refused_where_others_can_connect() {
    let keys = Keys::none();
    keys.make("read");
    let sha256_of_password = "5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8";
    let known = fs::read_to_string(&keys.file).unwrap();
    let (before, rest) = known.split_once("\"sha256\": \"").unwrap();
    let (_, after) = rest.split_once('"').unwrap();
    fs::write(&keys.file, format!("{before}\"sha256\": \"{sha256_of_password}\"{after}")).unwrap();
    for (environment, options, reason) in [
        (Some("secret123"), &["--http", "0.0.0.0:0"][..], "shorter than 16"),
        (Some("15-characters-x"), &["--http", "0.0.0.0:0"], "shorter than 16"),
        (Some("15-characters-x"), &["--http", "127.0.0.1:0", "--guard-writes"], "shorter than 16"),
        (Some("0123456789abcdef"), &["--http", "[::]:0"], "well-known"),
        (None, &["--http", "0.0.0.0:0", "--api-keys", keys.path()], "well-known"),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let arguments: Vec<_> =
            ["facade", "--shards", "unix:/none"].iter().chain(options).map(ToString::to_string).collect();
        let environment: Vec<_> =
            environment.map(|key| (KEY_VARIABLES[0].to_owned(), key.to_owned())).into_iter().collect();
        let refused = Process::try_start_in("facade", directory.path(), &arguments, &environment);
        let (status, log) = refused.err().unwrap_or_else(|| panic!("{options:?} was not refused"));
        assert!(status.code() == Some(2) && log.contains(reason), "{options:?}: {log}");
    }
}

#[test]
fn writes_may_be_opened_but_the_api_stays_closed() {
    let (store, address) = exposed(&["--open-writes"]);
    Client::new(address).post("/item/alice/tea", &offer("1", 1)).expect(201);
    store.kv_client().call("PUT", "/key").body("x").send().expect(201);
    expect_unauthorized(Client::new(address).post(ANYTHING, "{}"));
    expect_unauthorized(ask(&mut Client::new(address), "GET", ANYTHING, &[DEVELOPMENT_KEY]));
}

#[test]
fn keys_come_and_go_without_a_restart() {
    let keys = Keys::none();
    let (read, write) = (keys.make("read"), keys.make("write"));
    let store = Setup::new(1).facade_options(&["--api-keys", keys.path()]).start();
    // All on one connection, since each request is authenticated and not the client.
    let mut client = store.client();
    ask(&mut client, "POST", ANYTHING, &[&write]).expect(404);
    keys.revoke("write");
    eventually("a revoked key stops to work", || {
        (ask(&mut client, "POST", ANYTHING, &[&write]).status == 401).then_some(())
    });
    ask(&mut client, "GET", ANYTHING, &[&read]).expect(404);
    let admin = keys.make("admin");
    eventually("a new key works", || (ask(&mut client, "POST", ANYTHING, &[&admin]).status == 404).then_some(()));
    fs::write(&keys.file, "{").unwrap();
    let complaint = "none of the file's works until they can be read";
    eventually("a bad file is noticed", || store.facade.error_log().contains(complaint).then_some(()));
    expect_unauthorized(ask(&mut client, "GET", ANYTHING, &[&read]));
    fs::remove_file(&keys.file).unwrap();
    expect_unauthorized(ask(&mut client, "GET", ANYTHING, &[DEVELOPMENT_KEY]));
    let read_again = keys.make("read");
    eventually("a good file counts", || {
        (ask(&mut client, "GET", ANYTHING, &[&read_again]).status == 404).then_some(())
    });
    expect_unauthorized(ask(&mut client, "POST", ANYTHING, &[&admin]));
}

#[test]
fn a_client_without_a_key_gets_a_readable_answer_for_any_body() {
    const OVERSIZED_BYTES: usize = 1 << 20;
    const FAR_TOO_LARGE_BYTES: usize = 10 << 20;
    let store = Setup::new(1).facade_options(&["--body-timeout-ms", "200"]).start();
    let mut client = store.client();
    for bytes in [0, 10, OVERSIZED_BYTES] {
        expect_unauthorized(client.call("POST", ANYTHING).body(vec![b'x'; bytes]).send());
        expect_unauthorized(client.call("POST", ANYTHING).body(vec![b'x'; bytes]).chunked().send());
    }
    // The server stops reading, so the connection may break before the client reads the answer.
    if let Ok(answer) = store.client().call("POST", ANYTHING).body(vec![b'x'; FAR_TOO_LARGE_BYTES]).try_send() {
        expect_unauthorized(answer);
    }
    let mut connection = Connection::open(store.facade.http[0]).unwrap();
    connection
        .send(format!("POST {ANYTHING} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nx").as_bytes())
        .unwrap();
    let answer = connection.receive("POST").unwrap();
    assert_eq!(answer.header("connection"), Some("close"));
    expect_unauthorized(answer);
    assert_eq!(connection.read_to_end().unwrap(), b"");
}

#[test]
fn a_key_is_in_no_log() {
    let keys = Keys::none();
    let (read, write) = (keys.make("read"), keys.make("write"));
    let setup = Setup::new(1).facade_environment(KEY_VARIABLES[0], "a-key-of-mine");
    let setup = setup.facade_environment("SHARDCART_LOG", "trace,hyper=trace,warp=trace");
    let mut store = setup.facade_options(&["--api-keys", keys.path()]).start();
    let mut client = store.client();
    let known = [&read, &write, "a-key-of-mine", "a-key-of-nobody"];
    let all = |client: &mut Client| {
        for key in known {
            for (method, path) in [("GET", ANYTHING), ("POST", ANYTHING), ("GET", "/items/alice"), ("GET", "/none")] {
                ask(client, method, path, &[key]);
                ask(client, method, path, &[key, key]);
            }
        }
    };
    all(&mut client);
    // A key in a place where it does not belong.
    fs::write(&keys.file, format!(r#"{{"{read}": 1}}"#)).unwrap();
    eventually("a bad file is noticed", || store.facade.error_log().contains("API keys").then_some(()));
    store.shards[0].kill();
    eventually("a request fails", || (client.get("/items/alice").status == 503).then_some(()));
    all(&mut client);
    let metrics = client.get("/metrics").expect(200).text();
    // What it has logged is whole once it has ended.
    store.facade.process.terminate();
    for (name, text) in
        [("log", store.facade.process.log()), ("error.log", store.facade.error_log()), ("metrics", metrics)]
    {
        assert!(text.lines().count() > 1, "{name}");
        for key in known {
            assert!(!text.contains(key), "the {name} has {key}");
        }
    }
}

#[test]
fn keys_are_kept_in_a_file_of_their_own() {
    const AT_ONCE: usize = 6;
    let keys = Keys::none();
    let made: BTreeSet<_> = std::thread::scope(|scope| {
        let makers: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(|| keys.make("read"))).collect();
        makers.into_iter().map(|maker| maker.join().unwrap()).collect()
    });
    let list = keys.list();
    assert_eq!((made.len(), list.len()), (AT_ONCE, AT_ONCE), "{list:?}");
    assert!(list.iter().all(|line| line.ends_with("the read")), "{list:?}");
    assert_eq!(fs::metadata(&keys.file).unwrap().permissions().mode() & 0o777, 0o600);
    let unknown = keys.run(&["revoke", "nobody"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("has no key nobody"), "{unknown:?}");
    assert_eq!(keys.run(&["new", "--role", "owner"]).status.code(), Some(2));
    assert_eq!(Keys::none().run(&["list"]).status.code(), Some(1));
    assert_eq!(keys.list(), list);
}
