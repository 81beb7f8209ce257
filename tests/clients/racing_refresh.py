#!/usr/bin/env python3
"""Five processes that hold one refresh token, as the windows of one editor do, refresh at the same moment.

    racing_refresh.py TOKEN_ENDPOINT CLIENT_ID REFRESH_TOKEN RESOURCE [--processes N]

All must get tokens, and each then refreshes once more with what it got. Prints one JSON object per
process; exit code 0 when every refresh worked, else 1.
"""

import argparse
import hashlib
import json
import multiprocessing
import sys
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import asdict, dataclass
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier


@dataclass
class Refresh:
    """One answer of the token endpoint; of a refresh token only a fingerprint is shown."""

    status: int
    error: str | None
    refresh_token: str | None


@dataclass
class Racer:
    process: int
    first: Refresh
    second: Refresh | None

    def went_on(self) -> bool:
        return self.first.status == 200 and self.second is not None and self.second.status == 200


def refresh(given: argparse.Namespace, refresh_token: str) -> tuple[Refresh, str]:
    """Refreshes; returns the answer and the refresh token to use from now on."""
    form = {
        "grant_type": "refresh_token",
        "refresh_token": refresh_token,
        "client_id": given.client_id,
        "resource": given.resource,
    }
    try:
        with urllib.request.urlopen(
            given.token_endpoint, urllib.parse.urlencode(form).encode(), timeout=30
        ) as response:
            tokens = json.load(response)
            status = response.status
    except urllib.error.HTTPError as refusal:
        return Refresh(refusal.code, refusal.read().decode("utf-8", "replace"), None), refresh_token
    except OSError as problem:
        return Refresh(0, str(problem), None), refresh_token
    if "access_token" not in tokens:
        return Refresh(0, f"HTTP {status} without an access token", None), refresh_token
    current = tokens.get("refresh_token", refresh_token)
    return Refresh(status, None, hashlib.sha256(current.encode()).hexdigest()[:12]), current


def race(number: int, given: argparse.Namespace, start: Barrier, results: "Queue[Racer]") -> None:
    start.wait()
    first, refresh_token = refresh(given, given.refresh_token)
    second = None
    start.wait()  # nobody uses a successor before everybody has one
    if first.status == 200:
        second, _ = refresh(given, refresh_token)
    results.put(Racer(number, first, second))


def main() -> int:
    arguments = argparse.ArgumentParser(description="Several processes race with one refresh token.")
    arguments.add_argument("token_endpoint")
    arguments.add_argument("client_id")
    arguments.add_argument("refresh_token")
    arguments.add_argument("resource")
    arguments.add_argument("--processes", type=int, default=5)
    given = arguments.parse_args()

    start = multiprocessing.Barrier(given.processes, timeout=60)
    results: Queue[Racer] = multiprocessing.Queue()
    processes = [
        multiprocessing.Process(target=race, args=(number, given, start, results)) for number in range(given.processes)
    ]
    for process in processes:
        process.start()
    racers = sorted((results.get(timeout=120) for _ in processes), key=lambda racer: racer.process)
    for process in processes:
        process.join()
    for racer in racers:
        print(json.dumps(asdict(racer)))
    return 0 if all(racer.went_on() for racer in racers) else 1


if __name__ == "__main__":
    sys.exit(main())
