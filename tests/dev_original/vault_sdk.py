"""Does with the simulator of Vault, through the official Pangea SDK, all that a person might do with Vault.

    python3 vault_sdk.py STAGE_URL VAULT_TOKEN PREFIX

PREFIX goes behind the URL, in the SDK's own notation: nothing, or /{SERVICE_NAME}.
"""

import logging
import sys
import warnings
from collections.abc import Callable

import httpx
from pangea import PangeaConfig
from pangea import exceptions as pe
from pangea.services import Vault
from pangea.services.vault.models.common import ItemOrder, ItemOrderBy, ItemVersionState, RequestManualRotationState
from requests.exceptions import ConnectionError as ConnectionLost

STAGE, TOKEN, PREFIX = sys.argv[1:]


def check(holds: bool, what: object) -> None:
    if not holds:
        raise AssertionError(what)


def client(token: str = TOKEN) -> Vault:
    return Vault(token, PangeaConfig(base_url_template=STAGE + PREFIX))


VAULT = client()


def switch(changes: dict) -> None:
    httpx.post(f"{STAGE}/__stand-in/switches", json={"vault": changes}).raise_for_status()


def refused(exception: type[Exception], call: Callable[[], object]) -> None:
    try:
        call()
    except exception:
        return
    raise AssertionError(f"the SDK should have raised {exception}")


def asked(path: str) -> int:
    paths = httpx.get(f"{STAGE}/__stand-in/requests").json()["paths"]
    return sum(count for asked, count in paths.items() if path in asked)


def bulk(**members: object) -> list:
    return VAULT.get_bulk({"folder": "/sdk/"} | members).result.items


def check_one_secret() -> None:
    stored = VAULT.store_secret("one", name="first", folder="sdk", metadata={"owner": "grace"}, tags=["a", "b"]).result
    check(stored.name == "first" and stored.folder == "/sdk/", stored)
    check([(v.version, v.state, v.secret) for v in stored.item_versions] == [(1, "active", None)], stored)

    rotated = VAULT.rotate_secret(stored.id, "two", rotation_state=RequestManualRotationState.DESTROYED).result
    check([(v.version, v.secret) for v in rotated.item_versions] == [(2, None)], rotated)
    check([v.secret for v in VAULT.get(stored.id).result.item_versions] == ["two"], "the current version alone")
    every = VAULT.get(stored.id, version="all").result.item_versions
    check([(v.version, v.state, v.secret) for v in every] == [(1, "destroyed", None), (2, "active", "two")], every)
    check(VAULT.get(stored.id, version=1).result.item_versions[0].destroyed_at is not None, every)

    found = bulk(name="first", type="secret")
    check([(item.id, item.item_versions[0].secret) for item in found] == [(stored.id, "two")], found)
    check([item.id for item in bulk(metadata_owner="grace", name__contains="irs")] == [stored.id], "by metadata")
    check(bulk(name="First") == [], "by a name in another case")

    VAULT.update(stored.id, name="renamed", folder="/sdk/deep/er", metadata={"owner": "ada"}, tags=[])
    moved = VAULT.get(stored.id).result
    check((moved.name, moved.folder, moved.metadata) == ("renamed", "/sdk/deep/er/", {"owner": "ada"}), moved)
    suspended = VAULT.state_change(stored.id, ItemVersionState.SUSPENDED, version=2).result
    check(suspended.item_versions[0].state == "suspended", suspended)
    check(VAULT.get(stored.id).result.item_versions[0].secret == "two", "a suspended version can be read")

    check(VAULT.delete(stored.id).result.id == stored.id, "deleted")
    refused(pe.VaultItemNotFound, lambda: VAULT.get(stored.id))
    check(VAULT.list(filter={"folder__contains": "sdk"}).result.items == [], "folders that nobody made are gone")


