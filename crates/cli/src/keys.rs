//! `musher keys`: a provider's key goes in through stdin, never through an argument that others see.

use std::{
    io::{self, IsTerminal, Read},
    path::Path,
    process::ExitCode,
};

use musher_engine::{KeptIn, KeyError, KeyRing};
use musher_protocol::{ApiError, ErrorCode};
use secrecy::SecretString;

use crate::args::Keys;

/// No provider's key is longer.
const MOST: u64 = 4096;

pub async fn keys(data_dir: &Path, command: Keys) -> Result<ExitCode, ApiError> {
    std::fs::create_dir_all(data_dir).map_err(|error| {
        let message = format!("The data directory {} cannot be made: {error}.", data_dir.display());
        ApiError::new(ErrorCode::NoPermission, message)
    })?;
    let ring = KeyRing::new(data_dir);
    match command {
        Keys::Set { place, file } => {
            let kept = ring.set(&place, &read_key(&place)?, file).await.map_err(said)?;
            eprintln!("The key for {place} is in {}.", in_words(kept));
        }
        Keys::Remove { place } => match ring.remove(&place).await.map_err(said)? {
            true => eprintln!("The key for {place} is forgotten."),
            false => eprintln!("There was no key for {place}."),
        },
    }
    Ok(ExitCode::SUCCESS)
}

fn read_key(place: &str) -> Result<SecretString, ApiError> {
    if io::stdin().is_terminal() {
        eprintln!("Paste the key for {place}, then press Enter and Ctrl-D:");
    }
    let mut key = String::new();
    io::stdin().lock().take(MOST).read_to_string(&mut key).map_err(|error| {
        ApiError::new(ErrorCode::BadRequest, format!("The key could not be read: {error}."))
    })?;
    Ok(SecretString::from(key))
}

fn in_words(kept: KeptIn) -> &'static str {
    match kept {
        KeptIn::Keychain => "this system's keychain",
        KeptIn::File => "a file that only you can read (keys.json in the data directory)",
    }
}

fn said(error: KeyError) -> ApiError {
    let code = match error {
        KeyError::NoKey => ErrorCode::BadRequest,
        _ => ErrorCode::NoPermission,
    };
    let hint = match error {
        KeyError::NoKeychain(_) => Some(
            "Add --file to keep it in a file that only you can read, or set OPENAI_API_KEY or \
             GEMINI_API_KEY where Musher is started.",
        ),
        KeyError::File { .. } => Some("Look at the file, or remove it and set the keys again."),
        KeyError::NoKey => None,
    };
    let mut text = error.to_string();
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    let error = ApiError::new(code, format!("{text}."));
    match hint {
        Some(hint) => error.with_hint(hint),
        None => error,
    }
}
