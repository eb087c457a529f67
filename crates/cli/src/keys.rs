//! `musher keys`: a provider's key goes in through stdin, never through an argument that others see.

use std::{
    io::{self, IsTerminal, Read},
    path::Path,
    process::ExitCode,
};

use musher_api::Client;
use musher_engine::{KeyRing, check_kept, key_error};
use musher_protocol::{ApiError, ErrorCode, KeptIn, KeptKey, KeyRemoved};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use crate::{args::Keys, print};

/// No provider's key is longer.
const MOST: u64 = 4096;

pub async fn keys(data_dir: &Path, json: bool, command: Keys) -> Result<ExitCode, ApiError> {
    std::fs::create_dir_all(data_dir).map_err(|error| {
        let message = format!("The data directory {} cannot be made: {error}.", data_dir.display());
        ApiError::new(ErrorCode::NoPermission, message)
    })?;
    let ring = KeyRing::new(data_dir);
    match command {
        Keys::Set { place, file } => {
            let key = read_key(&place)?;
            if key.expose_secret().trim().is_empty() {
                let none = ApiError::new(ErrorCode::BadRequest, "No key came on standard input.");
                return Err(none.with_hint(format!("Write: musher keys set {place} < FILE")));
            }
            let kept = set(data_dir, &ring, &place, &key, file).await?;
            eprintln!(
                "The key for {place} is in {}; runs that begin from now on use it.",
                in_words(kept)
            );
        }
        Keys::List => list(&ring, json).await?,
        Keys::Remove { place } => match remove(data_dir, &ring, &place).await? {
            true => eprintln!("The key for {place} is forgotten."),
            false => eprintln!("There was no key for {place}."),
        },
    }
    Ok(ExitCode::SUCCESS)
}

/// An engine that runs keeps it, so that nobody whose work it hosts is told it from then on.
async fn set(
    data_dir: &Path,
    ring: &KeyRing,
    place: &str,
    key: &SecretString,
    file: bool,
) -> Result<KeptIn, ApiError> {
    check_kept(place, key)?;
    let Some(engine) = Client::connect(data_dir).await? else {
        return ring.set(place, key, file).await.map_err(key_error);
    };
    let params = json!({ "place": place, "key": key.expose_secret(), "file": file });
    Ok(engine.ask::<KeptKey>("key_set", &params).await?.kept)
}

/// Whether there was one.
async fn remove(data_dir: &Path, ring: &KeyRing, place: &str) -> Result<bool, ApiError> {
    let Some(engine) = Client::connect(data_dir).await? else {
        return ring.remove(place).await.map_err(key_error);
    };
    Ok(engine.ask::<KeyRemoved>("key_remove", &json!({ "place": place })).await?.was)
}

async fn list(ring: &KeyRing, json: bool) -> Result<(), ApiError> {
    let kept = ring.list().await.map_err(key_error)?;
    for key in &kept {
        match json {
            true => print::json(key),
            false => print::line(&format!("{}  in {}", key.place, in_words(key.kept))),
        }
    }
    if kept.is_empty() && !json {
        print::line("No keys are kept. Keep one: musher keys set openai");
    }
    Ok(())
}

/// At a terminal it is asked for, and not shown.
fn read_key(place: &str) -> Result<SecretString, ApiError> {
    let read = match io::stdin().is_terminal() {
        true => rpassword::prompt_password(format!("The key for {place} (it is not shown): ")),
        false => {
            let mut key = String::new();
            io::stdin().lock().take(MOST).read_to_string(&mut key).map(|_| key)
        }
    };
    read.map(SecretString::from).map_err(|error| {
        ApiError::new(ErrorCode::BadRequest, format!("The key could not be read: {error}."))
    })
}

fn in_words(kept: KeptIn) -> &'static str {
    match kept {
        KeptIn::Keychain => "this system's keychain",
        KeptIn::File => "a file that only you can read (keys.json in the data directory)",
    }
}
