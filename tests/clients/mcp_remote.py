#!/usr/bin/env python3
"""mcp-remote between a client that speaks stdio and an MCP server, signing in with the scripted browser.

    mcp_remote.py NODE PROXY_JS MCP_URL [--email EMAIL] [--machine CLIENT_INFO]

NODE is the program and PROXY_JS the script of mcp-remote (`dist/proxy.js`). With `--machine` it is
a machine client, whose ID and secret are in the JSON file CLIENT_INFO: no one signs in. Calls `whoami`, prints one JSON
object (see report.py) and exits with 0; with 3 when the authorization server answered with an OAuth error,
with 1 on any other failure (both say why in `error`).
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
from asyncio.subprocess import PIPE, Process
from typing import Any

from browser import drive, visit
from report import Report

PATIENCE = 45.0
HELLO = {
    "protocolVersion": "2025-06-18",
    "capabilities": {},
    "clientInfo": {"name": "stdio client", "version": "1"},
}


class Proxy:
    """A running mcp-remote."""

    def __init__(self, process: Process, report: Report, email: str | None) -> None:
        assert process.stdin and process.stdout and process.stderr
        self.stdin, self.stdout, self.stderr = process.stdin, process.stdout, process.stderr
        self.report = report
        self.email = email
        self.said: list[str] = []

    async def send(self, message: dict[str, Any]) -> None:
        self.stdin.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
        await self.stdin.drain()

    async def ask(self, number: int, method: str, params: dict[str, Any]) -> dict[str, Any]:
        await self.send({"id": number, "method": method, "params": params})
        async for line in self.stdout:
            answer = json.loads(line)
            if answer.get("id") == number and "method" not in answer:
                if "result" not in answer:
                    raise RuntimeError(f"{method} failed: {answer}")
                return answer["result"]
        raise RuntimeError("mcp-remote ended: " + " | ".join(self.said[-20:]))

    async def watch(self) -> None:
        """Reads what it says, and signs in when it asks for that."""
        async for line in self.stderr:
            said = line.decode("utf-8", "replace").strip()
            self.said.append(said)
            if said.startswith("http") and "/authorize" in said and "code_challenge=" in said:
                await asyncio.to_thread(self.sign_in, said)

    def sign_in(self, url: str) -> None:
        self.report.asked(url)
        answer = drive(url, "approve", self.email)
        self.report.answered(answer)
        visit(answer)


async def session(proxy: Proxy, report: Report) -> None:
    await proxy.ask(1, "initialize", HELLO)
    await proxy.send({"method": "notifications/initialized"})
    result = await proxy.ask(2, "tools/call", {"name": "whoami", "arguments": {}})
    if result.get("isError") or "structuredContent" not in result:
        raise RuntimeError(f"whoami failed: {result}")
    report.calls.append(result["structuredContent"])


async def run(given: argparse.Namespace, report: Report) -> None:
    with tempfile.TemporaryDirectory() as folder:
        machine = []
        if given.machine:
            machine = ["--client-credentials", "--static-oauth-client-info", f"@{os.path.abspath(given.machine)}"]
        # Without a browser to start, it says where to go and waits.
        environment = {"PATH": "/nonexistent", "HOME": folder, "MCP_REMOTE_CONFIG_DIR": folder, "NO_COLOR": "1"}
        process = await asyncio.create_subprocess_exec(
            os.path.abspath(given.node), os.path.abspath(given.proxy), given.url, *machine,
            stdin=PIPE, stdout=PIPE, stderr=PIPE, env=environment, limit=1 << 20,
        )
        proxy = Proxy(process, report, given.email)
        watching = asyncio.create_task(proxy.watch())
        talking = asyncio.create_task(session(proxy, report))
        try:
            async with asyncio.timeout(PATIENCE):
                await asyncio.wait([watching, talking], return_when=asyncio.FIRST_COMPLETED)
                if watching.done():
                    watching.result()  # a sign-in that failed is the reason
                await talking
        except TimeoutError as late:
            raise RuntimeError("mcp-remote did not finish: " + " | ".join(proxy.said[-20:])) from late
        finally:
            talking.cancel()
            watching.cancel()
            if process.returncode is None:
                process.kill()
            await process.wait()


def main() -> int:
    arguments = argparse.ArgumentParser(description="mcp-remote, signing in by script.")
    arguments.add_argument("node")
    arguments.add_argument("proxy")
    arguments.add_argument("url")
    arguments.add_argument("--email")
    arguments.add_argument("--machine")
    given = arguments.parse_args()
    report = Report()
    return report.of(run(given, report))


if __name__ == "__main__":
    sys.exit(main())
