//! The one place that describes a git process.
//!
//! Every call has: arguments and never a shell; an environment from scratch, in which no `GIT_*` of
//! the parent is left; a time limit; an output limit. Overrides travel in `GIT_CONFIG_COUNT` pairs and
//! not in `-c`, because `-c` cannot name a driver with `=` in its name. They outrank every file and
//! reach the processes that git starts itself.
//!
//! Before trust ([`Git::new`]) no attribute counts (`GIT_ATTR_SOURCE` is the empty tree, read by git
//! 2.41 and newer) and every driver that is configured under any name is switched off: attributes
//! still come from `$GIT_DIR/info/attributes`, and older git reads them all. The names come from
//! `git config --list`, which runs nothing, asked in the very folder that the call works in: an
//! `includeIf` can differ from folder to folder. `--local` would leave included files out.
//!
//! Kept as the machine's owner set them: system and global configuration. They are not the
//! repository's, and `safe.directory` and `core.excludesFile` belong there.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use musher_process::{Cmd, Input, ProcessError};

use crate::answer::{Answer, is_passing, why};
use crate::changes::Distances;
use crate::error::{Result, WorktreeError};
use crate::programs::{Setting, driver_overrides, parse_settings};
use crate::turn::jitter;

/// Most git calls answer within milliseconds; this is for a cold disk.
const USUAL_LIMIT: Duration = Duration::from_secs(60);
/// A checkout of a large tree.
pub(crate) const LONG_LIMIT: Duration = Duration::from_secs(900);
/// A `gc` or a `fetch` of the user holds a lock for moments, on a busy machine for seconds.
const PATIENCE: Duration = Duration::from_secs(8);
const OUTPUT_LIMIT: usize = 64 << 20;

/// The empty tree, by the repository's hash function (git's `hash.c`, `empty_tree_oid`).
const EMPTY_TREE_SHA1: &str = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";
const EMPTY_TREE_SHA256: &str = "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321";

/// What is off in every call, trusted or not.
const ALWAYS: &[(&str, &str)] = &[
    ("core.hooksPath", "/dev/null"),
    ("core.fsmonitor", "false"),
    ("core.pager", "cat"),
    ("core.editor", "false"),
    ("sequence.editor", "false"),
    ("core.askPass", ""),
    ("core.sshCommand", "false"),
    ("core.gitProxy", ""),
    ("core.alternateRefsCommand", "false"),
    ("credential.helper", ""),
    ("gpg.program", "false"),
    ("gpg.ssh.program", "false"),
    ("gpg.x509.program", "false"),
    ("gpg.ssh.defaultKeyCommand", ""),
    ("commit.gpgSign", "false"),
    ("log.showSignature", "false"),
    ("diff.external", ""),
    ("diff.submodule", "short"),
    ("diff.relative", "false"),
    ("diff.suppressBlankEmpty", "false"),
    ("diff.orderFile", "/dev/null"),
    ("diff.interHunkContext", "0"),
    ("interactive.diffFilter", ""),
    ("submodule.recurse", "false"),
    ("safe.bareRepository", "explicit"),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    ("color.ui", "false"),
    ("advice.detachedHead", "false"),
];

/// The environment of every call, besides `PATH` and `HOME`.
const SURROUNDINGS: &[(&str, &str)] = &[
    ("LC_ALL", "C.UTF-8"),
    ("GIT_OPTIONAL_LOCKS", "0"),
    ("GIT_TERMINAL_PROMPT", "0"),
    ("GIT_PAGER", "cat"),
    ("GIT_EDITOR", "false"),
    ("GIT_SEQUENCE_EDITOR", "false"),
    ("GIT_ASKPASS", ""),
    ("SSH_ASKPASS", ""),
    ("GIT_SSH_COMMAND", "false"),
    ("GIT_LITERAL_PATHSPECS", "1"),
    ("GIT_ADVICE", "0"),
];

/// git as Musher calls it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Git {
    path: String,
    home: PathBuf,
    trusted: bool,
    distances: Distances,
}

/// Where a call works.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place<'a> {
    /// A checkout, or a bare repository: told apart by looking at it.
    At(&'a Path),
    /// As `At`, with an index of our own instead of the checkout's.
    WithIndex(&'a Path, &'a Path),
}

