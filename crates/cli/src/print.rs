//! Events and lists as text for people. With `--json` only [`json_line`] is used.
//!
//! Printing never stops a run. Why nothing can be printed any more is kept until the command ends.

use std::{
    collections::BTreeMap,
    io::{self, ErrorKind, IsTerminal, Write},
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use chrono::{DateTime, Utc};
use musher_protocol::*;

/// How many lines of an edit are shown before it is asked about.
const EDIT_LINES: usize = 60;

/// Why the output ended early; the first reason counts.
static ENDED: OnceLock<io::Error> = OnceLock::new();

/// A line was begun and not ended.
static OPEN: AtomicBool = AtomicBool::new(false);

/// A prompt stands on the terminal, which is stderr.
static PROMPT: AtomicBool = AtomicBool::new(false);

/// A line on stdout.
pub fn line(text: &str) {
    if OPEN.swap(false, Ordering::Relaxed) {
        json_line("");
    }
    json_line(&visible(text));
}

/// More of the line that is open, at once.
pub fn piece(text: &str) {
    if text.is_empty() {
        return;
    }
    leave_prompt();
    OPEN.store(!text.ends_with('\n'), Ordering::Relaxed);
    let mut out = io::stdout().lock();
    keep(write!(out, "{}", visible(text)).and_then(|()| out.flush()));
}

/// Whatever is written next begins on a line of its own; says whether a line had to be ended for it.
pub fn end_line() -> bool {
    let is_open = OPEN.swap(false, Ordering::Relaxed);
    if is_open {
        json_line("");
    }
    let is_asked = PROMPT.swap(false, Ordering::Relaxed);
    if is_asked {
        eprintln!();
    }
    is_open || is_asked
}

/// A prompt on the terminal; what is typed stands behind it.
pub fn prompt(text: &str) {
    end_line();
    eprint!("{text}");
    PROMPT.store(true, Ordering::Relaxed);
}

/// Whether nothing was printed behind the prompt.
pub fn prompt_stands() -> bool {
    PROMPT.load(Ordering::Relaxed)
}

/// A line was typed behind the prompt; the terminal shows its end, if it has one.
pub fn typed(is_ended: bool) {
    if is_ended {
        PROMPT.store(false, Ordering::Relaxed);
    }
    end_line();
}

/// Before something is written to stdout, where that is the prompt's terminal.
fn leave_prompt() {
    if prompt_stands() && io::stdout().is_terminal() && PROMPT.swap(false, Ordering::Relaxed) {
        eprintln!();
    }
}

/// Whether nobody gets what is printed any more.
pub fn ended() -> bool {
    ENDED.get().is_some()
}

/// What kept the output from being whole. A reader that left has what it wanted.
pub fn failure() -> Option<ApiError> {
    keep(io::stdout().flush());
    let error = ENDED.get().filter(|error| error.kind() != ErrorKind::BrokenPipe)?;
    let what = format!("The output could not be written: {error}.");
    let told = ApiError::new(ErrorCode::Internal, what);
    Some(told.with_hint("Everything is stored: `musher runs` and `musher events RUN` show it."))
}

fn keep(written: io::Result<()>) {
    if let Err(error) = written {
        // Only the first reason counts.
        let _ = ENDED.set(error);
    }
}

/// What agents, files and branches say must not move a terminal's cursor, hide part of a command or
/// turn its letters round: such characters are shown as `\u{1b}`.
pub fn visible(text: &str) -> std::borrow::Cow<'_, str> {
    let deceives = |c: char| {
        (c.is_control() && c != '\n' && c != '\t')
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
    };
    if !text.contains(deceives) {
        return text.into();
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match deceives(c) {
            true => shown.extend(c.escape_unicode()),
            false => shown.push(c),
        }
    }
    shown.into()
}

/// A line of JSON on stdout, as it is.
pub fn json_line(text: &str) {
    leave_prompt();
    keep(writeln!(io::stdout().lock(), "{text}"));
}

