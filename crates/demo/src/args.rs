//! The command line and the environment, as far as a script can notice them. Flags of the real
//! program that change nothing here are taken and forgotten.

use std::collections::BTreeMap;

/// What the agent was started with.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Args {
    pub script: Option<String>,
    /// Multiplies every pause; 0 leaves them out.
    pub speed: f64,
    /// Values for the `$name`s of a script.
    pub params: BTreeMap<String, String>,
    pub prompt: Option<String>,
    pub stream_input: bool,
    pub partial: bool,
    pub replay: bool,
    /// Somebody answers permission asks on standard input.
    pub asks: bool,
    pub state_events: bool,
    pub mode: Option<String>,
    pub bypass: bool,
    pub model: Option<String>,
    pub resume: Option<String>,
    pub session_id: Option<String>,
    pub max_turns: Option<u64>,
    pub allowed: Vec<String>,
    pub disallowed: Vec<String>,
    pub version: bool,
    pub help: bool,
}

/// Flags of the real program that take one value which nothing here looks at.
const VALUED: [&str; 14] = [
    "--output-format",
    "--append-system-prompt",
    "--system-prompt",
    "--settings",
    "--mcp-config",
    "--setting-sources",
    "--max-budget-usd",
    "--effort",
    "--fallback-model",
    "--json-schema",
    "--permission-prompts",
    "--agents",
    "--debug-file",
    "--betas",
];

/// `MUSHER_DEMO_<NAME>` and `--<name>` give these script parameters.
const PARAMS: [&str; 6] = ["bytes", "lines", "rate", "ms", "case", "line_bytes"];

impl Args {
    /// Reads arguments (without the program's name) and variables.
    pub fn parse(args: Vec<String>, var: impl Fn(&str) -> Option<String>) -> Self {
        let mut out = Self { speed: 1.0, ..Self::default() };
        out.read_variables(&var);
        let mut rest = args.into_iter().peekable();
        while let Some(flag) = rest.next() {
            let (flag, inline) = match flag.split_once('=') {
                Some((name, value)) if name.starts_with("--") => {
                    (name.to_owned(), Some(value.to_owned()))
                }
                _ => (flag, None),
            };
            if out.switch(&flag) {
                continue;
            }
            if let Some(list) = out.list(&flag) {
                list.extend(inline);
                while let Some(value) = rest.next_if(|next| !next.starts_with('-')) {
                    list.push(value);
                }
                continue;
            }
            let takes_value = out.takes_value(&flag);
            let value = inline.or_else(|| if takes_value { rest.next() } else { None });
            out.valued(&flag, value);
        }
        out
    }

    fn read_variables(&mut self, var: &impl Fn(&str) -> Option<String>) {
        self.script = var("MUSHER_DEMO_SCRIPT").filter(|name| !name.is_empty());
        if let Some(speed) = var("MUSHER_DEMO_SPEED") {
            self.speed = speed_of(&speed);
        }
        self.state_events =
            var("CLAUDE_CODE_EMIT_SESSION_STATE_EVENTS").is_some_and(|v| v == "1" || v == "true");
        for name in PARAMS {
            if let Some(value) = var(&format!("MUSHER_DEMO_{}", name.to_uppercase())) {
                self.params.insert(name.to_owned(), value);
            }
        }
    }

    fn switch(&mut self, flag: &str) -> bool {
        match flag {
            "--include-partial-messages" => self.partial = true,
            "--replay-user-messages" => self.replay = true,
            "--dangerously-skip-permissions" => self.bypass = true,
            "--version" | "-v" => self.version = true,
            "--help" | "-h" => self.help = true,
            _ => return false,
        }
        true
    }

    fn list(&mut self, flag: &str) -> Option<&mut Vec<String>> {
        match flag {
            "--allowedTools" | "--allowed-tools" => Some(&mut self.allowed),
            "--disallowedTools" | "--disallowed-tools" => Some(&mut self.disallowed),
            _ => None,
        }
    }