impl<'a> Place<'a> {
    pub(crate) fn dir(self) -> &'a Path {
        match self {
            Place::At(dir) | Place::WithIndex(dir, _) => dir,
        }
    }
}

impl<'a> From<&'a Path> for Place<'a> {
    fn from(dir: &'a Path) -> Self {
        Place::At(dir)
    }
}

impl<'a> From<&'a PathBuf> for Place<'a> {
    fn from(dir: &'a PathBuf) -> Self {
        Place::At(dir)
    }
}

/// One call, not yet made.
pub(crate) struct Call<'a> {
    git: &'a Git,
    place: Place<'a>,
    args: Vec<OsString>,
    env: Vec<(&'static str, String)>,
    overrides: Vec<(String, String)>,
    input: Vec<u8>,
    limit: Duration,
    raw_bytes: bool,
    looks_at_files: bool,
    may_fetch: bool,
    /// How long another git may be in its way.
    patience: Duration,
}

/// What must be off in one folder: asked once for several calls.
pub(crate) struct Prepared {
    overrides: Vec<(String, String)>,
    pub(crate) empty_tree: &'static str,
}

impl Prepared {
    fn of(settings: &[Setting]) -> Self {
        let mut overrides = driver_overrides(settings);
        overrides.push(("core.attributesFile".into(), "/dev/null".into()));
        Self { overrides, empty_tree: empty_tree(settings) }
    }
}

impl Git {
    /// Finds `git` on `path` (a `PATH`), and nothing of the repository runs.
    pub fn new(path: &str) -> Self {
        let home = std::env::var_os("HOME").map_or_else(|| PathBuf::from("/"), PathBuf::from);
        Self { path: path.to_owned(), home, trusted: false, distances: Distances::default() }
    }

    /// The same with another home folder: where `~` and the user's own git settings are.
    pub fn at_home(mut self, home: &Path) -> Self {
        self.home = home.to_owned();
        self
    }

    /// The same for a project that its user trusts: its filters run (git-lfs), attributes count.
    /// Hooks, fsmonitor and external diffs stay off.
    pub fn trusting(&self, trusted: bool) -> Self {
        Self { trusted, ..self.clone() }
    }

    /// Like `2.47.3`.
    pub async fn version(&self) -> Result<String> {
        let line = self.ask(Path::new("/"), &["version"]).run_bare().await?.line();
        Ok(line.trim_start_matches("git version ").to_owned())
    }

    pub(crate) fn home(&self) -> &Path {
        &self.home
    }

