//! What a person sees, and what goes with every page and answer.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    stage::Answer,
    support::{Browser, Client, Options, Page, Server},
};

async fn consent_page(server: &Server, client: &Client, change: &[(&str, &str)]) -> Page {
    let page = Browser::new().get(&client.authorize_url(server, change)).await;
    assert_eq!(page.status, 200, "{}", page.html);
    page
}

/// One of every kind of page, by what it is.
async fn every_page(server: &Server) -> Vec<(&'static str, Page)> {
    let client = Client::public(server).await;
    let stranger = Client::registered(server, json!({ "redirect_uris": ["https://app.example/cb"] })).await;
    let mut browser = Browser::new();
    let consent = browser.get(&client.authorize_url(server, &[])).await;
    let asked = browser.get(&stranger.authorize_url(server, &[])).await;
    let declined = browser.decide(&asked, "deny").await;
    let answered = browser.decide(&asked, "approve").await;
    let forged = Browser::new().decide(&consent, "approve").await;
    let approved = browser.decide(&consent, "approve").await;
    let callback = browser.get(&approved.location().unwrap()).await.location().unwrap();
    let elsewhere = Browser::new().get(&callback).await;
    let mut twin = browser.clone();
    browser.get(&callback).await;
    let completed = twin.get(&callback).await;
    let unknown = browser.get(&client.authorize_url(server, &[("client_id", "mcp_unknown")])).await;
    let unregistered = [("redirect_uri", "https://evil.example/")];
    let wrong_address = browser.get(&client.authorize_url(server, &unregistered)).await;
    let not_granted = browser.get(&stranger.authorize_url(server, &[("scope", "non\"sense")])).await;
    let unreadable = browser.get(&format!("{}/authorize?client_id=%ff", server.url)).await;
    let incomplete = browser.post(&format!("{}/consent", server.url), &[("decision", "approve")]).await;
    let asked_again = {
        let mut browser = Browser::new();
        let page = browser.get(&client.authorize_url(server, &[])).await;
        let approved = browser.decide(&page, "approve").await;
        let mut browser = browser.sending("user-agent", "another one");
        browser.follow(approved, &client.redirect_uri).await.unwrap_err()
    };
    let late = {
        let mut browser = Browser::new();
        let page = browser.get(&stranger.authorize_url(server, &[])).await;
        server.advance(std::time::Duration::from_mins(10));
        browser.decide(&page, "approve").await
    };
    vec![
        ("consent", consent),
        ("asked again", asked_again),
        ("declined", declined),
        ("answered before", answered),
        ("another browser's form", forged),
        ("another browser's return", elsewhere),
        ("completed before", completed),
        ("unknown client", unknown),
        ("unregistered address", wrong_address),
        ("not granted to a stranger", not_granted),
        ("not UTF-8", unreadable),
        ("no transaction", incomplete),
        ("too late", late),
    ]
}

/// What a browser is given at `path`: it asks for a page.
async fn opened(server: &Server, path: &str) -> Page {
    let url = format!("{}{path}", server.url);
    let browsers = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    let response = server.http.get(&url).header("accept", browsers).send().await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    Page { url, status, headers, html: response.text().await.unwrap() }
}

/// A person who opens an address by hand, reloads a form's target or follows an old link sees a page.
/// Metadata is for programs alone.
///
/// Shows: HDR-1.
#[tokio::test]
async fn a_browser_is_shown_a_page_wherever_it_goes() {
    let server = Server::start().await;
    for (path, status, title) in [
        ("", 200, "This is a sign-in service"),
        ("/", 200, "This is a sign-in service"),
        ("/nothing", 404, "There is no page here"),
        ("/tokens", 404, "There is no page here"),
        ("/consent", 405, "There is no page here"),
    ] {
        let page = opened(&server, path).await;
        assert_eq!(page.status, status, "{path}");
        assert!(page.html.contains(&format!("<h1>{title}</h1>")), "{path}: {}", page.html);
        assert_eq!(page.header("content-type"), "text/html; charset=utf-8", "{path}");
        assert_eq!(page.header("x-frame-options"), "DENY", "{path}");
    }
    for path in ["/.well-known/nothing", "/.well-known/oauth-authorization-server", "/jwks.json"] {
        assert_eq!(opened(&server, path).await.header("content-type"), "application/json", "{path}");
    }
}

