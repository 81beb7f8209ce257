#!/usr/bin/env python3
"""The OAuth client of the official Python SDK, signing in with the scripted browser.

    sdk_client.py MCP_URL [--email EMAIL] [--decision approve|deny] [--refresh] [--step-up]
                  [--scope SCOPE] [--redirect-uri URI] [--store DIRECTORY] [--sign-in-again]

Calls `whoami`, prints one JSON object (see report.py) and exits with 0; with 3 when the authorization
server answered with an OAuth error, with 1 on any other failure (both say why in `error`).
Nothing listens at the redirect URI: the answer is taken from the browser.

--store          keeps client and tokens in this directory, as a client that is started again does
--sign-in-again  drops the stored tokens but not the client: signs in with the same client id
--refresh        lets the access token expire, as far as the client knows, and calls `whoami` again
--step-up        calls `privileged` afterwards, which asks for one more scope
"""

import argparse
import asyncio
import sys
import time

from mcp import Client
from mcp.client.auth import OAuthClientProvider, OAuthFlowError
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientMetadata
from pydantic import AnyUrl

from browser import drive
from report import Report
from sdk_store import Store, storing


class SignIn:
    """The two handlers that the SDK leaves to the application."""

    def __init__(self, report: Report, decision: str, email: str | None) -> None:
        self.report = report
        self.decision = decision
        self.email = email
        self.parameters: dict[str, str] = {}

    async def redirect(self, url: str) -> None:
        self.report.asked(url)
        self.parameters = self.report.answered(await asyncio.to_thread(drive, url, self.decision, self.email))

    async def callback(self) -> AuthorizationCodeResult:
        got = self.parameters
        if "error" in got:
            raise OAuthFlowError(f"{got['error']}: {got.get('error_description', '')}")
        return AuthorizationCodeResult(code=got["code"], state=got.get("state"), iss=got.get("iss"))


async def call(client: Client, tool: str, report: Report) -> None:
    result = await client.call_tool(tool)
    if result.is_error or not isinstance(result.structured_content, dict):
        raise RuntimeError(f"{tool} failed: {result.content}")
    report.calls.append(result.structured_content)


async def refresh(client: Client, oauth: OAuthClientProvider, storage: Store, report: Report) -> None:
    before = storage.tokens
    oauth.context.token_expiry_time = time.time() - 1
    await call(client, "whoami", report)
    report.replaced(before, storage.tokens)


async def run(given: argparse.Namespace, report: Report) -> None:
    storage = Store(given.store, without_tokens=given.sign_in_again)
    sign_in = SignIn(report, given.decision, given.email)
    metadata = OAuthClientMetadata(
        client_name="SDK client",
        redirect_uris=[AnyUrl(given.redirect_uri)],
        token_endpoint_auth_method="none",
        scope=given.scope,
    )
    oauth = OAuthClientProvider(given.url, metadata, storage, sign_in.redirect, sign_in.callback)
    try:
        async with create_mcp_http_client(auth=oauth) as http_client:
            async with Client(streamable_http_client(given.url, http_client=http_client)) as client:
                report.tools = [tool.name for tool in (await client.list_tools()).tools]
                await call(client, "whoami", report)
                if given.refresh:
                    await refresh(client, oauth, storage, report)
                if given.step_up:
                    await call(client, "privileged", report)
    finally:
        report.client_id = storage.client_info.client_id if storage.client_info else None


def main() -> int:
    arguments = argparse.ArgumentParser(description="The official SDK's client, signing in by script.")
    arguments.add_argument("url")
    arguments.add_argument("--email")
    arguments.add_argument("--decision", choices=("approve", "deny"), default="approve")
    storing(arguments)
    arguments.add_argument("--scope")
    arguments.add_argument("--redirect-uri", default="http://127.0.0.1:33418/callback")
    given = arguments.parse_args()

    report = Report()
    return report.of(run(given, report))


if __name__ == "__main__":
    sys.exit(main())
