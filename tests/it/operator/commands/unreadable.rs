//! Records that cannot be read, damaged or of another version: they hide no others, and are named.

use rusqlite::Connection;
use serde_json::Value;

use super::{
    records::{Records, grant},
    transcript::Transcript,
};
use crate::{
    operator::check::fits_schema,
    support::{Client, Server, body},
};

/// Makes a record unreadable.
pub(crate) fn damage(database: &std::path::Path, key: &str) {
    let database = Connection::open(database).unwrap();
    let damaged = database.execute("UPDATE record SET value = '{\"version\":9}' WHERE key = ?1", [key]);
    assert_eq!(damaged.unwrap(), 1, "{key}");
}

async fn damaged() -> Records {
    let records = Records::usual().await;
    for key in [&*grant(13), "mcp_forgotten"] {
        damage(&records.home.path("records.sqlite"), key);
    }
    records
}

#[tokio::test]
async fn the_others_are_listed_and_ended_and_it_is_said_which_were_not() {
    let records = damaged().await;
    let mut transcript = Transcript::new(&records);
    for arguments in [
        "tokens list -q",
        "tokens show 135k9c",
        "tokens revoke 135k9c 155k9c",
        "tokens revoke --user ada@example.com --dry-run",
        "clients list -q",
        "clients show mcp_forgotten",
        "clients prune --dry-run -q",
        "tokens revoke --all --yes",
    ] {
        transcript.run(arguments);
    }
    let revoked = transcript.run("tokens revoke --all --yes -o json");
    fits_schema("tokens-revoke.json", &serde_json::from_str::<Value>(&revoked.out).unwrap());
    for arguments in [
        "clients revoke mcp_cursor --yes",
        "clients revoke mcp_forgotten --yes",
        "clients list -q",
        "tokens list --state active",
    ] {
        transcript.run(arguments);
    }
    transcript.is("unreadable.txt");
    let rotated = records.run("keys rotate --revoke-all --yes -o json");
    fits_schema("keys-rotate.json", &serde_json::from_str::<Value>(&rotated.out).unwrap());
    assert_eq!(rotated.code, Some(4), "{rotated:?}");
    assert!(rotated.err.contains(&grant(13)), "{rotated:?}");
}

/// A grant that cannot be read may live, for another version reads it perhaps; its client stays.
#[tokio::test]
async fn what_is_not_known_of_one_record_is_not_guessed_of_another() {
    let records = Records::usual().await;
    for key in [&*grant(13), &grant(15), "mcp_claude"] {
        damage(&records.home.path("records.sqlite"), key);
    }
    let pruned = records.run("clients prune --unused-for 1d --yes");
    assert_eq!((pruned.code, pruned.err.contains("1 client removed")), (Some(0), true), "{pruned:?}");
    let left = records.run("clients list -q");
    assert_eq!(left.out, "mcp_backoffice\nmcp_cursor\n", "no one used the forgotten one");
    let listed = records.json("tokens list -o json");
    let [newest, ..] = &listed.as_array().unwrap()[..] else { panic!("{listed}") };
    assert_eq!((&newest["client_id"], &newest["client_name"]), (&"mcp_claude".into(), &Value::Null));
    let several = records.run("tokens show 1");
    assert_eq!(several.code, Some(3), "{several:?}");
}

/// What cannot be ended cannot be used either.
#[tokio::test]
async fn a_grant_that_cannot_be_read_serves_nobody() {
    let server = Server::start().await;
    let (client, other) = (Client::public(&server).await, Client::public(&server).await);
    let (tokens, others) = (client.login(&server).await, other.login(&server).await);
    let code = client.code(&server).await;
    for grant in server.stored_grants().iter().filter(|grant| grant["client_id"] == *client.id) {
        damage(&server.folder.path().join("test.sqlite"), grant["id"].as_str().unwrap());
    }
    let refused = client.refresh(&server, &tokens.refresh).await;
    assert_eq!((refused.status().as_u16(), &body(refused).await["error"]), (500, &"server_error".into()));
    assert_eq!(client.redeem(&server, &code).await.status(), 500);
    let asked = [("token", &*tokens.access)];
    let asked = server.form("/introspect", &asked).basic_auth("rs-1", Some(crate::support::RS_SECRET));
    let asked = asked.send().await.unwrap();
    assert_eq!(asked.status(), 500);
    assert_ne!(body(asked).await["active"], true);
    assert_eq!(server.introspect(&others.access).await["active"], true, "others are not in the way");
    other.refresh(&server, &others.refresh).await.error_for_status().unwrap();
}
