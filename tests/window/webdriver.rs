//! A WebDriver client that is just enough: HTTP/1.1 over a `TcpStream`, JSON in and out. A client from
//! a registry would change the features of crates that Tauri shares, and everything would be compiled
//! twice.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use musher_testkit::wait::until_some;
use serde_json::{Value, json};

/// The longest a single call may take.
const CALL_LIMIT: Duration = Duration::from_secs(30);
/// The key under which WebDriver names an element (W3C WebDriver, 12.2 "Elements").
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
/// The Enter key (W3C WebDriver, 17.4.2 "Keyboard actions").
pub const ENTER: &str = "\u{e007}";

/// WebKitWebDriver and the app it started.
pub struct Page {
    driver: Child,
    port: u16,
    session: String,
}

impl Page {
    /// Starts `program` under a driver of its own; `prepare` sets the environment of both.
    pub fn open(program: &Path, args: &[&str], prepare: impl Fn(&mut Command)) -> Self {
        let port = free_port();
        let mut command = Command::new("WebKitWebDriver");
        command.arg(format!("--port={port}")).env("TAURI_WEBVIEW_AUTOMATION", "true");
        command.stdout(Stdio::null()).stderr(Stdio::null()).stdin(Stdio::null());
        prepare(&mut command);
        let driver = command.spawn().expect("WebKitWebDriver is installed (webkit2gtk-driver)");
        let mut page = Self { driver, port, session: String::new() };
        until_some("the driver listens", || TcpStream::connect(("127.0.0.1", port)).ok());
        let wanted = json!({"capabilities": {"alwaysMatch": {"webkitgtk:browserOptions": {
            "binary": program, "args": args,
        }}}});
        let session = page.call("POST", "/session", Some(&wanted)).expect("a session");
        page.session = session["sessionId"].as_str().expect("a session's id").to_owned();
        page
    }

    /// The process of the app: the driver's only child.
    pub fn app(&self) -> u32 {
        let task = format!("/proc/{0}/task/{0}/children", self.driver.id());
        let children = std::fs::read_to_string(task).expect("the driver lives");
        children.split_whitespace().next().expect("the app lives").parse().expect("a pid")
    }

    /// The session's call; the error is WebDriver's own.
    fn in_session(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value, String> {
        self.call(method, &format!("/session/{}{path}", self.session), body)
    }

    fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value, String> {
        let reply = self.exchange(method, path, body).map_err(|error| error.to_string())?;
        match reply["value"]["error"].as_str() {
            Some(error) => Err(format!("{error}: {}", reply["value"]["message"])),
            None => Ok(reply["value"].clone()),
        }
    }

    fn exchange(&self, method: &str, path: &str, body: Option<&Value>) -> std::io::Result<Value> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(CALL_LIMIT))?;
        let body = body.map(Value::to_string).unwrap_or_default();
        let length = body.len();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nhost: 127.0.0.1:{}\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}",
            self.port
        )?;
        let mut reader = BufReader::new(stream);
        let mut length = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            if line.trim().is_empty() {
                break;
            }
            let lower = line.to_ascii_lowercase();
            if let Some(value) = lower.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
        }
        let mut bytes = vec![0; length];
        reader.read_exact(&mut bytes)?;
        serde_json::from_slice(&bytes).map_err(std::io::Error::other)
    }

    /// The element, once it is there.
    pub fn element(&self, css: &str) -> Element<'_> {
        let wanted = json!({"using": "css selector", "value": css});
        let id = until_some(css, || {
            let found = self.in_session("POST", "/element", Some(&wanted)).ok()?;
            Some(found[ELEMENT].as_str()?.to_owned())
        });
        Element { page: self, id, css: css.to_owned() }
    }

    /// By its test id.
    pub fn part(&self, id: &str) -> Element<'_> {
        self.element(&format!("[data-testid=\"{id}\"]"))
    }

    pub fn has(&self, css: &str) -> bool {
        self.script("return document.querySelector(arguments[0]) !== null", json!([css]))
            == json!(true)
    }

    /// Waits until the whole page's text contains the words.
    pub fn says(&self, words: &str) {
        until_some(&format!("the page says {words:?}"), || {
            self.text().contains(words).then_some(())
        });
    }

    pub fn text(&self) -> String {
        self.script("return document.body.innerText", json!([])).as_str().unwrap_or("").to_owned()
    }

    /// What the script returns; an error is returned as text, so that it can be waited out.
    pub fn script(&self, script: &str, args: Value) -> Value {
        let body = json!({"script": script, "args": args});
        self.in_session("POST", "/execute/sync", Some(&body)).unwrap_or_else(|error| json!(error))
    }

    /// What the promise that the script's expression makes becomes; an error as `{"refused": ...}`.
    pub fn promise(&self, expression: &str) -> Value {
        let script = format!(
            "const done = arguments[arguments.length - 1]; \
             Promise.resolve().then(() => {expression}).then(\
               (value) => done({{ fine: value === undefined ? null : value }}), \
               (error) => done({{ refused: typeof error === 'string' ? error : JSON.stringify(error) }}))"
        );
        let body = json!({"script": script, "args": []});
        self.in_session("POST", "/execute/async", Some(&body)).expect("the promise ends")
    }

    /// Ends the driver; the app goes with it unless it is gone already.
    pub fn close(mut self) {
        self.end();
    }

    fn end(&mut self) {
        // Each fails only when it has ended before.
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        self.end();
    }
}

pub struct Element<'a> {
    page: &'a Page,
    id: String,
    css: String,
}

impl Element<'_> {
    fn act(&self, what: &str, body: Value) -> Result<Value, String> {
        self.page.in_session("POST", &format!("/element/{}/{what}", self.id), Some(&body))
    }

    /// Clicks; an element that is still covered or was drawn anew is looked up again.
    pub fn click(self) {
        let began = Instant::now();
        let mut tried = self.act("click", json!({}));
        while let Err(error) = &tried {
            assert!(began.elapsed() < CALL_LIMIT, "{} cannot be clicked: {error}", self.css);
            std::thread::sleep(Duration::from_millis(50));
            tried = self.page.element(&self.css).act("click", json!({}));
        }
    }

    /// Types into it, as keys.
    pub fn type_in(self, text: &str) {
        let typed = self.act("value", json!({"text": text}));
        typed.unwrap_or_else(|error| panic!("{} takes no keys: {error}", self.css));
    }

    pub fn text(&self) -> String {
        let path = format!("/element/{}/text", self.id);
        let text = self.page.in_session("GET", &path, None);
        text.ok().and_then(|text| Some(text.as_str()?.to_owned())).unwrap_or_default()
    }
}

/// Free now; a driver that is told it takes it at once.
fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.local_addr().expect("its address").port()
}
