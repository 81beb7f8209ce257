//! What every call goes through: switches, token, body, and the answer now or later.

use axum::{
    extract::{Path, State},
    http::{
        HeaderMap, StatusCode,
        header::{AUTHORIZATION, RETRY_AFTER},
    },
    response::{IntoResponse, Response},
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
use crate::{
    clock::UnixTime,
    dev::{StandIn, ids, reply, service::enveloped, switches::Fault},
    secret::{Random, constant_time_eq},
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
pub(super) async fn call(stand_in: &StandIn, action: Action, headers: &HeaderMap, body: &[u8]) -> Response {
    let switches = &stand_in.0.switches.vault;
    let (habits, settings) = (switches.habits.take(), switches.of(action).take());
    let request_id = ids::fresh("prq", &*stand_in.0.random);
    if !settings.after_commit
        && let Some(answer) = trouble(stand_in, &request_id, &settings).await
    {
        return answer;
    }
    let outcome = outcome(stand_in, action, headers, body, &habits, &settings);
    if settings.after_commit
        && let Some(answer) = trouble(stand_in, &request_id, &settings).await
    {
        return answer;
    }
    if settings.put_off > 0 && outcome.http_status != StatusCode::UNAUTHORIZED {
        let token = authorization(headers);
        stand_in.0.pending.put_off(&request_id, token, settings.put_off, outcome);
        return accepted(stand_in, &request_id, 0);
    }
    answer(stand_in, &request_id, &outcome)
}

/// `GET /request/{request_id}`: the answer that was put off.
pub(super) async fn poll(
    State(stand_in): State<StandIn>,
    Path(request_id): Path<String>,
    headers: HeaderMap,
) -> Response {
    let switches = &stand_in.0.switches.vault;
    let (habits, settings) = (switches.habits.take(), switches.request.take());
    if let Some(answer) = trouble(&stand_in, &request_id, &settings).await {
        return answer;
    }
    let polled = match authorized(&headers, &habits) {
        Ok(()) => stand_in.0.pending.poll(&request_id, authorization(&headers)),
        Err(_) => Polled::AnotherToken,
    };
    let refused = |failure: &Failure| answer(&stand_in, &request_id, &failed(failure, &habits));
    match polled {
        Polled::NotYet(asked) => accepted(&stand_in, &request_id, asked),
        Polled::Done(outcome) => answer(&stand_in, &request_id, &outcome),
        Polled::AnotherToken => refused(&Failure::Unauthorized),
        Polled::Unknown => refused(&Failure::RequestNotFound),
    }
}

fn outcome(
    stand_in: &StandIn,
    action: Action,
    headers: &HeaderMap,
    body: &[u8],
    habits: &Habits,
    settings: &VaultCall,
) -> Outcome {
    let context = Context { now: stand_in.now(), random: &*stand_in.0.random, habits, call: settings };
    let result = authorized(headers, habits).and_then(|()| {
        let body = schema::read(body, action.members())?;
        match action.deed() {
            Deed::Look(look) => stand_in.0.state.read(|state| {
                let items = state.vault.changes_ago(settings.stale);
                look(&items, body, &context)
            }),
            Deed::Change(change) => stand_in.0.state.change(|state| {
                let result = change(&mut state.vault, body, &context);
                state.vault.end_change();
                result
            }),
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
async fn trouble(stand_in: &StandIn, request_id: &str, settings: &VaultCall) -> Option<Response> {
    let foreign = match &settings.fault {
        VaultFault::Foreign(fault) => fault,
        _ => &Fault::None,
    };
    if let Some(answer) = reply::trouble(settings.delay_ms, foreign).await {
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
    let http_status = StatusCode::from_u16(http_status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let voice = (status, http_status, "The stand-in was told to fail");
    let answer = enveloped(stand_in, request_id, voice, &Value::Null);
    Some(match &settings.fault {
        VaultFault::TooManyRequests(Some(after)) => ([(RETRY_AFTER, after.clone())], answer).into_response(),
        _ => answer,
    })
}

fn accepted(stand_in: &StandIn, request_id: &str, asked: u32) -> Response {
    let location = format!("{}/request/{request_id}", stand_in.0.issuer);
    let result = json!({"ttl_mins": 5760, "retry_counter": asked, "location": location});
    enveloped(
        stand_in,
        request_id,
        ("Accepted", StatusCode::ACCEPTED, "The request is being worked on"),
        &result,
    )
}

fn answer(stand_in: &StandIn, request_id: &str, outcome: &Outcome) -> Response {
    enveloped(stand_in, request_id, (&outcome.status, outcome.http_status, outcome.summary), &outcome.result)
}