/// The question, an error and a page without a reference. Answers for programs stay English.
#[tokio::test]
async fn pages_are_in_the_language_that_the_browser_asks_for() {
    let server = Server::start().await;
    let client = Client::public(&server).await;
    for (wanted, tag) in [
        ("de-CH, en;q=0.5", "de"),
        ("fr", "fr"),
        ("es", "es"),
        ("ja", "ja"),
        ("zh-CN", "zh-Hans"),
        ("it", "en"),
        ("de;q=0, *", "en"),
    ] {
        let mut browser = Browser::new().sending("accept", "text/html").sending("accept-language", wanted);
        let consent = browser.get(&client.authorize_url(&server, &[])).await;
        let unknown = browser.get(&client.authorize_url(&server, &[("client_id", "mcp_unknown")])).await;
        let form = browser.get(&format!("{}/consent", server.url)).await;
        for (page, status) in [(consent, 200), (unknown, 400), (form, 405)] {
            assert_eq!(page.status, status, "{wanted}: {}", page.html);
            assert_eq!(page.header("content-language"), tag, "{wanted}");
            assert!(page.html.contains(&format!("<html lang=\"{tag}\">")), "{wanted}: {}", page.html);
        }
    }
    // The reason is for the app's developer, and stays English.
    let stranger = Client::registered(&server, json!({ "redirect_uris": ["https://app.example/cb"] })).await;
    let mut browser = Browser::new().sending("accept-language", "de");
    let refused = browser.get(&stranger.authorize_url(&server, &[("scope", "non\"sense")])).await;
    assert_eq!(refused.html.matches("<span lang=\"en\">").count(), 1, "{}", refused.html);
    let huge = "de,".repeat(3000);
    let page =
        Browser::new().sending("accept-language", &huge).get(&client.authorize_url(&server, &[])).await;
    assert_eq!(page.header("content-language"), "de");
}

/// The root names the sign-in and nothing that is configured.
#[tokio::test]
async fn the_root_tells_no_stranger_which_servers_there_are() {
    let resources = "[[resources]]\nurl = \"https://payroll.example.org/mcp\"\nname = \"Payroll\"\n";
    let server = Server::with(Options { resources: Some(resources), ..Options::default() }).await;
    let page = opened(&server, "/").await;
    assert_eq!(page.status, 200);
    assert!(!page.html.to_lowercase().contains("payroll"), "{}", page.html);
}

/// Scripts of other origins read metadata and keys, and are given no page.
#[tokio::test]
async fn what_programs_read_is_kept_from_no_origin() {
    let server = Server::start().await;
    for path in ["/.well-known/oauth-authorization-server", "/jwks.json"] {
        let response = server.http.get(format!("{}{path}", server.url)).send().await.unwrap();
        assert!(!response.headers().contains_key("cross-origin-resource-policy"), "{path}");
        assert_eq!(response.headers()["access-control-allow-origin"], "*", "{path}");
    }
}

