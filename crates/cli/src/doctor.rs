//! `musher doctor`: what is well here; with `--models`, what the model servers say.

use std::{collections::BTreeMap, path::Path, process::ExitCode};

use musher_protocol::*;

use crate::{
    args::Look,
    print,
    reach::{Reach, doctor_without_engine},
};

pub async fn doctor(data_dir: &Path, json: bool, look: Look) -> Result<ExitCode, ApiError> {
    let reach = match Reach::open(data_dir).await {
        Ok(reach) => reach,
        // It is asked when something is wrong: whatever can be looked at is.
        Err(trouble) => {
            let report = doctor_without_engine(data_dir, &trouble).await;
            report.checks.iter().for_each(|check| tell(check, json));
            return Ok(ExitCode::FAILURE);
        }
    };
    let mut checks = reach.call::<DoctorReport>("doctor", &Empty {}).await?.checks;
    checks.iter().for_each(|check| tell(check, json));
    if look.models || look.round_trip || look.base_url.is_some() {
        for mut asked in questions(&reach, look).await? {
            let report: EndpointReport = reach.call("endpoint_probe", &asked).await?;
            // They may be secrets; whoever asked knows them.
            asked.headers.clear();
            checks.push(check(&asked, &report));
            match json {
                true => print::json(&Answered { asked: &asked, report: &report }),
                false => checks.last().into_iter().for_each(|check| tell(check, false)),
            }
        }
    }
    reach.close().await;
    let is_well = checks.iter().all(|check| check.state != CheckState::Bad);
    Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A line of `--json`.
#[derive(serde::Serialize)]
struct Answered<'a> {
    asked: &'a EndpointProbeParams,
    report: &'a EndpointReport,
}

/// Each provider and each address that is known; with one of `look`, that alone.
async fn questions(reach: &Reach, look: Look) -> Result<Vec<EndpointProbeParams>, ApiError> {
    let Look { round_trip, base_url, dialect, model, organization, account_project, .. } = look;
    if base_url.is_some() {
        let gemini = dialect.as_deref() == Some("gemini");
        let runtime = if gemini { "gemini" } else { "openai" }.to_owned();
        let headers = look.headers.into_iter().collect();
        return Ok(vec![EndpointProbeParams {
            runtime,
            base_url,
            dialect,
            model,
            round_trip,
            headers,
            organization,
            account_project,
        }]);
    }
    let info: AppInfo = reach.call("app_info", &Empty {}).await?;
    let providers: Vec<RuntimeInfo> =
        info.runtimes.into_iter().filter(|runtime| runtime.over_http).collect();
    let question = |runtime: &RuntimeInfo| EndpointProbeParams {
        runtime: runtime.name.clone(),
        round_trip,
        ..EndpointProbeParams::default()
    };
    let mut asked: Vec<_> = providers.iter().map(question).collect();
    asked.extend(addresses(reach, &providers).await?.into_iter().map(
        |(base_url, (runtime, dialect))| EndpointProbeParams {
            runtime,
            base_url: Some(base_url),
            dialect,
            round_trip,
            ..EndpointProbeParams::default()
        },
    ));
    Ok(asked)
}

/// Runs are looked through for their addresses, the latest first, so many.
const LATEST: usize = 50;

/// Addresses of the person's own, with their runtimes and dialects: those that have a key, and those that
/// were worked with of late.
async fn addresses(
    reach: &Reach,
    providers: &[RuntimeInfo],
) -> Result<BTreeMap<String, (String, Option<String>)>, ApiError> {
    let kept: Vec<KeptKey> = reach.call("key_list", &Empty {}).await?;
    let places = kept.into_iter().map(|key| key.place).filter(|place| place.starts_with("http"));
    let mut found: BTreeMap<_, _> =
        places.map(|place| (place, ("openai".to_owned(), None))).collect();
    let mut runs: Vec<RunSummary> = reach.call("run_list", &Empty {}).await?;
    runs.retain(|run| providers.iter().any(|provider| provider.name == run.runtime));
    runs.sort_by_key(|run| run.created_at);
    // The latest has the last word.
    for run in &runs[runs.len().saturating_sub(LATEST)..] {
        let detail: RunDetail = reach.call("run_get", &RunParams { run: run.id.clone() }).await?;
        let EndpointSettings { base_url, dialect, .. } = detail.story.settings.endpoint;
        if let Some(base) = base_url {
            found.insert(base.trim_end_matches('/').to_owned(), (run.runtime.clone(), dialect));
        }
    }
    Ok(found)
}

/// Who has no key wanted none of its provider; an address that was named should be well.
fn check(asked: &EndpointProbeParams, report: &EndpointReport) -> DoctorCheck {
    let named = asked.base_url.is_some();
    let state = match (report.reachable, report.key) {
        (_, KeyState::Missing) if !named => CheckState::Notice,
        (false, _) | (_, KeyState::Missing | KeyState::Refused) => CheckState::Bad,
        _ if asked.round_trip && report.tool_calls != Some(true) => CheckState::Bad,
        _ if report.hint.is_some() => CheckState::Notice,
        _ => CheckState::Good,
    };
    let (sentence, hint) = (report.sentence.clone(), report.hint.clone());
    DoctorCheck { name: format!("{} models", asked.runtime), state, sentence, hint }
}

fn tell(check: &DoctorCheck, json: bool) {
    if json {
        print::json(check);
        return;
    }
    let mark = match check.state {
        CheckState::Good => "ok  ",
        CheckState::Notice => "note",
        CheckState::Bad => "BAD ",
    };
    print::line(&format!("{mark}  {:<13}  {}", check.name, check.sentence));
    if let Some(hint) = &check.hint {
        print::line(&format!("                     {hint}"));
    }
}
