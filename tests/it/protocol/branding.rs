//! The operator's name, logo and links on every page.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, sync::Arc};

use pangea_mcp_auth::config;
use reqwest::Method;
use serde_json::json;
use tempfile::TempDir;

use crate::support::{Browser, Client, Options, Page, Server, Surroundings};

/// A wordmark, dark on a transparent ground.
pub(super) const LOGO: &[u8] = include_bytes!("branding/logo.png");
/// All keys of the section.
pub(super) const ACME: &str = r#"
[branding]
name = "Acme"
logo = "logo.png"
support_url = "https://help.example.org"
privacy_url = "https://example.org/privacy"
"#;

/// A folder for the configuration, with this file as the logo.
pub(super) fn folder_with(logo: &[u8]) -> Arc<TempDir> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("logo.png");
    fs::write(&path, logo).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    Arc::new(folder)
}

async fn acme(options: Options) -> Server {
    Server::with(Options { sections: ACME, folder: Some(folder_with(LOGO)), ..options }).await
}

/// One page of each template, and the ones of paths without an endpoint.
async fn pages_of(server: &Server) -> Vec<Page> {
    let stranger = Client::registered(server, json!({ "redirect_uris": ["https://app.example/cb"] })).await;
    let client = Client::public(server).await;
    let mut browser = Browser::new().sending("accept", "text/html");
    let consent = browser.get(&client.authorize_url(server, &[])).await;
    let approved = browser.decide(&consent, "approve").await;
    let mut moved = browser.clone().sending("user-agent", "another one");
    let signed_in = moved.follow(approved, &client.redirect_uri).await.unwrap_err();
    let asked = browser.get(&stranger.authorize_url(server, &[])).await;
    let declined = browser.decide(&asked, "deny").await;
    let unknown = browser.get(&client.authorize_url(server, &[("client_id", "mcp_unknown")])).await;
    let reloaded = browser.get(&format!("{}/consent", server.url)).await;
    let root = browser.get(&format!("{}/", server.url)).await;
    let nothing = browser.get(&format!("{}/nothing", server.url)).await;
    vec![consent, signed_in, declined, unknown, reloaded, root, nothing]
}

/// The path of the logo on a page.
fn logo_path(page: &Page) -> &str {
    page.html.split_once("<img src=\"").unwrap().1.split('"').next().unwrap()
}

#[tokio::test]
async fn every_page_shows_whose_it_is() {
    let server = acme(Options::default()).await;
    for page in pages_of(&server).await {
        let (header, card) = page.html.split_once("<main>").unwrap();
        assert!(header.contains("<bdi>Acme</bdi>") && header.contains("<img "), "{}", page.html);
        let (card, footer) = card.split_once("</main>").unwrap();
        assert!(!card.contains("Acme"), "{}", page.html);
        for link in ["href=\"https://help.example.org/\"", "href=\"https://example.org/privacy\""] {
            assert!(footer.contains(link), "{}", page.html);
        }
        let policy: Vec<&str> = page.header("content-security-policy").split("; ").collect();
        assert!(policy.contains(&"img-src 'self' data:"), "{policy:?}");
        assert!(!policy.iter().any(|directive| directive.contains("unsafe") || directive.contains("http")));
    }
}

/// Without the section, pages have none of it, and the logo's place is empty.
#[tokio::test]
async fn without_the_section_no_page_has_a_brand() {
    let server = Server::start().await;
    for page in pages_of(&server).await {
        for part in ["<header", "<footer", "<img"] {
            assert!(!page.html.contains(part), "{part}: {}", page.html);
        }
        assert!(page.html.contains("<body>\n<main>\n") && page.html.ends_with("</main>\n</body>\n</html>"));
        assert_eq!(page.header("content-security-policy").matches("sha256-").count(), 1);
    }
    assert_eq!(server.get("/logo/").await.status(), 404);
}

/// The URL changes with the contents, so browsers may keep it. No other origin can embed it, and no browser takes it
/// for anything but an image.
///
/// Shows: CONSENT-17.
#[tokio::test]
async fn the_logo_comes_from_this_server_and_can_be_kept() {
    for (path, public) in [("", None), ("/tenant1", Some("https://auth.example.org"))] {
        let server = acme(Options { path, public, ..Options::default() }).await;
        let mut browser = Browser::of(&server);
        let page = browser.get(&format!("{}/authorize", server.url)).await;
        let src = logo_path(&page).strip_prefix(path).unwrap();
        assert!(src.starts_with("/logo/"), "{src}");
        let response = server.get(src).await;
        assert_eq!(response.status(), 200);
        for (name, value) in [
            ("content-type", "image/png"),
            ("cache-control", "public, max-age=31536000, immutable"),
            ("x-content-type-options", "nosniff"),
            ("cross-origin-resource-policy", "same-origin"),
            ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
        ] {
            assert_eq!(response.headers()[name], value, "{name}");
        }
        assert!(!response.headers().contains_key("access-control-allow-origin"));
        assert!(!response.headers().contains_key("set-cookie"));
        assert_eq!(response.bytes().await.unwrap(), LOGO);
        let head = server.http.request(Method::HEAD, format!("{}{src}", server.local)).send().await.unwrap();
        assert_eq!(
            (head.status().as_u16(), &head.headers()["content-type"]),
            (200, &"image/png".parse().unwrap())
        );
        let post = server.http.post(format!("{}{src}", server.local)).send().await.unwrap();
        assert_eq!(post.status(), 404);
        for other in ["/logo", "/logo/", "/logo/x", &format!("{src}/"), &format!("{src}x")] {
            assert_eq!(server.get(other).await.status(), 404, "{other}");
        }
    }
}

