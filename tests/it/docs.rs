//! README and `docs/` are true: every command line in them runs, every option and metric in them exists, and every link
//! has a target. Needs `bash` and `curl`.

mod markdown;
mod output;

use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};

use shardcart::access::{KEY_VARIABLES, KeyFile, Role};

use crate::harness::launcher::{Launcher, PROGRAM};
use crate::harness::shop::CARD;
use crate::harness::{Client, Process, Setup, Simulated, eventually, fresh_metrics, in_time};
use markdown::{Document, Step, root};
use output::is_as_shown;

const ANY_PORT: &str = "127.0.0.1:0";
const CONSOLE: &str = "console";
const SHELL: &str = "sh";
const UNIT: &str = "ini";
/// The command that starts a document's store. The paths and ports below are those that documents show.
const LAUNCH: &str = "cargo run --release -- launch";
const SHOWN_DATA: &str = "/home/you/shardcart/data";
const SHOWN_PORTS: [&str; 3] = ["5000", "5001", "3000"];
const README_LINES: usize = 220;
const README_COLUMNS: usize = 180;
const ROLES: [&str; 7] = ["launch", "facade", "shard", "gateway", "keys", "repair", "prove"];

/// A store as README starts it, but on other ports.
struct Shown {
    launcher: Launcher,
    directory: tempfile::TempDir,
}

impl Shown {
    fn start() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let options = ["--shards", "4", "--http", ANY_PORT, "--http", ANY_PORT, "--kv", ANY_PORT];
        let launcher = Launcher::spawn(Path::new(PROGRAM), directory.path(), &options).until_ready();
        Shown { launcher, directory }
    }

    fn ports(&self) -> Vec<String> {
        let lines = self.launcher.lines();
        let addresses = lines.iter().filter(|line| line.starts_with("shop") || line.starts_with("key-value"));
        let addresses = addresses.flat_map(|line| line.split("127.0.0.1:").skip(1));
        let ports: Vec<_> = addresses.map(|rest| rest.split(' ').next().unwrap_or_default().to_owned()).collect();
        assert_eq!(ports.len(), SHOWN_PORTS.len(), "{lines:?}");
        ports
    }

    fn data(&self) -> String {
        self.directory.path().join("data").display().to_string()
    }

    /// Translates a command of a document to this store's paths and ports.
    fn command(&self, shown: &str) -> String {
        let mut command = shown.replace("data/shard-", &format!("{}/shard-", self.data()));
        for (shown, port) in SHOWN_PORTS.iter().zip(self.ports()) {
            for host in ["localhost", "127.0.0.1"] {
                command = command.replace(&format!("{host}:{shown}"), &format!("{host}:{port}"));
            }
        }
        command
    }

    /// Translates this store's output to the paths and ports of a document.
    fn output(&self, output: &str) -> String {
        let mut text = output.replace(&self.data(), SHOWN_DATA);
        for (shown, port) in SHOWN_PORTS.iter().zip(self.ports()) {
            text = text.replace(&format!(":{port}"), &format!(":{shown}"));
        }
        text
    }

    /// Runs commands one after the other in one shell, and returns the output of each.
    fn run(&self, steps: &[Step]) -> Vec<String> {
        let marker = |step: &Step| format!("@@ {} @@", step.line);
        let mut script = String::from("exec 2>&1\nshardcart() { \"$SHARDCART\" \"$@\"; }\n");
        for step in steps {
            script.push_str(&format!("printf '\\n%s\\n' '{}'\n{}\n", marker(step), self.command(&step.command)));
        }
        let path = self.directory.path().join("commands");
        fs::write(&path, script).expect("the script can be written");
        let run = Command::new("bash")
            .arg(&path)
            .current_dir(self.directory.path())
            .env("SHARDCART", PROGRAM)
            .env("CURL_HOME", self.directory.path())
            .env("SHARDCART_URL", format!("http://127.0.0.1:{}", self.ports()[0]))
            .env("NO_PROXY", "*")
            .env_remove(KEY_VARIABLES[0])
            .env_remove(KEY_VARIABLES[1])
            .stdin(Stdio::null())
            .output();
        let printed = String::from_utf8(run.expect("this test needs bash").stdout).expect("it prints UTF-8");
        let mut rest = printed.as_str();
        let mut outputs = Vec::new();
        for (index, step) in steps.iter().enumerate() {
            rest = rest.split_once(&marker(step)).unwrap_or_else(|| panic!("not run: {}", step.command)).1;
            let end = steps.get(index + 1).and_then(|next| rest.find(&marker(next))).unwrap_or(rest.len());
            outputs.push(self.output(&rest[..end]));
        }
        outputs
    }

    /// The launcher's output and log, with sorted lines, since shards are ready in any order.
    fn start_output(&self) -> String {
        let log = self.launcher.log();
        sorted(self.launcher.lines().iter().map(String::as_str).chain(log.lines()))
    }
}

