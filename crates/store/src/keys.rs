//! Keys of model providers: in the system's keychain, or, where there is none and the person agreed,
//! in a file that only they can read. A key is handed out as a secret and is in no event, no log and no
//! error.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    time::Duration,
};

pub use musher_protocol::KeptIn;
use musher_protocol::KeptKey;
use secrecy::{ExposeSecret, SecretString};

/// What keys are filed under in the system's keychain.
const SERVICE: &str = "musher";
/// A keychain may ask a person to unlock it; who waits for a key waits no longer than this.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("this system has no keychain that answers ({0})")]
    NoKeychain(String),
    #[error("the file of keys {} cannot be used: {source}", .path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("a key is one line of letters, digits and signs")]
    NoKey,
}

/// By place; a place without a key has its key in the keychain, which cannot be asked what it holds.
type Filed = BTreeMap<String, Option<String>>;

/// What every keychain is asked for, also when nothing was noted of it.
const PROVIDERS: [&str; 2] = ["openai", "gemini"];

/// One way to write an address: the key of `http://host/v1/` is that of `http://host/v1`.
fn name_of(place: &str) -> &str {
    place.trim().trim_end_matches('/')
}

/// The keys of one data directory.
#[derive(Clone, Debug)]
pub struct KeyRing {
    file: PathBuf,
}

impl KeyRing {
    pub fn new(data_dir: &Path) -> Self {
        Self { file: data_dir.join("keys.json") }
    }

    /// The key of a provider (`openai`) or of an address. The file is asked first: who put a key
    /// there did so because the keychain does not answer.
    pub async fn get(&self, place: &str) -> Option<SecretString> {
        let place = name_of(place);
        match self.read() {
            Ok(mut keys) => match keys.remove(place).flatten() {
                Some(key) => Some(SecretString::from(key)),
                None => self.in_keychain(place).await,
            },
            Err(error) => {
                tracing::warn!(%error, "keys not read");
                None
            }
        }
    }

    /// Whether the file can be used, where there is one.
    pub fn check(&self) -> Result<(), KeyError> {
        self.read().map(drop)
    }

    /// The places that have a key, and where each is kept.
    pub async fn list(&self) -> Result<Vec<KeptKey>, KeyError> {
        let mut all: BTreeMap<String, KeptIn> = BTreeMap::new();
        for (place, key) in self.read()? {
            all.insert(place, if key.is_some() { KeptIn::File } else { KeptIn::Keychain });
        }
        for place in PROVIDERS {
            if !all.contains_key(place) && self.in_keychain(place).await.is_some() {
                all.insert(place.to_owned(), KeptIn::Keychain);
            }
        }
        Ok(all.into_iter().map(|(place, kept)| KeptKey { place, kept }).collect())
    }

    /// The keys that stand in the file, to know them where they must not be told. A file that cannot be
    /// read has none that anybody could be given.
    pub fn filed(&self) -> Vec<SecretString> {
        let keys = self.read().unwrap_or_default().into_values().flatten();
        keys.map(SecretString::from).collect()
    }

    /// These and those of the keychain, for the same reason.
    pub async fn all(&self) -> Vec<SecretString> {
        let noted = self.read().unwrap_or_default();
        let is_elsewhere = |place: &&str| !matches!(noted.get(*place), Some(Some(_)));
        let places: BTreeSet<&str> =
            noted.keys().map(String::as_str).chain(PROVIDERS).filter(is_elsewhere).collect();
        let asked = places.into_iter().map(|place| self.in_keychain(place));
        let found = futures::future::join_all(asked).await;
        self.filed().into_iter().chain(found.into_iter().flatten()).collect()
    }

    async fn in_keychain(&self, place: &str) -> Option<SecretString> {
        let place = place.to_owned();
        let read = move || keyring::Entry::new(SERVICE, &place)?.get_password();
        match in_time(read).await {
            Ok(key) => Some(SecretString::from(key)),
            Err(error) => {
                tracing::debug!(%error, "no key from the keychain");
                None
            }
        }
    }

    /// Keeps a key. `file` is the person's consent to a file where there is no keychain.
    pub async fn set(
        &self,
        place: &str,
        key: &SecretString,
        file: bool,
    ) -> Result<KeptIn, KeyError> {
        let text = key.expose_secret().trim().to_owned();
        if text.is_empty() || !text.chars().all(|c| c.is_ascii_graphic()) {
            return Err(KeyError::NoKey);
        }
        let place = name_of(place);
        let (name, secret) = (place.to_owned(), text.clone());
        let write = move || keyring::Entry::new(SERVICE, &name)?.set_password(&secret);
        match in_time(write).await {
            Ok(()) => {
                self.change(|keys| keys.insert(place.to_owned(), None) != Some(None))?;
                Ok(KeptIn::Keychain)
            }
            Err(_) if file => {
                self.change(|keys| {
                    keys.insert(place.to_owned(), Some(text));
                    true
                })?;
                Ok(KeptIn::File)
            }
            Err(why) => Err(KeyError::NoKeychain(why)),
        }
    }

    /// Forgets a key wherever it is. Says whether there was one.
    pub async fn remove(&self, place: &str) -> Result<bool, KeyError> {
        let place = name_of(place);
        let mut was = false;
        self.change(|keys| {
            let noted = keys.remove(place);
            was = matches!(noted, Some(Some(_)));
            noted.is_some()
        })?;
        let name = place.to_owned();
        let forget = move || keyring::Entry::new(SERVICE, &name)?.delete_credential();
        Ok(in_time(forget).await.is_ok() || was)
    }