#[tokio::test]
async fn another_logo_has_another_url() {
    let jpeg = b"\xff\xd8\xff\xe0 another picture \xff\xd9";
    let mut paths = Vec::new();
    for (logo, media_type) in [(LOGO, "image/png"), (jpeg, "image/jpeg")] {
        let folder = Some(folder_with(logo));
        let server = Server::with(Options { sections: ACME, folder, ..Options::default() }).await;
        let page = Browser::new().get(&format!("{}/authorize", server.url)).await;
        let path = logo_path(&page).to_owned();
        assert_eq!(server.get(&path).await.headers()["content-type"], media_type);
        paths.push(path);
    }
    assert_ne!(paths[0], paths[1]);
}

/// Shows: CONSENT-16.
#[tokio::test]
async fn a_name_is_text_and_never_markup() {
    let sections = "[branding]\nname = \"<script>alert(1)</script>\"\nsupport_url = \"https://help.example.org/?a=\\\"><b>\"";
    let server = Server::with(Options { sections, ..Options::default() }).await;
    for page in pages_of(&server).await {
        assert!(page.html.contains("<bdi>&#60;script&#62;alert(1)&#60;/script&#62;</bdi>"), "{}", page.html);
        assert!(!page.html.contains("<script") && !page.html.contains("<b>"), "{}", page.html);
    }
}

/// The problems of a configuration with this section, and this file as the logo.
fn problems(section: &str, folder: &Path) -> Vec<(String, String)> {
    let text = format!(
        r#"public_url = "https://auth.example.org"
[authn]
issuer_url = "https://pdn-x.login.aws.us.pangea.cloud"
client_id = "psa_x"
client_secret = {{ env = "PANGEA_SECRET" }}
[[resources]]
url = "https://mcp.example.org/mcp"
[keys]
sealing = {{ env = "SEALING_KEY" }}
[repository]
path = "{}"
{section}"#,
        folder.join("x.sqlite").display()
    );
    match config::parse(&text, &folder.join("config.toml"), &Surroundings) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.iter().map(|problem| (problem.key.clone(), problem.what.clone())).collect(),
    }
}

/// What is no image of these formats never reaches a browser: the configuration is refused.
#[test]
fn a_logo_is_a_small_whole_raster_image_whatever_it_is_called() {
    let section = "[branding]\nlogo = \"logo.png\"";
    let html_after = [LOGO, b"<script>alert(1)</script>"].concat();
    let jpeg = |length: usize| [&b"\xff\xd8\xff"[..], &vec![0; length - 5], b"\xff\xd9"].concat();
    let (largest, huge) = (jpeg(256 * 1024), jpeg(256 * 1024 + 1));
    for (what, logo, is_accepted) in [
        ("the logo", LOGO, true),
        ("a JPEG, in spite of its name", &largest, true),
        ("SVG", b"<svg xmlns=\"http://www.w3.org/2000/svg\" onload=\"alert(1)\"/>", false),
        ("HTML", b"<!doctype html><script>alert(1)</script>", false),
        ("GIF", b"GIF89a", false),
        ("nothing", b"", false),
        ("cut off", &LOGO[..LOGO.len() - 20], false),
        ("only its first bytes", &LOGO[..8], false),
        ("with HTML after it", &html_after, false),
        ("huge", &huge, false),
    ] {
        let found = problems(section, folder_with(logo).path());
        let keys: Vec<&str> = found.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(keys, if is_accepted { &[][..] } else { &["branding.logo"] }, "{what}: {found:?}");
    }
    let folder = folder_with(LOGO);
    fs::remove_file(folder.path().join("logo.png")).unwrap();
    assert_eq!(problems(section, folder.path()).len(), 1, "a file that does not exist");
    fs::create_dir(folder.path().join("logo.png")).unwrap();
    assert_eq!(problems(section, folder.path()).len(), 1, "a folder");
}

/// A user who can change the logo speaks in the operator's name.
#[test]
fn a_logo_that_others_can_change_is_refused() {
    let folder = folder_with(LOGO);
    let path = folder.path().join("logo.png");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    let found = problems("[branding]\nlogo = \"logo.png\"", folder.path());
    assert_eq!(found.len(), 1, "{found:?}");
}

#[test]
fn every_wrong_value_is_listed_at_once() {
    let section = "[branding]\nname = \" \"\nlogo = \"missing.png\"\nsupport_url = \"http://help.example.org\"\n\
                   privacy_url = \"javascript:alert(1)\"\ncolour = \"red\"\n[tokens]\naccess_lifetime = \"x\"";
    let found = problems(section, folder_with(LOGO).path());
    let mut keys: Vec<&str> = found.iter().map(|(key, _)| key.as_str()).collect();
    keys.sort_unstable();
    assert_eq!(
        keys,
        [
            "branding.colour",
            "branding.logo",
            "branding.name",
            "branding.privacy_url",
            "branding.support_url",
            "tokens.access_lifetime"
        ]
    );
}