pub fn json(value: &impl serde::Serialize) {
    if let Ok(text) = serde_json::to_string(value) {
        json_line(&text);
    }
}

pub fn summary(run: &RunSummary, as_json: bool) {
    if as_json {
        return json(run);
    }
    let state = state_of(run);
    let (id, title) = (&run.id, &run.title);
    line(&format!("{id}  {state:<28}  {:<12}  {title}", run.agent_name));
    if let (Some(detail), None) = (&run.detail, &run.outcome) {
        line(&format!("    {detail}"));
    }
}

fn state_of(run: &RunSummary) -> String {
    let phase = match (&run.outcome, run.phase) {
        (Some(outcome), _) => return ending(outcome),
        (None, RunPhase::Queued) => "queued",
        (None, RunPhase::Preparing | RunPhase::Starting) => "starting",
        (None, RunPhase::WaitingPermission | RunPhase::WaitingAnswer) => "needs you",
        (None, RunPhase::WaitingRateLimit) => "waiting for a limit",
        (None, RunPhase::Stopping) => "stopping",
        (None, _) => "running",
    };
    phase.into()
}

/// How a run ended, in words.
pub fn ending(outcome: &RunOutcome) -> String {
    match outcome {
        RunOutcome::Completed => "completed".into(),
        RunOutcome::Failed { exit_code: Some(code), .. } => format!("failed (exit code {code})"),
        RunOutcome::Failed { .. } => "failed".into(),
        RunOutcome::AbortedBeforeSession { .. } => "failed before it began".into(),
        RunOutcome::ResumeRejected { .. } => "its session is gone".into(),
        RunOutcome::RateLimited { resets_at: Some(at), .. } => {
            format!("limited until {}", clock(*at, Utc::now()))
        }
        RunOutcome::RateLimited { .. } => "limited".into(),
        RunOutcome::LimitReached { limit } => limit_reached(*limit).into(),
        RunOutcome::Inactive { after_secs, .. } => format!("silent for {after_secs} s"),
        RunOutcome::Stopped { .. } => "stopped".into(),
        RunOutcome::SpawnFailed { .. } => "could not start".into(),
        RunOutcome::AuthenticationRequired { .. } => "needs a login".into(),
        RunOutcome::Unconfirmed { left } => format!("end not confirmed ({} left)", left.len()),
        RunOutcome::Unknown => "over".into(),
    }
}

/// With the day where it is another one.
fn clock(at: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let form = if at.date_naive() == now.date_naive() { "%H:%M UTC" } else { "%Y-%m-%d %H:%M UTC" };
    at.format(form).to_string()
}

fn limit_reached(limit: RunLimit) -> &'static str {
    match limit {
        RunLimit::Turns => "the limit of turns was reached",
        RunLimit::ToolCalls => "the limit of tool calls was reached",
        RunLimit::Tokens => "the limit of tokens was reached",
        RunLimit::Money => "the limit of money was reached",
        RunLimit::Time => "the limit of time was reached",
        RunLimit::Unknown => "a limit was reached",
    }
}

/// An event as a person at a terminal reads it; many say nothing there.
pub fn event(event: &AgentEvent) {
    match event {
        AgentEvent::Message { text, .. } => line(&format!("> {}", text.replace('\n', "\n> "))),
        AgentEvent::Summary { text, .. } => {
            line("· the conversation was too long for the model, which goes on from this:");
            line(&format!("    {}", text.replace('\n', "\n    ")));
        }
        AgentEvent::ToolCall(call) => line(&format!("· {} {}", call.name, call.title)),
        AgentEvent::ToolResult(result) if result.is_error => {
            line(&format!("  failed: {}", result.text.trim_end()));
        }
        AgentEvent::PermissionRequest(asked) => permission(asked),
        AgentEvent::PermissionAnswer { decision, by, .. } => {
            line(&format!("  {}{}", decided(*decision), who(*by)));
        }
        AgentEvent::QuestionAnswer { answers, by, .. } => {
            line(&format!("  {}{}", chosen(answers), who(*by)));
        }
        AgentEvent::Question(asked) => asked.questions.iter().for_each(question),
        AgentEvent::Changes { files } => changes(files),
        AgentEvent::Warning { message, .. } => line(&format!("! {message}")),
        AgentEvent::Error { message, hint, .. } => {
            line(&format!("error: {message}"));
            if let Some(hint) = hint {
                line(&format!("hint: {hint}"));
            }
        }
        AgentEvent::Notice { stream: Stream::Stderr, text } => line(&format!("  {text}")),
        AgentEvent::Done { outcome } => done(outcome),
        _ => {}
    }
}

