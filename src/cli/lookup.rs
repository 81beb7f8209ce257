//! Which client or grant an argument means: an ID, or at least four characters of its beginning.

use super::failure::{Exit, Failure};
use crate::{
    flow::administration::{Administration, Found},
    oauth::{
        client::{Client, ClientId},
        grant::Grant,
        token::{GrantId, TokenId},
    },
    repository::RepositoryError,
};

pub(super) async fn client(administration: &Administration, text: &str) -> Result<Client, Failure> {
    match administration.find_client(text).await? {
        Found::One(client) => Ok(*client),
        Found::Several(candidates) => Err(ambiguous(text, &candidates)),
        Found::Unreadable(record) => Err(RepositoryError::from(record).into()),
        Found::Nothing => Err(no_client(administration, text).await?),
    }
}

/// The ID of a client. A client that was deleted or cannot be read may still have grants.
pub(super) async fn client_id(administration: &Administration, text: &str) -> Result<ClientId, Failure> {
    match administration.find_client(text).await? {
        Found::One(client) => Ok(client.client_id),
        Found::Several(candidates) => Err(ambiguous(text, &candidates)),
        Found::Unreadable(record) => {
            ClientId::parse(&record.key).ok_or_else(|| RepositoryError::from(record).into())
        }
        Found::Nothing => match ClientId::of_request(text) {
            Some(gone) if administration.has_grants(&gone).await? => Ok(gone),
            _ => Err(no_client(administration, text).await?),
        },
    }
}

/// The failure for an unknown client. If the text is the name of clients, its hint lists their IDs.
pub(super) async fn no_client(
    administration: &Administration,
    text: &str,
) -> Result<Failure, RepositoryError> {
    let failure = not_found("client", text);
    let called = administration.clients_called(text).await?;
    if !called.is_empty() {
        let ids: Vec<&str> = called.iter().map(ClientId::as_str).collect();
        return Ok(failure.hint(format!("this is a name; clients with that name: {}", ids.join(", "))));
    }
    Ok(match administration.find_grant(text).await? {
        Found::Nothing => failure,
        _ => failure.hint(format!("this is a grant: pangea-mcp-auth tokens show {text}")),
    })
}

/// The grant, and the number of a token if the text names one (`<grant>.<number>`).
pub(super) async fn grant(
    administration: &Administration,
    text: &str,
) -> Result<(Box<Grant>, Option<u64>), Failure> {
    let (name, number) = match text.split_once('.') {
        Some((name, number)) => {
            let number = number.parse().map_err(|_| not_found("grant or token", text))?;
            (name, Some(number))
        }
        None => (text, None),
    };
    match administration.find_grant(name).await? {
        Found::One(grant) if number.is_none_or(|number| (1..=grant.issued()).contains(&number)) => {
            Ok((grant, number))
        }
        Found::Several(candidates) => Err(ambiguous(text, &candidates)),
        Found::Unreadable(record) => Err(RepositoryError::from(record).into()),
        Found::One(_) => Err(not_found("grant or token", text)),
        Found::Nothing => {
            let failure = not_found("grant or token", text);
            Err(match administration.find_client(text).await? {
                Found::Nothing => failure,
                _ => failure.hint(format!("this is a client: pangea-mcp-auth tokens list --client {text}")),
            })
        }
    }
}

pub(super) fn not_found(what: &str, text: &str) -> Failure {
    let failure = Failure::new(Exit::NotFound, format!("no {what} matches {text:?}"));
    let id = TokenId::parse(text).is_some() || GrantId::parse(text).is_some();
    failure.hint(if id {
        "expired records are deleted after a while; `pangea-mcp-auth tokens list` shows the current grants"
    } else {
        "use an ID, or at least its first four characters"
    })
}

pub(super) fn ambiguous(text: &str, candidates: &[String]) -> Failure {
    let failure = Failure::new(Exit::Usage, format!("several IDs begin with {text:?}"));
    failure.hint(format!("use more characters; the matches include {}", candidates.join(", ")))
}
