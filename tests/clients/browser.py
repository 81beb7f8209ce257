#!/usr/bin/env python3
"""A scripted browser: signs a person in at an authorization server, without JavaScript.

It behaves as a browser does where a server could tell the difference: cookies belong to a host
whatever its port, `__Host-` cookies are refused unless they are well formed, a form carries the
button that was pressed, and a POST names its origin (`null` under `Referrer-Policy: no-referrer`).

    browser.py AUTHORIZATION_URL [--decision approve|deny] [--email EMAIL] [--visit]

prints the address the client gets its answer at; with `--visit` it goes there as well.
Exit code: 0 the answer was reached, 1 it was not (the reason is on stderr).
"""

import argparse
import http.client
import sys
import time
from dataclasses import dataclass
from http.cookies import SimpleCookie
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

from page import BrowserError, Page

MAX_PAGES = 20
# 307 and 308 would send the form, secrets and all, to the next server: never right in a sign-in.
REDIRECTS = (301, 302, 303)


@dataclass
class Answer:
    url: str
    status: int
    headers: http.client.HTTPMessage
    body: str


class Browser:
    def __init__(self) -> None:
        self.cookies: dict[tuple[str, str], tuple[str, str]] = {}
        self.visited: list[str] = []

    def request(self, url: str, form: dict[str, str] | None = None, origin: str | None = None) -> Answer:
        """One request, no redirect followed; a `form` makes it a POST that comes from `origin`."""
        parts = urlsplit(url)
        host = parts.hostname or ""
        self.visited.append(f"{parts.scheme}://{parts.netloc}{parts.path}")
        headers = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8", "User-Agent": "scripted-browser"}
        cookies = [
            f"{name}={value}"
            for (owner, name), (value, path) in self.cookies.items()
            if owner == host and (parts.path or "/").startswith(path)
        ]
        if cookies:
            headers["Cookie"] = "; ".join(cookies)
        if form is not None:
            headers |= {"Content-Type": "application/x-www-form-urlencoded", "Origin": origin or "null"}
        body = None if form is None else urlencode(form)
        secure = parts.scheme == "https"
        connection = (http.client.HTTPSConnection if secure else http.client.HTTPConnection)(parts.netloc, timeout=20)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        try:
            connection.request("GET" if form is None else "POST", target, body, headers)
            response = connection.getresponse()
            text = response.read().decode("utf-8", "replace")
        finally:
            connection.close()
        for line in response.headers.get_all("Set-Cookie", []):
            self._keep_cookie(host, line)
        return Answer(url, response.status, response.headers, text)

    def _keep_cookie(self, host: str, line: str) -> None:
        for name, cookie in SimpleCookie(line).items():
            path = cookie["path"] or "/"
            if name.startswith("__Host-") and not (cookie["secure"] and path == "/" and not cookie["domain"]):
                raise BrowserError(f"a browser refuses this __Host- cookie: {name}; path={path}")
            if cookie["max-age"] == "0" or not cookie.value:
                self.cookies.pop((host, name), None)
            else:
                self.cookies[host, name] = (cookie.value, path)

    def drive(self, url: str, decision: str = "approve", email: str | None = None) -> str:
        """Goes from an authorization URL to the client's redirect URI, which is returned, not visited."""
        redirect_uri = parse_qs(urlsplit(url).query).get("redirect_uri", [""])[0]
        if not redirect_uri:
            raise BrowserError("the authorization URL has no redirect_uri")
        answer = self.request(url)
        for _ in range(MAX_PAGES):
            page = Page(answer.url, answer.body)
            moved = answer.headers.get("Location") if answer.status in REDIRECTS else None
            onward = urljoin(answer.url, moved) if moved else page.refresh
            onward = onward or next((link for link in page.links if is_return(link, redirect_uri)), None)
            if onward and is_return(onward, redirect_uri):
                return onward
            if onward:
                answer = self.request(onward)
                continue
            form = next((form for form in page.forms if form.method == "post"), None)
            if form is None:
                raise BrowserError(f"stopped at {self.visited[-1]}, HTTP {answer.status}: {' '.join(page.words)[:400]}")
            silent = answer.headers.get("Referrer-Policy", "") == "no-referrer"
            origin = None if silent else "{0.scheme}://{0.netloc}".format(urlsplit(answer.url))
            answer = self.request(form.action, form.fill(decision, email), origin)
        raise BrowserError(f"more than {MAX_PAGES} pages: {' -> '.join(self.visited)}")


def is_return(url: str, redirect_uri: str) -> bool:
    """Whether this is the client's redirect URI, with the answer appended to it."""
    return url == redirect_uri or url.startswith(redirect_uri + ("&" if "?" in redirect_uri else "?"))


def drive(url: str, decision: str = "approve", email: str | None = None) -> str:
    """Signs in with a fresh browser; returns the redirect URI with the answer."""
    return Browser().drive(url, decision, email)


def visit(url: str, patience: float = 10.0) -> int:
    """Delivers the answer to the client, which may only just be starting to listen; returns its status."""
    deadline = time.monotonic() + patience
    while True:
        try:
            return Browser().request(url).status
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def main() -> int:
    arguments = argparse.ArgumentParser(description="Signs a person in, by script.")
    arguments.add_argument("url")
    arguments.add_argument("--decision", choices=("approve", "deny"), default="approve")
    arguments.add_argument("--email")
    arguments.add_argument("--visit", action="store_true")
    given = arguments.parse_args()
    try:
        final_url = drive(given.url, given.decision, given.email)
        print(final_url)
        if given.visit:
            visit(final_url)
    except (BrowserError, OSError) as problem:
        print(f"browser: {problem}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
