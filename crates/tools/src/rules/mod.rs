//! Who may call what: the run's permission mode and the project's rules.
//!
//! A rule is one line: `allow` or `deny`, what it is about, and a pattern.
//!
//! ```text
//! allow run cargo test*     commands; `*` is any text within a word, at the end also any more words
//! allow run cat src/*       (but no more words, and no `..`, where the last word is a path)
//! deny  read .env           files by name, anywhere; a folder's name means all that is in it
//! allow edit src/**         files by path from the worktree's folder on
//! allow fetch docs.rs       pages of a host; `*.example.org` its hosts
//! deny  tool github__*      tools by name
//! ```
//!
//! One that denies files also denies commands whose words name them ([`named`]), to read or to change.
//! About all files (without a pattern, or `**`) no word tells: `deny edit` then denies the programs that
//! are known to change files, and with `deny read` those that print them are asked, whatever allows
//! them ([`acts`]); redirections are judged as ever.
//!
//! One that denies commands is about all that begin with its words, whatever options the program has
//! before them (`git -C x push`).
//!
//! Without a pattern it is about all of them. Lines that are empty or begin with `#` say nothing.
//!
//! What holds:
//! - `deny` wins over every `allow` and every mode.
//! - `plan` denies whatever is not reading. `bypass` allows all else, except that a command which cannot
//!   be taken apart is asked for where a rule denies commands or files: the rule could not be kept.
//! - A compound command is allowed when each of its parts is, each redirection judged as the reading
//!   or the edit that it is. A word that the shell makes names of (`src/*`) counts as all that it may
//!   become. What [`shell`] does not understand wholly no rule allows.
//! - Every verdict names the rule as it is written, or the mode.

mod acts;
mod always;
pub mod command;
mod hidden;
mod live;
mod named;
mod pattern;
mod refuse;
pub mod shell;

use std::{fmt, str::FromStr};

use globset::GlobMatcher;
use musher_protocol::PermissionMode;
use musher_runtime::Verdict;

use crate::paths::Relative;
pub use always::{always, answer, answer_edit};
pub use command::Script;
pub use live::LiveRules;
use named::Files;
pub use pattern::path_glob;
use pattern::{CommandPattern, HostPattern};

/// Why a command is not understood where files are denied.
const LOST: &str = "it changes to a folder that its words do not tell";

/// What leave is needed for.
#[derive(Clone, Debug, PartialEq)]
pub enum Demand {
    /// Nothing that anybody could mind.
    Nothing,
    Path(Access, Spot),
    Run(Script),
    /// A page: its host.
    Fetch(String),
    /// A tool whose doings are not known, by its name.
    Tool(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    Read,
    Edit,
}

/// A path as it is written, and where it leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spot {
    pub path: Relative,
    pub place: Relative,
}

/// Rules in the order in which they are written.
#[derive(Clone, Debug, Default)]
pub struct Rules(Vec<Rule>);

/// One rule. Shows as it was written.
#[derive(Clone, Debug)]
pub struct Rule {
    text: String,
    allow: bool,
    about: About,
    /// The words behind what it is about.
    pattern: String,
    /// It holds for every run of the project.
    of_project: bool,
}

#[derive(Clone, Debug)]
enum About {
    Path(Access, Option<GlobMatcher>),
    Run(CommandPattern),
    Fetch(HostPattern),
    Tool(Option<GlobMatcher>),
}

