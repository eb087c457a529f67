//! Values that no model, event or file is to hold: keys of providers, and headers that were given for
//! a run. They are found as they are, in base64, percent-encoded and as JSON writes them, also where a
//! line end cuts through (`base64` wraps its lines), and each is replaced by [`MARK`].
//!
//! This keeps a key from being told by accident. It is no wall: who turns a key into something else
//! before it is printed gets it through.

use std::{
    collections::BTreeSet,
    fmt,
    ops::Bound,
    sync::{Arc, PoisonError, RwLock},
};

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use secrecy::{ExposeSecret, SecretString};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

/// What stands in the place of a secret.
pub const MARK: &str = "[key hidden by Musher]";

/// In bytes. A shorter value is no secret that could be kept: it would be found in every other word.
const SHORTEST: usize = 8;

/// In bytes.
const PIECE: usize = 64 << 10;

/// The secrets that are known to a run. Clones are one: what is added to any of them is hidden by all,
/// and nothing is ever taken away. Its `Debug` holds none of them.
#[derive(Clone, Default)]
pub struct Secrets {
    /// `None`: there are none. Locked for writing when a key is set, and at no other time.
    finder: Arc<RwLock<Option<Arc<Finder>>>>,
}

struct Finder {
    written: BTreeSet<Vec<u8>>,
    forms: AhoCorasick,
    longest: usize,
}

impl Finder {
    /// `None`: there is nothing to find.
    fn of(written: BTreeSet<Vec<u8>>) -> Option<Self> {
        let longest = written.iter().map(Vec::len).max()?;
        let made = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            // Each run has its own: for three keys of 164 letters 40 KB, and 1.2 MB as the DFA that would
            // be taken by itself; an event costs 0.7 µs in place of 0.4 µs (measured in November 2026).
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .build(&written);
        // It can only be too large, and then nothing of this size is a key.
        Some(Self { forms: made.ok()?, written, longest })
    }
}

impl Secrets {
    pub fn new<'a>(values: impl IntoIterator<Item = &'a SecretString>) -> Self {
        let secrets = Self::default();
        secrets.add(values);
        secrets
    }

    /// From now on these are hidden too.
    pub fn add<'a>(&self, values: impl IntoIterator<Item = &'a SecretString>) {
        let values = values.into_iter().map(|value| value.expose_secret().trim());
        let more = values.filter(|it| it.len() >= SHORTEST).flat_map(forms);
        let mut finder = self.finder.write().unwrap_or_else(PoisonError::into_inner);
        let mut written = finder.as_ref().map(|it| it.written.clone()).unwrap_or_default();
        let known = written.len();
        written.extend(more);
        if written.len() > known
            && let Some(made) = Finder::of(written)
        {
            *finder = Some(Arc::new(made));
        }
    }

    pub fn is_empty(&self) -> bool {
        self.finder().is_none()
    }

    fn finder(&self) -> Option<Arc<Finder>> {
        self.finder.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn hide(&self, text: String) -> String {
        self.hidden(&text).unwrap_or(text)
    }

    pub fn hides_in(&self, text: &str) -> bool {
        self.hidden(text).is_some()
    }

    /// Whether it ends as a secret begins, so that more words may complete one. A single letter says
    /// nothing: every other word would end so.
    pub fn may_go_on(&self, text: &str) -> bool {
        let Some(finder) = self.finder() else { return false };
        let from = text.len().saturating_sub(2 * finder.longest);
        let end = Joined::of(&text.as_bytes()[from..]).bytes;
        let from = end.len().saturating_sub(finder.longest);
        (from..end.len().saturating_sub(1)).any(|at| {
            let longer = (Bound::Excluded(&end[at..]), Bound::Unbounded);
            let next = finder.written.range::<[u8], _>(longer).next();
            next.is_some_and(|form| form.starts_with(&end[at..]))
        })
    }

    /// `None`: nothing is to be hidden in it.
    fn hidden(&self, text: &str) -> Option<String> {
        let finder = self.finder()?;
        let is_one_line = memchr::memchr2(b'\n', b'\r', text.as_bytes()).is_none();
        // Nearly all there is, pieces of speech above all: nothing of it is copied.
        if text.len() < SHORTEST || is_one_line && !finder.forms.is_match(text) {
            return None;
        }
        let mut hiding = self.stream();
        let mut hidden = Vec::with_capacity(text.len());
        // What a piece needs to be looked at is many times its size.
        for piece in text.as_bytes().chunks(PIECE) {
            hidden.extend(hiding.take(piece));
        }
        hidden.extend(hiding.finish());
        hiding.has_hidden().then(|| String::from_utf8_lossy(&hidden).into_owned())
    }

    /// The same in every text of a value.
    pub fn hide_in<T: Serialize + DeserializeOwned>(&self, value: &mut T) {
        if self.is_empty() {
            return;
        }
        let Ok(mut json) = serde_json::to_value(&*value) else { return };
        if self.hide_texts(&mut json)
            && let Ok(hidden) = serde_json::from_value(json)
        {
            *value = hidden;
        }
    }

    /// Whether there was anything to hide.
    fn hide_texts(&self, json: &mut Value) -> bool {
        match json {
            Value::String(text) => {
                let hidden = self.hidden(text);
                hidden.map(|hidden| *text = hidden).is_some()
            }
            Value::Array(values) => {
                values.iter_mut().fold(false, |any, value| self.hide_texts(value) | any)
            }
            Value::Object(members) => {
                members.values_mut().fold(false, |any, value| self.hide_texts(value) | any)
            }
            _ => false,
        }
    }

    /// For what comes in pieces.
    pub fn stream(&self) -> Hiding {
        Hiding {
            begun_with: self.finder(),
            secrets: self.clone(),
            held: Vec::new(),
            has_hidden: false,
        }
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let many = self.finder().map_or(0, |finder| finder.written.len());
        write!(f, "Secrets({many} forms)")
    }
}

