//! A store in a test: shards and a facade as processes, with their data in a temporary directory.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::process::Signal;
use shardcart::routing::KeyHash;
use shardcart::routing::SlotTable;
use tempfile::TempDir;

use super::{Client, Process, Simulated, eventually};

const PAYMENT: &str = "--payment";

/// The port of the first shard on TCP.
const FIRST_PORT: u32 = 7_000;

/// The setup of a store.
pub struct Setup {
    shards: u32,
    storage: &'static str,
    /// The address of the shards on TCP; `None` for Unix sockets.
    tcp: Option<Ipv4Addr>,
    shard_options: Vec<String>,
    facade_options: Vec<String>,
    facade_environment: Vec<(String, String)>,
    data: Option<PathBuf>,
}

impl Setup {
    /// This many shards, in memory, on Unix sockets, so that no other process can take the address of a shard that is
    /// down.
    pub fn new(shards: u32) -> Self {
        Setup {
            shards,
            storage: "memory",
            tcp: None,
            shard_options: Vec::new(),
            facade_options: Vec::new(),
            facade_environment: Vec::new(),
            data: None,
        }
    }

    /// With data on disk.
    pub fn durable(mut self) -> Self {
        self.storage = "log";
        // Small files are made faster, and used up sooner.
        self.shard_options.push("--log-size=32MiB".into());
        self
    }

    /// With shards on TCP, at a loopback address that no other store has, so that their ports are known beforehand.
    pub fn tcp(mut self) -> Self {
        static STORES: AtomicU32 = AtomicU32::new(1);
        let store = STORES.fetch_add(1, Ordering::Relaxed);
        let [_, _, high, low] = std::process::id().to_be_bytes();
        self.tcp =
            Some(Ipv4Addr::new(127, 1 + high % 250, low, u8::try_from(store % 250 + 1).expect("it is below 251")));
        self
    }

    /// With more options for every shard.
    pub fn shard_options(mut self, options: &[&str]) -> Self {
        self.shard_options.extend(options.iter().map(ToString::to_string));
        self
    }

    /// With more options for the facade.
    pub fn facade_options(mut self, options: &[&str]) -> Self {
        self.facade_options.extend(options.iter().map(ToString::to_string));
        self
    }

    /// With one more variable in the environment of the facade.
    pub fn facade_environment(mut self, name: &str, value: &str) -> Self {
        self.facade_environment.push((name.into(), value.into()));
        self
    }

    /// With the shards' data in this directory.
    pub fn data(mut self, directory: &Path) -> Self {
        self.data = Some(directory.to_owned());
        self
    }

    /// Starts the processes, with a simulated gateway where no `--payment` is given.
    pub fn start(mut self) -> Store {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let data = self.data.clone().unwrap_or_else(|| directory.path().to_owned());
        let names_gateway = self.shard_options.iter().any(|option| option == PAYMENT);
        let gateway = (!names_gateway).then(|| Simulated::start(directory.path()));
        if let Some(gateway) = &gateway {
            self.shard_options.extend([PAYMENT.into(), gateway.payment()]);
        }
        let shards: Vec<_> = (0..self.shards)
            .map(|index| Shard::start(self.shard_args(index, &data), directory.path(), &format!("shard-{index}")))
            .collect();
        let addresses: Vec<_> = shards.iter().map(Shard::address).collect();
        let (options, environment) = (self.facade_options, self.facade_environment);
        let facade = Facade::start(directory.path(), "facade", &addresses, &options, &environment);
        Store { shards, facade, gateway, facade_options: options, facade_environment: environment, directory }
    }

    fn shard_args(&self, index: u32, data: &Path) -> Vec<String> {
        let address = |index: u32| match self.tcp {
            Some(host) => format!("{host}:{}", FIRST_PORT + index),
            None => format!("unix:{}", data.join(format!("shard-{index}")).join("sock").display()),
        };
        let mut args: Vec<String> = vec!["shard".into()];
        for (name, value) in [
            ("--index", index.to_string()),
            ("--shards", self.shards.to_string()),
            ("--listen", address(index)),
            ("--data", data.join(format!("shard-{index}")).display().to_string()),
            ("--storage", self.storage.to_owned()),
        ] {
            args.extend([name.into(), value]);
        }
        args.extend(["--peers".into(), (0..self.shards).map(address).collect::<Vec<_>>().join(",")]);
        args.extend(self.shard_options.iter().cloned());
        args
    }
}

