//! Operators at the command line. `billing-ops --help` says what there is.
//!
//! It connects to the app's database and decides by the app's catalog; it takes no webhooks.

mod args;
mod mails;
mod orders;
mod rebuild;
mod replay;
mod run;

use std::process::ExitCode;

use args::{Command, Parsed};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let parsed = args::parse(std::env::args_os().skip(1));
    let (command, json) = match parsed {
        Ok(Parsed::Help) => {
            print!("{}", args::HELP);
            return ExitCode::SUCCESS;
        }
        Ok(Parsed::Run { command, json }) => (command, json),
        Err(mistake) => {
            eprintln!("{mistake}\nTry `billing-ops --help`.");
            return ExitCode::from(2);
        }
    };
    match perform(&command, json).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("billing-ops: {error}");
            let mut source = error.source();
            while let Some(cause) = source {
                eprintln!("  because {cause}");
                source = cause.source();
            }
            ExitCode::from(3)
        }
    }
}

async fn perform(command: &Command, json: bool) -> Result<bool, run::Failure> {
    if let Command::Mails(mails) = command {
        return mails::preview(mails, json);
    }
    let settings = run::Settings::read(&|name: &str| std::env::var(name).ok())?;
    let billing = settings.connect().await?;
    run::run(&billing, command, json).await
}
