//! No path gets out of the worktree or into git's folder, by either way of resolving.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::{fs, io::Read, os::unix::net::UnixListener, path::Path};

use common::{CANARY, Place, done, intent};
use musher_tools::paths::{PathError, Relative, Root, Way};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::json;

const WAYS: [Way; 2] = [Way::Kernel, Way::Steps];

/// Traps of all kinds within the worktree.
fn trapped() -> Place {
    let place = Place::new();
    let outside = place.outside().display().to_string();
    for (target, path) in [
        ("../outside", "out"),
        ("../outside/canary.txt", "canary"),
        (outside.as_str(), "absolute"),
        ("/etc/passwd", "passwd"),
        ("/proc/self/root", "proc-root"),
        ("/proc/self/cwd", "proc-cwd"),
        ("/dev/zero", "zero"),
        ("src/../../outside", "in-and-out"),
        ("src/deep/er/../../../../outside/canary.txt", "far-out"),
        (".git", "repository"),
        (".git/config", "repository-config"),
        ("repository", "repository-twice"),
        ("src/../.git", "repository-around"),
        ("circle-b", "circle-a"),
        ("circle-a", "circle-b"),
        ("nowhere", "dangling"),
        ("../outside/new.txt", "dangling-out"),
        ("out", "out-twice"),
        ("..", "up"),
        ("../work", "back"),
        ("src", "inner"),
        ("src/main.rs", "inner-file"),
        ("deep/../main.rs", "src/inner-file"),
    ] {
        place.link(target, path);
    }
    place.link("../../outside", "src/out");
    place.put("vendor/.git/config", CANARY);
    place.put("sub/.git", &format!("gitdir: {CANARY}\n"));
    mknodat(CWD, place.path("fifo"), FileType::Fifo, Mode::from_raw_mode(0o644), 0).unwrap();
    // The listener may go: the file of the socket stays.
    drop(UnixListener::bind(place.path("socket")).unwrap());
    place
}

/// Paths that no tool may reach, by their text alone or by where they lead.
#[rustfmt::skip]
const BAD: &[&str] = &[
    "", "..", "../", "../outside", "../outside/canary.txt", "./../outside/canary.txt",
    "src/../../outside/canary.txt", "src/..", "src/../README.md", "a/b/../../..", "/", "//",
    "/etc/passwd", "//etc/passwd", "/proc/self/environ", "/proc/1/root/etc/passwd",
    "/proc/self/fd/0", "/dev/zero", "/dev/stdin", "/dev/null", "/sys/kernel", "~",
    "~/.ssh/id_rsa", "~root/.profile", "~/", "src\0/main.rs", "README.md\0.txt", "src/main.rs\n",
    "src\r", "a\tb", "\u{1b}[2J", "..\\outside\\canary.txt", "src\\main.rs", "C:\\Windows",
    ".git", ".git/", ".git/config", ".git/hooks/pre-commit", "./.git/config",
    "src/../.git/config", ".GIT/config", ".Git/config", ".gIt", ".git /config", ".git./config",
    ".git../config", ".git . ./config", "git~1", "GIT~1/config", "git~2/config",
    ".git::$INDEX_ALLOCATION/config", ".git:config", ".g\u{200c}it/config", ".gi\u{200d}t/config",
    "\u{feff}.git/config", ".git\u{202e}/config", ".g\u{206b}it/config", ".gi\u{ad}t/config",
    "．ｇｉｔ/config", ".gİt/config", ".gıt/config", "vendor/.git/config", "vendor/.GIT/config",
    "sub/.git", "src/.git/x", "new/.git/config", "out", "out/canary.txt", "canary",
    "absolute/canary.txt", "passwd", "proc-root/etc/passwd", "proc-cwd/Cargo.toml", "zero",
    "in-and-out/canary.txt", "far-out", "repository", "repository/config", "repository-config",
    "repository-twice/config", "repository-around/hooks/pre-commit", "circle-a", "circle-a/x",
    "dangling", "dangling-out", "out-twice/canary.txt", "up/outside/canary.txt", "back/README.md",
    "src/out/canary.txt", "inner/out/canary.txt", "inner/../../outside/canary.txt", "fifo",
    "socket", "fifo/x", "src/main.rs/x",
];

