//! `kill-storm`: runs a storm from the command line (`tests/storm` builds all binaries and starts it).

// The output of a program.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::process::ExitCode;

use xact_kill_storm::{Options, options};

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(error) => {
            eprintln!("{error}\n{}", options::USAGE);
            return ExitCode::from(2);
        }
    };
    match xact_kill_storm::run(options) {
        Ok(report) => {
            println!("{report}");
            ExitCode::from(u8::from(!report.is_good()))
        }
        Err(error) => {
            println!("{error}");
            println!("BAD: the run was aborted; seed {}", options.seed);
            ExitCode::FAILURE
        }
    }
}