/// A line that is no rule.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{line}` is no rule: {why}; write {form}")]
pub struct RuleError {
    line: String,
    why: String,
    /// What would be one.
    form: String,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Rule {
    type Err = RuleError;

    fn from_str(line: &str) -> Result<Self, RuleError> {
        let refuse = |why: String| {
            let form = "for example `allow run cargo test*`".to_owned();
            RuleError { line: line.to_owned(), why, form }
        };
        let mut words = line.split_whitespace();
        let allow = match words.next() {
            Some("allow") => true,
            Some("deny") => false,
            _ => return Err(refuse("it begins with neither `allow` nor `deny`".into())),
        };
        let about = words.next().unwrap_or_default();
        let rest: Vec<&str> = words.collect();
        let pattern = rest.join(" ");
        if let Some((why, form)) = refuse::never_fits(allow, about, &rest) {
            return Err(RuleError { line: line.to_owned(), why: why.to_owned(), form });
        }
        let path = |access| -> Result<About, String> {
            let is_bare = pattern.is_empty() || !allow && is_all(&pattern);
            let glob = (!is_bare).then(|| pattern::rule_glob(&pattern, !allow));
            Ok(About::Path(access, glob.transpose()?))
        };
        let about = match about {
            "read" => path(Access::Read).map_err(refuse)?,
            "edit" => path(Access::Edit).map_err(refuse)?,
            "run" => About::Run(CommandPattern::new(&rest)),
            "fetch" => About::Fetch(HostPattern::new(&pattern)),
            "tool" => {
                let glob = (!pattern.is_empty()).then(|| pattern::name_glob(&pattern));
                About::Tool(glob.transpose().map_err(refuse)?)
            }
            _ => return Err(refuse("it is about none of read, edit, run, fetch and tool".into())),
        };
        let text = line.split_whitespace().collect::<Vec<_>>().join(" ");
        Ok(Self { text, allow, about, pattern, of_project: false })
    }
}

impl FromIterator<Rule> for Rules {
    fn from_iter<T: IntoIterator<Item = Rule>>(rules: T) -> Self {
        Self(rules.into_iter().collect())
    }
}

impl Rules {
    /// # Errors
    /// For the first line that is no rule: a rule that is left out in silence is worse than none.
    pub fn parse(text: &str) -> Result<Self, RuleError> {
        let lines = text.lines().map(str::trim);
        let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
        lines.map(str::parse).collect::<Result<_, _>>().map(Self)
    }

    /// These, said to be the project's, and `more`.
    #[must_use]
    pub fn of_project_and(mut self, more: Self) -> Self {
        self.0.iter_mut().for_each(|rule| rule.of_project = true);
        self.0.extend(more.0);
        self
    }

    pub fn iter(&self) -> impl Iterator<Item = &Rule> {
        self.0.iter()
    }

    /// Whether one allows pages of the network. Without one, no tool fetches any.
    pub fn open_pages(&self) -> bool {
        self.0.iter().any(|rule| rule.allow && matches!(rule.about, About::Fetch(_)))
    }

    /// The rule that closes a place, if any.
    pub fn denies(&self, access: Access, place: &Relative) -> Option<&Rule> {
        let hit = |rule: &&Rule| !rule.allow && rule.is_about_path(access, place);
        self.0.iter().find(hit)
    }

    fn allows(&self, access: Access, place: &Relative) -> Option<&Rule> {
        self.0.iter().find(|rule| rule.allow && rule.is_about_path(access, place))
    }

    /// Judges a call.
    pub fn judge(&self, demand: &Demand, mode: PermissionMode) -> Verdict {
        match demand {
            Demand::Nothing => allow("it changes nothing"),
            Demand::Path(access, spot) => self.judge_path(*access, spot, mode),
            Demand::Run(script) => self.judge_run(script, mode),
            Demand::Fetch(host) => self.judge_other(mode, |about| match about {
                About::Fetch(pattern) => pattern.fits(host),
                _ => false,
            }),
            Demand::Tool(name) => self.judge_other(mode, |about| match about {
                About::Tool(glob) => glob.as_ref().is_none_or(|glob| glob.is_match(name)),
                _ => false,
            }),
        }
    }

    fn judge_path(&self, access: Access, spot: &Spot, mode: PermissionMode) -> Verdict {
        let denied = self.denies(access, &spot.path).or_else(|| self.denies(access, &spot.place));
        if let Some(rule) = denied {
            return deny(rule);
        }
        if access == Access::Read {
            let rule = self.allows(access, &spot.place).map(Rule::reason);
            return allow(rule.unwrap_or_else(|| "reading in the worktree needs no leave".into()));
        }
        if let Some(verdict) = of_mode(mode) {
            return verdict;
        }
        match self.allows(access, &spot.place) {
            Some(rule) => allow(rule.reason()),
            None if mode == PermissionMode::AcceptEdits => allow("the mode is accept-edits"),
            None => ask("no rule allows this edit"),
        }
    }