/// These, and those that need the place's own name.
fn bad_paths(place: &Place) -> Vec<String> {
    let mut paths: Vec<String> = BAD.iter().map(|path| (*path).to_owned()).collect();
    let root = place.root().display().to_string();
    paths.extend(["x".repeat(256), "a/".repeat(2100), format!("{root}/../outside/canary.txt")]);
    paths.extend([format!("{root}x/canary.txt"), format!("{root}/.git/config")]);
    paths.push(place.outside().join("canary.txt").display().to_string());
    paths
}

/// All that can be had of a path without a host.
fn reached(root: &Root, text: &str) -> Result<String, PathError> {
    let path = root.relative(text)?;
    let mut found = String::new();
    match root.open_file(&path) {
        Ok(mut opened) => drop((&mut opened.file).take(1 << 20).read_to_string(&mut found)),
        Err(error) => {
            let folder = root.open_folder(&path).map_err(|_| error)?;
            for entry in rustix::fs::Dir::read_from(&folder.fd).unwrap().flatten() {
                found.push_str(&entry.file_name().to_string_lossy());
            }
        }
    }
    Ok(found)
}

#[test]
fn bad_paths_are_refused_in_words() {
    let place = trapped();
    let paths = bad_paths(&place);
    assert!(paths.len() >= 90, "{}", paths.len());
    for way in WAYS {
        let root = Root::open(&place.root()).unwrap().by(way);
        for path in &paths {
            let error = match reached(&root, path) {
                Err(error) => error.to_string(),
                Ok(found) => panic!("{way:?} {path:?}: {found}"),
            };
            assert!(error.ends_with('.') && !error.contains('\n'), "{path:?}: {error}");
            let Ok(path) = root.relative(path) else { continue };
            let written = root
                .target(&path, 1 << 20, true)
                .and_then(|target| root.write(&target, b"changed"));
            assert!(written.is_err(), "{way:?} {path} was written");
        }
    }
    place.assert_whole();
}

#[tokio::test]
async fn no_tool_takes_a_bad_path() {
    let place = trapped();
    let host = place.host();
    for path in bad_paths(&place) {
        for (tool, input) in [
            ("read_file", json!({"path": path})),
            ("list_files", json!({"folder": path})),
            ("search", json!({"pattern": "canary|.", "path": path})),
            ("edit_file", json!({"path": path, "new": "changed"})),
            ("edit_file", json!({"path": path, "old": "canary", "new": "changed"})),
        ] {
            let outcome = done(&host, tool, input).await;
            assert!(outcome.is_error && !outcome.text.contains(CANARY), "{tool} {path:?}");
        }
    }
    place.assert_whole();
}

#[tokio::test]
async fn links_that_stay_inside_are_followed() {
    let place = trapped();
    for way in WAYS {
        let root = Root::open(&place.root()).unwrap().by(way);
        for (text, at) in [
            ("inner/main.rs", "src/main.rs"),
            ("inner-file", "src/main.rs"),
            ("src/inner-file", "src/main.rs"),
            ("inner/inner-file", "src/main.rs"),
            ("./src//deep/er/lib.rs", "src/deep/er/lib.rs"),
        ] {
            let path = root.relative(text).unwrap();
            assert_eq!(root.open_file(&path).unwrap().place.as_str(), at, "{way:?} {text}");
            assert_eq!(root.place(&path).unwrap().as_str(), at, "{way:?} {text}");
        }
        let path = root.relative(place.path("inner/new.rs").to_str().unwrap()).unwrap();
        assert_eq!(root.place(&path).unwrap().as_str(), "src/new.rs");
        let file = root.relative("inner-file").unwrap();
        let target = root.target(&file, 1 << 20, false).unwrap();
        root.write(&target, format!("{way:?}").as_bytes()).unwrap();
        assert_eq!(place.text("src/main.rs"), format!("{way:?}"));
        assert!(place.path("inner-file").is_symlink(), "the link is a link still");
    }
}