/// Hides secrets in what comes in pieces, wherever these are cut.
pub struct Hiding {
    secrets: Secrets,
    begun_with: Option<Arc<Finder>>,
    /// What may be the beginning of a secret.
    held: Vec<u8>,
    has_hidden: bool,
}

impl Hiding {
    /// What can be told by now.
    pub fn take(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.held.extend_from_slice(bytes);
        self.told(false)
    }

    /// The rest.
    pub fn finish(&mut self) -> Vec<u8> {
        self.told(true)
    }

    pub fn has_hidden(&self) -> bool {
        self.has_hidden
    }

    /// Something has become a secret since the beginning: it may have been told before.
    pub fn may_have_told(&self) -> bool {
        match (&self.begun_with, self.secrets.finder()) {
            (Some(then), Some(now)) => !Arc::ptr_eq(then, &now),
            (then, now) => then.is_some() != now.is_some(),
        }
    }

    fn told(&mut self, is_all: bool) -> Vec<u8> {
        let Some(finder) = self.secrets.finder() else { return std::mem::take(&mut self.held) };
        let joined = Joined::of(&self.held);
        // What begins here or later may have more to come.
        let open = match is_all {
            true => joined.bytes.len(),
            false => (joined.bytes.len() + 1).saturating_sub(finder.longest),
        };
        let (mut told, mut from) = (Vec::with_capacity(self.held.len()), 0);
        for found in finder.forms.find_iter(&joined.bytes) {
            if found.start() >= open {
                break;
            }
            told.extend_from_slice(&self.held[from..joined.at[found.start()]]);
            told.extend_from_slice(MARK.as_bytes());
            from = joined.at[found.end() - 1] + 1;
            self.has_hidden = true;
        }
        let until = joined.at.get(open).copied().unwrap_or(self.held.len()).max(from);
        told.extend_from_slice(&self.held[from..until]);
        self.held.drain(..until);
        told
    }
}

/// Bytes without the line ends that cut through words: single ones. Of several the others stay, so that
/// no more than a few bytes are ever held back.
struct Joined {
    bytes: Vec<u8>,
    /// Where each of them was.
    at: Vec<usize>,
}

impl Joined {
    fn of(all: &[u8]) -> Self {
        let is_end = |at: usize| matches!(all.get(at), Some(b'\n' | b'\r'));
        let is_single = |at: usize| {
            let behind_return = at > 0 && all[at] == b'\n' && all[at - 1] == b'\r';
            let first = if behind_return { at - 1 } else { at };
            is_end(at) && (first == 0 || !is_end(first - 1))
        };
        let at: Vec<usize> = (0..all.len()).filter(|at| !is_single(*at)).collect();
        Self { bytes: at.iter().map(|at| all[*at]).collect(), at }
    }
}