/// A running store.
pub struct Store {
    /// The first field, so that the facade ends before its shards.
    pub facade: Facade,
    pub shards: Vec<Shard>,
    /// The simulated gateway, unless the setup names another one.
    pub gateway: Option<Simulated>,
    facade_options: Vec<String>,
    facade_environment: Vec<(String, String)>,
    directory: TempDir,
}

impl Store {
    /// The temporary directory, which also has the logs.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The shards' addresses, in order.
    pub fn addresses(&self) -> Vec<String> {
        self.shards.iter().map(Shard::address).collect()
    }

    /// A client of the shop.
    pub fn client(&self) -> Client {
        Client::new(self.facade.http[0])
    }

    /// A client of the key-value port.
    pub fn kv_client(&self) -> Client {
        Client::new(self.facade.kv)
    }

    /// Starts one more facade of the same store.
    pub fn another_facade(&self, name: &str, addresses: &[String]) -> Facade {
        Facade::start(self.directory(), name, addresses, &self.facade_options, &self.facade_environment)
    }

    /// Kills the facade and starts a new one, on other ports.
    pub fn replace_facade(&mut self) {
        self.facade.process.kill();
        self.replace_facade_after_end();
    }

    /// Starts a new facade, on other ports, after the old one has ended.
    pub fn replace_facade_after_end(&mut self) {
        self.facade = self.another_facade("facade", &self.addresses());
    }

    /// Kills a shard, starts it again and waits until the facade has found it.
    pub fn restart_shard(&mut self, index: usize) {
        self.shards[index].kill();
        self.start_shard(index);
    }

    /// Restarts a shard, which from then on dies at a fail point.
    pub fn arm_shard(&mut self, index: usize, fail_point: &str) {
        self.arm(index, "SHARDCART_FAIL_POINT", fail_point);
    }

    /// Restarts a shard, which from then on stalls at a point while a file exists.
    pub fn arm_stall(&mut self, index: usize, point: &str, file: &Path) {
        self.arm(index, "SHARDCART_STALL_POINT", &format!("{point}:{}", file.display()));
    }

    /// Restarts a shard, in which from then on a call fails while a file exists.
    pub fn arm_error(&mut self, index: usize, point: &str, file: &Path) {
        self.arm(index, "SHARDCART_ERROR_POINT", &format!("{point}:{}", file.display()));
    }

    fn arm(&mut self, index: usize, variable: &str, value: &str) {
        self.restart_shard_in(index, (variable.to_owned(), value.to_owned()));
    }

    /// Restarts a shard, until its next restart with one more variable in its environment.
    pub fn restart_shard_in(&mut self, index: usize, variable: (String, String)) {
        self.shards[index].kill();
        self.shards[index].start_again_in(&[variable]);
        self.wait_for_shard(index);
    }

    /// Waits until a shard has died at its fail point, and starts it again.
    pub fn revive_shard(&mut self, index: usize) {
        self.shards[index].wait();
        self.start_shard(index);
    }

    /// Starts a shard that is down and waits until the facade has found it.
    pub fn start_shard(&mut self, index: usize) {
        self.shards[index].start_again();
        self.wait_for_shard(index);
    }

    /// Waits until the facade serves a shard's customers, on each of its workers.
    pub fn wait_for_shard(&self, index: usize) {
        let path = format!("/items/{}", self.customer_on(index, "probe"));
        let mut in_a_row = 0;
        eventually(&format!("shard {index} is served"), || {
            in_a_row = if self.client().get(&path).status == 200 { in_a_row + 1 } else { 0 };
            (in_a_row >= 8).then_some(())
        });
    }

    /// The shard that owns an id.
    pub fn shard_of(&self, id: &str) -> usize {
        let table = SlotTable::initial(self.shards.len() as u32).expect("the store runs with so many shards");
        table.owner(KeyHash::of(id)) as usize
    }