#[test]
fn a_write_keeps_the_mode_and_leaves_other_names_alone() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    for way in WAYS {
        let root = Root::open(&place.root()).unwrap().by(way);
        let main = place.path("src/main.rs");
        fs::set_permissions(&main, fs::Permissions::from_mode(0o750)).unwrap();
        let hard = place.outside().join("hard");
        fs::hard_link(&main, &hard).unwrap();
        let before = fs::read_to_string(&hard).unwrap();
        let path = root.relative("src/main.rs").unwrap();
        let target = root.target(&path, 1 << 20, false).unwrap();
        root.write(&target, b"new").unwrap();
        assert_eq!(fs::metadata(&main).unwrap().permissions().mode() & 0o7777, 0o750);
        assert_eq!(fs::read_to_string(&hard).unwrap(), before, "another name of the old file");
        fs::remove_file(hard).unwrap();
        fs::set_permissions(&main, fs::Permissions::from_mode(0o444)).unwrap();
        assert!(matches!(root.target(&path, 1 << 20, false), Err(PathError::ReadOnly(_))));
        fs::set_permissions(&main, fs::Permissions::from_mode(0o644)).unwrap();
    }
    let names: Vec<_> = fs::read_dir(place.path("src")).unwrap().collect();
    assert_eq!(names.len(), 2, "no temporary file stays");
}

#[test]
fn what_changes_between_look_and_write_is_left() {
    let place = Place::new();
    for way in WAYS {
        let root = Root::open(&place.root()).unwrap().by(way);
        let path = root.relative("src/main.rs").unwrap();
        let target = root.target(&path, 1 << 20, false).unwrap();
        place.put("src/main.rs", "somebody else's words, of another length");
        assert!(matches!(root.write(&target, b"mine"), Err(PathError::Changing(_))));
        let target = root.target(&path, 1 << 20, false).unwrap();
        fs::rename(place.path("src"), place.outside().join("src")).unwrap();
        assert!(matches!(root.write(&target, b"mine"), Err(PathError::Changing(_))));
        fs::rename(place.outside().join("src"), place.path("src")).unwrap();
        let fresh = root.relative("src/fresh").unwrap();
        let target = root.target(&fresh, 1 << 20, false).unwrap();
        place.put("src/fresh", "was first");
        assert!(matches!(root.write(&target, b"mine"), Err(PathError::Changing(_))));
        assert_eq!(place.text("src/fresh"), "was first");
        fs::remove_file(place.path("src/fresh")).unwrap();
    }
}

/// A small generator of numbers, so that a failure can be repeated (splitmix64, public domain).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % below as u64).unwrap()
    }
}

const PIECES: &[&str] = &[
    "..",
    ".",
    "",
    "/",
    "//",
    "src",
    "deep",
    "er",
    "lib.rs",
    "main.rs",
    "README.md",
    "out",
    "canary",
    "canary.txt",
    "absolute",
    "passwd",
    "proc-root",
    "proc-cwd",
    "proc",
    "self",
    "root",
    "etc",
    "dev",
    "zero",
    "in-and-out",
    "far-out",
    "repository",
    "repository-config",
    "config",
    "hooks",
    ".git",
    ".GIT",
    ".gi\u{200c}t",
    ".git ",
    "git~1",
    ".git:x",
    "．ｇｉｔ",
    "~",
    "~root",
    "circle-a",
    "dangling",
    "dangling-out",
    "up",
    "back",
    "inner",
    "inner-file",
    "fifo",
    "socket",
    "outside",
    "work",
    "\0",
    "\\",
    "..\\",
    "\u{202e}",
    "\n",
    "%2e%2e",
    "..;",
    "...",
    ". .",
    "new",
    "vendor",
    "sub",
    "C:",
    "CON",
];

