//! Machine clients, as operators add, see and end them.

use serde_json::{Value, json};

use super::{
    records::{Records, grant},
    transcript::Transcript,
};
use crate::{
    operator::check::fits_schema,
    support::{Signer, process::Outcome},
};

const ADD: &str = "clients add --grant client-credentials --resource http://127.0.0.1:9/mcp";

fn fits(schema: &str, outcome: &Outcome) -> Value {
    let printed = serde_json::from_str(&outcome.out).unwrap_or_else(|error| panic!("{error}: {outcome:?}"));
    fits_schema(schema, &printed);
    printed
}

/// A machine client with a grant whose token is live.
async fn with_a_token() -> Records {
    let records = Records::usual().await;
    let machine = json!({ "client_id": "mcp_nightly", "origin": "operator", "issued_at": records.now.as_secs() - 60,
        "secret": pangea_mcp_auth::secret::TokenHash::of("mcp_cs_canary"),
        "allowance": { "resources": ["http://127.0.0.1:9/mcp"], "scope": "user" },
        "metadata": { "client_name": "Nightly build", "redirect_uris": [], "response_types": [],
            "token_endpoint_auth_method": "client_secret_basic", "grant_types": ["client_credentials"] } });
    records.keep_clients(vec![machine]).await;
    let now = records.now.as_secs();
    let token = json!({ "id": grant(16), "client_id": "mcp_nightly", "resource": "http://127.0.0.1:9/mcp",
        "scope": "user", "created_at": now, "last_used_at": now, "expires_at": now + 90 * 60 + 60, "issued": 1,
        "state": { "active": { "live": [{ "n": 1, "h": pangea_mcp_auth::secret::TokenHash::of("at"), "i": now,
            "l": 90 * 60 }] } } });
    records.keep(vec![token]).await;
    records
}

/// Shows: CC-1.
#[tokio::test]
async fn a_machine_client_is_added_with_what_it_may_do() {
    let records = Records::none();
    let mut transcript = Transcript::new(&records);
    for arguments in [
        "clients add --grant client-credentials",
        &format!("{ADD} --redirect-uri https://app.example.com/cb"),
        "clients add --redirect-uri https://app.example.com/cb --scope user",
        "clients add --grant client-credentials --resource http://127.0.0.1:9/mpc",
        "clients add --grant client-credentials --resource https://elsewhere.example/mcp",
        &format!("{ADD} --scope admin"),
        &format!("{ADD} --scope us\"er"),
        &format!("{ADD} -q"),
    ] {
        let refused = transcript.run(arguments);
        assert_eq!((refused.code, &*refused.out), (Some(2), ""), "{refused:?}");
    }
    assert_eq!(records.json("clients list -o json"), json!([]), "nothing was added");
    let printed =
        fits("clients-add.json", &transcript.run(&format!("{ADD}/ --scope user --name Nightly -o json")));
    let id = printed["client_id"].as_str().unwrap().to_owned();
    let secret = printed["client_secret"].as_str().unwrap().to_owned();
    assert!(secret.starts_with("mcp_cs_"));
    fits("clients-show.json", &records.run(&format!("clients show {id} -o json")));
    let shown = transcript.run(&format!("clients show {id}"));
    assert!(!shown.out.contains(&secret));
    fits("clients-list.json", &records.run("clients list -o json"));
    transcript.name(&id, "<client>");
    transcript.name(&secret, "<secret>");
    transcript.is("machines-add.txt");
}

