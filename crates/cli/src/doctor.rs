//! `musher doctor`: what is well here; with `--models`, what the model servers say.

use std::{path::Path, process::ExitCode};

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
    if look.models {
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

/// Each provider; with an address, that alone.
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
    let providers = info.runtimes.into_iter().filter(|runtime| runtime.over_http);
    let question = |runtime: RuntimeInfo| EndpointProbeParams {
        runtime: runtime.name,
        round_trip,
        ..EndpointProbeParams::default()
    };
    Ok(providers.map(question).collect())
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
