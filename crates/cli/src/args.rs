//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use musher_protocol::{ApiError, ErrorCode};

/// Runs a team of coding agents on this machine.
#[derive(Debug, Parser)]
#[command(name = "musher", version, arg_required_else_help = true)]
pub struct Args {
    /// Where everything lives; MUSHER_DATA_DIR, or the system's place for application data, unless given.
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<PathBuf>,

    /// Prints one JSON object a line on stdout, and nothing else.
    #[arg(long, global = true)]
    pub json: bool,

    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Starts an agent and follows it to its end.
    Run(Box<Run>),
    /// Lists the runs, newest first.
    Runs,
    /// Prints a run's events.
    Events {
        /// A run's id, or its beginning.
        run: String,
        /// The number of the first event.
        #[arg(long, default_value_t = 1)]
        from: u64,
        /// Goes on until the run is over.
        #[arg(long)]
        follow: bool,
    },
    /// Says something to a run's agent; after the run's end, goes on from it.
    Send {
        run: String,
        text: String,
        /// Say it now, in the middle of the turn, in place of waiting for its end.
        #[arg(long)]
        steer: bool,
    },
    /// Answers what a run waits for.
    Answer {
        run: String,
        request: String,
        answer: Verdict,
        /// Told to the agent with a denial; with `choose`, the answer.
        #[arg(long)]
        message: Option<String>,
    },
    /// Stops a run and everything it started.
    Stop { run: String },
    /// Goes on from a run that is over, and follows it to its end.
    Resume(Box<Resume>),
    /// Lists the worktrees of the repository that a folder is in.
    Worktrees { dir: PathBuf },
    /// Removes a worktree; refuses while it holds work that exists nowhere else.
    Remove {
        worktree: PathBuf,
        /// Removes it in spite of that work; a ref in its repository keeps what was in it.
        #[arg(long)]
        force: bool,
    },
    /// Keeps a model provider's key, read from stdin, forgets it, or says what is kept.
    Keys {
        #[command(subcommand)]
        command: Keys,
    },
    /// What may run in every run of a project, and what may not.
    Rules {
        /// A folder of the project.
        #[arg(long, global = true, default_value = ".", value_name = "DIR")]
        dir: PathBuf,
        #[command(subcommand)]
        command: Rules,
    },
    /// Says what is well here and what is not.
    Doctor(Look),
    /// Serves a run's tools to its agent, which starts this itself (Model Context Protocol over stdio).
    #[command(name = musher_tools::endpoint::COMMAND, hide = true)]
    Mcp { run_dir: PathBuf },
    /// Serves the API over the data directory's socket; with --port, and the page, to a browser here.
    Serve {
        /// Listens on 127.0.0.1 too; 0 takes any free port.
        #[arg(long)]
        port: Option<u16>,
        /// The folder of the built page.
        #[arg(long, value_name = "DIR", requires = "port")]
        page: Option<PathBuf>,
    },
}

