"""What an MCP client prints about its run: one JSON object on stdout, and an exit code."""

import asyncio
import json
from collections.abc import Coroutine
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

DONE, FAILED, REFUSED = 0, 1, 3


@dataclass
class Report:
    """The lists `redirect_uris`, `scopes_asked` and `answers` have one entry per sign-in."""

    client_id: str | None = None
    redirect_uris: list[str] = field(default_factory=list)
    scopes_asked: list[str] = field(default_factory=list)
    # The parameters that the redirect URI received, without the code.
    answers: list[dict[str, str]] = field(default_factory=list)
    # The names of the tools that the client was shown.
    tools: list[str] = field(default_factory=list)
    # What each tool call returned.
    calls: list[dict[str, Any]] = field(default_factory=list)
    access_token_replaced: bool = False
    refresh_token_replaced: bool = False
    error: str | None = None

    def asked(self, authorization_url: str) -> None:
        parameters = parse_qs(urlsplit(authorization_url).query)
        self.redirect_uris += parameters["redirect_uri"]
        self.scopes_asked += parameters.get("scope", [""])

    def answered(self, redirect_url: str) -> dict[str, str]:
        """Notes the answer and returns all of its parameters."""
        parameters = {name: values[0] for name, values in parse_qs(urlsplit(redirect_url).query).items()}
        self.answers.append({name: value for name, value in parameters.items() if name != "code"})
        return parameters

    def replaced(self, before: Any, after: Any) -> None:
        """Compares the tokens before and after a refresh."""
        if before is None or after is None:
            raise RuntimeError("the client holds no tokens")
        self.access_token_replaced = before.access_token != after.access_token
        self.refresh_token_replaced = before.refresh_token != after.refresh_token

    def of(self, session: Coroutine[Any, Any, None]) -> int:
        """Runs the session, prints the report, and returns the exit code."""
        exit_code = DONE
        try:
            asyncio.run(session)
        except Exception as problem:  # whatever the client raises is the result of the run
            self.error = "; ".join(f"{type(cause).__name__}: {cause}" for cause in causes(problem))
            exit_code = REFUSED if any("error" in answer for answer in self.answers) else FAILED
        self.print()
        return exit_code

    def print(self) -> None:
        print(json.dumps(asdict(self), indent=2), flush=True)


def causes(problem: BaseException) -> list[BaseException]:
    """The exceptions in a group, however deep, else the exception itself."""
    if isinstance(problem, BaseExceptionGroup):
        return [cause for member in problem.exceptions for cause in causes(member)]
    return [problem]
