use proptest::prelude::*;

use super::*;

fn registered(text: &str) -> RedirectUri {
    RedirectUri::parse(text, &PrivateUseSchemes::Any).unwrap()
}

#[test]
#[expect(clippy::too_many_lines, reason = "a corpus")]
fn dcr_5_and_6_the_corpus_of_redirect_uris() {
    for good in [
        "https://app.example/cb",
        "https://app.example",
        "https://app.example:8443/cb?a=b%20c",
        "http://localhost/cb",
        "http://localhost:3000/cb",
        "http://127.0.0.1/",
        "http://127.0.0.1:33418",
        "http://[::1]:8080/cb",
        "https://xn--bcher-kva.example/cb",
        "cursor://anysphere.cursor-mcp/oauth/callback",
        "com.example.app:/oauth",
        "com.example.app:oauth",
        "com.example.app://cb?tenant=a",
        "app:/cb",
        "my-editor://auth/callback",
        "windsurf://codeium.windsurf/oauth/callback",
        "zed://auth",
        "claude://claude.ai/mcp/callback",
        "raycast://oauth",
        "vscode-insiders://vscode.github-authentication/did-authenticate",
        "vscode://vscode.github-authentication/did-authenticate",
        "https://app.example/cb?code_id=1&my_state=2&issue=3",
    ] {
        let uri = RedirectUri::parse(good, &PrivateUseSchemes::Any);
        assert_eq!(uri.as_ref().map(RedirectUri::as_str), Ok(good));
    }
    for bad in [
        "",
        "/cb",
        "cb",
        "//app.example/cb",
        "https://",
        "https://app.example/cb#",
        "https://app.example/cb#f",
        "https://u@app.example/",
        "https://u:p@app.example/",
        "https://@app.example/",
        "https://*.app.example/cb",
        "https://app.example/*",
        "https://app.example/c b",
        "https://app.example\\@evil.example/",
        "https://app.example/\r\nSet-Cookie:a",
        "http://app.example/cb",
        "http://localhost.evil.example/cb",
        "http://127.0.0.1.evil.example/",
        "http://0x7f.1/cb",
        "http://127.1/cb",
        "http://2130706433/",
        "http://[::ffff:127.0.0.1]/",
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        "data:text/html,x",
        "vbscript:x",
        "file:///etc/passwd",
        "blob:https://a/b",
        "about:blank",
        "ftp://a/b",
        "ws://localhost/",
        "https://bücher.example/cb",
        "view-source:https://a",
        "intent://x",
        "ms-appinstaller:?source=https://evil.example/x.msix",
        "ms-appinstaller://evil.example/x",
        "ms-access:ofe|u|https://evil.example/x.accdb",
        "ms-word:ofv|u|https://evil.example/x.docx",
        "ms-settings:/",
        "ms-whatever:/cb",
        "microsoft-edge:https://evil.example/",
        "microsoft-edge://evil.example/",
        "search:query=x&crumb=location:evil.example",
        "search-ms://query=x",
        "search://query",
        "shell:startup",
        "shell:/startup",
        "shell://startup",
        "applescript://com.apple.scripteditor?action=new&script=x",
        "applescript:/x",
        "itms-services://?action=download-manifest&url=https://evil.example/m.plist",
        "itms-services:/x",
        "itms-apps://evil.example/x",
        "x-apple.systempreferences:com.apple.preference.security",
        "telnet://evil.example/",
        "sftp://evil.example/x",
        "vnc://evil.example/",
        "ssh://evil.example/",
        "rdp://evil.example/",
        "smb://evil.example/share",
        "nfs://evil.example/x",
        "facetime://x",
        "tel:/1",
        "mailto:a@b.example",
        "magnet:?xt=urn:btih:x",
        "steam://run/1",
        "skype:echo123?call",
        "ldap://evil.example/x",
        "jnlp://evil.example/x",
        "webcal://evil.example/x",
        "moz-extension://x/y",
        "chrome-extension://x/y",
        "devtools://devtools/x",
        "feed:https://evil.example/",
        "hcp://services/search?query=x",
        "my-editor:open",
        "my-editor:open?file=x",
        "my-editor://auth/callback?run=x",
        "my-editor://auth/callback#f",
        "my-editor:",
        "cursor:anysphere",
        "https://app.example:99999/",
    ] {
        assert!(RedirectUri::parse(bad, &PrivateUseSchemes::Any).is_err(), "{bad}");
    }
    let long = format!("https://app.example/{}", "a".repeat(2048));
    assert_eq!(RedirectUri::parse(&long, &PrivateUseSchemes::Any), Err(InvalidRedirectUri::TooLong));
}