    fn judge_other(&self, mode: PermissionMode, fits: impl Fn(&About) -> bool) -> Verdict {
        if let Some(rule) = self.0.iter().find(|rule| !rule.allow && fits(&rule.about)) {
            return deny(rule);
        }
        if let Some(verdict) = of_mode(mode) {
            return verdict;
        }
        match self.0.iter().find(|rule| rule.allow && fits(&rule.about)) {
            Some(rule) => allow(rule.reason()),
            None => ask("no rule allows it"),
        }
    }

    fn judge_run(&self, script: &Script, mode: PermissionMode) -> Verdict {
        if let Some(rule) = self.denies_run(script) {
            return deny(rule);
        }
        let denied = |about: fn(&Rule) -> bool| self.0.iter().any(|it| !it.allow && about(it));
        let denies_files = denied(Rule::is_about_files);
        let denies_some = denies_files || denied(Rule::is_about_commands);
        let lost = (denies_files && script.named().is_lost).then_some(LOST);
        let unclear = script.unclear().or(lost);
        let unread = || script.unread().map(runs_unread);
        if let (PermissionMode::Bypass, true, Some(why)) =
            (mode, denies_some, unclear.map(str::to_owned).or_else(unread))
        {
            return ask(format!("{why}, so that the rules that deny cannot be kept"));
        }
        if mode != PermissionMode::Plan
            && let Some(why) = self.prints_denied(script)
        {
            return ask(why);
        }
        if let Some(verdict) = of_mode(mode) {
            return verdict;
        }
        match unclear {
            Some(why) => ask(why),
            None => self.judge_parts(script, mode, denies_some),
        }
    }

    fn denies_run(&self, script: &Script) -> Option<&Rule> {
        let opened = script.opens().find_map(|(access, spot)| {
            self.denies(access, &spot.path).or_else(|| self.denies(access, &spot.place))
        });
        opened.or_else(|| {
            let hit = |rule: &&Rule| match &rule.about {
                About::Run(pattern) => !rule.allow && script.may_run(pattern),
                About::Path(..) => !rule.allow && rule.is_named_in(script),
                _ => false,
            };
            self.0.iter().find(hit)
        })
    }

    /// What prints files where a rule denies all of them. It may print what it was piped, so it is not
    /// denied.
    fn prints_denied(&self, script: &Script) -> Option<String> {
        let rule = self.0.iter().find(|rule| rule.denies_all(Access::Read))?;
        let program = &script.commands().find(|words| acts::prints_files(words))?[0];
        Some(format!(
            "`{}` prints files, and the rule is {}",
            crate::show::visible(program),
            rule.reason()
        ))
    }

    /// Every part needs a rule of its own, every redirection leave.
    fn judge_parts(&self, script: &Script, mode: PermissionMode, denies_some: bool) -> Verdict {
        let mut rules: Vec<String> = Vec::new();
        for (words, loose) in script.parts() {
            // What runs anything could break a rule that denies: only by its name is it allowed.
            let by_name = denies_some && hidden::runs_unread(words);
            let allows = |pattern: &CommandPattern| {
                pattern.allows(loose) && (!by_name || pattern.names_program())
            };
            let rule = self.0.iter().find(
                |rule| matches!(&rule.about, About::Run(pattern) if rule.allow && allows(pattern)),
            );
            match rule.map(Rule::reason) {
                Some(rule) if rules.contains(&rule) => {}
                Some(rule) => rules.push(rule),
                None if by_name => {
                    let why = runs_unread(&words[0]);
                    return ask(format!("{why}, and no rule allows it by name"));
                }
                None => {
                    let part = crate::show::visible(&words.join(" "));
                    return ask(format!("no rule allows `{part}`"));
                }
            }
        }
        for (access, spot) in script.opens() {
            match self.judge_path(access, spot, mode) {
                Verdict::Allow { reason } if access == Access::Edit => rules.push(reason),
                Verdict::Allow { .. } => {}
                other => return other,
            }
        }
        allow(rules.join(" and "))
    }
}

impl Rule {
    pub fn allows(&self) -> bool {
        self.allow
    }

    /// As a verdict names it.
    fn reason(&self) -> String {
        match self.of_project {
            true => format!("the project's rule `{}`", self.text),
            false => self.text.clone(),
        }
    }