/// Shows: CONSENT-8, HDR-1, HDR-2.
#[tokio::test]
async fn no_page_can_be_framed_run_anything_or_tell_where_it_came_from() {
    let server = Server::start().await;
    for (what, page) in every_page(&server).await {
        assert_eq!(page.header("content-type"), "text/html; charset=utf-8", "{what}");
        let policy: Vec<&str> = page.header("content-security-policy").split("; ").collect();
        for directive in ["default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"] {
            assert!(policy.contains(&directive), "{what}: {policy:?}");
        }
        assert!(
            !policy.iter().any(|d| d.contains("unsafe") || d.contains("http") || d.contains('*')),
            "{what}"
        );
        // Chromium would stop the redirects after the form.
        assert!(!policy.iter().any(|directive| directive.starts_with("form-action")), "{what}");
        assert_eq!(page.headers.get_all("content-security-policy").iter().count(), 1, "{what}");
        assert_eq!(page.header("x-frame-options"), "DENY", "{what}");
        assert_eq!(page.header("x-content-type-options"), "nosniff", "{what}");
        assert_eq!(page.header("cache-control"), "no-store", "{what}");
        let referrer = if page.html.contains("<form") { "same-origin" } else { "no-referrer" };
        assert_eq!(page.header("referrer-policy"), referrer, "{what}");
        assert_eq!(page.html.contains("<form"), ["consent", "asked again"].contains(&what), "{what}");
        assert_eq!(page.header("cross-origin-resource-policy"), "same-origin", "{what}");
        assert!(page.header("permissions-policy").contains("publickey-credentials-get=()"), "{what}");
        // A client that opened a popup keeps its window.
        assert_eq!(page.header("cross-origin-opener-policy"), "", "{what}");
        for script in ["<script", "javascript:", " onclick", " onload", " onsubmit", " style="] {
            assert!(!page.html.contains(script), "{what}: {script}");
        }
    }
}

/// What happened, what to do, and a reference: none of the request's secrets.
///
/// Shows: HDR-1.
#[tokio::test]
async fn every_failure_says_what_to_do_and_has_a_reference_of_its_own() {
    let server = Server::start().await;
    let mut references = Vec::new();
    for (what, page) in every_page(&server).await.into_iter().skip(2) {
        let reference = page.html.split("<h2>Reference</h2>").nth(1).unwrap_or_else(|| panic!("{what}"));
        let reference = reference.split("<code>").nth(1).unwrap().split('<').next().unwrap().to_owned();
        assert_eq!(reference.len(), 12, "{what}");
        assert!(!references.contains(&reference), "{what}");
        references.push(reference);
        assert!(
            page.html.contains("Go back") || page.html.contains("go back") || page.html.contains("Return"),
            "{what}"
        );
    }
}

/// The way back from the upstream, whether it leads to the client or to a page. A return that cannot be
/// completed ends on a page at its own address; the code there is bound to a secret of ours and to PKCE.
///
/// Shows: UP-11.
#[tokio::test]
async fn the_return_from_the_upstream_is_neither_kept_nor_told_to_others() {
    let server = Server::start().await;
    let client = Client::public(&server).await;
    for answer in [Answer::Code, Answer::Deny, Answer::Nothing] {
        server.upstream.switches().authorize.set_for_next(1, |authorize| authorize.answer = answer.clone());
        let mut browser = Browser::new();
        let page = browser.get(&client.authorize_url(&server, &[])).await;
        let approved = browser.decide(&page, "approve").await;
        let callback = browser.get(&approved.location().unwrap()).await.location().unwrap();
        let mut twin = browser.clone();
        let answered = browser.get(&callback).await;
        assert!(answered.location().unwrap().starts_with(&client.redirect_uri), "nothing is rendered");
        let upstream_code = url::Url::parse(&callback).unwrap();
        let upstream_code = upstream_code.query_pairs().find(|(name, _)| name == "code");
        let passed_on = upstream_code.is_some_and(|(_, code)| answered.location().unwrap().contains(&*code));
        assert!(!passed_on);
        for page in [approved, answered, twin.get(&callback).await, Browser::new().get(&callback).await] {
            assert_eq!(page.header("cache-control"), "no-store");
            assert_eq!(page.header("referrer-policy"), "no-referrer");
            assert!(
                !page.html.contains("src=") && !page.html.contains("http:") && !page.html.contains("https:")
            );
        }
    }
}

