//! A command line as the rules see it: the commands in it, the files that the shell opens for them,
//! or why that cannot be told.

use super::{
    Access, Spot,
    hidden::{past_options, runs_unread},
    named::{Named, Names},
    pattern::CommandPattern,
    shell::{self, Redirect, Simple},
};

/// Programs that run what their arguments, their input or a file tells them to: what then runs is not
/// judged by their own name.
const CARRIERS: &[&str] = &[
    "ash",
    "at",
    "bash",
    "batch",
    "busybox",
    "bwrap",
    "catchsegv",
    "choom",
    "chroot",
    "chrt",
    "csh",
    "dash",
    "doas",
    "entr",
    "env",
    "expect",
    "fakeroot",
    "faketime",
    "firejail",
    "fish",
    "flock",
    "gosu",
    "i386",
    "ionice",
    "ksh",
    "linux32",
    "linux64",
    "ltrace",
    "mksh",
    "nice",
    "nohup",
    "nsenter",
    "numactl",
    "openvt",
    "parallel",
    "pkexec",
    "prlimit",
    "proot",
    "rbash",
    "run-parts",
    "runcon",
    "runuser",
    "screen",
    "script",
    "setarch",
    "setpriv",
    "setsid",
    "sg",
    "sh",
    "ssh",
    "start-stop-daemon",
    "stdbuf",
    "strace",
    "su",
    "sudo",
    "systemd-run",
    "taskset",
    "tcsh",
    "time",
    "timeout",
    "tmux",
    "toybox",
    "uclampset",
    "unbuffer",
    "unshare",
    "valgrind",
    "watch",
    "x86_64",
    "xargs",
    "xonsh",
    "xvfb-run",
    "yash",
    "zsh",
];

/// The shell's own that run something, or change what the words behind them mean.
const CHANGERS: &[&str] = &[
    ".",
    "alias",
    "bind",
    "builtin",
    "command",
    "compgen",
    "complete",
    "declare",
    "enable",
    "eval",
    "exec",
    "export",
    "fc",
    "getopts",
    "hash",
    "jobs",
    "let",
    "local",
    "mapfile",
    "read",
    "readarray",
    "readonly",
    "set",
    "shopt",
    "source",
    "trap",
    "typeset",
    "unalias",
    "unset",
];

/// After these a relative path names another file.
const MOVERS: &[&str] = &["cd", "chdir", "popd", "pushd"];

const MOST_BYTES: usize = 32 << 10;
/// How deep commands within commands are looked for when something is denied.
const DEEPEST: usize = 8;

/// A command line, looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    text: String,
    commands: Vec<Simple>,
    opens: Vec<(Access, Spot)>,
    named: Named,
    unclear: Option<String>,
}

impl Script {
    /// `spot` finds a file that the shell would open.
    pub fn look(text: &str, spot: impl Fn(&str) -> Result<Spot, String>) -> Self {
        let mut script = Self {
            text: text.to_owned(),
            commands: vec![],
            opens: vec![],
            named: Named::default(),
            unclear: None,
        };
        if text.len() > MOST_BYTES {
            script.unclear = Some("it is too long to be judged".to_owned());
            return script;
        }
        let mut names = Names::new(&spot);
        match shell::split(text) {
            Ok(commands) => script.take(commands, &spot, &mut names),
            Err(why) => script.unclear = Some(why.to_owned()),
        }
        if script.unclear.is_some() || script.unread().is_some() {
            names.text(pieces(&plainer(text)));
        }
        script.named = names.finish();
        script
    }

    fn take<F: Fn(&str) -> Result<Spot, String>>(
        &mut self,
        commands: Vec<Simple>,
        spot: &F,
        names: &mut Names<'_, F>,
    ) {
        let mut moved = false;
        for command in commands {
            for redirect in &command.redirects {
                self.open(redirect, moved, spot);
            }
            names.command(&command);
            let program = command.words.first().map_or("", String::as_str);
            let name = program.rsplit('/').next().unwrap_or_default();
            if MOVERS.contains(&name) {
                moved = true;
                names.moves(&command.words, &command.loose);
            }
            if is_carrier(name) || name == "find" && command.words.iter().any(|word| runs(word)) {
                self.doubt(format!("`{name}` runs other commands"));
            } else if CHANGERS.contains(&name) || names_variable(name, &command.words) {
                self.doubt(format!("`{name}` changes what the shell does"));
            }
            self.commands.push(command);
        }
    }