    fn takes_value(&self, flag: &str) -> bool {
        const OURS: [&str; 9] = [
            "--demo-script",
            "--demo-speed",
            "--model",
            "--resume",
            "--session-id",
            "--max-turns",
            "--permission-mode",
            "--permission-prompt-tool",
            "--input-format",
        ];
        VALUED.contains(&flag) || OURS.contains(&flag) || param_name(flag).is_some()
    }

    fn valued(&mut self, flag: &str, value: Option<String>) {
        match (flag, value) {
            ("--demo-script", value) => self.script = value,
            ("--demo-speed", Some(value)) => self.speed = speed_of(&value),
            ("--model", value) => self.model = value,
            ("--resume" | "-r", value) => self.resume = value,
            ("--session-id", value) => self.session_id = value,
            ("--max-turns", Some(value)) => self.max_turns = value.parse().ok(),
            ("--permission-mode", value) => self.mode = value,
            ("--permission-prompt-tool", Some(value)) => self.asks = value == "stdio",
            ("--input-format", Some(value)) => self.stream_input = value == "stream-json",
            (flag, Some(value)) => {
                if let Some(name) = param_name(flag) {
                    self.params.insert(name.to_owned(), value);
                }
            }
            (text, None) if !text.starts_with('-') => self.prompt = Some(text.to_owned()),
            _ => {}
        }
    }
}

fn param_name(flag: &str) -> Option<&'static str> {
    let name = flag.strip_prefix("--")?;
    PARAMS.into_iter().find(|param| *param == name.replace('-', "_"))
}

/// `fast`, `normal`, or how many times as long as normal.
fn speed_of(text: &str) -> f64 {
    match text {
        "fast" => 0.0,
        other => other
            .parse()
            .ok()
            .filter(|factor: &f64| factor.is_finite() && *factor >= 0.0)
            .unwrap_or(1.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Args {
        Args::parse(line.split_whitespace().map(str::to_owned).collect(), |_| None)
    }

    #[test]
    fn takes_the_flags_of_the_real_program() {
        let args = parse(
            "-p --input-format stream-json --output-format stream-json --verbose --include-partial-messages \
             --permission-prompt-tool stdio --model opus --permission-mode acceptEdits --allowedTools Read Bash(git:*) \
             --setting-sources user --resume 1234 --max-turns 3 --demo-script burst --lines 7",
        );
        assert!(args.stream_input && args.partial && args.asks);
        assert_eq!(args.model.as_deref(), Some("opus"));
        assert_eq!(args.mode.as_deref(), Some("acceptEdits"));
        assert_eq!(args.allowed, ["Read", "Bash(git:*)"]);
        assert_eq!(args.resume.as_deref(), Some("1234"));
        assert_eq!(args.max_turns, Some(3));
        assert_eq!(args.script.as_deref(), Some("burst"));
        assert_eq!(args.params.get("lines").map(String::as_str), Some("7"));
        assert_eq!(args.prompt, None);
    }

    #[test]
    fn a_prompt_is_what_is_no_flag_and_no_value() {
        assert_eq!(parse("-p hello --model x").prompt.as_deref(), Some("hello"));
        assert!(parse("--help").help && parse("-h").help && !parse("help").help);
        assert_eq!(parse("--no-such-flag --model=x").model.as_deref(), Some("x"));
    }

    #[test]
    fn variables_choose_script_speed_and_parameters() {
        let args = Args::parse(Vec::new(), |name| match name {
            "MUSHER_DEMO_SCRIPT" => Some("big".into()),
            "MUSHER_DEMO_SPEED" => Some("fast".into()),
            "MUSHER_DEMO_BYTES" => Some("99".into()),
            _ => None,
        });
        assert_eq!((args.script.as_deref(), args.speed), (Some("big"), 0.0));
        assert_eq!(args.params["bytes"], "99");
    }
}