    pub(crate) fn distances(&self) -> &Distances {
        &self.distances
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    pub(crate) fn is_trusting(&self) -> bool {
        self.trusted
    }

    pub(crate) fn call<'a>(&'a self, place: impl Into<Place<'a>>, args: &[&str]) -> Call<'a> {
        Call {
            git: self,
            place: place.into(),
            args: args.iter().map(OsString::from).collect(),
            env: Vec::new(),
            overrides: Vec::new(),
            input: Vec::new(),
            limit: USUAL_LIMIT,
            raw_bytes: false,
            looks_at_files: true,
            may_fetch: false,
            patience: PATIENCE,
        }
    }

    /// A call that only reads refs, commits or settings: no attribute is looked at, so there is no
    /// driver to switch off.
    pub(crate) fn ask<'a>(&'a self, place: impl Into<Place<'a>>, args: &[&str]) -> Call<'a> {
        Call { looks_at_files: false, ..self.call(place, args) }
    }

    /// Every setting that counts in `place`, in the order in which git reads them.
    pub(crate) async fn settings(&self, place: Place<'_>) -> Result<Vec<Setting>> {
        let args = ["config", "--list", "-z", "--show-scope"];
        let answer = self.ask(place, &args).run_bare().await?;
        match answer.code {
            0 => Ok(parse_settings(&answer.text())),
            _ => Err(why(&answer, place.dir(), "config --list")),
        }
    }

    pub(crate) async fn prepare(&self, place: impl Into<Place<'_>>) -> Result<Prepared> {
        Ok(Prepared::of(&self.settings(place.into()).await?))
    }

    fn environment(&self, call: &Call<'_>) -> BTreeMap<String, String> {
        let mut env = BTreeMap::new();
        let mut set = |name: &str, value: &str| drop(env.insert(name.to_owned(), value.to_owned()));
        set("PATH", &self.path);
        set("HOME", &self.home.to_string_lossy());
        SURROUNDINGS.iter().for_each(|(name, value)| set(name, value));
        for name in ["TMPDIR", "XDG_CONFIG_HOME", "SYSTEMROOT", "USERPROFILE"] {
            if let Ok(value) = std::env::var(name) {
                set(name, &value);
            }
        }
        if !self.trusted {
            set("GIT_ATTR_NOSYSTEM", "1");
        }
        if self.trusted && call.may_fetch {
            set("GIT_ALLOW_PROTOCOL", "https:ssh:http:git:file");
        } else {
            // A promised object that is missing would be fetched by a program of the repository's
            // choosing, and from a server that may not answer. The list of allowed protocols outranks
            // every `protocol.<name>.allow`.
            set("GIT_NO_LAZY_FETCH", "1");
            set("GIT_ALLOW_PROTOCOL", "none");
        }
        if let Place::WithIndex(_, index) = call.place {
            set("GIT_INDEX_FILE", &index.to_string_lossy());
        }
        for (name, value) in &call.env {
            set(name, value);
        }
        env
    }
}

impl Call<'_> {
    pub(crate) fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    pub(crate) fn args<T: Into<OsString>>(mut self, args: impl IntoIterator<Item = T>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    pub(crate) fn env(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.env.push((name, value.into()));
        self
    }

    /// What git reads from its standard input; nothing otherwise.
    pub(crate) fn input(mut self, bytes: Vec<u8>) -> Self {
        self.input = bytes;
        self
    }

    pub(crate) fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Bytes go between files and objects as they are, whoever is trusted: no filter, no attribute, no
    /// change of line ends.
    pub(crate) fn raw_bytes(mut self) -> Self {
        self.raw_bytes = true;
        self
    }

    /// Another git that is in its way is for the caller to wait for: what was half made must be undone.
    pub(crate) fn impatient(mut self) -> Self {
        self.patience = Duration::ZERO;
        self
    }

    /// In a trusted partial clone, files that are missing may be fetched; a server that falls silent is
    /// given up.
    pub(crate) fn may_fetch(mut self) -> Self {
        self.may_fetch = true;
        self.set("http.lowSpeedLimit", "100").set("http.lowSpeedTime", "30")
    }

    /// A setting for this call alone.
    pub(crate) fn set(mut self, key: &str, value: &str) -> Self {
        self.overrides.push((key.into(), value.into()));
        self
    }

    /// Two files whose names differ in case only are two files. A setting can deny that, and then git
    /// overlooks one of them. Other systems than Linux have file systems where it is true.
    pub(crate) fn exact_names(self) -> Self {
        if cfg!(target_os = "linux") { self.set("core.ignoreCase", "false") } else { self }
    }

    /// In a worktree that is not where its record says.
    pub(crate) fn with_git_dir(self, git_dir: &str) -> Self {
        let dir = self.place.dir().to_string_lossy().into_owned();
        self.env("GIT_DIR", git_dir).env("GIT_WORK_TREE", dir)
    }

    /// Switches off what `ready` found, instead of asking again.
    pub(crate) fn prepared(mut self, ready: &Prepared) -> Self {
        if self.raw_bytes || !self.git.trusted {
            self.overrides.extend(ready.overrides.iter().cloned());
            self.env.push(("GIT_ATTR_SOURCE", ready.empty_tree.to_owned()));
        }
        self.looks_at_files = false;
        self
    }

    /// Runs it; an exit code is for the caller to judge.
    pub(crate) async fn answer(mut self) -> Result<Answer> {
        if self.looks_at_files && (self.raw_bytes || !self.git.trusted) {
            let ready = self.git.prepare(self.place).await?;
            self = self.prepared(&ready);
        }
        if self.raw_bytes {
            self.overrides.push(("core.autocrlf".into(), "false".into()));
            self.overrides.push(("core.safecrlf".into(), "false".into()));
        }
        self.run_bare().await
    }

    /// Runs it; anything but exit code 0 is an error.
    pub(crate) async fn done(self) -> Result<Answer> {
        let (dir, what) = (self.place.dir().to_owned(), self.what());
        let answer = self.answer().await?;
        if answer.code == 0 { Ok(answer) } else { Err(why(&answer, &dir, &what)) }
    }

    /// The git command, for messages.
    fn what(&self) -> String {
        let words = self.args.iter().take(2).map(|arg| arg.to_string_lossy());
        words.collect::<Vec<_>>().join(" ")
    }

    /// Again while another git is in its way: other programs know nothing of our turn.
    async fn run_bare(self) -> Result<Answer> {
        let deadline = Instant::now() + self.patience;
        let mut pause = 60;
        loop {
            let answer = self.run_once().await?;
            if answer.code == 0 || !is_passing(&answer.stderr) || Instant::now() >= deadline {
                return Ok(answer);
            }
            jitter(pause).await;
            pause = (2 * pause).min(500);
        }
    }

    async fn run_once(&self) -> Result<Answer> {
        let mut env = self.git.environment(self);
        let always = ALWAYS.iter().map(|(k, v)| (k.to_string(), v.to_string()));
        let pairs: Vec<_> = always.chain(self.overrides.iter().cloned()).collect();
        env.insert("GIT_CONFIG_COUNT".into(), pairs.len().to_string());
        for (at, (key, value)) in pairs.into_iter().enumerate() {
            env.insert(format!("GIT_CONFIG_KEY_{at}"), key);
            env.insert(format!("GIT_CONFIG_VALUE_{at}"), value);
        }
        let what = self.what();
        let mut args = location(self.place.dir());
        args.extend(self.args.iter().cloned());
        let (input, limit) = (self.input.clone(), self.limit);
        exec(Exec { path: &self.git.path, args, env, input, limit, what }).await
    }
}

fn empty_tree(settings: &[Setting]) -> &'static str {
    let format = settings.iter().rev().find(|s| s.key == "extensions.objectformat");
    if format.is_some_and(|s| s.value == "sha256") { EMPTY_TREE_SHA256 } else { EMPTY_TREE_SHA1 }
}

