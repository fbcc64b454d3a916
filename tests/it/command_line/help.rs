//! Help and completions: every command says by example what it is for.

use std::path::Path;

use crate::harness::command::Program;

/// The commands that a help lists.
fn listed(help: &str) -> Vec<String> {
    let commands = help.split("Commands:\n").nth(1).unwrap_or_default();
    let lines = commands.lines().take_while(|line| !line.is_empty());
    let names = lines.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    names.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help").map(str::to_owned).collect()
}

fn check(command: &[&str], seen: &mut Vec<String>) {
    let arguments = [command, &["--help"]].concat();
    let help = Program::new(Path::new("/"), &arguments).run().expect(0).out;
    assert!(help.contains("\nExample"), "{command:?}: {help}");
    seen.push(command.join(" "));
    for part in listed(&help) {
        check(&[command, &[&part]].concat(), seen);
    }
}

#[test]
fn every_command_has_an_example() {
    let mut seen = Vec::new();
    check(&[], &mut seen);
    for command in ["launch", "keys revoke", "cart add", "order cancel", "status", "doctor", "completions"] {
        assert!(seen.iter().any(|other| other == command), "{command}: {seen:?}");
    }
}

#[test]
fn completions_know_commands_and_options() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = Program::new(Path::new("/"), &["completions", shell]).run().expect(0).out;
        assert!(script.contains("checkout") && script.contains("min-free"), "{shell}");
    }
    Program::new(Path::new("/"), &["completions", "tcsh"]).run().expect(2);
}