/// What to run, and where: exactly one of `repo` and `worktree`.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("place").required(true).args(["repo", "worktree"])))]
pub struct Run {
    /// What the agent is to do; `-` reads it from stdin.
    pub prompt: String,
    /// Work in a new worktree of the repository that this folder is in.
    #[arg(long, value_name = "DIR")]
    pub repo: Option<PathBuf>,
    /// The branch, tag or commit that the new worktree starts from.
    #[arg(long, value_name = "REF", conflicts_with = "worktree")]
    pub base: Option<String>,
    /// The new worktree's branch.
    #[arg(long, value_name = "NAME", conflicts_with = "worktree")]
    pub branch: Option<String>,
    /// Work in this worktree as it is.
    #[arg(long, value_name = "DIR")]
    pub worktree: Option<PathBuf>,
    /// claude-code, openai, gemini or demo.
    #[arg(long, default_value = "claude-code", value_name = "NAME")]
    pub runtime: String,
    /// What the agent is called in lists.
    #[arg(long, default_value = "coder-1", value_name = "NAME")]
    pub agent: String,
    /// The runtime's default unless given.
    #[arg(long)]
    pub model: Option<String>,
    /// The program of claude-code or demo, in place of the one that is found.
    #[arg(long, value_name = "PATH")]
    pub command: Option<PathBuf>,
    /// One more argument for the program; may be given again.
    #[arg(long = "arg", value_name = "ARG", allow_hyphen_values = true)]
    pub args: Vec<String>,
    /// What the agent may do unasked.
    #[arg(long, default_value = "ask", value_name = "MODE")]
    pub permission_mode: Mode,
    /// How a permission is answered when nobody looks.
    #[arg(long, default_value = "ask")]
    pub answer: Policy,
    /// A variable for the agent; may be given again.
    #[arg(long, value_name = "NAME=VALUE", value_parser = variable)]
    pub env: Vec<(String, String)>,
    #[command(flatten)]
    pub endpoint: Endpoint,
    /// A tool that may be used unasked, as a rule: "run cargo test*"; for claude-code in its own words:
    /// "Bash(cargo test:*)". May be given again.
    #[arg(long = "allow", value_name = "RULE")]
    pub allowed_tools: Vec<String>,
    /// A tool that may not be used, in the same words; may be given again.
    #[arg(long = "deny", value_name = "RULE")]
    pub disallowed_tools: Vec<String>,
    /// What carries the agent's output.
    #[arg(long, default_value = "pty")]
    pub transport: Carrier,
    #[command(flatten)]
    pub limits: Limits,
    /// Ends the run when nothing was heard for so many seconds; 0 is never.
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    pub inactivity_timeout: u64,
    /// Tool servers: a file or JSON text, passed to the agent.
    #[arg(long, value_name = "FILE|JSON")]
    pub mcp_config: Option<String>,
    /// Gives an agent that has tools of its own Musher's besides, under the same rules.
    #[arg(long)]
    pub engine_tools: bool,
    /// The repository's own settings and hooks may run (asked in the window otherwise).
    #[arg(long)]
    pub trust: bool,
}

/// Where a model is reached over HTTP, and how.
#[derive(Debug, Default, clap::Args)]
pub struct Endpoint {
    /// Where the model is, for openai and gemini; a local one costs nothing.
    #[arg(long, value_name = "URL")]
    pub base_url: Option<String>,
    /// How it is spoken to there: openai-responses, openai-chat or gemini. Unless given, it is the
    /// provider's own, and openai-chat for openai at another address.
    #[arg(long, value_name = "NAME")]
    pub dialect: Option<String>,
    /// A header of each request to the model; may be given again. Its value is never stored, but others
    /// on this machine see it in the list of processes while this runs: keep a key with `musher keys`.
    #[arg(long = "header", value_name = "NAME: VALUE", value_parser = header)]
    pub headers: Vec<(String, String)>,
    /// OpenAI's id of whose account pays (org-...).
    #[arg(long, value_name = "ID")]
    pub organization: Option<String>,
    /// OpenAI's id of the account's project (proj_...).
    #[arg(long, value_name = "ID")]
    pub account_project: Option<String>,
    /// How long the model thinks before it answers.
    #[arg(long, value_name = "EFFORT")]
    pub effort: Option<Effort>,
    /// The longest answer of the model, its thoughts included.
    #[arg(long, value_name = "N")]
    pub max_answer_tokens: Option<u32>,
}

/// What a run may spend.
#[derive(Debug, Default, clap::Args)]
pub struct Limits {
    /// Ends the run after so many turns.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_turns: Option<u32>,
    /// Ends the run after so many calls of tools, for openai and gemini.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_tool_calls: Option<u32>,
    /// Ends the run once its answers took so many tokens together, in and out, for openai and gemini.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub max_tokens: Option<u64>,
    /// Ends the run once it cost so much.
    #[arg(long, value_name = "USD", value_parser = microdollars)]
    pub max_cost: Option<u64>,
    /// Ends the run after so many seconds.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub max_seconds: Option<u64>,
}

/// How a story goes on; what is not given stays as it is.
#[derive(Debug, clap::Args)]
pub struct Resume {
    /// A run's id, or its beginning.
    pub run: String,
    /// What the agent hears; "Continue." unless given.
    pub prompt: Option<String>,
    /// Goes on with another agent: claude-code, openai, gemini or demo. Model and address are then those
    /// that are given here, or its own.
    #[arg(long, value_name = "NAME")]
    pub runtime: Option<String>,
    /// Another model. A run that is not over takes it at once.
    #[arg(long)]
    pub model: Option<String>,
    /// A variable for the agent; may be given again. Values are never kept from run to run.
    #[arg(long, value_name = "NAME=VALUE", value_parser = variable)]
    pub env: Vec<(String, String)>,
    #[command(flatten)]
    pub endpoint: Endpoint,
}

