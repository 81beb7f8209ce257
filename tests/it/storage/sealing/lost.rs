//! The sealing key is lost, and there is no copy: how an installation starts again.

use pangea_mcp_auth::secret::{SealingKey, SystemRandom};
use serde_json::Value;

use crate::{
    operator::check::fits_schema,
    operator::processes::{
        Upstream,
        visitor::{Visitor, introspect},
    },
    support::{
        claims, http,
        process::{Home, RS_SECRET, free_port},
    },
};

const BEGIN_ANEW: &str = "keys rotate --revoke-all";

#[tokio::test(flavor = "multi_thread")]
async fn one_command_leads_out_and_clients_stay_registered() {
    let url = format!("http://127.0.0.1:{}", free_port());
    let upstream = Upstream::start(&url).await;
    let home = Home::with_configuration(&url, &upstream.url);
    let run = |line: &str| {
        let all = ["--config config.toml", BEGIN_ANEW, line].join(" ");
        home.run(&all.split_whitespace().collect::<Vec<_>>())
    };
    let introspected = |token: &str| {
        let (url, token) = (url.clone(), token.to_owned());
        async move { introspect(&url, ("rs-1", RS_SECRET), &token).await["active"].clone() }
    };
    let published = async || -> String {
        http().get(format!("{url}/jwks.json")).send().await.unwrap().text().await.unwrap()
    };

    let daemon = home.serve();
    let visitor = Visitor::register(&url, &format!("{url}/mcp")).await;
    let before = visitor.login().await;
    let code = visitor.code().await;
    assert_eq!(introspected(&before.access).await, true);
    daemon.stop();
    home.write("sealing-key", &SealingKey::generate(&SystemRandom).to_text());

    let refused = home.run(&["serve", "--config", "config.toml"]);
    assert_eq!(refused.code, Some(78), "{refused:?}");
    assert!(refused.err.contains(&format!("pangea-mcp-auth {BEGIN_ANEW}")), "{refused:?}");
    for (flag, code) in [("", 2), ("--dry-run", 0)] {
        let asked = run(flag);
        assert_eq!(asked.code, Some(code), "{asked:?}");
        assert!(asked.err.contains("keys.sealing cannot decrypt 1 signing keys."), "{asked:?}");
    }
    assert_eq!(home.run(&["serve", "--config", "config.toml"]).code, Some(78), "nothing was done yet");

    let begun = run("--yes -o json");
    assert_eq!(begun.code, Some(0), "{begun:?}");
    let report: Value = serde_json::from_str(&begun.out).unwrap();
    fits_schema("keys-rotate.json", &report);
    assert_eq!((&report["retiring"], &report["grants"]["revoked"]), (&Value::Array(vec![]), &2.into()));

    let daemon = home.serve();
    assert_eq!(introspected(&before.access).await, false);
    let refused = visitor.refresh(&before.refresh).await.unwrap_err();
    assert_eq!(refused, (400, "invalid_grant".to_owned()));
    assert_eq!(visitor.redeem(&code).await.unwrap_err(), (400, "invalid_grant".to_owned()));
    let kid = jsonwebtoken::decode_header(&before.access).unwrap().kid.unwrap();
    assert!(!published().await.contains(&kid), "who verifies by himself refuses the old tokens, too");
    // The client comes back with the registration that it has.
    let after = visitor.login().await;
    assert_ne!(claims(&after.access)["jti"], claims(&before.access)["jti"]);
    assert_eq!(introspected(&after.access).await, true);
    let refreshed = visitor.refresh(&after.refresh).await.unwrap();
    assert_eq!(introspected(&refreshed.access).await, true);
    assert!(published().await.contains(report["kid"].as_str().unwrap()));
    daemon.stop();
}
