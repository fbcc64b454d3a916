//! A browser of one test, over the W3C's WebDriver protocol: JSON over HTTP, so that the harness' own client speaks it, and
//! no library with an asynchronous runtime is needed for ten commands.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{DRIVER, browser};
use crate::harness::{Client, eventually};

/// The member under which WebDriver names an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
const READY: &str = "was started successfully on port ";

/// A window of a browser.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    pub width: u32,
    pub height: u32,
    pub is_dark: bool,
}

/// A window of a laptop.
pub const LAPTOP: Window = Window { width: 1280, height: 900, is_dark: false };

/// A browser with its own profile. It is killed when this is dropped.
pub struct Browser {
    driver: Child,
    client: Client,
    /// The path of the session.
    session: String,
    profile: TempDir,
}

impl Browser {
    pub fn open(window: Window) -> Self {
        let profile = tempfile::tempdir().expect("a temporary directory can be made");
        let mut driver = Command::new(DRIVER)
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("chromedriver can be started");
        let lines = BufReader::new(driver.stdout.take().expect("stdout is a pipe")).lines().map_while(Result::ok);
        let port = lines.filter_map(|line| line.split_once(READY)?.1.trim_end_matches('.').parse().ok()).next();
        let address = SocketAddr::from(([127, 0, 0, 1], port.expect("chromedriver says its port")));
        let session = String::new();
        let mut browser = Browser { driver, client: Client::new(address), session, profile };
        browser.begin(window);
        browser
    }

    fn begin(&mut self, window: Window) {
        let profile = format!("--user-data-dir={}", self.profile.path().display());
        let arguments = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-background-networking",
            "--disable-dev-shm-usage",
            "--no-first-run",
            &profile,
        ];
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": {"args": arguments, "binary": browser().expect("turn() has found a browser")},
            "goog:loggingPrefs": {"browser": "ALL"},
            "timeouts": {"script": 60_000, "pageLoad": 60_000},
        }}});
        let begun = self.command("POST", "/session", &wanted);
        self.session = format!("/session/{}", begun["sessionId"].as_str().expect("a session has an id"));
        self.resize(window);
    }

    /// Gives the page another window.
    pub fn resize(&mut self, Window { width, height, is_dark }: Window) {
        let metrics = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600});
        self.devtools("Emulation.setDeviceMetricsOverride", &metrics);
        let scheme = json!({"name": "prefers-color-scheme", "value": if is_dark { "dark" } else { "light" }});
        // Colours that are on their way to another one would be measured half-way.
        let motion = json!({"name": "prefers-reduced-motion", "value": "reduce"});
        self.devtools("Emulation.setEmulatedMedia", &json!({"features": [scheme, motion]}));
    }

    pub fn visit(&mut self, store: SocketAddr, path: &str) {
        self.in_session("POST", "/url", &json!({"url": format!("http://{store}{path}")}));
    }

    /// Runs a script in the page, and returns what it returns.
    pub fn run(&mut self, script: &str) -> Value {
        self.in_session("POST", "/execute/sync", &json!({"script": script, "args": []}))
    }

    /// Runs a script that ends with a call of its last argument.
    pub fn run_until_done(&mut self, script: &str) -> Value {
        self.in_session("POST", "/execute/async", &json!({"script": script, "args": []}))
    }

    /// Waits until a script returns something that is neither null, false, 0 nor empty.
    #[track_caller]
    pub fn wait_for(&mut self, what: &str, script: &str) -> Value {
        eventually(what, || {
            let found = self.run(&format!("const found = (() => {{ {script} }})(); return found || null;"));
            (!found.is_null()).then_some(found)
        })
    }

    /// Waits until there is an element, and that it can be seen.
    #[track_caller]
    pub fn wait_for_element(&mut self, selector: &str) {
        let script = format!("return document.querySelector({})?.checkVisibility();", json!(selector));
        self.wait_for(&format!("there is {selector}"), &script);
    }

    /// The text of an element as it is seen.
    #[track_caller]
    pub fn text(&mut self, selector: &str) -> String {
        let text = self.run(&format!("return document.querySelector({})?.innerText;", json!(selector)));
        text.as_str().unwrap_or_else(|| panic!("there is no {selector}")).to_owned()
    }

    /// Clicks an element where it is on the screen, as soon as it can be clicked.
    #[track_caller]
    pub fn click(&mut self, selector: &str) {
        self.wait_for_element(selector);
        let element = self.element(selector);
        self.in_session("POST", &format!("/element/{element}/click"), &json!({}));
    }

    /// Replaces what is in a field with typed text.
    #[track_caller]
    pub fn type_into(&mut self, selector: &str, text: &str) {
        self.wait_for_element(selector);
        let element = self.element(selector);
        self.in_session("POST", &format!("/element/{element}/clear"), &json!({}));
        self.in_session("POST", &format!("/element/{element}/value"), &json!({"text": text}));
    }

    /// What the browser's console has told since it was asked last, without the lines that `expected` picks: errors of
    /// scripts, files that did not load, breaches of the policy.
    pub fn complaints(&mut self, expected: impl Fn(&str) -> bool) -> Vec<String> {
        let told = self.in_session("POST", "/se/log", &json!({"type": "browser"}));
        let told = told.as_array().expect("a list").iter().filter(|entry| entry["level"] != "INFO");
        let lines = told.filter_map(|entry| entry["message"].as_str().map(str::to_owned));
        lines.filter(|line| !expected(line)).collect()
    }

    fn element(&mut self, selector: &str) -> String {
        let found = self.in_session("POST", "/element", &json!({"using": "css selector", "value": selector}));
        found[ELEMENT].as_str().unwrap_or_else(|| panic!("there is no {selector}")).to_owned()
    }

    fn devtools(&mut self, command: &str, parameters: &Value) {
        self.in_session("POST", "/goog/cdp/execute", &json!({"cmd": command, "params": parameters}));
    }

    #[track_caller]
    fn in_session(&mut self, method: &str, path: &str, body: &Value) -> Value {
        let path = format!("{}{path}", self.session);
        self.command(method, &path, body)
    }

    #[track_caller]
    fn command(&mut self, method: &str, path: &str, body: &Value) -> Value {
        let answer = self.client.call(method, path).json(&body.to_string()).send();
        let mut json = answer.json();
        assert_eq!(answer.status, 200, "{method} {path}: {}", json["value"]["message"]);
        json["value"].take()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // An error means that there is nothing left to end.
        let _ = kill_process_group(Pid::from_child(&self.driver), Signal::KILL);
        let _ = self.driver.wait();
        // The browser is a group of its own. Its first process is known by the profile; the others end with it.
        let profile = self.profile.path().display().to_string();
        for pid in processes().filter(|pid| is_process_of(*pid, &profile)) {
            let _ = Pid::from_raw(pid).map(|pid| kill_process(pid, Signal::KILL));
        }
        eventually("the browser has ended", || (!processes().any(|pid| is_process_of(pid, &profile))).then_some(()));
    }
}

fn processes() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").expect("/proc can be read");
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

fn is_process_of(pid: i32, profile: &str) -> bool {
    fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|arguments| arguments.contains(profile))
}