    /// For whoever has rules of its own to make of it.
    pub fn told(&self) -> musher_runtime::Rule {
        let about = match self.about {
            About::Path(Access::Read, _) => musher_runtime::About::Read,
            About::Path(Access::Edit, _) => musher_runtime::About::Edit,
            About::Run(_) => musher_runtime::About::Run,
            About::Fetch(_) => musher_runtime::About::Fetch,
            About::Tool(_) => musher_runtime::About::Tool,
        };
        let (text, pattern) = (self.text.clone(), self.pattern.clone());
        musher_runtime::Rule { text, allow: self.allow, about, pattern }
    }

    /// For people, one sentence.
    pub fn sentence(&self) -> String {
        let named = |one: &str, all: &str| match self.pattern.as_str() {
            "" => all.to_owned(),
            pattern => format!("{one}`{pattern}`"),
        };
        let (what, may) = match self.about {
            About::Path(Access::Read, _) => (named("", "Any file"), "be read"),
            About::Path(Access::Edit, _) => (named("", "Any file"), "be changed"),
            About::Run(_) => (named("", "Any command"), "run"),
            About::Fetch(_) => (named("Pages of ", "Any page"), "be fetched"),
            About::Tool(_) => (named("The tool ", "Any tool of a server"), "be used"),
        };
        match self.allow {
            true => format!("{what} may {may} unasked."),
            false if self.pattern.is_empty() => {
                format!("{} may {may}.", what.replacen("Any", "No", 1))
            }
            // Whatever the words behind these, but for those that the rule itself leaves open.
            false if self.is_about_commands() => {
                format!("No command that begins with {what} may {may}.")
            }
            false => format!("{what} may never {may}."),
        }
    }

    /// Whether words of a command name what it is about, to read or to change. Every word could be a file:
    /// of all files, whether it is one that changes some.
    fn is_named_in(&self, script: &Script) -> bool {
        if self.denies_all(Access::Edit) {
            return script.commands().any(acts::changes_files);
        }
        let About::Path(access, Some(glob)) = &self.about else { return false };
        let closes = |place| self.is_about_path(*access, place);
        script.named().has(&Files { glob, text: &self.pattern })
            || script.named().spots().any(|it| closes(&it.path) || closes(&it.place))
    }

    fn is_about_path(&self, access: Access, place: &Relative) -> bool {
        match &self.about {
            About::Path(about, glob) if *about == access => {
                glob.as_ref().is_none_or(|glob| pattern::fits_place(glob, place))
            }
            _ => false,
        }
    }

    fn denies_all(&self, access: Access) -> bool {
        !self.allow && matches!(&self.about, About::Path(about, None) if *about == access)
    }

    /// Whether a command that cannot be read could break it; so it is for those about commands.
    fn is_about_files(&self) -> bool {
        matches!(self.about, About::Path(..))
    }

    fn is_about_commands(&self) -> bool {
        matches!(self.about, About::Run(_))
    }
}

/// Whether a pattern is another way to say all files.
fn is_all(pattern: &str) -> bool {
    let is_any = |name: &str| matches!(name, "" | "." | "*" | "**");
    pattern.split('/').all(is_any) && pattern.split('/').filter(|name| *name == "*").count() < 2
}

fn runs_unread(program: &str) -> String {
    format!("`{}` runs what cannot be read in its words", crate::show::visible(program))
}

/// What the mode alone says of a call that does more than read.
fn of_mode(mode: PermissionMode) -> Option<Verdict> {
    match mode {
        PermissionMode::Plan => Some(Verdict::Deny {
            reason: "the mode is plan, in which nothing is changed or run".to_owned(),
        }),
        PermissionMode::Bypass => Some(allow("the mode is bypass")),
        PermissionMode::Ask | PermissionMode::AcceptEdits => None,
    }
}

fn allow(reason: impl ToString) -> Verdict {
    Verdict::Allow { reason: reason.to_string() }
}

fn deny(rule: &Rule) -> Verdict {
    Verdict::Deny { reason: rule.reason() }
}

fn ask(reason: impl ToString) -> Verdict {
    Verdict::Ask { reason: reason.to_string() }
}
