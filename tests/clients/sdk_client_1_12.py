#!/usr/bin/env python3
"""The OAuth client of the official Python SDK 1.12, signing in with the scripted browser.

    sdk_client_1_12.py MCP_URL [--email EMAIL] [--scope SCOPE] [--redirect-uri URI]

Registers with what that version sends by default, `whoami` is called, one JSON object printed (see
report.py). Exits with 0; with 3 when the authorization server answered with an OAuth error, with 1 on any
other failure (both say why in `error`).
"""

import argparse
import asyncio
import sys
import time

from mcp import ClientSession
from mcp.client.auth import OAuthClientProvider, TokenStorage
from mcp.client.streamable_http import streamablehttp_client
from mcp.shared.auth import OAuthClientInformationFull, OAuthClientMetadata, OAuthToken
from pydantic import AnyUrl

from browser import drive
from report import Report


class Memory(TokenStorage):
    """Keeps what the client wants stored for as long as it runs."""

    def __init__(self) -> None:
        self.tokens: OAuthToken | None = None
        self.client_info: OAuthClientInformationFull | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.client_info

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.client_info = client_info


async def run(given: argparse.Namespace, report: Report) -> None:
    storage = Memory()
    parameters: dict[str, str] = {}

    async def redirect(url: str) -> None:
        report.asked(url)
        parameters.update(report.answered(await asyncio.to_thread(drive, url, "approve", given.email)))

    async def callback() -> tuple[str, str | None]:
        if "error" in parameters:
            raise RuntimeError(f"{parameters['error']}: {parameters.get('error_description', '')}")
        return parameters["code"], parameters.get("state")

    metadata = OAuthClientMetadata(
        client_name="SDK 1.12 client", redirect_uris=[AnyUrl(given.redirect_uri)], scope=given.scope
    )
    oauth = OAuthClientProvider(given.url, metadata, storage, redirect, callback)

    async def call(session: ClientSession) -> None:
        result = await session.call_tool("whoami")
        if result.isError or not isinstance(result.structuredContent, dict):
            raise RuntimeError(f"whoami failed: {result.content}")
        report.calls.append(result.structuredContent)

    try:
        async with streamablehttp_client(given.url, auth=oauth) as (reading, writing, _):
            async with ClientSession(reading, writing) as session:
                await session.initialize()
                await call(session)
                before = storage.tokens
                oauth.context.token_expiry_time = time.time() - 1
                await call(session)
                after = storage.tokens
                if before and after:
                    report.access_token_replaced = before.access_token != after.access_token
                    report.refresh_token_replaced = before.refresh_token != after.refresh_token
    finally:
        report.client_id = storage.client_info.client_id if storage.client_info else None


def main() -> int:
    arguments = argparse.ArgumentParser(description="The official SDK's client 1.12, signing in by script.")
    arguments.add_argument("url")
    arguments.add_argument("--email")
    arguments.add_argument("--scope")
    arguments.add_argument("--redirect-uri", default="http://127.0.0.1:33418/callback")
    given = arguments.parse_args()
    report = Report()
    return report.of(run(given, report))


if __name__ == "__main__":
    sys.exit(main())