fn generated(numbers: &mut Numbers, place: &Place) -> String {
    let mut path = match numbers.next(8) {
        0 => "/".to_owned(),
        1 => format!("{}/", place.root().display()),
        2 => format!("{}/", place.folder.path().display()),
        _ => String::new(),
    };
    for _ in 0..=numbers.next(7) {
        path.push_str(PIECES[numbers.next(PIECES.len())]);
        if numbers.next(12) > 0 {
            path.push('/');
        }
    }
    if numbers.next(3) > 0 {
        path.pop();
    }
    path
}

/// Whether a file or folder, as the system sees it, is one that may be had.
fn may_be_had(place: &Place, at: &Relative) -> bool {
    let root = place.root().canonicalize().unwrap();
    let Ok(real) = place.path(at.as_str()).canonicalize() else { return false };
    real.starts_with(&root) && !real.components().any(|part| part.as_os_str() == ".git")
}

#[test]
fn ten_thousand_generated_paths() {
    let place = trapped();
    let outside = |path: &Path| fs::read_dir(path).unwrap().count();
    for way in WAYS {
        let root = Root::open(&place.root()).unwrap().by(way);
        let mut numbers = Numbers(20_261_122);
        let (mut good, mut bad) = (0, 0);
        for number in 0..10_000 {
            let text = generated(&mut numbers, &place);
            let Ok(path) = root.relative(&text) else {
                bad += 1;
                continue;
            };
            let at = match (root.open_file(&path), root.open_folder(&path)) {
                (Ok(file), _) => file.place,
                (_, Ok(folder)) => folder.place,
                _ => {
                    bad += 1;
                    // What cannot be read may be there to be made: beneath, or not at all.
                    if number % 7 == 0
                        && let Ok(target) = root.target(&path, 1 << 20, true)
                    {
                        let _ = root.write(&target, b"made");
                    }
                    continue;
                }
            };
            assert!(may_be_had(&place, &at), "{way:?} {number}: {text:?} gave {at}");
            good += 1;
        }
        assert!(good > 200 && bad > 5000, "{way:?}: {good} good, {bad} bad");
        assert_eq!(outside(place.folder.path()), 3);
    }
    place.assert_whole();
}

#[tokio::test]
async fn what_is_judged_is_where_it_leads() {
    let place = trapped();
    let host = place.host_with("deny read src/deep/**");
    place.link("src/deep", "short");
    for path in
        ["src/deep/er/lib.rs", "short/er/lib.rs", "inner/deep/er/lib.rs", "SRC/deep/er/lib.rs"]
    {
        let outcome = done(&host, "read_file", json!({"path": path})).await;
        assert!(outcome.is_error && !outcome.text.contains("one"), "{path}: {}", outcome.text);
    }
    let found = done(&host, "search", json!({"pattern": "pub fn"})).await;
    assert!(found.text.contains("[no match]") && found.text.contains("1 files are closed"));
}

#[tokio::test]
async fn a_link_that_is_swapped_after_the_judgement_is_refused() {
    use musher_protocol::PermissionMode;
    use musher_runtime::ToolHost;
    let place = trapped();
    let host = place.host();
    for (tool, more) in [("read_file", json!(null)), ("edit_file", json!("x"))] {
        let input = match more.is_null() {
            true => json!({"path": "inner-file"}),
            false => json!({"path": "inner-file", "old": "R", "new": more}),
        };
        let call = common::call(tool, input);
        host.intent(&call, PermissionMode::Bypass).await.unwrap();
        fs::remove_file(place.path("inner-file")).unwrap();
        place.link("README.md", "inner-file");
        let outcome = host.call(&call, tokio_util::sync::CancellationToken::new()).await;
        assert!(outcome.text.contains("leads elsewhere"), "{}", outcome.text);
        fs::remove_file(place.path("inner-file")).unwrap();
        place.link("src/main.rs", "inner-file");
    }
    assert_eq!(place.text("README.md"), "# Read me\n");
    assert!(intent(&host, "read_file", json!({"path": "README.md"})).await.is_ok());
}
