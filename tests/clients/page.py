"""An HTML page as a person could act on it: its forms, its links, and where it moves on to by itself."""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin

DEFAULT_EMAIL = "ada@example.com"


class BrowserError(Exception):
    """The sign-in led nowhere; the message says where it stopped and what the page said."""


@dataclass
class Form:
    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)
    email_field: str | None = None
    buttons: list[tuple[str, str]] = field(default_factory=list)

    def fill(self, decision: str, email: str | None) -> dict[str, str]:
        """The fields as sent when this form is completed and its button pressed."""
        filled = dict(self.fields)
        if self.email_field is not None and (email or not filled[self.email_field]):
            filled[self.email_field] = email or DEFAULT_EMAIL
        decisions = [value for name, value in self.buttons if name == "decision"]
        if decisions and decision not in decisions:
            raise BrowserError(f"no button for {decision!r}, only {decisions}")
        if decisions:
            filled["decision"] = decision
        elif self.buttons:
            name, value = self.buttons[0]
            filled[name] = value
        return filled


class Page(HTMLParser):
    """A parsed page; every address in it is absolute."""

    def __init__(self, url: str, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.url = url
        self.forms: list[Form] = []
        self.links: list[str] = []
        self.refresh: str | None = None
        self.words: list[str] = []
        self._form: Form | None = None
        self._unread = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        name, value, kind = given.get("name", ""), given.get("value", ""), given.get("type", "")
        if tag in ("style", "script"):
            self._unread = tag
        elif tag == "meta" and given.get("http-equiv", "").lower() == "refresh":
            target = given.get("content", "").partition(";")[2].strip()
            self.refresh = urljoin(self.url, target[4:].strip(" '\"")) if target.lower().startswith("url=") else None
        elif tag == "a" and "href" in given:
            self.links.append(urljoin(self.url, given["href"]))
        elif tag == "form":
            action = urljoin(self.url, given.get("action") or self.url)
            self._form = Form(action, given.get("method", "get").lower())
            self.forms.append(self._form)
        elif self._form is None or not name or "disabled" in given:
            return
        elif tag == "button" or kind == "submit":
            self._form.buttons.append((name, value))
        elif tag == "input" and (kind not in ("checkbox", "radio") or "checked" in given):
            self._form.fields[name] = value
            if kind == "email" or name in ("email", "username"):
                self._form.email_field = name

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = None
        if tag == self._unread:
            self._unread = ""

    def handle_data(self, data: str) -> None:
        if not self._unread and data.strip():
            self.words.append(" ".join(data.split()))