/// Shows: CAUTH-10, DCR-14.
#[tokio::test]
async fn a_client_is_added_with_its_public_keys() {
    let records = Records::none();
    let signer = Signer::new("EdDSA", "k");
    let with = |member: &str| {
        let mut jwk = signer.jwk();
        jwk[member] = json!("c2VjcmV0");
        json!({ "keys": [jwk] }).to_string()
    };
    records.home.write("jwks.json", &signer.jwks().to_string());
    records.home.write("private.json", &with("d"));
    records.home.write("one.json", &signer.jwk().to_string());
    records.home.write("p384.json", &Signer::new("ES384", "k").jwks().to_string());
    let mut transcript = Transcript::new(&records);
    for file in ["gone.json", "private.json", "one.json", "p384.json"] {
        let refused = transcript.run(&format!("{ADD} --jwks {file}"));
        assert_eq!(refused.code, Some(2), "{refused:?}");
        assert!(!refused.err.contains("c2VjcmV0"), "no key is repeated");
    }
    let both = "clients add --redirect-uri https://app.example.com/cb --confidential --jwks jwks.json";
    assert_eq!(transcript.run(both).code, Some(2));
    let machine = fits("clients-add.json", &transcript.run(&format!("{ADD} --jwks jwks.json -o json")));
    let app = "clients add --redirect-uri https://app.example.com/cb --jwks jwks.json -o json";
    let app = fits("clients-add.json", &records.run(app));
    for printed in [&machine, &app] {
        assert_eq!(printed["token_endpoint_auth_method"], "private_key_jwt");
        assert_eq!(printed["client_secret"], json!(null));
        let shown = records.run(&format!("clients show {} -o json", printed["client_id"].as_str().unwrap()));
        assert_eq!(fits("clients-show.json", &shown)["keys"], 1);
    }
    let id = machine["client_id"].as_str().unwrap().to_owned();
    assert_eq!(
        records.run(&format!("{ADD} --jwks jwks.json -q")).code,
        Some(0),
        "there is no secret to hide"
    );
    let rotated = transcript.run(&format!("clients rotate-secret {id}"));
    assert_eq!(rotated.code, Some(1), "it has no secret");
    transcript.name(&id, "<client>");
    transcript.is("machines-keys.txt");
}

/// Shows: CAUTH-9.
#[tokio::test]
async fn a_secret_is_rotated_with_an_overlap() {
    let records = with_a_token().await;
    let mut transcript = Transcript::new(&records);
    let first = transcript.run("clients rotate-secret mcp_night");
    let printed =
        fits("clients-rotate-secret.json", &transcript.run("clients rotate-secret mcp_nightly -o json"));
    fits("clients-show.json", &records.run("clients show mcp_nightly -o json"));
    transcript.run("clients show mcp_nightly");
    let last = transcript.run("clients rotate-secret mcp_nightly --overlap 0s");
    for (arguments, code) in [
        ("clients rotate-secret mcp_nightly -q", 2),
        ("clients rotate-secret mcp_nightly --overlap soon", 2),
        ("clients rotate-secret mcp_unknown", 3),
        ("clients rotate-secret mcp_claude", 1),
    ] {
        assert_eq!(transcript.run(arguments).code, Some(code), "{arguments}");
    }
    let secret = |out: &str| {
        let line = out.lines().find(|line| line.starts_with("client_secret\t")).unwrap();
        line.split('\t').nth(1).unwrap().to_owned()
    };
    let json = printed["client_secret"].as_str().unwrap().to_owned();
    for (number, secret) in [secret(&first.out), json, secret(&last.out)].iter().enumerate() {
        assert!(secret.starts_with("mcp_cs_"), "{secret}");
        transcript.name(secret, &format!("<secret {number}>"));
    }
    transcript.is("machines-rotate.txt");
}

/// Shows: CC-5.
#[tokio::test]
async fn the_tokens_of_a_machine_are_told_apart_from_a_persons() {
    let records = with_a_token().await;
    let mut transcript = Transcript::new(&records);
    let listed = fits("tokens-list.json", &records.run("tokens list -o json"));
    let machines: Vec<&Value> =
        listed.as_array().unwrap().iter().filter(|row| row["machine"] == true).collect();
    assert_eq!(machines.len(), 1);
    assert_eq!((&machines[0]["subject"], &machines[0]["email"]), (&json!("mcp_nightly"), &json!(null)));
    fits("tokens-show.json", &transcript.run(&format!("tokens show {} -o json", grant(16))));
    for arguments in [
        "tokens list --client mcp_nightly",
        "tokens show 165k9c",
        "tokens list --user mcp_nightly",
        "clients list --unused -q",
        "tokens revoke --client mcp_nightly --dry-run",
        "tokens revoke --client mcp_nightly --yes",
        "tokens list --client mcp_nightly",
        "clients revoke mcp_nightly --yes",
    ] {
        transcript.run(arguments);
    }
    transcript.is("machines-tokens.txt");
}
