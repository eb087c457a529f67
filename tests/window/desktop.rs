//! What surrounds a window on a person's desktop: a file manager, a panel with a tray, a server of
//! notifications. Each is a small program of `tests/tools`, spoken to in lines.

use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, sync_channel},
    time::{Duration, Instant},
};

use musher_testkit::wait::{LIMIT, until_some};
use serde_json::{Value, json};

use super::root;

/// Longer than a window takes to go away.
const PRESS_AGAIN: Duration = Duration::from_secs(5);

/// A program of `tests/tools` that says one thing a line.
pub struct Tool {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Tool {
    pub fn start(name: &str, args: &[&Path]) -> Self {
        // The system's Python has GTK and D-Bus; another one on the PATH may not.
        let mut child = Command::new("/usr/bin/python3")
            .arg(root().join("tests/tools").join(name))
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 with python3-dbus and python3-gi is installed");
        let (sender, lines) = sync_channel(1_000);
        let output = child.stdout.take().expect("its output");
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let input = child.stdin.take();
        Self { child, input, lines }
    }

    pub fn line(&self, what: &str) -> String {
        self.lines.recv_timeout(LIMIT).unwrap_or_else(|error| panic!("{what}: {error}"))
    }

    fn value(&self, what: &str) -> Value {
        serde_json::from_str(&self.line(what)).expect("a line of JSON")
    }

    fn ask(&mut self, request: &Value) {
        let input = self.input.as_mut().expect("its input");
        writeln!(input, "{request}").expect("the tool lives");
    }
}

impl Drop for Tool {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A panel with a tray.
pub struct Tray(Tool);

impl Tray {
    pub fn start() -> Self {
        let tool = Tool::start("tray_host.py", &[]);
        assert_eq!(tool.value("the tray host starts"), json!({"ready": true}));
        Self(tool)
    }

    pub fn wait_for_icon(&self) {
        let said = self.0.value("an icon in the tray");
        assert!(said["item"].is_string(), "{said}");
    }

    pub fn wait_until_gone(&self) {
        let said = self.0.value("the icon leaves the tray");
        assert!(said["gone"].is_string(), "{said}");
    }

    fn look(&mut self) -> Value {
        self.0.ask(&json!({"look": null}));
        self.0.value("the tray's menu")
    }

    /// The labels of the menu, without its lines.
    pub fn menu(&mut self) -> Vec<String> {
        let look = self.look();
        let entries = look["menu"].as_array().cloned().unwrap_or_default();
        let labels = entries.iter().filter_map(|entry| entry["label"].as_str());
        labels.filter(|label| !label.is_empty()).map(str::to_owned).collect()
    }

    /// Waits until the menu has an entry with these words.
    pub fn wait_for(&mut self, words: &str) -> String {
        until_some(&format!("the tray's menu says {words:?}"), || {
            self.menu().into_iter().find(|label| label.contains(words))
        })
    }

    pub fn icon(&mut self) -> PathBuf {
        self.look()["icon"].as_str().expect("an icon").into()
    }

    pub fn click(&mut self, label: &str) {
        self.0.ask(&json!({"click": label}));
        let said = self.0.value("a click in the menu");
        assert!(said["clicked"].is_string(), "the menu has no {label:?}: {said}");
    }
}

/// A server of notifications.
pub struct Notifications(Tool);

impl Notifications {
    pub fn start() -> Self {
        let tool = Tool::start("notification_server.py", &[]);
        assert_eq!(tool.value("the notification server starts"), json!({"ready": true}));
        Self(tool)
    }

    /// The next one.
    pub fn next(&self, what: &str) -> Value {
        self.0.value(&format!("a notification: {what}"))
    }

    /// The next one with this summary and these words in its body. Others may come before: a window that
    /// was closed in the moment in which a run asked is told of that too.
    pub fn until(&self, summary: &str, words: &str) -> Value {
        loop {
            let note = self.next(summary);
            let says = note["body"].as_str().is_some_and(|body| body.contains(words));
            if note["summary"] == summary && says {
                return note;
            }
        }
    }

    /// None comes within `time`.
    pub fn none_within(&self, time: Duration) {
        if let Ok(line) = self.0.lines.recv_timeout(time) {
            panic!("a notification that nobody needs: {line}");
        }
    }

    pub fn click(&mut self, notification: &Value) {
        self.0.ask(&json!({"click": notification["id"]}));
    }
}

/// Drags folders from a window of a file manager's kind and drops them in the middle of Musher's.
pub fn drag_onto_musher(folders: &[&Path], while_over: impl FnOnce()) {
    let source = Tool::start("drag_source.py", folders);
    let ready = source.line("the drag source's window");
    let from: Vec<i32> = ready.split(' ').skip(1).map(|number| number.parse().unwrap()).collect();
    let (x, y) = middle_of_musher();
    xdotool(&["mousemove", &from[0].to_string(), &from[1].to_string(), "mousedown", "1"]);
    glide((from[0], from[1]), (x, y));
    assert_eq!(source.line("the drag begins"), "begun");
    while_over();
    // The pointer must move over the window before X sends where it is.
    glide((x, y), (x + 12, y + 12));
    xdotool(&["mouseup", "1"]);
    assert_eq!(source.line("the drag ends"), "ended");
}

/// In steps, as a hand does: a drag begins only after some movement.
fn glide(from: (i32, i32), to: (i32, i32)) {
    const STEPS: i32 = 24;
    for step in 1..=STEPS {
        let x = from.0 + (to.0 - from.0) * step / STEPS;
        let y = from.1 + (to.1 - from.1) * step / STEPS;
        xdotool(&["mousemove", &x.to_string(), &y.to_string(), "sleep", "0.015"]);
    }
}

fn middle_of_musher() -> (i32, i32) {
    let shell = xdotool(&["getwindowgeometry", "--shell", &musher_window().expect("a window")]);
    let number = |name: &str| -> i32 {
        let line = shell.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        line.expect("the window's geometry").parse().expect("a number")
    };
    (number("X") + number("WIDTH") / 2, number("Y") + number("HEIGHT") / 2)
}

/// The id of Musher's window, when one is shown.
pub fn musher_window() -> Option<String> {
    shown("^Musher$")
}

/// The id of the latest window that is shown and titled so.
pub fn shown(title: &str) -> Option<String> {
    let found = xdotool(&["search", "--onlyvisible", "--name", title]);
    found.lines().last().map(str::to_owned)
}

/// With the window manager's own key, until the window is away. On a busy machine a key may come
/// before the window has the focus, and is lost.
pub fn close_musher() {
    let mut pressed: Option<Instant> = None;
    until_some("the window is away", || {
        let Some(window) = musher_window() else { return Some(()) };
        if pressed.is_none_or(|pressed| pressed.elapsed() > PRESS_AGAIN) {
            xdotool(&["windowactivate", "--sync", &window, "key", "--clearmodifiers", "alt+F4"]);
            pressed = Some(Instant::now());
        }
        None
    });
}

pub fn xdotool(args: &[&str]) -> String {
    let output = Command::new("xdotool").args(args).output().expect("xdotool is installed");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A picture of the whole display. WebDriver's own never comes while WebKitGTK draws without DMA
/// buffers, as it does on a machine without a graphics device.
pub fn screenshot(to: &Path) {
    picture_of("root", to);
}

/// A picture of one window, by its id.
pub fn picture_of(window: &str, to: &Path) {
    std::fs::create_dir_all(to.parent().expect("a folder")).expect("the folder of pictures");
    let taken = Command::new("import").args(["-window", window]).arg(to).status();
    assert!(taken.expect("imagemagick is installed").success());
}
