#!/usr/bin/env python3
"""FastMCP's own client, its OAuth unchanged, signing in with the scripted browser.

    fastmcp_client.py MCP_URL [--email EMAIL] [--decision approve|deny] [--store DIRECTORY]
                      [--sign-in-again] [--refresh] [--step-up]

Calls `whoami`, prints one JSON object (see report.py) and exits with 0; with 3 when the authorization
server answered with an OAuth error, with 1 on any other failure (both say why in `error`).

--store          keeps client and tokens in this directory, as a client that is started again does
--sign-in-again  drops the stored tokens but not the client: signs in with the same client id, from another port
--refresh        lets the access token expire, as far as the client knows, and calls `whoami` again
--step-up        calls `privileged` afterwards, which asks for one more scope
"""

import argparse
import os
import sys
import threading
import time
import warnings
import webbrowser
from pathlib import Path
from typing import Any

from fastmcp import Client
from fastmcp.client.auth import OAuth
from key_value.aio.stores.filetree import (
    FileTreeStore,
    FileTreeV1CollectionSanitizationStrategy,
    FileTreeV1KeySanitizationStrategy,
)

from browser import drive, visit
from page import BrowserError
from report import FAILED, Report


class ScriptedBrowser(webbrowser.BaseBrowser):
    """What `webbrowser.open` opens: a person who signs in and decides, in the background."""

    def __init__(self, report: Report, decision: str, email: str | None) -> None:
        super().__init__("scripted")
        self.report = report
        self.decision = decision
        self.email = email

    def open(self, url: str, new: int = 0, autoraise: bool = True) -> bool:
        threading.Thread(target=self._sign_in, args=(url,), daemon=True).start()
        return True

    def _sign_in(self, url: str) -> None:
        self.report.asked(url)
        try:
            answer = drive(url, self.decision, self.email)
            self.report.answered(answer)
            visit(answer)
        except (BrowserError, OSError) as problem:
            self.report.error = f"{type(problem).__name__}: {problem}"
            self.report.print()
            os._exit(FAILED)  # the client would wait for its answer in vain


def file_store(directory: Path) -> FileTreeStore:
    directory.mkdir(parents=True, exist_ok=True)
    return FileTreeStore(
        data_directory=directory,
        key_sanitization_strategy=FileTreeV1KeySanitizationStrategy(directory),
        collection_sanitization_strategy=FileTreeV1CollectionSanitizationStrategy(directory),
    )


async def call(client: Client[Any], tool: str, report: Report) -> None:
    report.calls.append((await client.call_tool(tool)).data)


async def run(given: argparse.Namespace, report: Report) -> None:
    store = file_store(given.store) if given.store else None
    oauth = OAuth(mcp_url=given.url, token_storage=store, callback_timeout=30)
    if given.sign_in_again:
        client_info = await oauth.token_storage_adapter.get_client_info()
        await oauth.token_storage_adapter.clear()
        if client_info is None:
            raise RuntimeError("--sign-in-again needs a --store in which a client is registered")
        await oauth.token_storage_adapter.set_client_info(client_info)
    try:
        async with Client(given.url, auth=oauth) as client:
            report.tools = [tool.name for tool in await client.list_tools()]
            await call(client, "whoami", report)
            if given.refresh:
                before = oauth.context.current_tokens
                oauth.context.token_expiry_time = time.time() - 1
                await call(client, "whoami", report)
                report.replaced(before, oauth.context.current_tokens)
            if given.step_up:
                await call(client, "privileged", report)
    finally:
        report.client_id = oauth.context.client_info.client_id if oauth.context.client_info else None


def main() -> int:
    arguments = argparse.ArgumentParser(description="FastMCP's client, signing in by script.")
    arguments.add_argument("url")
    arguments.add_argument("--email")
    arguments.add_argument("--decision", choices=("approve", "deny"), default="approve")
    arguments.add_argument("--store", type=Path)
    arguments.add_argument("--sign-in-again", action="store_true")
    arguments.add_argument("--refresh", action="store_true")
    arguments.add_argument("--step-up", action="store_true")
    given = arguments.parse_args()

    warnings.filterwarnings("ignore", message="Using in-memory token storage")
    report = Report()
    webbrowser.register("scripted", None, ScriptedBrowser(report, given.decision, given.email), preferred=True)
    return report.of(run(given, report))


if __name__ == "__main__":
    sys.exit(main())