/// Shows: HDR-1.
#[tokio::test]
async fn answers_for_programs_are_json_whatever_happens() {
    let server = Server::start().await;
    for (method, path, status) in [
        (Method::GET, "/.well-known/oauth-authorization-server", 200),
        (Method::GET, "/jwks.json", 200),
        (Method::GET, "/healthz", 200),
        (Method::GET, "/readyz", 200),
        (Method::GET, "/nothing", 404),
        (Method::GET, "/", 404),
        (Method::GET, "/token//", 404),
        (Method::GET, "/.well-known/nothing", 404),
        (Method::POST, "/.well-known/oauth-authorization-server", 405),
        (Method::DELETE, "/jwks.json", 405),
        (Method::GET, "/token", 405),
        (Method::GET, "/register", 405),
        (Method::PUT, "/revoke", 405),
        (Method::GET, "/introspect", 405),
        (Method::PUT, "/authorize", 405),
        (Method::GET, "/consent", 405),
        (Method::POST, "/pangea/callback", 405),
        (Method::POST, "/token", 400),
        (Method::POST, "/register", 400),
        (Method::POST, "/revoke", 400),
        (Method::POST, "/introspect", 400),
    ] {
        let response =
            server.http.request(method.clone(), format!("{}{path}", server.url)).send().await.unwrap();
        let what = format!("{method} {path}");
        assert_eq!(response.status(), status, "{what}");
        assert_eq!(response.headers()["content-type"], "application/json", "{what}");
        assert_eq!(response.headers()["x-content-type-options"], "nosniff", "{what}");
        let body: Value = serde_json::from_str(&response.text().await.unwrap()).expect("JSON");
        assert_eq!(body.get("error").is_some(), status != 200, "{what}");
    }
}

#[tokio::test]
async fn scopes_of_every_server_are_described_unless_the_operator_describes_them() {
    let server = Server::with(Options {
        resources: Some("[[resources]]\nurl = \"{origin}/mcp\"\nscopes = [\"user\", \"notes\"]\n"),
        ..Options::default()
    })
    .await;
    let client = Client::public(&server).await;
    let page = consent_page(&server, &client, &[("scope", "user notes offline_access")]).await;
    for (scope, is_described) in [("user", true), ("notes", false), ("offline_access", true)] {
        let alone = format!("<li>\n<code class=\"scope\"><bdi>{scope}</bdi></code>");
        let described = format!("</bdi> <code class=\"scope\"><bdi>{scope}</bdi></code>");
        let shown = (page.html.contains(&described), page.html.contains(&alone));
        assert_eq!(shown, (is_described, !is_described), "{scope} {}", page.html);
    }
}

/// Shows: CONSENT-3, CONSENT-4, CONSENT-5, CONSENT-6.
#[tokio::test]
async fn the_page_says_who_asks_for_what_and_where_the_answer_goes() {
    let server = Server::with(Options {
        resources: Some(
            "[[resources]]\nurl = \"{origin}/mcp\"\nname = \"Notes & More\"\n\
             scopes = [\"notes\", { name = \"admin\", description = \"Change things\" }]\n",
        ),
        ..Options::default()
    })
    .await;
    for (redirect_uri, host, cue) in [
        ("http://127.0.0.1:4711/callback", "127.0.0.1:4711", None),
        ("http://localhost:1/cb", "localhost:1", None),
        ("http://[::1]/cb", "[::1]", None),
        ("https://claude.ai/api/mcp/auth_callback", "claude.ai", None),
        ("cursor://anysphere/cb", "cursor:", Some("cue caution")),
        ("https://App.Example:8443/cb?a=b", "app.example:8443", Some("cue warning")),
        ("https://xn--pple-43d.com/cb", "xn--pple-43d.com", Some("cue warning")),
        ("https://claude.ai.example/cb", "claude.ai.example", Some("cue warning")),
    ] {
        let more = json!({ "client_name": "Ada's editor", "redirect_uris": [redirect_uri] });
        let client = Client::registered(&server, more).await;
        let page = consent_page(&server, &client, &[]).await;
        let html = page.html.replace("&#39;", "'").replace("&#38;", "&");
        let section = |title: &str| {
            let after = html.split(&format!("<h2>{title}</h2>")).nth(1).expect(title);
            after.split("</section>").next().unwrap().to_owned()
        };
        assert!(html.contains("<h1><bdi>Ada's editor</bdi> asks for access</h1>"));
        assert!(html.contains("chose this name itself"));
        assert!(html.contains(&format!("<bdi dir=\"ltr\">{}</bdi>", client.id)));
        let to = section("You will be sent back to");
        assert!(to.contains(&format!("<p class=\"strong\"><bdi dir=\"ltr\">{host}</bdi></p>")), "{to}");
        let cues = ["cue caution", "cue warning"].into_iter().filter(|cue| to.contains(cue));
        assert_eq!(cues.collect::<Vec<_>>(), Vec::from_iter(cue), "{to}");
        assert!(html.contains(&format!("<bdi dir=\"ltr\">{redirect_uri}</bdi>")), "{html}");
        let resource = section("Access to");
        assert!(resource.contains("Notes & More") && resource.contains(&server.resource), "{resource}");
        let scopes = section("What it may do");
        for shown in ["<bdi>notes</bdi>", "<bdi>admin</bdi>", "Change things"] {
            assert!(scopes.contains(shown), "{scopes}");
        }
        let next = html.split("</form>").nth(1).unwrap();
        assert!(
            next.contains("sign in with") && next.contains("<code class=\"scope\"><bdi>user</bdi></code>")
        );
    }
    let client = Client::public(&server).await;
    let page = consent_page(&server, &client, &[("scope", "notes unknown")]).await;
    assert!(!page.html.contains("Change things") && !page.html.contains("unknown"), "only what is granted");
}

