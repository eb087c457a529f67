//! What is well and what is not, for `musher doctor` and the first start.

use std::{collections::BTreeSet, path::Path};

use musher_process::{LoginPath, PathSource, keeper_program};
use musher_protocol::*;
use musher_runtime::Registry;
use musher_store::keys::KeyRing;
use musher_worktree::Git;

use crate::{Engine, EngineConfig, keys::key_error, rules::rules_in};

impl Engine {
    pub async fn doctor(&self) -> Result<DoctorReport, ApiError> {
        let (git, login) = (self.core.git().await, self.core.login().await);
        let mut rest = self.check_rules().await;
        rest.push(self.check_data_dir());
        let (registry, dir) = (&self.core.registry, self.data_dir());
        Ok(report(git, login, (registry, dir), rest).await)
    }

    /// A project with a rule that cannot be read starts no run.
    async fn check_rules(&self) -> Vec<DoctorCheck> {
        let mut checks = Vec::new();
        // A database that cannot be asked is told of by whoever opens it.
        for project in self.core.store.projects().await.unwrap_or_default() {
            if let Err(error) = rules_in(&self.core, &project.id).await {
                let sentence = format!("Of the project {}: {}", project.root, error.message);
                let hint = error.hint.unwrap_or_default();
                checks.push(bad("rules", sentence, &format!("In that folder: {hint}")));
            }
        }
        checks
    }

    fn check_data_dir(&self) -> DoctorCheck {
        let dir = self.data_dir();
        let live = match self.core.runs.all().len() {
            0 => "no run is live".to_owned(),
            1 => "one run is live".to_owned(),
            many => format!("{many} runs are live"),
        };
        let kept = format!("Everything is kept in {}; {live}.", dir.display());
        match rustix::fs::statvfs(dir) {
            Ok(disk) => check_room(dir, disk.f_bavail.saturating_mul(disk.f_frsize), kept),
            Err(_) => good("data", kept),
        }
    }
}

/// The database and a transcript need this much to go on at all.
const NO_ROOM: u64 = 1 << 20;
const LITTLE_ROOM: u64 = musher_worktree::SPARE_MIB << 20;

fn check_room(dir: &Path, free: u64, kept: String) -> DoctorCheck {
    let dir = dir.display();
    if free < NO_ROOM {
        let sentence = format!("The disk that holds {dir} is full: {} KiB are free.", free >> 10);
        return bad("data", sentence, "Free some space there: a run that waits goes on by itself.");
    }
    if free >= LITTLE_ROOM {
        return good("data", kept);
    }
    let (free, needed) = (free >> 20, LITTLE_ROOM >> 20);
    let hint = format!(
        "The disk that holds it has {free} MiB free: free some space there, a new worktree needs \
         {needed} MiB."
    );
    let state = CheckState::Notice;
    DoctorCheck { name: "data".into(), state, sentence: kept, hint: Some(hint) }
}

/// The same where no engine could open its data; `trouble` says why.
pub async fn doctor_without_engine(
    config: &EngineConfig,
    registry: &Registry,
    trouble: &ApiError,
) -> DoctorReport {
    let login = (config.login)().await;
    let hint = trouble.hint.as_deref().unwrap_or("Choose another data directory with --data-dir.");
    let data = bad("data", trouble.message.clone(), hint);
    let own = (registry, config.data_dir.as_path());
    report(&Git::new(&login.path), &login, own, vec![data]).await
}

async fn report(
    git: &Git,
    login: &LoginPath,
    (registry, data_dir): (&Registry, &Path),
    rest: Vec<DoctorCheck>,
) -> DoctorReport {
    let mut checks = vec![check_git(git).await, check_path(login), check_keeper()];
    for kind in registry.all() {
        checks.push(check_runtime(&kind.detect(&login.path).await));
    }
    checks.extend(check_prices(registry));
    checks.extend(check_keys(data_dir));
    checks.extend(rest);
    let ok = checks.iter().all(|check| check.state != CheckState::Bad);
    DoctorReport { checks, ok }
}

async fn check_git(git: &Git) -> DoctorCheck {
    match git.version().await {
        Ok(version) => good("git", format!("git {version} is installed.")),
        Err(error) => bad("git", error.to_string(), "Install git 2.38 or newer."),
    }
}

