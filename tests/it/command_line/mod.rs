//! The client commands, through the real program: exit statuses, output for people and for programs, settings, doctor, bench.

mod bench;
mod clients;
mod doctor;
mod exit_status;
mod help;
mod output;
mod settings;
mod status;
