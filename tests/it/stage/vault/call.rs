//! What every call goes through: switches, token, body, and the answer now or later.

use axum::{
    extract::{Path, State},
    http::{
        HeaderMap, StatusCode,
        header::{AUTHORIZATION, RETRY_AFTER},
    },
    response::{IntoResponse, Response},
};
use pangea_mcp_auth::{
    clock::UnixTime,
    dev::{Envelope, Verdict, fresh_id},
    secret::{Random, constant_time_eq},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{
    action::{Action, Body, Deed},
    failure::{Failure, Flaw},
    pending::{Outcome, Polled},
    schema,
    switches::{Habits, VaultCall, VaultFault},
};
use crate::stage::{
    Stage,
    faults::{Fault, status_code},
};

/// What a call can see besides its body.
pub(super) struct Context<'a> {
    pub(super) now: UnixTime,
    pub(super) random: &'a dyn Random,
    pub(super) habits: &'a Habits,
    pub(super) call: &'a VaultCall,
}

/// The members of a body that was found to fit.
pub(super) fn typed<T: DeserializeOwned>(body: Body) -> Result<T, Failure> {
    serde_json::from_value(Value::Object(body)).map_err(|_| Flaw::new("InvalidObject", "").into())
}

/// Answers one call.
pub(super) async fn call(stage: &Stage, action: Action, headers: &HeaderMap, body: &[u8]) -> Response {
    let switches = &stage.0.switches.vault;
    let (habits, settings) = (switches.habits.take(), switches.of(action).take());
    let request_id = fresh_id("prq", &*stage.0.vault.random);
    if !settings.after_commit
        && let Some(answer) = trouble(stage, &request_id, &settings).await
    {
        return answer;
    }
    let outcome = outcome(stage, action, headers, body, &habits, &settings);
    if settings.after_commit
        && let Some(answer) = trouble(stage, &request_id, &settings).await
    {
        return answer;
    }
    if settings.put_off > 0 && outcome.http_status != StatusCode::UNAUTHORIZED {
        let token = authorization(headers);
        stage.0.vault.pending.put_off(&request_id, token, settings.put_off, outcome);
        return accepted(stage, &request_id, 0);
    }
    answer(stage, &request_id, &outcome)
}

/// `GET /request/{request_id}`: the answer that was put off.
pub(super) async fn poll(
    State(stage): State<Stage>,
    Path(request_id): Path<String>,
    headers: HeaderMap,
) -> Response {
    let switches = &stage.0.switches.vault;
    let (habits, settings) = (switches.habits.take(), switches.request.take());
    if let Some(answer) = trouble(&stage, &request_id, &settings).await {
        return answer;
    }
    let polled = match authorized(&headers, &habits) {
        Ok(()) => stage.0.vault.pending.poll(&request_id, authorization(&headers)),
        Err(_) => Polled::AnotherToken,
    };
    let refused = |failure: &Failure| answer(&stage, &request_id, &failed(failure, &habits));
    match polled {
        Polled::NotYet(asked) => accepted(&stage, &request_id, asked),
        Polled::Done(outcome) => answer(&stage, &request_id, &outcome),
        Polled::AnotherToken => refused(&Failure::Unauthorized),
        Polled::Unknown => refused(&Failure::RequestNotFound),
    }
}

fn outcome(
    stage: &Stage,
    action: Action,
    headers: &HeaderMap,
    body: &[u8],
    habits: &Habits,
    settings: &VaultCall,
) -> Outcome {
    let context =
        Context { now: stage.0.vault.clock.now(), random: &*stage.0.vault.random, habits, call: settings };
    let result = authorized(headers, habits).and_then(|()| {
        let mut items = stage.0.vault.items();
        let body = schema::read(body, action.members())?;
        match action.deed() {
            Deed::Look(look) => look(&items.changes_ago(settings.stale), body, &context),
            Deed::Change(change) => {
                let result = change(&mut items, body, &context);
                items.end_change();
                result
            }
        }
    });
    match result {
        Ok(result) => {
            Outcome { status: "Success".to_owned(), http_status: StatusCode::OK, summary: "Success", result }
        }
        Err(failure) => failed(&failure, habits),
    }
}

fn failed(failure: &Failure, habits: &Habits) -> Outcome {
    let (status, http_status, summary) = failure.voice(habits);
    Outcome { status: status.to_owned(), http_status, summary, result: failure.result(habits) }
}

fn authorization(headers: &HeaderMap) -> &[u8] {
    headers.get(AUTHORIZATION).map(axum::http::HeaderValue::as_bytes).unwrap_or_default()
}

fn authorized(headers: &HeaderMap, habits: &Habits) -> Result<(), Failure> {
    let expected = format!("Bearer {}", habits.token);
    let is_right = constant_time_eq(authorization(headers), expected.as_bytes());
    if is_right { Ok(()) } else { Err(Failure::Unauthorized) }
}

/// Waits as long as a switch asks for, and fails if it asks for that.
async fn trouble(stage: &Stage, request_id: &str, settings: &VaultCall) -> Option<Response> {
    let foreign = match &settings.fault {
        VaultFault::Foreign(fault) => fault,
        _ => &Fault::None,
    };
    if let Some(answer) = foreign.after(settings.delay_ms).await {
        return Some(answer);
    }
    let (status, http_status) = match &settings.fault {
        VaultFault::None | VaultFault::Foreign(_) => return None,
        VaultFault::Unauthorized => ("Unauthorized", 401),
        VaultFault::Forbidden => ("ForbiddenVaultOperation", 403),
        VaultFault::TooManyRequests(_) => ("TooManyRequests", 429),
        VaultFault::InternalError => ("InternalError", 500),
        VaultFault::NotAvailable => ("ServiceNotAvailable", 503),
        VaultFault::Refused { status, http_status } => (status.as_str(), *http_status),
    };
    let http_status = status_code(http_status);
    let verdict = Verdict { status, http_status, summary: "Vault was told to fail" };
    let answer = envelope(stage, request_id).around(&verdict, &Value::Null);
    Some(match &settings.fault {
        VaultFault::TooManyRequests(Some(after)) => ([(RETRY_AFTER, after.clone())], answer).into_response(),
        _ => answer,
    })
}

fn accepted(stage: &Stage, request_id: &str, asked: u32) -> Response {
    let location = format!("{}/request/{request_id}", stage.0.issuer);
    let result = json!({"ttl_mins": 5760, "retry_counter": asked, "location": location});
    let verdict = Verdict {
        status: "Accepted",
        http_status: StatusCode::ACCEPTED,
        summary: "The request is being worked on",
    };
    envelope(stage, request_id).around(&verdict, &result)
}

fn answer(stage: &Stage, request_id: &str, outcome: &Outcome) -> Response {
    let Outcome { status, http_status, summary, result } = outcome;
    let verdict = Verdict { status, http_status: *http_status, summary };
    envelope(stage, request_id).around(&verdict, result)
}

fn envelope<'a>(stage: &Stage, request_id: &'a str) -> Envelope<'a> {
    Envelope { time: stage.0.vault.clock.now(), request_id }
}