pub fn permission(asked: &PermissionRequest) {
    line(&wanted(asked));
    edit(&asked.input);
}

pub fn wanted(asked: &PermissionRequest) -> String {
    format!("? wants leave: {} {}", asked.tool, asked.title)
}

/// The lines that an edit would take out and put in, as the tools that edit files name them.
fn edit(input: &serde_json::Value) {
    let nested = input.get("edits").and_then(|edits| edits.as_array());
    let edits = nested.map_or_else(|| vec![input], |edits| edits.iter().collect());
    let lines = |edit: &serde_json::Value, names: &[&str], mark: char| -> Vec<String> {
        let texts = names.iter().filter_map(|name| edit.get(*name)?.as_str());
        texts.flat_map(str::lines).map(|text| format!("    {mark} {text}")).collect()
    };
    let mut shown = Vec::new();
    for edit in edits {
        shown.extend(lines(edit, &["old_string"], '-'));
        shown.extend(lines(edit, &["new_string", "content", "new_source"], '+'));
    }
    shown.iter().take(EDIT_LINES).for_each(|text| line(text));
    if let Some(more @ 1..) = shown.len().checked_sub(EDIT_LINES) {
        line(&format!("    ... and {more} more lines: the window shows them all"));
    }
}

/// What became of a request that somebody was being asked about.
pub fn settled(event: &AgentEvent) -> String {
    let (what, by) = match event {
        AgentEvent::PermissionAnswer { decision, by, .. } => (decided(*decision).to_owned(), *by),
        AgentEvent::QuestionAnswer { answers, by, .. } => (chosen(answers), *by),
        _ => return String::new(),
    };
    let where_to = if by == AnsweredBy::User { "answered elsewhere" } else { "settled meanwhile" };
    visible(&format!("{where_to}: {what}{}", who(by))).into_owned()
}

fn decided(decision: PermissionDecision) -> &'static str {
    match decision {
        PermissionDecision::Allow => "allowed",
        PermissionDecision::Deny => "denied",
    }
}

fn chosen(answers: &BTreeMap<String, String>) -> String {
    let words: Vec<_> = answers.values().map(String::as_str).collect();
    if words.is_empty() { "not answered".into() } else { words.join("; ") }
}

fn who(by: AnsweredBy) -> &'static str {
    match by {
        AnsweredBy::User => "",
        AnsweredBy::Policy => " (as chosen for this run)",
        AnsweredBy::Rule => " (by a rule of the project)",
        AnsweredBy::Expiry => " (nobody answered in time)",
        AnsweredBy::Withdrawn => " (taken back)",
        AnsweredBy::Unknown => " (by a newer Musher)",
    }
}

pub fn question(item: &QuestionItem) {
    line(&format!("? {}", item.question));
    for (number, option) in (1..).zip(&item.options) {
        line(&format!("    {number}. {}", option.label));
    }
}

fn changes(files: &[FileChange]) {
    for file in files {
        line(&format!("  {} +{} -{}", file.path, file.added, file.removed));
    }
}

