//! A browser as far as a sign-in needs one: cookies, forms, and redirects one step at a time.

use std::collections::BTreeMap;

use reqwest::{Response, StatusCode, header};

use super::server::{Server, http};

/// What a browser shows.
#[derive(Debug, Clone)]
pub struct Page {
    /// Where it came from.
    pub url: String,
    /// The HTTP status.
    pub status: StatusCode,
    /// The headers.
    pub headers: header::HeaderMap,
    /// The HTML.
    pub html: String,
}

/// A browser with its own cookies. Like Safari, it keeps no `Secure` cookie over http.
#[derive(Clone)]
pub struct Browser {
    /// Cookies by host and name.
    pub cookies: BTreeMap<(String, String), String>,
    /// Headers that it sends with every request.
    pub headers: header::HeaderMap,
    /// The public URL of a server behind a proxy, and where it is reached.
    proxied: Option<(String, String)>,
    http: reqwest::Client,
}

impl Browser {
    /// A new browser.
    pub fn new() -> Self {
        Self { cookies: BTreeMap::new(), headers: header::HeaderMap::new(), proxied: None, http: http() }
    }

    /// A new browser that finds `server` under its public URL.
    pub fn of(server: &Server) -> Self {
        Self { proxied: Some((server.url.clone(), server.local.clone())), ..Self::new() }
    }

    /// The same browser, for which another process of the same installation answers.
    pub fn at(&self, twin: &Server) -> Self {
        let public = self.proxied.as_ref().expect("a proxy in front").0.clone();
        Self { proxied: Some((public, twin.local.clone())), ..self.clone() }
    }

    /// The same browser with one more header.
    pub fn sending(mut self, name: &'static str, value: &str) -> Self {
        self.headers.insert(name, value.parse().unwrap());
        self
    }

    /// One `GET`, redirects not followed.
    pub async fn get(&mut self, url: &str) -> Page {
        let request = self.http.get(self.reached(url)).headers(self.headers.clone());
        let request = request.header(header::COOKIE, self.cookie_header(url));
        self.take(url, request.send().await.unwrap()).await
    }

    /// One `POST` of a form with the origin of the page it stands on, redirects not followed.
    pub async fn post(&mut self, url: &str, pairs: &[(&str, &str)]) -> Page {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        let origin = url::Url::parse(url).unwrap().origin().ascii_serialization();
        let request = self.http.post(self.reached(url)).headers(self.headers.clone());
        let request = request.header(header::COOKIE, self.cookie_header(url));
        let request = request.header(header::ORIGIN, origin);
        let request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded").body(body);
        self.take(url, request.send().await.unwrap()).await
    }

    fn reached(&self, url: &str) -> String {
        match &self.proxied {
            Some((public, local)) if url.starts_with(public.as_str()) => {
                url.replacen(public.as_str(), local, 1)
            }
            _ => url.to_owned(),
        }
    }

    /// Answers the consent page.
    pub async fn decide(&mut self, page: &Page, decision: &str) -> Page {
        let transaction = page.transaction();
        self.post(&page.form_action(), &[("transaction", &transaction), ("decision", decision)]).await
    }

    /// Follows redirects until a page comes or one leads to `stop`; returns that address, or the page.
    pub async fn follow(&mut self, mut page: Page, stop: &str) -> Result<String, Page> {
        for _ in 0..10 {
            let Some(location) = page.location() else { return Err(page) };
            if location.starts_with(stop) {
                return Ok(location);
            }
            page = self.get(&location).await;
        }
        panic!("too many redirects, last {}", page.url);
    }

    async fn take(&mut self, url: &str, response: Response) -> Page {
        let host = url::Url::parse(url).unwrap().authority().to_owned();
        for set in response.headers().get_all(header::SET_COOKIE) {
            let set = set.to_str().unwrap();
            let (pair, attributes) = set.split_once(';').expect("attributes");
            let (name, value) = pair.split_once('=').unwrap();
            let key = (host.clone(), name.to_owned());
            if url.starts_with("http:") && attributes.contains("Secure") {
                continue;
            }
            if attributes.contains("Max-Age=0") {
                self.cookies.remove(&key);
            } else {
                self.cookies.insert(key, value.to_owned());
            }
        }
        let (status, headers) = (response.status(), response.headers().clone());
        Page { url: url.to_owned(), status, headers, html: response.text().await.unwrap() }
    }

    /// What it sends as `Cookie`.
    pub fn cookie_header(&self, url: &str) -> String {
        let host = url::Url::parse(url).unwrap().authority().to_owned();
        let own = self.cookies.iter().filter(|((of, _), _)| *of == host);
        own.map(|((_, name), value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }
}

impl Page {
    /// Where a redirect leads.
    pub fn location(&self) -> Option<String> {
        self.headers.get(header::LOCATION).map(|location| location.to_str().unwrap().to_owned())
    }

    /// A header, `""` when absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Whether the page has a form with this decision.
    pub fn offers(&self, decision: &str) -> bool {
        self.html.contains(&format!("name=\"decision\" value=\"{decision}\""))
    }

    /// The sealed request in the consent form.
    pub fn transaction(&self) -> String {
        let after = self.html.split("name=\"transaction\" value=\"").nth(1);
        after
            .unwrap_or_else(|| panic!("no consent form: {}", self.html))
            .split('"')
            .next()
            .unwrap()
            .to_owned()
    }

    /// Where the form goes, absolute.
    pub fn form_action(&self) -> String {
        let action = self.html.split("action=\"").nth(1).expect("a form").split('"').next().unwrap();
        url::Url::parse(&self.url).unwrap().join(action).unwrap().into()
    }
}
