//! Fifty formats of keys: each is hidden in whatever a tool, a file or an error says of it.
//!
//! None is anybody's: what follows the beginning is made up here, so that nobody who looks for keys in
//! sources finds one.

use base64::{Engine, engine::general_purpose::STANDARD};
use musher_runtime::{MARK, Secrets};
use secrecy::SecretString;
use serde_json::json;

const HEX: &str = "0123456789abcdef";
const LETTERS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const LARGE: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const OF_BASE64: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const ODD: &str = "abcXYZ019!$%&()*,;<=>?@[]^_`{|}~\"'\\ #";

/// What it begins with, what follows is made of, and how much of that.
const FORMATS: [(&str, &str, usize); 50] = [
    // Model providers.
    ("sk-", LETTERS, 48),
    ("sk-proj-", LETTERS, 156),
    ("sk-svcacct-", LETTERS, 120),
    ("sess-", LETTERS, 40),
    ("sk-ant-api03-", LETTERS, 95),
    ("sk-ant-oat01-", LETTERS, 95),
    ("AIza", LETTERS, 35),
    ("ya29.", LETTERS, 140),
    ("gsk_", LETTERS, 52),
    ("xai-", LETTERS, 80),
    ("pplx-", LETTERS, 48),
    ("r8_", LETTERS, 37),
    ("hf_", LETTERS, 34),
    ("sk-or-v1-", HEX, 64),
    ("fw_", LETTERS, 22),
    ("nvapi-", LETTERS, 64),
    ("tgp_v1_", LETTERS, 43),
    ("co-", LETTERS, 40),
    ("", LETTERS, 32),
    ("", HEX, 32),
    // Forges, clouds, registries.
    ("ghp_", LETTERS, 36),
    ("gho_", LETTERS, 36),
    ("ghs_", LETTERS, 36),
    ("github_pat_", LETTERS, 82),
    ("glpat-", LETTERS, 20),
    ("AKIA", LARGE, 16),
    ("ASIA", LARGE, 16),
    ("", OF_BASE64, 40),
    ("npm_", LETTERS, 36),
    ("pypi-", LETTERS, 170),
    ("cio", LETTERS, 32),
    ("dckr_pat_", LETTERS, 27),
    ("dop_v1_", HEX, 64),
    ("hvs.", LETTERS, 90),
    ("EAAC", LETTERS, 180),
    ("AccountKey=", OF_BASE64, 86),
    // Services.
    ("xoxb-", LETTERS, 50),
    ("xapp-1-", LETTERS, 90),
    ("SG.", LETTERS, 66),
    ("rk_test_", LETTERS, 99),
    ("whsec_", LETTERS, 32),
    ("key-", HEX, 32),
    ("lin_api_", LETTERS, 40),
    ("secret_", LETTERS, 43),
    ("shpat_", HEX, 32),
    ("sntrys_", LETTERS, 100),
    ("eyJhbGciOiJIUzI1NiJ9.", LETTERS, 120),
    ("-----BEGIN PRIVATE KEY-----\n", OF_BASE64, 200),
    // A person's own.
    ("pass phrase of ", ODD, 24),
    ("ü-", ODD, 30),
];

/// Letters that repeat for nobody: a step that has no divisor in common with their number.
fn key(number: usize) -> String {
    let (begin, letters, many) = FORMATS[number];
    let letters: Vec<char> = letters.chars().collect();
    let mut at = number * 31 + 7;
    let body = (0..many).map(|place| {
        at = at * 1_103_515_245 % 2_147_483_648 + 12_345 + place;
        letters[at / 1024 % letters.len()]
    });
    // Spaces at an end belong to nobody's key.
    format!("{begin}{}x", body.collect::<String>())
}

fn percent(key: &str) -> String {
    let letter = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
            char::from(byte).to_string()
        }
        byte => format!("%{byte:02X}"),
    };
    key.bytes().map(letter).collect()
}

/// What an environment, a file, a tool or an error may say.
fn sayings(key: &str) -> Vec<String> {
    let half = key.char_indices().nth(key.chars().count() / 2).map_or(0, |(at, _)| at);
    vec![
        format!("THE_KEY={key}\nPATH=/usr/bin"),
        format!("[service]\nkey = '{key}'\n"),
        format!("Authorization: Bearer {key}\r\nAccept: */*"),
        format!("error 401: the key {key} is not known here."),
        json!({ "env": { "KEY": key }, "argv": ["--key", key] }).to_string(),
        json!(json!({ "key": key }).to_string()).to_string(),
        json!(json!(json!({ "key": key }).to_string()).to_string()).to_string(),
        format!("https://user:{}@example.org/v1", percent(key)),
        format!("Authorization: Basic {}", STANDARD.encode(format!("user:{key}"))),
        STANDARD.encode(format!("api_key={key}\nand more")),
        format!("{}\n{}", &key[..half], &key[half..]),
        format!("{key}{key}"),
    ]
}

#[test]
fn each_format_is_hidden_in_each_saying() {
    for number in 0..FORMATS.len() {
        let key = key(number);
        let secrets = Secrets::new(&[SecretString::from(key.clone())]);
        for said in sayings(&key) {
            let told = secrets.hide(said.clone());
            assert!(told.contains(MARK), "{number}: {said} is told as {told}");
            assert!(!told.contains(key.trim()), "{number}: {told}");
            let mut pieces = secrets.stream();
            let mut streamed: Vec<u8> =
                said.as_bytes().chunks(7).flat_map(|piece| pieces.take(piece)).collect();
            streamed.extend(pieces.finish());
            assert_eq!(String::from_utf8_lossy(&streamed), told, "{number}, in pieces");
        }
    }
}

#[test]
fn all_fifty_at_once_are_hidden_and_nothing_else() {
    let keys: Vec<String> = (0..FORMATS.len()).map(key).collect();
    let secrets = Secrets::new(&keys.iter().cloned().map(SecretString::from).collect::<Vec<_>>());
    for key in &keys {
        assert_eq!(
            secrets.hide(format!("it is {key}, they say")),
            format!("it is {MARK}, they say")
        );
    }
    let plain = "fn main() { println!(\"sk- is how a key begins; AKIA too\"); } // größe 漢字\n";
    assert_eq!(secrets.hide(plain.repeat(99)), plain.repeat(99));
}