fn done(outcome: &RunOutcome) {
    line(&ending(outcome));
    if let RunOutcome::SpawnFailed { message } | RunOutcome::AuthenticationRequired { message } =
        outcome
    {
        line(&format!("  {message}"));
    }
    if let RunOutcome::Failed { last_lines, .. }
    | RunOutcome::AbortedBeforeSession { last_lines, .. } = outcome
    {
        last_lines.iter().for_each(|text| line(&format!("  {text}")));
    }
}

/// `12.4 k tokens, about $0.12`, as the window says it (`ui/src/words/figures.ts`). Nothing when no
/// answer was counted.
pub fn spent(usage: &TokenUsage) -> Option<String> {
    let sent = usage.input_tokens + usage.cache_creation_input_tokens;
    let tokens = sent + usage.cache_read_input_tokens + usage.output_tokens;
    if tokens == 0 && usage.cost_microdollars == 0 {
        return None;
    }
    Some(format!("{} tokens, {}", short(tokens), cost(usage)))
}

fn short(count: u64) -> String {
    let count = count as f64;
    match count {
        ..1e3 => format!("{count}"),
        ..1e5 => format!("{:.1} k", count / 1e3),
        ..1e6 => format!("{:.0} k", count / 1e3),
        _ => format!("{:.1} M", count / 1e6),
    }
}

fn cost(usage: &TokenUsage) -> String {
    let dollars = usage.cost_microdollars as f64 / 1e6;
    let figure = match usage.cost_microdollars {
        1..10_000 => format!("${dollars:.4}"),
        _ => format!("${dollars:.2}"),
    };
    match usage.cost_source {
        CostSource::Unknown => "cost unknown".into(),
        // Of a model on this machine: nobody asks for money.
        CostSource::Estimated if usage.cost_microdollars == 0 => "no cost".into(),
        CostSource::Estimated => format!("about {figure}"),
        CostSource::AtLeast => format!("at least {figure}"),
        CostSource::Reported => figure,
    }
}

#[cfg(test)]
mod tests {
    use musher_protocol::{CostSource, TokenUsage};

    use super::{clock, spent, visible};

    #[test]
    fn a_time_of_another_day_has_its_day() {
        let at = |text: &str| text.parse().unwrap_or_default();
        let now = at("2026-11-22T19:00:00Z");
        assert_eq!(clock(at("2026-11-22T19:40:00Z"), now), "19:40 UTC");
        assert_eq!(clock(at("2026-11-23T19:40:00Z"), now), "2026-11-23 19:40 UTC");
    }

    #[test]
    fn what_was_spent_is_said_as_the_window_says_it() {
        let of = |input_tokens, cost_microdollars, cost_source| {
            spent(&TokenUsage {
                input_tokens,
                cost_microdollars,
                cost_source,
                ..Default::default()
            })
        };
        for (said, told) in [
            (of(0, 0, CostSource::Unknown), None),
            (of(999, 0, CostSource::Unknown), Some("999 tokens, cost unknown")),
            (of(1_000, 0, CostSource::Estimated), Some("1.0 k tokens, no cost")),
            (of(12_440, 120_000, CostSource::Estimated), Some("12.4 k tokens, about $0.12")),
            (of(12_440, 120_000, CostSource::AtLeast), Some("12.4 k tokens, at least $0.12")),
            (of(123_456, 4_200, CostSource::Reported), Some("123 k tokens, $0.0042")),
            (of(1_260_000, 10_000, CostSource::Reported), Some("1.3 M tokens, $0.01")),
        ] {
            assert_eq!(said.as_deref(), told);
        }
    }

    #[test]
    fn what_could_deceive_a_reader_is_shown() {
        let hidden = "touch pwn #\u{1b}[1A\u{1b}[2K\rls \u{202e}txt.exe";
        let shown = visible(hidden);
        assert_eq!(shown, "touch pwn #\\u{1b}[1A\\u{1b}[2K\\u{d}ls \\u{202e}txt.exe");
        assert_eq!(visible("plain ünï 你好\n\tline"), "plain ünï 你好\n\tline");
    }
}
