//! A proxy of the environment: used for a model that is far, and never for one that is near.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod world;

use std::{
    io::{Read, Write},
    net::TcpListener,
    process::Command,
    sync::{Arc, Mutex},
};

use musher_testkit::dialects::{Answer, Dialect, Offer};
use world::World;

/// Notes the first bytes of each request, and lets nobody through.
struct Proxy {
    address: String,
    asked: Arc<Mutex<Vec<String>>>,
}

fn proxy() -> Proxy {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = asked.clone();
    // It ends with the test.
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, mut bytes) = (stream.unwrap(), [0; 256]);
            let read = stream.read(&mut bytes).unwrap_or_default();
            seen.lock().unwrap().push(String::from_utf8_lossy(&bytes[..read]).into_owned());
            let refusal = "HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\
                           connection: close\r\n\r\n";
            let _ = stream.write_all(refusal.as_bytes());
        }
    });
    Proxy { address, asked }
}

fn through(proxy: &Proxy, world: &World, base: &str) -> Command {
    let root = world.repo.path().to_string_lossy().into_owned();
    let mut args = vec!["--json", "run", "Say hello.", "--repo", &root];
    args.extend(["--runtime", "openai", "--dialect", "openai-chat", "--base-url", base]);
    args.extend(["--model", "m"]);
    let mut command = world.musher(&args);
    for variable in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY"] {
        command.env(variable, &proxy.address);
    }
    command.env_remove("NO_PROXY").env_remove("no_proxy");
    command
}

#[test]
fn a_near_model_is_asked_directly() {
    let (proxy, world) = (proxy(), World::new());
    let endpoint = Offer::new(Dialect::Chat).without_key().start([Answer::text("Hello.")]).unwrap();
    let out = through(&proxy, &world, &endpoint.base_url()).output().unwrap();
    assert_eq!(*proxy.asked.lock().unwrap(), [""; 0]);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stdout));
    assert_eq!(endpoint.turns().len(), 1);
}

#[test]
fn a_far_model_is_asked_through_the_proxy() {
    let (proxy, world) = (proxy(), World::new());
    let out = through(&proxy, &world, "http://models.example.com/v1").output().unwrap();
    let asked = proxy.asked.lock().unwrap().join("\n");
    let wanted = "POST http://models.example.com/v1/chat/completions ";
    assert!(asked.starts_with(wanted), "{asked} {}", String::from_utf8_lossy(&out.stdout));
    assert!(!out.status.success());
}