/// What keys of providers are called in an environment: no command of an agent's gets one.
pub fn is_key_name(name: &str) -> bool {
    ["_API_KEY", "_AUTH_TOKEN", "_OAUTH_TOKEN"].iter().any(|end| name.ends_with(end))
}

/// The keys in an environment.
pub fn keys_among<'a>(
    environment: impl IntoIterator<Item = &'a (String, String)>,
) -> impl Iterator<Item = SecretString> {
    let keys = environment.into_iter().filter(|(name, _)| is_key_name(name));
    keys.map(|(_, value)| SecretString::from(value.clone()))
}

/// How a secret may be written, without line ends.
fn forms(secret: &str) -> Vec<Vec<u8>> {
    let mut forms = vec![secret.as_bytes().to_vec()];
    // The arguments of a call are JSON in JSON, and a stored call of those once more.
    let mut nested = secret.to_owned();
    for _ in 0..3 {
        nested = in_json(&nested);
        forms.extend([nested.clone(), nested.replace('/', "\\/")].map(String::into_bytes));
    }
    forms.extend([percent(secret, true), percent(secret, false)].map(String::into_bytes));
    for ahead in 0..3 {
        forms.extend(in_base64(secret.as_bytes(), ahead));
    }
    for form in &mut forms {
        form.retain(|byte| !matches!(byte, b'\n' | b'\r'));
    }
    forms
}

fn in_json(secret: &str) -> String {
    let quoted = Value::from(secret).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

/// All but the unreserved characters of RFC 3986.
fn percent(secret: &str, large: bool) -> String {
    let letter = |byte: u8| match byte {
        byte if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) => {
            char::from(byte).to_string()
        }
        byte if large => format!("%{byte:02X}"),
        byte => format!("%{byte:02x}"),
    };
    secret.bytes().map(letter).collect()
}