def check_folders() -> None:
    folder = VAULT.folder_create("kept", "/sdk").result
    item = VAULT.store_secret("s", name="inside", folder="/sdk/kept").result
    bulk_of_all = {type(item).__name__ for item in VAULT.get_bulk({}).result.items}
    check(bulk_of_all == {"Folder", "Secret"}, bulk_of_all)
    refused(pe.PangeaAPIException, lambda: VAULT.folder_create("kept", "/sdk"))
    refused(pe.PangeaAPIException, lambda: VAULT.delete(folder.id))
    VAULT.delete(folder.id, recursive=True)
    refused(pe.VaultItemNotFound, lambda: VAULT.delete(item.id))


def check_paging() -> None:
    names = [f"page-{number}" for number in range(5)]
    for name in names:
        VAULT.store_secret(name, name=name, folder="/sdk/pages/")
    for order, expected in [(ItemOrder.ASC, names), (ItemOrder.DESC, names[::-1])]:
        for last_at_end in ["absent", "empty", "present"]:
            switch({"habits": {"last_at_end": last_at_end}})
            for ask in [VAULT.list, lambda *, filter, **more: VAULT.get_bulk(filter, **more)]:
                seen, last = [], None
                while True:
                    part = ask(
                        filter={"folder": "/sdk/pages"}, size=2, order=order, order_by=ItemOrderBy.NAME, last=last
                    )
                    seen += [item.name for item in part.result.items]
                    last = part.raw_result.get("last")
                    if not last:
                        break
                check(seen == expected, seen)
    for item in VAULT.list(filter={"folder": "/sdk/pages"}).result.items:
        VAULT.delete(item.id)


def check_refusals() -> None:
    refused(pe.VaultItemNotFound, lambda: VAULT.get("thisisnotandid"))
    refused(pe.ValidationException, lambda: VAULT.store_secret("s" * 10_241))
    refused(pe.ValidationException, lambda: VAULT.store_secret("s", folder="/a?"))
    refused(pe.ValidationException, lambda: VAULT.list(size=101))
    refused(pe.UnauthorizedException, lambda: client("pts_" + "a" * 32).list())
    for fault, exception in [
        ("unauthorized", pe.UnauthorizedException),
        ("forbidden", pe.ForbiddenVaultOperation),
        ({"too_many_requests": "7"}, pe.RateLimitException),
        ({"refused": {"status": "NoCredit", "http_status": 402}}, pe.NoCreditException),
    ]:
        switch({"list": {"fault": fault, "times": 1}})
        before = asked("v2/list")
        refused(exception, VAULT.list)
        check(asked("v2/list") == before + 1, "the SDK does not try that again")


def check_retries() -> None:
    for fault in ["internal_error", "not_available"]:
        switch({"list": {"fault": fault, "times": 1}})
        before = asked("v2/list")
        VAULT.list()
        check(asked("v2/list") == before + 2, "the SDK tries that again")
    switch({"store": {"fault": "internal_error", "after_commit": True, "times": 1}})
    switch({"habits": {"unique_names": "off"}})
    VAULT.store_secret("s", name="twice", folder="/sdk/retries")
    twice = VAULT.list(filter={"name": "twice"}).result.items
    check(len(twice) == 2 and twice[0].id != twice[1].id, twice)


def check_lost_answer() -> None:
    switch({"store": {"fault": {"foreign": "drop"}, "after_commit": True, "times": 1}})
    refused(ConnectionLost, lambda: VAULT.store_secret("s", name="lost", folder="/sdk/answers"))
    check([item.folder for item in VAULT.list(filter={"name": "lost"}).result.items] == ["/sdk/answers/"], "it is there")


def check_later_answers() -> None:
    switch({"store": {"put_off": 2, "times": 1}})
    before = asked("/request/")
    stored = VAULT.store_secret("s", name="later", folder="/sdk/later").result
    check(stored.name == "later" and asked("/request/") == before + 2, stored)


def main() -> None:
    warnings.simplefilter("ignore")
    logging.disable()
    check_one_secret()
    check_folders()
    check_paging()
    check_refusals()
    check_lost_answer()
    check_later_answers()
    check_retries()
    print("did everything with the official SDK")


main()