    fn read(&self) -> Result<Filed, KeyError> {
        match fs::read(&self.file) {
            // Not the parser's words: they may hold what they are about.
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map_err(|_| self.broken(io::Error::other("it is no list of keys"))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Filed::new()),
            Err(error) => Err(self.broken(error)),
        }
    }

    /// Writes the file anew when `change` says that something is different; removes an empty one.
    fn change(&self, change: impl FnOnce(&mut Filed) -> bool) -> Result<(), KeyError> {
        let mut keys = self.read()?;
        if !change(&mut keys) {
            return Ok(());
        }
        let done = match keys.is_empty() {
            true => fs::remove_file(&self.file),
            false => self.write(&keys),
        };
        done.map_err(|error| self.broken(error))
    }

    fn write(&self, keys: &Filed) -> io::Result<()> {
        let new = self.file.with_extension("json.new");
        match fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&new)?;
        file.write_all(&serde_json::to_vec_pretty(keys)?)?;
        file.sync_all()?;
        fs::rename(&new, &self.file)
    }

    fn broken(&self, source: io::Error) -> KeyError {
        KeyError::File { path: self.file.clone(), source }
    }
}

/// Asks the keychain on a thread of its own: its calls block, and it may wait for a person.
async fn in_time<T: Send + 'static>(
    ask: impl FnOnce() -> keyring::Result<T> + Send + 'static,
) -> Result<T, String> {
    match tokio::time::timeout(PATIENCE, tokio::task::spawn_blocking(ask)).await {
        Ok(Ok(Ok(answer))) => Ok(answer),
        // Only the kind: an error of the keychain may hold what was asked of it.
        Ok(Ok(Err(keyring::Error::NoEntry))) => Err("no such entry".into()),
        Ok(Ok(Err(keyring::Error::NoDefaultStore))) => Err("none is installed".into()),
        Ok(Ok(Err(_))) => Err("it refuses".into()),
        Ok(Err(_)) => Err("it fails".into()),
        Err(_) => Err("it does not answer".into()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const CANARY: &str = "sk-canary-7f3a9c";
    /// Nobody's: the keychain of whoever runs the tests may be asked for it, and to forget it.
    const PLACE: &str = "http://musher-test.invalid/v1";

    fn ring() -> (tempfile::TempDir, KeyRing) {
        let dir = tempfile::tempdir().unwrap();
        let ring = KeyRing::new(dir.path());
        (dir, ring)
    }

    /// As where there is no keychain: what `set` does then.
    fn put(ring: &KeyRing, place: &str, key: &str) {
        let key = Some(key.to_owned());
        ring.change(|keys| keys.insert(name_of(place).to_owned(), key).is_none()).unwrap();
    }

    #[tokio::test]
    async fn a_key_in_the_file_is_found_again_and_only_its_user_can_read_it() {
        let (_dir, ring) = ring();
        put(&ring, PLACE, CANARY);
        assert_eq!(ring.get(PLACE).await.unwrap().expose_secret(), CANARY);
        let is_among = |all: Vec<SecretString>| all.iter().any(|key| key.expose_secret() == CANARY);
        assert!(is_among(ring.filed()) && is_among(ring.all().await));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&ring.file).unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert!(ring.remove(PLACE).await.unwrap());
        assert!(!ring.file.exists());
    }

    #[tokio::test]
    async fn an_address_is_one_place_however_it_ends_and_a_list_has_no_key() {
        let (_dir, ring) = ring();
        put(&ring, "http://127.0.0.1:1/v1/", CANARY);
        ring.change(|keys| keys.insert("http://far/v1".into(), None).is_none()).unwrap();
        let key = ring.get("http://127.0.0.1:1/v1").await.unwrap();
        assert_eq!(key.expose_secret(), CANARY);
        let listed = ring.list().await.unwrap();
        let in_file = KeptKey { place: "http://127.0.0.1:1/v1".into(), kept: KeptIn::File };
        let in_chain = KeptKey { place: "http://far/v1".into(), kept: KeptIn::Keychain };
        assert!(listed.contains(&in_file) && listed.contains(&in_chain), "{listed:?}");
        assert!(!format!("{listed:?}").contains(CANARY));
    }

    #[tokio::test]
    async fn a_broken_file_does_not_say_what_is_in_it() {
        let (_dir, ring) = ring();
        fs::write(&ring.file, format!("{{\"openai\": [\"{CANARY}\"]}}")).unwrap();
        assert!(!ring.list().await.unwrap_err().to_string().contains(CANARY));
        fs::write(&ring.file, format!("\"{CANARY}\"")).unwrap();
        assert!(!ring.list().await.unwrap_err().to_string().contains(CANARY));
    }

    #[tokio::test]
    async fn a_broken_file_says_so_and_is_kept() {
        let (_dir, ring) = ring();
        fs::write(&ring.file, "{").unwrap();
        let error = ring.change(|_| true).unwrap_err().to_string();
        assert!(error.contains("keys.json"), "{error}");
        assert_eq!(fs::read_to_string(&ring.file).unwrap(), "{");
    }

    #[tokio::test]
    async fn what_is_no_key_is_refused() {
        let (_dir, ring) = ring();
        for wrong in ["", " ", "two words", "line\nbreak", "kéy"] {
            let kept = ring.set(PLACE, &SecretString::from(wrong), true).await;
            assert!(matches!(kept, Err(KeyError::NoKey)), "{wrong:?}");
        }
    }

    #[test]
    fn nothing_of_a_key_is_printed() {
        let (_dir, ring) = ring();
        put(&ring, "openai", CANARY);
        assert!(!format!("{ring:?}").contains(CANARY));
    }
}
