//! A login from end to end.

use crate::support::{Browser, Client, Server, claims, query};

#[tokio::test]
async fn a_person_signs_in_and_the_client_gets_tokens_for_the_resource() {
    let server = Server::start().await;
    let client = Client::public(&server).await;
    let tokens = client.login(&server).await;
    assert_eq!(claims(&tokens.access)["aud"], server.resource);
    let introspected = server.introspect(&tokens.access).await;
    assert_eq!(introspected["active"], true);
    assert_eq!(introspected["username"], "ada@example.com");
}

#[tokio::test]
async fn the_answer_carries_code_state_and_issuer_and_nothing_else() {
    let server = Server::start().await;
    let client = Client::public(&server).await;
    let answer = client.authorize(&server, &mut Browser::new(), &[]).await;
    let answer = query(&answer.location().unwrap());
    assert_eq!(answer["state"], "client-state");
    assert_eq!(answer["iss"], server.url);
    assert_eq!(answer.keys().map(String::as_str).collect::<Vec<_>>(), ["code", "iss", "state"]);
}