fn check_path(login: &LoginPath) -> DoctorCheck {
    let folders = match std::env::split_paths(&login.path).count() {
        1 => "1 folder".to_owned(),
        many => format!("{many} folders"),
    };
    let sentence = match login.source {
        PathSource::Login => format!("PATH is your login shell's: {folders}."),
        _ => format!("PATH is the one Musher was started with: {folders}."),
    };
    let hint = login.note.clone();
    let state = if hint.is_some() { CheckState::Notice } else { CheckState::Good };
    DoctorCheck { name: "PATH".into(), state, sentence, hint }
}

fn check_keeper() -> DoctorCheck {
    match keeper_program() {
        Ok(path) => good("keeper", format!("Agents are held by {}.", path.display())),
        Err(error) => bad("keeper", error.to_string(), "Reinstall Musher, or set MUSHER_KEEPER."),
    }
}

fn check_runtime(info: &RuntimeInfo) -> DoctorCheck {
    let path = info.path.as_deref().unwrap_or_default();
    let sentence = match (&info.version, info.found) {
        (Some(version), true) => format!("{} {version} is at {path}.", info.label),
        (None, true) if info.over_http => format!("{} has a key.", info.label),
        (None, true) => format!("{} is at {path}.", info.label),
        (_, false) if info.over_http => format!("{} has no key.", info.label),
        (_, false) => format!("{} was not found.", info.label),
    };
    let state = if info.found { CheckState::Good } else { CheckState::Notice };
    DoctorCheck { name: info.name.clone(), state, sentence, hint: info.hint.clone() }
}

/// Kinds share a file; its trouble is told once.
fn check_prices(registry: &Registry) -> Vec<DoctorCheck> {
    let troubles: BTreeSet<String> = registry.all().filter_map(|kind| kind.trouble()).collect();
    let next = "Mend the file or remove it: until then no agent is started over HTTP.";
    troubles.into_iter().map(|trouble| bad("prices", trouble, next)).collect()
}

fn check_keys(data_dir: &Path) -> Option<DoctorCheck> {
    let error = key_error(KeyRing::new(data_dir).check().err()?);
    let next =
        "Mend the file, or remove it and keep the keys again: until then no kept key is found.";
    Some(bad("keys", error.message, next))
}

fn good(name: &str, sentence: String) -> DoctorCheck {
    DoctorCheck { name: name.into(), state: CheckState::Good, sentence, hint: None }
}

fn bad(name: &str, sentence: String, hint: &str) -> DoctorCheck {
    let hint = Some(hint.to_owned());
    DoctorCheck { name: name.into(), state: CheckState::Bad, sentence, hint }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_broken_file_of_the_user_is_told_once_and_in_a_line() {
        let dir = tempfile::tempdir().unwrap();
        let registry = crate::with_models(Registry::default(), dir.path());
        let all = || [check_prices(&registry), check_keys(dir.path()).into_iter().collect()];
        assert_eq!(all(), [[], []]);
        std::fs::write(dir.path().join("prices.toml"), "models = 3").unwrap();
        std::fs::write(dir.path().join("keys.json"), "{\"openai\": \"sk-canary\"").unwrap();
        for (checks, file) in all().iter().zip(["prices.toml, line 1", "keys.json"]) {
            assert_eq!((checks.len(), checks[0].state), (1, CheckState::Bad), "{checks:?}");
            let said = &checks[0].sentence;
            let place = dir.path().join(file);
            assert!(said.contains(&*place.to_string_lossy()) && !said.contains('\n'), "{said}");
            assert!(checks[0].hint.is_some() && !said.contains("canary"), "{checks:?}");
        }
    }

    #[test]
    fn the_room_that_is_left_is_looked_at() {
        for (free, state) in [
            (0, CheckState::Bad),
            (NO_ROOM, CheckState::Notice),
            (LITTLE_ROOM - 1, CheckState::Notice),
            (LITTLE_ROOM, CheckState::Good),
        ] {
            let check = check_room(Path::new("/data"), free, "Kept in /data.".into());
            assert_eq!(check.state, state, "{free} bytes are free: {check:?}");
            assert_eq!(check.hint.is_some(), state != CheckState::Good);
        }
    }
}
