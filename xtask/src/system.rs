//! What this machine must have before anything can be built or tested, how it is called by each
//! package manager, and how it gets here.

use anyhow::{Result, bail};
use std::env;
#[cfg(unix)]
use std::net::{TcpStream, ToSocketAddrs};
#[cfg(unix)]
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::shell;

/// A display that takes longer to answer is none to work on.
const DISPLAY_LIMIT: Duration = Duration::from_secs(2);

/// Something that has to be on the machine.
pub struct Need {
    /// For people.
    what: &'static str,
    present: Present,
    apt: &'static str,
    dnf: &'static str,
    pacman: &'static str,
    brew: &'static str,
}

/// How one sees that it is there.
enum Present {
    /// One of these programs is on the PATH.
    Program(&'static [&'static str]),
    PkgConfig(&'static str),
    /// `/usr/bin/python3` can import this.
    Python(&'static str),
    /// A file or folder is there.
    Path(&'static str),
}

const fn need(what: &'static str, present: Present, names: [&'static str; 4]) -> Need {
    let [apt, dnf, pacman, brew] = names;
    Need { what, present, apt, dnf, pacman, brew }
}

/// To build and run the window. No brew name: macOS has it already.
pub const TO_BUILD: &[Need] = &[
    need("git", Present::Program(&["git"]), ["git", "git", "git", "git"]),
    need("a C compiler", Present::Program(&["cc"]), ["build-essential", "gcc", "base-devel", ""]),
    need("pkg-config", Present::Program(&["pkg-config"]), ["pkg-config", "pkgconf", "pkgconf", ""]),
    need(
        "WebKitGTK 4.1",
        Present::PkgConfig("webkit2gtk-4.1"),
        ["libwebkit2gtk-4.1-dev", "webkit2gtk4.1-devel", "webkit2gtk-4.1", ""],
    ),
    need(
        "AppIndicator (the tray)",
        Present::PkgConfig("ayatana-appindicator3-0.1"),
        [
            "libayatana-appindicator3-dev",
            "libayatana-appindicator-gtk3-devel",
            "libayatana-appindicator",
            "",
        ],
    ),
    need(
        "librsvg",
        Present::PkgConfig("librsvg-2.0"),
        ["librsvg2-dev", "librsvg2-devel", "librsvg", ""],
    ),
];

/// Besides, for the tests of the window under a display of its own.
pub const TO_TEST_WINDOWS: &[Need] = &[
    need(
        "Xvfb",
        Present::Program(&["Xvfb"]),
        ["xvfb", "xorg-x11-server-Xvfb", "xorg-server-xvfb", ""],
    ),
    need(
        "a D-Bus session",
        Present::Program(&["dbus-run-session"]),
        ["dbus", "dbus-daemon", "dbus", ""],
    ),
    need("a window manager", Present::Program(&["openbox"]), ["openbox", "openbox", "openbox", ""]),
    need(
        "WebKitWebDriver",
        Present::Program(&["WebKitWebDriver"]),
        ["webkit2gtk-driver", "webkit2gtk-driver", "webkit2gtk-4.1", ""],
    ),
    need("xdotool", Present::Program(&["xdotool"]), ["xdotool", "xdotool", "xdotool", ""]),
    need(
        "ImageMagick",
        Present::Program(&["import"]),
        ["imagemagick", "ImageMagick", "imagemagick", ""],
    ),
    need(
        "a font",
        Present::Path("/usr/share/fonts"),
        ["fonts-dejavu-core", "dejavu-sans-fonts", "ttf-dejavu", ""],
    ),
    need(
        "an icon theme",
        Present::Path("/usr/share/icons/Adwaita"),
        ["adwaita-icon-theme", "adwaita-icon-theme", "adwaita-icon-theme", ""],
    ),
    need(
        "Python's D-Bus",
        Present::Python("dbus"),
        ["python3-dbus", "python3-dbus", "python-dbus", ""],
    ),
    need(
        "Python's GTK",
        Present::Python("gi; gi.require_version('Gtk', '3.0'); from gi.repository import Gtk"),
        ["python3-gi gir1.2-gtk-3.0", "python3-gobject gtk3", "python-gobject gtk3", ""],
    ),
    need("Chromium", Present::Program(CHROMIUM), ["chromium", "chromium", "chromium", "chromium"]),
];

const CHROMIUM: &[&str] = &["chromium", "chromium-browser", "google-chrome"];

/// The browser of the tests.
pub fn chromium() -> Option<PathBuf> {
    CHROMIUM.iter().find_map(|name| shell::find(name))
}

impl Need {
    fn is_missing(&self) -> bool {
        !match &self.present {
            Present::Program(names) => names.iter().any(|name| shell::has(name)),
            Present::PkgConfig(name) => {
                shell::output(shell::command("pkg-config").args(["--exists", name])).is_some()
            }
            Present::Python(import) => {
                let import = format!("import {import}");
                shell::output(shell::command("/usr/bin/python3").args(["-c", &import])).is_some()
            }
            Present::Path(path) => Path::new(path).exists(),
        }
    }
}

/// Says what is missing and installs it where that is possible; fails with the names otherwise.
pub fn ensure(needs: &[&Need]) -> Result<()> {
    let missing: Vec<&Need> = needs.iter().copied().filter(|need| need.is_missing()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let what: Vec<&str> = missing.iter().map(|need| need.what).collect();
    println!("Missing: {}.", what.join(", "));
    if !shell::has("apt-get") {
        bail!("Install what is missing and try again:\n  {}", advice(&missing));
    }
    install_by_apt(missing.iter().flat_map(|need| need.apt.split(' ')))?;
    match missing.iter().find(|need| need.is_missing()) {
        Some(need) => bail!("{} is still missing after the installation.", need.what),
        None => Ok(()),
    }
}

/// What runs here: without the parts that only Linux needs.
pub fn of_this_system(needs: &'static [Need]) -> Vec<&'static Need> {
    let all = cfg!(target_os = "linux");
    needs.iter().filter(|need| all || !need.brew.is_empty()).collect()
}

fn install_by_apt<'a>(packages: impl Iterator<Item = &'a str>) -> Result<()> {
    shell::run(&mut as_root(&["apt-get", "update", "-q"]))?;
    let install = ["apt-get", "install", "-q", "-y", "--no-install-recommends"];
    let quiet = ["env", "DEBIAN_FRONTEND=noninteractive"];
    let words: Vec<&str> = quiet.into_iter().chain(install).chain(packages).collect();
    shell::run(&mut as_root(&words))
}

fn as_root(words: &[&str]) -> std::process::Command {
    let root = shell::output(shell::command("id").arg("-u")).as_deref() == Some("0");
    let mut command = shell::command(if root { words[0] } else { "sudo" });
    command.args(&words[usize::from(root)..]);
    command
}

/// The command that installs the missing parts, by the package manager that is here.
fn advice(missing: &[&Need]) -> String {
    let names = |of: fn(&Need) -> &'static str| {
        let names: Vec<&str> = missing.iter().map(|need| of(need)).collect();
        names.join(" ")
    };
    match () {
        () if shell::has("dnf") => format!("sudo dnf install {}", names(|need| need.dnf)),
        () if shell::has("pacman") => format!("sudo pacman -S {}", names(|need| need.pacman)),
        () if cfg!(target_os = "macos") => {
            format!("xcode-select --install; brew install {}", names(|need| need.brew))
        }
        () if cfg!(windows) => "winget install Git.Git Microsoft.VisualStudio.2022.BuildTools \
             Microsoft.EdgeWebView2Runtime OpenJS.NodeJS.LTS"
            .to_owned(),
        () => format!("what Debian calls {}", names(|need| need.apt)),
    }
}

const NODE: u32 = 20;

/// Node and npm are not installed for you unless the system's own are new enough: how one gets
/// Node differs from person to person.
pub fn ensure_node() -> Result<()> {
    if has_node() {
        return Ok(());
    }
    println!("Missing: Node {NODE} or newer with npm.");
    if major(&apt_candidate("nodejs")).is_some_and(|major| major >= NODE) {
        install_by_apt(["nodejs", "npm"].into_iter())?;
    }
    if has_node() {
        return Ok(());
    }
    bail!("Install Node {NODE} or newer with npm (https://nodejs.org/en/download) and try again.")
}

fn has_node() -> bool {
    let version = shell::output(shell::command("node").arg("--version")).unwrap_or_default();
    major(&version).is_some_and(|major| major >= NODE) && shell::has("npm")
}

/// `v20.20.2` and `20.19.2+dfsg-1` are 20.
fn major(version: &str) -> Option<u32> {
    version.trim_start_matches('v').split('.').next()?.parse().ok()
}

fn apt_candidate(package: &str) -> String {
    let policy = shell::output(shell::command("apt-cache").args(["policy", package]));
    let policy = policy.unwrap_or_default();
    let line = policy.lines().find_map(|line| line.trim().strip_prefix("Candidate:"));
    line.unwrap_or_default().trim().to_owned()
}

/// Whether a window could be shown here: a display is named, and somebody answers there.
pub fn has_display() -> bool {
    let named = |name| env::var(name).ok().filter(|value| !value.is_empty());
    !cfg!(target_os = "linux")
        || named("WAYLAND_DISPLAY").is_some_and(|name| wayland_answers(&name))
        || named("DISPLAY").is_some_and(|name| x_answers(&name))
}

/// A path, or a name in the session's folder.
#[cfg(unix)]
fn wayland_answers(name: &str) -> bool {
    let folder = PathBuf::from(env::var_os("XDG_RUNTIME_DIR").unwrap_or_default());
    UnixStream::connect(folder.join(name)).is_ok()
}

/// `HOST:DISPLAY.SCREEN`; without a host the server has a socket here, with one the port 6000 and up
/// (X(7), "Display names").
#[cfg(unix)]
fn x_answers(name: &str) -> bool {
    let Some((host, rest)) = name.rsplit_once(':') else { return false };
    let Ok(number) = rest.split('.').next().unwrap_or_default().parse::<u16>() else {
        return false;
    };
    let here = host.is_empty() || host == "unix";
    if here && UnixStream::connect(format!("/tmp/.X11-unix/X{number}")).is_ok() {
        return true;
    }
    let host = if here { "localhost" } else { host };
    let Some(port) = number.checked_add(6000) else { return false };
    let addresses = (host, port).to_socket_addrs().into_iter().flatten();
    addresses.into_iter().any(|at| TcpStream::connect_timeout(&at, DISPLAY_LIMIT).is_ok())
}

#[cfg(not(unix))]
fn wayland_answers(_name: &str) -> bool {
    true
}

#[cfg(not(unix))]
fn x_answers(_name: &str) -> bool {
    true
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    #[test]
    fn versions_of_node_are_read() {
        assert_eq!(major("v20.20.2"), Some(20));
        assert_eq!(major("18.20.4+dfsg-1~deb12u1"), Some(18));
        assert_eq!(major("(none)"), None);
    }

    #[cfg(unix)]
    #[test]
    fn a_display_counts_when_somebody_answers_there() {
        assert!(!x_answers(":6077") && !x_answers("nonsense") && !x_answers(":99999"));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("wayland-7");
        assert!(!wayland_answers(path.to_str().unwrap()));
        let server = std::os::unix::net::UnixListener::bind(&path).unwrap();
        assert!(wayland_answers(path.to_str().unwrap()));
        drop(server);
        assert!(!wayland_answers(path.to_str().unwrap()), "its socket alone is no display");
        let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let number = server.local_addr().unwrap().port() - 6000;
        assert!(x_answers(&format!("127.0.0.1:{number}.0")));
    }

    #[test]
    fn everything_needed_has_a_name_for_apt() {
        let all = TO_BUILD.iter().chain(TO_TEST_WINDOWS);
        assert!(all.into_iter().all(|need| !need.apt.is_empty() && !need.what.is_empty()));
    }
}