#[test]
fn dcr_5_a_registered_query_holds_no_parameters_of_an_answer() {
    for query in [
        "code=x",
        "a=1&code=x",
        "a=1;code=x",
        "co%64e=x",
        "%63%6F%64%65=x",
        "CODE=x",
        "+code=x",
        "state",
        "state=",
        "iss=https://evil.example",
        "i%73s=x",
        "error=access_denied",
        "error_description=x",
        "error%5Furi=x",
        "access_token=x",
        "id_token=x",
        "refresh_token=x",
        "response=x",
    ] {
        for base in
            ["https://app.example/cb", "http://localhost:3000/cb", "http://127.0.0.1", "com.example.app:/cb"]
        {
            assert_eq!(
                RedirectUri::parse(&format!("{base}?{query}"), &PrivateUseSchemes::Any),
                Err(InvalidRedirectUri::ResponseParameter),
                "{base} {query}"
            );
        }
    }
}

#[test]
fn dcr_7_the_operator_says_which_private_use_schemes_are_taken() {
    let listed = PrivateUseSchemes::Listed(vec!["cursor".to_owned()]);
    assert!(RedirectUri::parse("cursor://a/b", &listed).is_ok());
    assert!(RedirectUri::parse("other://a/b", &listed).is_err());
    assert!(RedirectUri::parse("cursor://a/b", &PrivateUseSchemes::None).is_err());
    let unwise = PrivateUseSchemes::Listed(vec!["javascript".to_owned()]);
    assert!(RedirectUri::parse("javascript:alert(1)", &unwise).is_err());
}

#[test]
fn authz_5_near_misses_do_not_match() {
    let uri = registered("https://app.example/cb?a=1&b=%2F");
    assert!(uri.matched("https://app.example/cb?a=1&b=%2F").is_some());
    for near in [
        "https://app.example/cb",
        "https://app.example/cb/?a=1&b=%2F",
        "https://App.example/cb?a=1&b=%2F",
        "HTTPS://app.example/cb?a=1&b=%2F",
        "https://app.example:443/cb?a=1&b=%2F",
        "https://app.example/cb?b=%2F&a=1",
        "https://app.example/cb?a=1&b=%2f",
        "https://app.example/cb?a=1&b=/",
        "https://app.example/CB?a=1&b=%2F",
        "https://app.example/cb?a=1&b=%2F&c",
        "https://u@app.example/cb?a=1&b=%2F",
        "https://app.example/x/../cb?a=1&b=%2F",
        "https://app.example/cb?a=1&b=%2F#f",
        "",
    ] {
        assert!(uri.matched(near).is_none(), "{near}");
    }
}

#[test]
fn authz_6_and_7_a_loopback_uri_is_free_in_its_port_alone() {
    for (own, requested, matches) in [
        ("http://127.0.0.1:3000/cb", "http://127.0.0.1:43117/cb", true),
        ("http://127.0.0.1/cb", "http://127.0.0.1:43117/cb", true),
        ("http://127.0.0.1:3000/cb", "http://127.0.0.1/cb", true),
        ("http://[::1]:3000/cb", "http://[::1]:1/cb", true),
        ("http://[::1]/cb", "http://[::1]:1/cb", true),
        ("http://localhost:3000/cb", "http://localhost:1/cb", true),
        ("http://localhost:3000/cb?x=1", "http://localhost:1/cb?x=1", true),
        ("http://127.0.0.1:33418", "http://127.0.0.1:33418/", true),
        ("http://127.0.0.1:33418/", "http://127.0.0.1:33418", true),
        ("http://localhost", "http://localhost:1/", true),
        ("http://[::1]:1?x=1", "http://[::1]:2/?x=1", true),
        ("http://127.0.0.1:33418", "http://127.0.0.1:33418//", false),
        ("http://127.0.0.1:33418", "http://127.0.0.1:33418/?", false),
        ("https://localhost", "https://localhost/", false),
        ("https://app.example", "https://app.example/", false),
        ("http://localhost:3000/cb", "http://127.0.0.1:3000/cb", false),
        ("http://127.0.0.1:3000/cb", "http://[::1]:3000/cb", false),
        ("http://localhost:3000/cb", "https://localhost:3000/cb", false),
        ("https://localhost:3000/cb", "https://localhost:3001/cb", false),
        ("http://localhost:3000/cb", "http://localhost.evil.com:3000/cb", false),
        ("http://localhost:3000/cb", "http://localhost:3000@evil.com/cb", false),
        ("http://localhost:3000/cb", "http://localhost:x/cb", false),
        ("http://localhost:3000/cb", "http://localhost:99999/cb", false),
        ("http://localhost:3000/cb", "http://localhost:0/cb", false),
        ("http://localhost:3000/cb", "http://localhost:/cb", false),
        ("http://localhost:3000/cb", "http://LOCALHOST:3000/cb", false),
        ("http://localhost:3000/cb", "http://localhost:1/cb/", false),
        ("http://localhost:3000/cb", "http://localhost:1/cb?x=1", false),
        ("http://localhost:3000/cb", "http://localhost:1/cb#f", false),
    ] {
        assert_eq!(registered(own).matched(requested).is_some(), matches, "{own} {requested}");
    }
}