/// What of the models is looked at; nothing leaves this machine without it.
#[derive(Debug, clap::Args)]
pub struct Look {
    /// Asks each provider that has a key, and each address that is known, for its models.
    #[arg(long)]
    pub models: bool,
    /// Also sends one tiny request with a tool to each; it costs what such a request costs.
    #[arg(long)]
    pub round_trip: bool,
    /// A model server of your own, which is asked then, and nobody else.
    #[arg(long, value_name = "URL")]
    pub base_url: Option<String>,
    /// How it is spoken to there: openai-responses, openai-chat or gemini.
    #[arg(long, value_name = "NAME", requires = "base_url")]
    pub dialect: Option<String>,
    /// The model of the round trip there.
    #[arg(long, value_name = "NAME", requires = "base_url")]
    pub model: Option<String>,
    /// As for a run there.
    #[arg(long = "header", value_name = "NAME: VALUE", value_parser = header, requires = "base_url")]
    pub headers: Vec<(String, String)>,
    /// As for a run there.
    #[arg(long, value_name = "ID", requires = "base_url")]
    pub organization: Option<String>,
    /// As for a run there.
    #[arg(long, value_name = "ID", requires = "base_url")]
    pub account_project: Option<String>,
}

#[derive(Debug, Subcommand)]
pub enum Keys {
    /// Reads a key from stdin and keeps it in the system's keychain.
    Set {
        /// openai, gemini, or an endpoint's address.
        place: String,
        /// Where there is no keychain: keep it in a file that only you can read.
        #[arg(long)]
        file: bool,
    },
    /// Lists whose keys are kept, and where; never a key.
    List,
    /// Forgets a key.
    Remove { place: String },
}

#[derive(Debug, Subcommand)]
pub enum Rules {
    /// Lists the project's rules, each as it is written and in words.
    List,
    /// Adds one, for every run that starts from now on; deny wins over allow.
    Add {
        /// "allow run cargo test*", "deny read .env", "allow edit src/**", "deny fetch", "allow tool NAME".
        rule: String,
    },
    /// Removes one.
    Remove {
        /// As it is listed.
        rule: String,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Effort {
    Low,
    Medium,
    High,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Verdict {
    Allow,
    Deny,
    /// Answers a question with --message.
    Choose,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Policy {
    Allow,
    Deny,
    Ask,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Mode {
    /// Reads only, then proposes a plan.
    Plan,
    /// Asks before it changes anything that no rule allows.
    Ask,
    /// Edits files in the worktree unasked, asks before commands.
    AcceptEdits,
    /// Asks nothing, or `auto`: what rules deny stays denied.
    #[value(alias = "auto")]
    Bypass,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Carrier {
    Pty,
    Pipe,
}

fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write it as NAME=VALUE".into()),
    }
}

fn header(text: &str) -> Result<(String, String), String> {
    match text.split_once(':') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.trim().to_owned())),
        _ => Err("write it as 'Name: value'".into()),
    }
}

/// Dollars as whole micro-dollars; a limit that lets nothing through, or everything, is a mistake.
fn microdollars(text: &str) -> Result<u64, String> {
    let dollars: f64 = text.parse().map_err(|_| "write it in dollars, like 2.50".to_owned())?;
    let micro = (dollars * 1e6).round();
    match micro.is_finite() && micro >= 1.0 {
        true => Ok(micro as u64),
        false => Err("it must be more than nothing; leave it out for no limit".to_owned()),
    }
}

impl Args {
    /// The data directory, absolute.
    pub fn data_dir(&self) -> Result<PathBuf, ApiError> {
        // Not clap's: it would take the variable for an argument that was given.
        let named = std::env::var_os("MUSHER_DATA_DIR").filter(|dir| !dir.is_empty());
        let dir = match self.data_dir.clone().or(named.map(PathBuf::from)) {
            Some(dir) => dir,
            None => dirs::data_dir().map(|dir| dir.join("musher")).ok_or_else(homeless)?,
        };
        std::path::absolute(&dir).map_err(|error| {
            let message = format!("The data directory {} is no path: {error}.", dir.display());
            ApiError::new(ErrorCode::BadRequest, message)
        })
    }
}

fn homeless() -> ApiError {
    ApiError::new(ErrorCode::NoPermission, "This user has no home folder to keep Musher's data in.")
        .with_hint("Name a folder with --data-dir.")
}
