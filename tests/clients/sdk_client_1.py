#!/usr/bin/env python3
"""The OAuth client of the official Python SDK 1.x, signing in with the scripted browser.

    sdk_client_1.py MCP_URL [--email EMAIL] [--scope SCOPE] [--redirect-uri URI] [--store DIRECTORY]
                    [--sign-in-again] [--refresh] [--step-up]

Registers with what that version sends by default, calls `whoami`, prints one JSON object (see report.py).
Exits with 0; with 3 when the authorization server answered with an OAuth error, with 1 on any other failure
(both say why in `error`). For the options see sdk_client.py.
"""

import argparse
import asyncio
import sys
import time

from mcp import ClientSession
from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import streamablehttp_client
from mcp.shared.auth import OAuthClientMetadata
from pydantic import AnyUrl

from browser import drive
from report import Report
from sdk_store import Store, storing


async def run(given: argparse.Namespace, report: Report) -> None:
    storage = Store(given.store, without_tokens=given.sign_in_again)
    parameters: dict[str, str] = {}

    async def redirect(url: str) -> None:
        report.asked(url)
        parameters.clear()
        parameters.update(report.answered(await asyncio.to_thread(drive, url, "approve", given.email)))

    async def callback() -> tuple[str, str | None]:
        if "error" in parameters:
            raise RuntimeError(f"{parameters['error']}: {parameters.get('error_description', '')}")
        return parameters["code"], parameters.get("state")

    metadata = OAuthClientMetadata(
        client_name="SDK 1 client", redirect_uris=[AnyUrl(given.redirect_uri)], scope=given.scope
    )
    oauth = OAuthClientProvider(given.url, metadata, storage, redirect, callback)

    async def call(session: ClientSession, tool: str) -> None:
        result = await session.call_tool(tool)
        if result.isError or not isinstance(result.structuredContent, dict):
            raise RuntimeError(f"{tool} failed: {result.content}")
        report.calls.append(result.structuredContent)

    try:
        async with streamablehttp_client(given.url, auth=oauth) as (reading, writing, _):
            async with ClientSession(reading, writing) as session:
                await session.initialize()
                report.tools = [tool.name for tool in (await session.list_tools()).tools]
                await call(session, "whoami")
                if given.refresh:
                    before = storage.tokens
                    oauth.context.token_expiry_time = time.time() - 1
                    await call(session, "whoami")
                    report.replaced(before, storage.tokens)
                if given.step_up:
                    await call(session, "privileged")
    finally:
        report.client_id = storage.client_info.client_id if storage.client_info else None


def main() -> int:
    arguments = argparse.ArgumentParser(description="The official SDK's client 1.x, signing in by script.")
    arguments.add_argument("url")
    arguments.add_argument("--email")
    arguments.add_argument("--scope")
    arguments.add_argument("--redirect-uri", default="http://127.0.0.1:33418/callback")
    storing(arguments)
    given = arguments.parse_args()
    report = Report()
    return report.of(run(given, report))


if __name__ == "__main__":
    sys.exit(main())
