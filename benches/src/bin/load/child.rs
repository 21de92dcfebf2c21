//! A process of its own for what is measured: this binary in another mode. It says a line when it
//! has something to say, is told lines, and ends when its input does.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use tokio::sync::mpsc;

use crate::args::{Args, Mode};
use crate::{Outcome, cpu};

pub(crate) struct Measured {
    process: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Measured {
    pub(crate) fn spawn(mode: Mode, args: &Args, database: &str) -> Outcome<Self> {
        let mut process = Command::new(std::env::current_exe()?)
            .arg(mode.name())
            .args(["--database", database])
            .args(["--events", &args.events.to_string()])
            .args(["--workers", &args.workers.to_string()])
            .args(["--batch", &args.batch.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = process.stdin.take();
        let output = process.stdout.take().ok_or("the child has no output")?;
        Ok(Self { process, input, output: BufReader::new(output) })
    }

    /// The next line that it says.
    pub(crate) fn hear(&mut self) -> Outcome<String> {
        let mut line = String::new();
        if self.output.read_line(&mut line)? == 0 {
            return Err("the process under test ended early".into());
        }
        Ok(line.trim_end().to_owned())
    }

    pub(crate) fn tell(&mut self, line: &str) -> Outcome {
        let input = self.input.as_mut().ok_or("the child was stopped")?;
        writeln!(input, "{line}")?;
        Ok(())
    }

    /// The CPU time that it has used.
    pub(crate) fn cpu(&self) -> Outcome<Duration> {
        Ok(cpu::of_process(self.process.id())?.own)
    }

    /// The most memory that it has held, in MiB.
    pub(crate) fn peak_memory(&self) -> Outcome<f64> {
        let path = format!("/proc/{}/status", self.process.id());
        let status = std::fs::read_to_string(path)?;
        let kib: f64 = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
            .and_then(|rest| rest.trim().strip_suffix("kB"))
            .ok_or("no peak memory in /proc")?
            .trim()
            .parse()?;
        Ok(kib / 1024.0)
    }

    /// Lets it end, and waits for it.
    pub(crate) fn stop(mut self) -> Outcome {
        drop(self.input.take());
        let status = self.process.wait()?;
        if status.success() {
            Ok(())
        } else {
            Err(format!("the process under test ended with {status}").into())
        }
    }
}

impl Drop for Measured {
    fn drop(&mut self) {
        // Already gone after `stop`; else nothing may be left behind.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The child's side: the lines that it is told; the end of them is the order to end.
pub(crate) fn orders() -> mpsc::UnboundedReceiver<String> {
    let (sender, orders) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            if line.is_err() || line.is_ok_and(|line| sender.send(line).is_err()) {
                return;
            }
        }
    });
    orders
}

/// The child's side: says a line.
pub(crate) fn say(line: &str) -> Outcome {
    let mut output = std::io::stdout().lock();
    writeln!(output, "{line}")?;
    output.flush()?;
    Ok(())
}