#[test]
fn code_5_an_address_is_spelled_again_with_or_without_the_slash_of_an_empty_loopback_path() {
    for (own, presented, same) in [
        ("http://127.0.0.1:33418", "http://127.0.0.1:33418/", true),
        ("http://127.0.0.1:33418/", "http://127.0.0.1:33418", true),
        ("http://127.0.0.1:33418/", "http://127.0.0.1:33419", false),
        ("http://127.0.0.1:33418/cb", "http://127.0.0.1:33418/cb/", false),
        ("https://app.example", "https://app.example/", false),
    ] {
        assert_eq!(registered(own).itself().is_spelled_by(presented), same, "{own} {presented}");
    }
}

#[test]
fn authz_8_the_query_of_the_address_stays_as_it_is() {
    for (address, expected) in [
        ("https://a.example/cb", "https://a.example/cb?code=x+y&iss=i"),
        ("https://a.example/cb?", "https://a.example/cb?code=x+y&iss=i"),
        ("https://a.example/cb?a=b%20c", "https://a.example/cb?a=b%20c&code=x+y&iss=i"),
        ("https://a.example/cb?a&", "https://a.example/cb?a&code=x+y&iss=i"),
        ("app:/cb", "app:/cb?code=x+y&iss=i"),
    ] {
        assert_eq!(registered(address).itself().answer(&[("code", "x y"), ("iss", "i")]), expected);
    }
}

#[test]
fn a_person_reads_who_gets_the_answer() {
    for (address, host, destination) in [
        ("http://localhost:3000/cb", "localhost:3000", Destination::Loopback),
        ("https://App.Example/cb", "app.example", Destination::Web),
        ("cursor://anysphere/cb", "cursor:", Destination::PrivateUse),
    ] {
        let address = registered(address).itself();
        assert_eq!((address.host().as_str(), address.destination()), (host, destination));
    }
}

proptest! {
    #[test]
    fn only_the_port_of_a_loopback_uri_may_differ(port: u16, path in "(/[a-z0-9.~-]{0,8}){0,3}", other in "[!-~]{0,40}") {
        let uri = registered(&format!("http://127.0.0.1:8080{path}"));
        let matched = uri.matched(&format!("http://127.0.0.1:{port}{path}")).is_some();
        prop_assert_eq!(matched, port > 0);
        let requested = format!("http://127.0.0.1{other}");
        if let Some(address) = uri.matched(&requested) {
            let url = Url::parse(address.as_str()).unwrap();
            prop_assert_eq!(url.host_str(), Some("127.0.0.1"));
            prop_assert_eq!(url.path(), if path.is_empty() { "/" } else { path.as_str() });
        }
    }

    #[test]
    fn whatever_is_accepted_is_a_header_and_keeps_its_host(text in "[ -~]{0,60}", requested in "[ -~]{0,60}") {
        if let Ok(uri) = RedirectUri::parse(&text, &PrivateUseSchemes::Any) {
            prop_assert!(uri.as_str().bytes().all(|b| b.is_ascii_graphic()));
            if let Some(address) = uri.matched(&requested) {
                let host = |text: &str| Url::parse(text).ok().and_then(|url| url.host_str().map(str::to_owned));
                prop_assert_eq!(host(address.as_str()), host(uri.as_str()));
            }
        }
    }
}