/// `safe.bareRepository=explicit` keeps git from working in a bare repository that somebody hid in a
/// checkout; one that we mean to use must be named.
fn location(dir: &Path) -> Vec<OsString> {
    let bare = is_bare(dir);
    let dir = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
    vec![if bare { "--git-dir".into() } else { "-C".into() }, dir.into(), "--no-pager".into()]
}

/// Whether git would take the folder itself for a repository (git's `is_git_directory`).
pub(crate) fn is_bare(dir: &Path) -> bool {
    !dir.join(".git").exists()
        && dir.join("HEAD").is_file()
        && dir.join("objects").is_dir()
        && dir.join("refs").is_dir()
}

/// A call with all that is said to git, for the door out.
struct Exec<'a> {
    path: &'a str,
    args: Vec<OsString>,
    env: BTreeMap<String, String>,
    input: Vec<u8>,
    limit: Duration,
    what: String,
}

async fn exec(call: Exec<'_>) -> Result<Answer> {
    let program =
        musher_process::find_program("git", call.path).ok_or(WorktreeError::GitMissing)?;
    let mut cmd = Cmd::new(program, "/").args(call.args);
    cmd.env = call.env;
    if !call.input.is_empty() {
        cmd.input = Input::Bytes(call.input);
    }
    cmd.timeout = call.limit;
    cmd.output_limit = OUTPUT_LIMIT;
    let finished = musher_process::run(cmd).await.map_err(|error| match error {
        ProcessError::TimedOut { after, .. } => {
            WorktreeError::TimedOut { what: call.what.clone(), seconds: after.as_secs() }
        }
        other => WorktreeError::Failed { what: call.what.clone(), said: other.to_string() },
    })?;
    Ok(Answer {
        code: finished.code.unwrap_or(-1),
        stderr: String::from_utf8_lossy(&finished.stderr).into_owned(),
        stdout: finished.stdout,
        cut: finished.truncated,
    })
}