/// Shows: CONSENT-16, CONSENT-17.
#[tokio::test]
async fn what_a_client_says_of_itself_is_text_and_nothing_is_fetched_for_it() {
    let server = Server::start().await;
    for (name, shown) in [
        ("<script>alert(1)</script>", "&#60;script&#62;alert(1)&#60;/script&#62;"),
        ("\"><img src=x onerror=alert(1)>", "&#34;&#62;&#60;img src=x onerror=alert(1)&#62;"),
        ("</title></h1><form action=//evil>", "&#60;/title&#62;&#60;/h1&#62;&#60;form action=//evil&#62;"),
        ("{{ 7*7 }}&lt;b&gt;", "{{ 7*7 }}&#38;lt;b&#38;gt;"),
        ("Ed\u{202e}itor\u{0}\u{200b}\r\nby\u{1b}[1m  Bank", "Editor by[1m Bank"),
        ("\u{202e}\u{200b}", "127.0.0.1:4711"),
    ] {
        let client = Client::registered(&server, json!({ "client_name": name })).await;
        let page = consent_page(&server, &client, &[]).await;
        assert!(page.html.contains(&format!("<h1><bdi>{shown}</bdi> asks")), "{name:?}: {}", page.html);
    }
    let client = Client::registered(&server, json!({ "client_name": "x".repeat(5000) })).await;
    assert!(!consent_page(&server, &client, &[]).await.html.contains(&"x".repeat(81)));

    let uris = |uri: &str| json!({ "client_uri": uri, "tos_uri": uri, "policy_uri": uri, "logo_uri": uri });
    let good = "https://app.example/a?b=c&d='";
    let client = Client::registered(&server, uris(good)).await;
    let page = consent_page(&server, &client, &[]).await;
    let links: Vec<&str> =
        page.html.split("<a ").skip(1).map(|link| link.split('>').next().unwrap()).collect();
    let links: Vec<&str> = links.into_iter().filter(|link| !link.contains("/connections\"")).collect();
    assert_eq!(links.len(), 3, "home page, terms and policy; no logo");
    for link in links {
        assert!(link.contains("href=\"https://app.example/a?b=c&#38;d=&#39;\""), "{link}");
        assert!(link.contains("rel=\"noopener noreferrer\""), "{link}");
    }
    for fetching in ["<img", "<script", "<iframe", "src=", "url(", "@import", "rel=\"stylesheet\""] {
        assert!(!page.html.contains(fetching), "{fetching}");
    }
    assert!(page.header("content-security-policy").contains("img-src 'self' data:;"));
    for bad in ["javascript:alert(1)", "data:text/html,x", "https://a.example/\"onclick=x", "//a.example/"] {
        let client = Client::registered(&server, uris(bad)).await;
        let page = consent_page(&server, &client, &[]).await;
        assert!(page.html.matches("<a ").count() == 1 && !page.html.contains("<img"), "{bad}: {}", page.html);
    }
}
