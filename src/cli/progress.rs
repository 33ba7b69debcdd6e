//! Progress on stderr: a bar a pass on a terminal, plain lines elsewhere, or one JSON event a line.

use std::io::{IsTerminal, Write};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use serde_json::json;
use twopass::observe::{Event, Observer, Pass};

use super::args::{ProgressArg, Shown};
use super::report::{count, seconds};
use super::signals::Signals;

/// Between two plain lines, or two JSON events of the same kind.
const PLAIN_EVERY: Duration = Duration::from_secs(5);
const JSON_EVERY: Duration = Duration::from_millis(500);
/// A pass shorter than this shows no bar.
const BAR_AFTER: Duration = Duration::from_millis(300);

/// Shows progress in one of its forms.
pub struct Progress {
    form: Form,
    verbose: bool,
    signals: Signals,
    state: Mutex<State>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Bar,
    Plain,
    Json,
    None,
}

struct State {
    pass: Pass,
    rows: u64,
    total_rows: Option<u64>,
    bytes: u64,
    total_bytes: u64,
    shards: usize,
    total_shards: usize,
    started: Instant,
    shown: Instant,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Progress as asked for, of a job that signals stop.
    pub fn new(shown: &Shown, signals: Signals) -> Self {
        let form = match shown.progress {
            _ if shown.quiet => Form::None,
            ProgressArg::Auto if std::io::stderr().is_terminal() => Form::Bar,
            ProgressArg::Auto | ProgressArg::Plain => Form::Plain,
            ProgressArg::Bar => Form::Bar,
            ProgressArg::Json => Form::Json,
            ProgressArg::None => Form::None,
        };
        let now = Instant::now();
        let state = State {
            pass: Pass::Scan,
            rows: 0,
            total_rows: None,
            bytes: 0,
            total_bytes: 0,
            shards: 0,
            total_shards: 0,
            started: now,
            shown: now,
            bar: None,
        };
        Self { form, verbose: shown.verbose, signals, state: Mutex::new(state) }
    }

    /// Takes the bar away.
    pub fn clear(&self) {
        let mut state = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(bar) = state.bar.take() {
            bar.finish_and_clear();
        }
    }
}

impl Observer for Progress {
    fn stop(&self) -> bool {
        self.signals.stop()
    }

    fn event(&self, event: Event<'_>) {
        if self.form == Form::None {
            return;
        }
        let mut state = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match event {
            Event::Begin { pass, rows, bytes, shards } => {
                let now = Instant::now();
                *state = State {
                    pass,
                    rows: 0,
                    total_rows: rows,
                    bytes: 0,
                    total_bytes: bytes,
                    shards: 0,
                    total_shards: shards,
                    started: now,
                    shown: now,
                    bar: None,
                };
                if self.form == Form::Json {
                    line(&json!({ "event": "begin", "pass": name(pass), "rows": rows, "bytes": bytes, "shards": shards }).to_string());
                }
            }
            Event::Advance { rows, bytes } => {
                state.rows += rows;
                state.bytes += bytes;
                self.advance(&mut state);
            }
            Event::Shard { name: shard } => {
                state.shards += 1;
                match self.form {
                    Form::Json => {
                        line(&json!({ "event": "shard", "pass": name(state.pass), "name": shard }).to_string());
                    }
                    Form::Plain if self.verbose => line(&format!("{}: {shard}", name(state.pass))),
                    _ => {}
                }
            }
            Event::End { pass } => {
                if let Some(bar) = state.bar.take() {
                    bar.finish_and_clear();
                }
                let took = state.started.elapsed();
                match self.form {
                    Form::Json => line(&json!({ "event": "end", "pass": name(pass), "rows": state.rows, "seconds": took.as_secs_f64() }).to_string()),
                    Form::Plain | Form::Bar if took >= Duration::from_secs(1) => line(&format!("{}: done, {}", name(pass), state.figures(took))),
                    _ => {}
                }
            }
            Event::Note(text) => tell(self.form, &state, "note", text),
            Event::Warning(text) => tell(self.form, &state, "warning", text),
        }
    }
}

/// A sentence that is no progress.
fn tell(form: Form, state: &State, kind: &str, text: &str) {
    match (form, &state.bar) {
        (Form::Json, _) => line(&json!({ "event": kind, "text": text }).to_string()),
        (_, Some(bar)) => bar.println(format!("{kind}: {text}")),
        _ => line(&format!("{kind}: {text}")),
    }
}

impl Progress {
    fn advance(&self, state: &mut State) {
        let took = state.started.elapsed();
        match self.form {
            Form::Bar => {
                if state.bar.is_none() && took >= BAR_AFTER {
                    state.bar = Some(bar(state));
                }
                if let Some(bar) = &state.bar {
                    bar.set_position(state.bytes);
                    bar.set_message(format!("{} rows, {}/s", count(state.rows), HumanBytes(rate(state.bytes, took))));
                }
            }
            Form::Plain if state.shown.elapsed() >= PLAIN_EVERY => {
                state.shown = Instant::now();
                let left = took.mul_f64((state.total_bytes as f64 / state.bytes.max(1) as f64 - 1.0).max(0.0));
                let share = 100 * state.bytes / state.total_bytes.max(1);
                // Some are read again where their types widen.
                let shards = format!("{} of {} shards", state.shards.min(state.total_shards), state.total_shards);
                line(&format!(
                    "{}: {share}%, {shards}, {}, {} left",
                    name(state.pass),
                    state.figures(took),
                    seconds(left.as_secs_f64())
                ));
            }
            Form::Json if state.shown.elapsed() >= JSON_EVERY => {
                state.shown = Instant::now();
                let event = json!({
                    "event": "advance", "pass": name(state.pass), "rows": state.rows, "total_rows": state.total_rows,
                    "bytes": state.bytes, "total_bytes": state.total_bytes, "seconds": took.as_secs_f64(),
                });
                line(&event.to_string());
            }
            _ => {}
        }
    }
}

impl State {
    fn figures(&self, took: Duration) -> String {
        let rows = rate(self.rows, took);
        format!("{} rows in {}, {} rows/s", count(self.rows), seconds(took.as_secs_f64()), count(rows))
    }
}

fn rate(amount: u64, took: Duration) -> u64 {
    (amount as f64 / took.as_secs_f64().max(1e-9)) as u64
}

fn bar(state: &State) -> ProgressBar {
    let bar = ProgressBar::new(state.total_bytes).with_elapsed(state.started.elapsed());
    let style = ProgressStyle::with_template("{prefix:>5} [{bar:30}] {percent:>3}% {msg}, {eta} left");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> "));
    bar.set_prefix(name(state.pass));
    bar
}

fn name(pass: Pass) -> &'static str {
    match pass {
        Pass::Keys => "keys",
        Pass::Scan => "scan",
        Pass::Write => "write",
    }
}

/// A line on stderr; a stderr that is gone is no reason to stop.
fn line(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