/// Sorts lines.
fn sorted<'a>(lines: impl Iterator<Item = &'a str>) -> String {
    let mut lines: Vec<_> = lines.collect();
    lines.sort_unstable();
    lines.join("\n")
}

/// Runs the command lines of a document and compares their output.
fn check(name: &str) {
    let curl = Command::new("curl").arg("--version").output();
    assert!(curl.is_ok_and(|curl| curl.status.success()), "this test runs the documents' command lines: install curl");
    let document = Document::named(name);
    let (launches, steps): (Vec<_>, Vec<_>) =
        document.steps(CONSOLE).into_iter().partition(|step| step.command.starts_with(LAUNCH));
    assert!(!steps.is_empty(), "{name} has no commands");
    let store = Shown::start();
    for launch in launches {
        let shown = sorted(launch.output.lines());
        let mut last = String::new();
        // Lines of the log are written soon, not at once.
        let same = in_time(|| {
            last = store.output(&store.start_output());
            is_as_shown(&shown, &last).then_some(())
        });
        assert!(same.is_some(), "{name} shows\n{shown}\n\nbut it prints\n{last}");
    }
    let outputs = store.run(&steps);
    let wrong: Vec<_> = steps
        .iter()
        .zip(&outputs)
        .filter(|(step, output)| !is_as_shown(&step.output, output))
        .map(|(step, output)| {
            format!("{name}:{}: $ {}\nshown:\n{}\nprinted:{output}", step.line, step.command, step.output)
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_commands_of_the_readme_do_what_it_shows() {
    check("README.md");
}

#[test]
fn the_commands_of_the_documents_do_what_they_show() {
    let documents = Document::all();
    let shown: Vec<_> = documents.iter().filter(|document| !document.steps(CONSOLE).is_empty()).collect();
    assert!(shown.len() > 2, "only {} documents have commands", shown.len());
    for document in shown.iter().filter(|document| document.name != "README.md") {
        check(&document.name);
    }
}

/// True when the program accepts these arguments, without running it.
fn is_understood(arguments: &[&str]) -> bool {
    // The program prints its help and exits if it accepts the arguments before `--help`.
    let options = arguments.split(|argument| *argument == "--").next().unwrap_or_default();
    Command::new(PROGRAM).args(options).arg("--help").output().expect("the program can be started").status.success()
}

/// True when a command line that is not run is valid.
fn can_run(command: &str, recipes: &str) -> bool {
    let words: Vec<_> = command.split_whitespace().filter(|word| *word != "\\").collect();
    let exists = |path: String| root().join(path).exists();
    match words.as_slice() {
        ["cargo", "run", "--release", "--", arguments @ ..]
        | ["shardcart", arguments @ ..]
        | ["sudo", "shardcart", arguments @ ..] => is_understood(arguments),
        ["cargo", "run", "--release", "--example", name, ..] => exists(format!("examples/{name}.rs")),
        ["cargo", "bench", "--bench", name, ..] => {
            exists(format!("benches/{name}.rs")) || exists(format!("benches/{name}/main.rs"))
        }
        ["cargo", "test" | "build"] | ["cargo", "test", "--lib", _] | ["cargo", "test", "--test", "it", _] => true,
        ["python3", path] | [path] if exists((*path).to_owned()) => true,
        ["just", name, ..] => recipes.lines().any(|line| line.split([' ', ':']).next() == Some(name)),
        ["sudo", "systemctl", "start" | "stop", "shardcart"] | ["sudo", "useradd", "--system", "shardcart"] => true,
        ["sudo", "mkdir", "-p", "/etc/shardcart"] | ["sudo", "chown", "-R", "shardcart", "/etc/shardcart"] => true,
        ["sudo", "tar", "-C", "/var/lib/shardcart", ..] => true,
        _ => false,
    }
}

#[test]
fn command_lines_that_are_not_run_are_valid() {
    let recipes = fs::read_to_string(root().join("justfile")).expect("there is a justfile");
    let mut checked = 0;
    for document in Document::all() {
        for step in document.steps(SHELL) {
            assert!(can_run(&step.command, &recipes), "{}:{}: {}", document.name, step.line, step.command);
            checked += 1;
        }
        for step in document.steps(UNIT) {
            if let Some(command) = step.command.strip_prefix("ExecStart=/usr/local/bin/") {
                assert!(can_run(command, &recipes), "{}:{}: {command}", document.name, step.line);
                checked += 1;
            }
        }
    }
    assert!(checked > 10, "only {checked} command lines");
    for nonsense in ["shardcart launch --no-such-option", "cargo bench --bench none", "just none", "rm data"] {
        assert!(!can_run(nonsense, &recipes), "{nonsense}");
    }
}

#[test]
fn the_processes_of_several_machines_are_one_store() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let path = |name: &str| directory.path().join(name).display().to_string();
    KeyFile::add(Path::new(&path("keys.json")), "", Role::Read).expect("a key can be made");
    // Each shard must know the other's port before either runs.
    let listeners = [0, 1].map(|_| TcpListener::bind(ANY_PORT).expect("a free port"));
    let shards = listeners.map(|listener| listener.local_addr().expect("it is bound").to_string());
    let steps = Document::named("docs/operations.md").steps(SHELL);
    let commands = steps.iter().filter_map(|step| step.command.strip_prefix("shardcart "));
    let gateway = Simulated::start(directory.path());
    let processes: Vec<_> = commands
        .zip(["shard-0", "shard-1", "facade"])
        .map(|(command, name)| {
            let command = command.replace("10.0.0.1:7000", &shards[0]).replace("10.0.0.2:7000", &shards[1]);
            let command = command.replace("0.0.0.0:5000", ANY_PORT).replace("0.0.0.0:3000", ANY_PORT);
            let command = command.replace("/var/lib/shardcart", &path("data")).replace("keys.json", &path("keys.json"));
            let command = command.replace("https://pay.example/", &gateway.payment());
            let arguments: Vec<_> = command.split(' ').map(str::to_owned).collect();
            Process::start(name, directory.path(), &arguments)
        })
        .collect();
    let [_, _, facade] = processes.as_slice() else { panic!("the document has {} processes", processes.len()) };
    let http = facade.ready().split(' ').find_map(|part| part.strip_prefix("http="));
    let mut client = Client::new(http.expect("the facade names its port").parse().expect("an address"));
    eventually("both shards are ready", || (client.get("/readyz").status == 200).then_some(()));
    // The products of a search are on both shards, and orders need stock of both.
    assert_eq!(client.get("/search/fiction").expect(200).json().as_array().map(Vec::len), Some(2));
    for id in ["1", "2", "9780143127550", "9780262033848"] {
        client.put("/buy", &format!(r#"{{"id":"{id}","quantity":1,"card":"{CARD}"}}"#)).expect(200);
    }
}

/// The options that a text mentions.
fn options(text: &str) -> BTreeSet<String> {
    let words = text.split(|char: char| !(char.is_ascii_alphanumeric() || char == '-'));
    let options = words.filter(|word| word.len() > 3 && word.starts_with("--") && !word.starts_with("---"));
    options.map(str::to_owned).collect()
}

/// The options in the help of commands.
fn options_of<'a>(commands: impl IntoIterator<Item = &'a [&'a str]>) -> BTreeSet<String> {
    let mut known = BTreeSet::new();
    for command in commands {
        let help = Command::new(PROGRAM).args(command).arg("--help").output().expect("the program can be started");
        known.extend(options(&String::from_utf8_lossy(&help.stdout)));
    }
    known
}

#[test]
fn every_option_is_described() {
    let roles = ROLES.iter().map(std::slice::from_ref);
    let mut known = options_of(roles.chain([&["keys", "new"][..], &["keys", "revoke"]]));
    known.insert("--help".to_owned());
    assert_eq!(options(&Document::named("docs/configuration.md").text), known);
}

#[test]
fn every_option_that_client_commands_share_is_described() {
    let described = options(&Document::named("docs/command-line.md").text);
    let known = options_of([
        &["kv", "get"][..],
        &["doctor"],
        &["bench"],
        &["status"],
        &["product", "stock"],
        &["order", "place"],
    ]);
    let of_every_command = options_of([&["keys", "list"][..]]);
    let missing: Vec<_> = known.difference(&described).filter(|option| !of_every_command.contains(*option)).collect();
    assert!(missing.is_empty(), "not in docs/command-line.md: {missing:?}");
}

#[test]
fn every_metric_of_the_documents_exists() {
    let store = Setup::new(1).start();
    store.client().get("/items/alice").expect(200);
    let metrics = fresh_metrics(&mut store.client());
    let exists = |name: &str| metrics.lines().any(|line| line.starts_with(name) && !line.starts_with('#'));
    for document in Document::all() {
        let code = document.inline_code();
        let names =
            code.iter().flat_map(|code| code.split(|char: char| !(char.is_ascii_alphanumeric() || char == '_')));
        for name in names.filter(|name| name.starts_with("shardcart_")) {
            assert!(exists(name), "{}: there is no metric {name}", document.name);
        }
    }
}

#[test]
fn every_link_has_a_target() {
    for document in Document::all() {
        let directory = root().join(&document.name);
        let directory = directory.parent().expect("a file is in a directory");
        for target in document.text.split("](").skip(1) {
            let target = target.split(')').next().unwrap_or_default();
            let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
            if path.starts_with("http") {
                continue;
            }
            let file = if path.is_empty() { root().join(&document.name) } else { directory.join(path) };
            assert!(file.exists(), "{}: {target}", document.name);
            if !anchor.is_empty() {
                let text = fs::read_to_string(&file).expect("a link with an anchor leads to a text");
                let headings = text.lines().filter(|line| line.starts_with('#'));
                assert!(headings.map(anchor_of).any(|heading| heading == anchor), "{}: {target}", document.name);
            }
        }
    }
}

/// The anchor of a heading.
fn anchor_of(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = text.chars().filter(|char| char.is_alphanumeric() || " -_".contains(*char));
    kept.map(|char| if char == ' ' { '-' } else { char }).collect()
}

#[test]
fn the_readme_is_short() {
    let readme = Document::named("README.md");
    let lines = readme.text.lines().count();
    assert!(lines <= README_LINES, "README.md has {lines} lines");
    let outputs: String = readme.steps(CONSOLE).into_iter().map(|step| step.output).collect();
    for line in readme.text.lines().filter(|line| line.chars().count() > README_COLUMNS) {
        assert!(outputs.contains(line), "too long: {line}");
    }
}