    /// An id that begins with `prefix` and is owned by a shard.
    pub fn customer_on(&self, shard: usize, prefix: &str) -> String {
        let mut names = (0..).map(|number| format!("{prefix}{number}"));
        names.find(|name| self.shard_of(name) == shard).expect("there is always one more name")
    }
}

/// One shard; `None` while it is down.
pub struct Shard {
    args: Vec<String>,
    logs: PathBuf,
    name: String,
    address: String,
    process: Option<Process>,
}

impl Shard {
    /// Starts one.
    pub fn start(mut args: Vec<String>, logs: &Path, name: &str) -> Self {
        let process = Process::start(name, logs, &args);
        let address = process.ready().to_owned();
        let listen = args.iter().position(|arg| arg == "--listen").expect("every shard is told where to listen");
        args[listen + 1].clone_from(&address);
        Shard { args, logs: logs.to_owned(), name: name.to_owned(), address, process: Some(process) }
    }

    /// The address on which it listens, also after a restart.
    pub fn address(&self) -> String {
        self.address.clone()
    }

    /// The arguments with which it was started.
    pub fn args(&self) -> &[String] {
        &self.args
    }

    /// The process of a shard that is up.
    pub fn process(&self) -> &Process {
        self.process.as_ref().expect("the shard is up")
    }

    /// Ends it with SIGKILL.
    pub fn kill(&mut self) {
        self.process.take().expect("the shard is up").kill();
    }

    /// True once it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.process.as_mut().expect("the shard is up").has_ended()
    }

    /// Sends it a signal, and waits until it has ended.
    pub fn end_with(&mut self, signal: Signal) -> ExitStatus {
        self.process.take().expect("the shard is up").end_with(signal)
    }

    /// Asks it to end, and waits until it has.
    pub fn terminate(&mut self) -> ExitStatus {
        self.process.take().expect("the shard is up").terminate()
    }

    /// Starts it where it was.
    pub fn start_again(&mut self) {
        self.start_again_in(&[]);
    }

    fn start_again_in(&mut self, environment: &[(String, String)]) {
        self.process = Some(Process::start_in(&self.name, &self.logs, &self.args, environment));
    }

    fn wait(&mut self) {
        self.process.take().expect("the shard is up").wait();
    }
}

/// A facade and its ports.
pub struct Facade {
    pub process: Process,
    pub http: Vec<SocketAddr>,
    pub kv: SocketAddr,
    data: PathBuf,
}

impl Facade {
    /// Starts one, on two shop ports and a key-value port that the operating system chooses; the options
    /// may add more shop ports.
    pub fn start(
        directory: &Path,
        name: &str,
        shards: &[String],
        options: &[String],
        environment: &[(String, String)],
    ) -> Self {
        let data = directory.join(name);
        let mut args: Vec<String> = ["facade", "--http", "127.0.0.1:0", "--http", "127.0.0.1:0", "--kv", "127.0.0.1:0"]
            .iter()
            .map(ToString::to_string)
            .collect();
        args.extend(["--shards".into(), shards.join(","), "--data".into(), data.display().to_string()]);
        args.extend(["--workers".into(), "2".into()]);
        args.extend(options.iter().cloned());
        let process = Process::start_in(name, directory, &args, environment);
        let ports = |kind: &str| -> Vec<SocketAddr> {
            let addresses = process.ready().split(' ').filter_map(|part| part.strip_prefix(kind)?.strip_prefix('='));
            addresses.map(|address| address.parse().expect("an address with a port")).collect()
        };
        let (http, kv) = (ports("http"), ports("kv"));
        assert!(http.len() >= 2 && kv.len() == 1, "{}", process.ready());
        Facade { http, kv: kv[0], data, process }
    }

    /// A client of the shop.
    pub fn client(&self) -> Client {
        Client::new(self.http[0])
    }

    /// Its data directory.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// The content of its `access.log`, if it has one.
    pub fn access_log(&self) -> String {
        std::fs::read_to_string(self.data.join("access.log")).expect("access.log can be read")
    }

    /// The content of its `error.log`.
    pub fn error_log(&self) -> String {
        std::fs::read_to_string(self.data.join("error.log")).expect("error.log can be read")
    }
}
