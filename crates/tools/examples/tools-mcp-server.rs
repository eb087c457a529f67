//! A tool server for this crate's own tests: speaks the Model Context Protocol's stdio transport by
//! hand, well or badly, as its arguments and its tools' names say.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    io::{BufRead, Write},
    sync::atomic::{AtomicBool, Ordering},
};

use serde_json::{Value, json};

/// The tool `relist` was called: there is another list of tools since.
static RELISTED: AtomicBool = AtomicBool::new(false);

fn main() {
    let options: Vec<String> = std::env::args().skip(1).collect();
    let has = |name: &str| options.iter().any(|option| option == name);
    if has("dies") {
        eprintln!("starting\nno licence found");
        std::process::exit(3);
    }
    if has("garbage") {
        say("Welcome to the server!\n{\"jsonrpc\": \"2.0\", \"id\": {}}\n\u{1b}[2J{]\n");
    }
    for line in std::io::stdin().lock().lines() {
        let message: Value = serde_json::from_str(&line.unwrap()).unwrap();
        if has("mute") {
            continue;
        }
        note(&message);
        if has("garbage") {
            say("[info] a message came\n");
        }
        if message["params"]["name"] == "relist" {
            RELISTED.store(true, Ordering::Relaxed);
            let changed = "notifications/tools/list_changed";
            say(&format!("{}\n", json!({"jsonrpc": "2.0", "method": changed})));
        }
        if let Some(result) = answer(&message) {
            let (kind, result) = match result {
                Ok(result) => ("result", result),
                Err(error) => ("error", error),
            };
            say(&format!("{}\n", json!({"jsonrpc": "2.0", "id": message["id"], kind: result})));
        }
    }
    if has("deaf") {
        loop {
            std::thread::park();
        }
    }
}

fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).unwrap();
    out.flush().unwrap();
}

/// What came, for the test to see.
fn note(message: &Value) {
    let Some(path) = std::env::var_os("SERVER_LOG") else { return };
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
    writeln!(file, "{}", message["method"].as_str().unwrap_or("answer")).unwrap();
}

fn answer(message: &Value) -> Option<Result<Value, Value>> {
    message.get("id")?;
    Some(Ok(match message["method"].as_str()? {
        "initialize" => json!({
            "protocolVersion": message["params"]["protocolVersion"],
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "scripted", "version": "1"},
        }),
        "tools/list" => page(&message["params"]["cursor"]),
        "tools/call" => return call(&message["params"]),
        _ => return Some(Err(json!({"code": -32601, "message": "no such method"}))),
    }))
}

/// Two pages; on the second one, tools that need a name of ours.
fn page(cursor: &Value) -> Value {
    let any = json!({"type": "object"});
    let tool = |name: &str| json!({"name": name, "inputSchema": any});
    if RELISTED.load(Ordering::Relaxed) {
        let place = json!({"name": "place", "description": "Another.", "inputSchema": any});
        return json!({"tools": [tool("brand new"), place, tool("relist"), tool("die")]});
    }
    if cursor == "2" {
        let large = json!({"type": "object", "description": "x".repeat(40_000)});
        return json!({"tools": [
            tool("odd name/ü"), tool("odd name/ö"), tool(&"long".repeat(40)),
            {"name": "large", "inputSchema": large},
        ]});
    }
    let echo = json!({
        "name": "echo", "description": "Says it again. ".repeat(200),
        "inputSchema": {"$schema": "x", "type": "object", "properties": {"text": {"type": "string"}}},
        "annotations": {"readOnlyHint": true},
    });
    let names = [
        "variable", "place", "hang", "die", "huge", "flood", "fail", "refuse", "picture", "relist",
    ];
    let tools: Vec<Value> = std::iter::once(echo).chain(names.map(tool)).collect();
    json!({"tools": tools, "nextCursor": "2"})
}

fn call(params: &Value) -> Option<Result<Value, Value>> {
    let text = |text: String| Some(Ok(json!({"content": [{"type": "text", "text": text}]})));
    let given = |name: &str| params["arguments"][name].as_str().unwrap_or_default().to_owned();
    match params["name"].as_str()? {
        "echo" => text(given("text")),
        "variable" => text(std::env::var(given("name")).unwrap_or("(unset)".into())),
        "place" => text(std::env::current_dir().unwrap().display().to_string()),
        "hang" => None,
        "die" => {
            eprintln!("out of cheese");
            std::process::exit(7)
        }
        "huge" => text((0..200_000).map(|number| format!("line {number}\n")).collect()),
        "flood" => loop {
            say(&"x".repeat(1 << 20));
        },
        "fail" => Some(Ok(json!({
            "isError": true, "content": [{"type": "text", "text": "it did not work"}],
        }))),
        "refuse" => Some(Err(json!({"code": -32602, "message": "not these arguments"}))),
        "picture" => Some(Ok(json!({"content": [
            {"type": "image", "mimeType": "image/png", "data": "AAAA"},
            {"type": "resource", "resource": {"uri": "file:///a", "text": "inside"}},
            {"type": "resource_link", "name": "b", "uri": "file:///b"},
        ]}))),
        name => text(format!("this is {name}")),
    }
}