    fn open(
        &mut self,
        redirect: &Redirect,
        moved: bool,
        spot: &impl Fn(&str) -> Result<Spot, String>,
    ) {
        if redirect.target == "/dev/null" {
            return;
        }
        let access = if redirect.writes { Access::Edit } else { Access::Read };
        match spot(&redirect.target) {
            Ok(spot) => {
                if moved {
                    self.doubt("it opens a file after changing the folder".to_owned());
                }
                self.opens.push((access, spot));
            }
            Err(why) => self.doubt(format!("a file that it opens cannot be judged: {why}")),
        }
    }

    fn doubt(&mut self, why: String) {
        self.unclear.get_or_insert(why);
    }

    /// What runs.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Why it cannot be judged by its parts.
    pub fn unclear(&self) -> Option<&str> {
        self.unclear.as_deref()
    }

    pub fn commands(&self) -> impl Iterator<Item = &[String]> {
        self.commands.iter().map(|command| command.words.as_slice())
    }

    /// Each command: as it is written, and its loose words.
    pub fn parts(&self) -> impl Iterator<Item = (&[String], &[String])> {
        self.commands.iter().map(|command| (command.words.as_slice(), command.loose.as_slice()))
    }

    /// The first program in it that runs what no rule can read.
    pub fn unread(&self) -> Option<&str> {
        self.commands().find(|words| runs_unread(words))?.first().map(String::as_str)
    }

    pub fn opens(&self) -> impl Iterator<Item = (Access, &Spot)> {
        self.opens.iter().map(|(access, spot)| (*access, spot))
    }

    /// The files that its words name.
    pub fn named(&self) -> &Named {
        &self.named
    }

    /// Whether it runs what a denying rule is about. Where it is not understood, whether it looks so.
    pub fn may_run(&self, pattern: &CommandPattern) -> bool {
        if self.commands.iter().any(|command| denies(pattern, &command.loose)) {
            return true;
        }
        (self.unclear.is_some() || self.unread().is_some())
            && (self.commands.iter().any(|command| carries(pattern, &command.loose, DEEPEST))
                || looks_like(&self.text, pattern))
    }
}

/// Options before what the program is to do make no difference.
fn denies(pattern: &CommandPattern, words: &[String]) -> bool {
    pattern.denies(words) || past_options(words).is_some_and(|words| pattern.denies(&words))
}

/// What makes `find` run something.
fn runs(word: &str) -> bool {
    word.starts_with("-exec") || word.starts_with("-ok")
}

/// What makes some shells set a variable, or evaluate its name.
fn names_variable(name: &str, words: &[String]) -> bool {
    let sign = match name {
        "printf" | "test" => "-v",
        "wait" => "-p",
        _ => return false,
    };
    words.iter().any(|word| word.starts_with(sign))
}

/// Versions are part of some names (`bash5`, `zsh-5.9`).
fn is_carrier(name: &str) -> bool {
    let plain = name.trim_end_matches(|char: char| char.is_ascii_digit() || "-.".contains(char));
    // The loader runs the program that it is given.
    let is_loader = ["ld-linux", "ld-musl", "ld.so"].iter().any(|start| name.starts_with(start));
    is_loader || CARRIERS.contains(&name) || CARRIERS.contains(&plain)
}

/// Whether a command that runs others runs such a one: one that begins at any of its words, or that is
/// written in one of them.
fn carries(pattern: &CommandPattern, words: &[String], depth: usize) -> bool {
    (0..words.len()).any(|at| denies(pattern, &words[at..]))
        || words.iter().any(|word| {
            depth > 0 && word.contains(char::is_whitespace) && {
                match shell::split(word) {
                    Ok(inner) => {
                        inner.iter().any(|inner| carries(pattern, &inner.loose, depth - 1))
                    }
                    Err(_) => looks_like(word, pattern),
                }
            }
        })
}

/// Whether words like the pattern's stand anywhere in a text, whatever is around them.
fn looks_like(text: &str, pattern: &CommandPattern) -> bool {
    let words: Vec<String> = pieces(text).map(str::to_owned).collect();
    (0..words.len()).any(|at| denies(pattern, &words[at..]))
}

/// Without the `?` of `$?`, which is a number, and with that of `?(`, which to some shells is any text, as
/// a `*`.
fn plainer(text: &str) -> String {
    let text = text.replace("?(", "*(");
    let is_escaped = text.contains("\\$?");
    if is_escaped { text } else { text.replace("$?", "0") }
}

/// What may be words of a text that is not understood.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let borders = |char: char| char.is_whitespace() || "\"'`$(){};|&<>\\=!".contains(char);
    text.split(borders).filter(|word| !word.is_empty())
}