/// In the middle of something that is encoded as a whole, so many bytes behind a group's beginning: the
/// letters that the secret alone makes, in both alphabets.
fn in_base64(secret: &[u8], ahead: usize) -> [Vec<u8>; 2] {
    let mut bytes = vec![0; ahead];
    bytes.extend_from_slice(secret);
    let (from, to) = ((ahead * 8).div_ceil(6), bytes.len() * 8 / 6);
    [STANDARD_NO_PAD.encode(&bytes), URL_SAFE_NO_PAD.encode(&bytes)]
        .map(|text| text.as_bytes()[from..to].to_vec())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::LazyLock;

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const KEY: &str = "sk-canary+\"7f/3a9c55";

    fn secrets() -> Secrets {
        static MADE: LazyLock<Secrets> = LazyLock::new(|| {
            Secrets::new(&[KEY, "short", "line one of it\nline two"].map(SecretString::from))
        });
        MADE.clone()
    }

    fn hidden(text: &str) -> String {
        secrets().hide(text.to_owned())
    }

    #[test]
    fn a_secret_is_hidden_and_the_rest_stays() {
        assert_eq!(hidden(&format!("KEY={KEY}\nshort")), format!("KEY={MARK}\nshort"));
        assert_eq!(hidden(&format!("{KEY}{KEY}")), format!("{MARK}{MARK}"));
        assert_eq!(hidden("größe 漢字\n\n\r\nx"), "größe 漢字\n\n\r\nx");
        assert_eq!(hidden("a line one of it\r\nline two b"), format!("a {MARK} b"));
        let far = "x\n".repeat(PIECE / 2 - 3);
        assert_eq!(hidden(&format!("{far}{KEY}\n{far}")), format!("{far}{MARK}\n{far}"));
        let nothing = Secrets::new(&[SecretString::from("seven77")]);
        assert_eq!(nothing.hide("seven77 ".to_owned()), "seven77 ");
    }

    #[test]
    fn what_it_is_written_as_is_hidden_too() {
        for form in [
            Value::from(KEY).to_string(),
            Value::from(KEY).to_string().replace('/', "\\/"),
            "sk-canary%2B%227f%2F3a9c55".to_owned(),
            "sk-canary%2b%227f%2f3a9c55".to_owned(),
        ] {
            let shown = hidden(&form);
            assert!(shown.contains(MARK) && !shown.contains("3a9c55"), "{form}: {shown}");
        }
        for ahead in 0..7 {
            let all = format!("{}{KEY}\0MORE=1", "a".repeat(ahead));
            let shown = hidden(&STANDARD_NO_PAD.encode(&all));
            assert!(shown.contains(MARK), "{ahead}: {shown}");
            assert!(hidden(&URL_SAFE_NO_PAD.encode(&all)).contains(MARK), "{ahead}");
        }
    }

    #[test]
    fn a_line_end_in_it_hides_nothing() {
        for end in ["\n", "\r\n"] {
            for cut in 1..KEY.len() {
                let text = format!("a {}{end}{} b", &KEY[..cut], &KEY[cut..]);
                assert_eq!(hidden(&text), format!("a {MARK} b"), "{cut}");
            }
        }
    }

    #[test]
    fn every_text_of_a_value_is_looked_at() {
        let mut value = json!({"a": [{"b": format!("x {KEY}")}, 1], "c": null});
        secrets().hide_in(&mut value);
        assert_eq!(value, json!({"a": [{"b": format!("x {MARK}")}, 1], "c": null}));
        assert!(!format!("{:?}", secrets()).contains("canary"));
    }

    #[test]
    fn an_end_that_is_a_beginning_may_go_on() {
        for open in
            ["sk", "x sk-canary", "x sk-\n", "sk-ca\r\nnary", "line one of it", "sk-canary%2", "c2"]
        {
            assert!(secrets().may_go_on(open), "{open:?}");
        }
        let over = format!("{}sk-canary", "größe\n".repeat(999));
        assert!(secrets().may_go_on(&over));
        for closed in ["", "s", KEY, "sk-canary ", "x s", "k-canary", "größe 漢字"] {
            assert!(!secrets().may_go_on(closed), "{closed:?}");
        }
        assert!(!Secrets::default().may_go_on("sk"));
    }

    #[test]
    fn what_is_added_to_one_is_hidden_by_all() {
        let (first, later) = (Secrets::default(), "sk-later-51d0c7aa");
        let second = first.clone();
        let mut hiding = second.stream();
        assert_eq!(hiding.take(later.as_bytes()), later.as_bytes());
        assert!(!hiding.may_have_told());
        first.add(&[SecretString::from("short")]);
        assert!(second.is_empty() && !hiding.may_have_told());
        first.add(&[SecretString::from(KEY)]);
        first.add(&[SecretString::from(later)]);
        assert_eq!(second.hide(format!("{KEY} {later}")), format!("{MARK} {MARK}"));
        assert!(hiding.may_have_told() && !second.stream().may_have_told());
        let mut told = hiding.take(format!("a {later}").as_bytes());
        told.extend(hiding.finish());
        assert_eq!(told, format!("a {MARK}").as_bytes());
    }

    #[test]
    fn little_is_held_back() {
        let secrets = secrets();
        let longest = secrets.finder().unwrap().longest;
        for piece in ["\n", "\r", "\r\n", "x", "sk-canary", "\n\r"] {
            let mut hiding = secrets.stream();
            for _ in 0..1000 {
                hiding.take(piece.as_bytes());
                assert!(hiding.held.len() <= 3 * longest, "{piece:?}: {}", hiding.held.len());
            }
        }
    }

    proptest! {
        #[test]
        fn pieces_are_told_as_the_whole_is(
            words in proptest::collection::vec(
                prop_oneof![Just(KEY.to_owned()), Just("\n".to_owned()), "[a-z+ ]{0,12}"], 0..12),
            size in 1_usize..40,
        ) {
            let all = words.concat();
            let mut hiding = secrets().stream();
            let mut told: Vec<u8> = Vec::new();
            for piece in all.as_bytes().chunks(size) {
                told.extend(hiding.take(piece));
            }
            told.extend(hiding.finish());
            let told = String::from_utf8(told).unwrap();
            prop_assert!(!told.contains(KEY));
            prop_assert_eq!(hiding.has_hidden(), told.contains(MARK));
            prop_assert_eq!(told, secrets().hide(all));
        }
    }
}
