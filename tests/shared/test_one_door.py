"""Every effect of every function passes the one door by its name: read off the source, so that no way round stays."""

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

from tests.faults.effects import ROOT, effect_names, passages, sources

# Who may know a client of the outside world, and which.
CLIENTS: Mapping[str, frozenset[str]] = {
    "shared/door.py": frozenset({"google", "requests"}),
    "shared/environment.py": frozenset({"google"}),
    "shared/store.py": frozenset({"google", "urllib3"}),
    "shared/vertex.py": frozenset({"google"}),
    "shared/identity.py": frozenset({"google", "requests", "http"}),
    "shared/run_jobs.py": frozenset({"google"}),
    "shared/run_services.py": frozenset({"google", "requests", "http"}),
    "shared/job_logs.py": frozenset({"google", "requests"}),
    "shared/push_token.py": frozenset({"google", "requests"}),
    "shared/spans.py": frozenset({"opentelemetry"}),
    "functions/notify/notice_channel.py": frozenset({"apprise"}),
    "functions/notify/signed_webhook.py": frozenset({"socket", "urllib3"}),
}
KNOWN_CLIENTS = frozenset(
    {
        "google", "requests", "urllib3", "httpx", "aiohttp", "http", "socket", "ssl", "subprocess", "multiprocessing",
        "smtplib", "ftplib", "apprise", "opentelemetry", "shutil", "tempfile", "ctypes", "grpc", "asyncio",
    }
)  # fmt: skip
WRITERS = frozenset({"write_text", "write_bytes", "unlink", "rename", "mkdir", "rmdir", "touch", "system", "popen"})
# What of a client's goes over the wire.
REMOTE: Mapping[str, frozenset[str]] = {
    "shared/store.py": frozenset({"upload_from_string", "download_as_bytes", "get_blob", "list_blobs", "get", "read"}),
    "shared/bus.py": frozenset({"publish"}),
    "shared/spans.py": frozenset({"export"}),
}
VERTEX = ("_jobs", "_models", "_endpoints", "_predictions")
NOT_IDEMPOTENT = ("create_", "upload_", "deploy_", "undeploy_", "update_", "predict")


@cache
def tree_of(path: str) -> ast.Module:
    return with_parents(ast.parse((ROOT / path).read_text()))


def with_parents(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        for child in ast.iter_child_nodes(node):
            child.parent = node  # type: ignore[attr-defined]
    return tree


def imported(path: Path) -> Iterator[str]:
    """The roots of what a file imports, what only its types need left out."""
    tree = tree_of(str(path.relative_to(ROOT)))
    for node in ast.walk(tree):
        if any(isinstance(above, ast.If) and "TYPE_CHECKING" in ast.unparse(above.test) for above in ancestors(node)):
            continue
        if isinstance(node, ast.Import):
            yield from (name.name.split(".")[0] for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield "urllib3" if node.module.startswith("urllib.request") else node.module.split(".")[0]


def ancestors(node: ast.AST) -> Iterator[ast.AST]:
    while (node := getattr(node, "parent", None)) is not None:  # type: ignore[assignment]
        yield node


def is_door(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("door", "_door")


def behind_the_door(node: ast.AST, tree: ast.Module) -> bool:
    """Whether a call happens only when a door lets it: written in a door's call, or in a function named in one only."""
    if any(is_door(above) for above in ancestors(node)):
        return True
    inside = next((above for above in ancestors(node) if isinstance(above, ast.FunctionDef)), None)
    if inside is None:
        return False
    named = [each for each in ast.walk(tree) if inside.name in (getattr(each, "id", ""), getattr(each, "attr", ""))]
    return bool(named) and all(any(is_door(above) for above in ancestors(each)) for each in named)


def calls(tree: ast.Module) -> Iterator[tuple[ast.Call, ast.Attribute]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            yield node, node.func


def test_clients_are_known_to_the_doors_only() -> None:
    known = {str(path.relative_to(ROOT)): KNOWN_CLIENTS & set(imported(path)) for path in sources()}
    assert {path: clients for path, clients in known.items() if clients} == CLIENTS


def test_nobody_writes_files_or_starts_programs() -> None:
    written = {
        (str(path.relative_to(ROOT)), called.attr)
        for path in sources()
        for call, called in calls(tree_of(str(path.relative_to(ROOT))))
        if called.attr in WRITERS or (called.attr == "open" and "Path" in ast.unparse(called.value))
    }
    assert written == {("functions/notify/notice_channel.py", "open")}  # a channel that is a file
    opened = [
        str(path) for path in sources() for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("open", "exec", "eval")
    ]  # fmt: skip
    assert opened == []


def test_every_effect_has_a_name_and_no_two_services_share_one() -> None:
    unnamed = [passage for passage in passages() if passage.name is None]
    assert unnamed == []
    assert {name.split(".")[0] for name in effect_names()} == {
        "storage", "pubsub", "vertex", "run", "logging", "otlp", "notify", "oidc",
    }  # fmt: skip


@pytest.mark.parametrize("path", REMOTE)
def test_what_goes_over_the_wire_goes_through_the_door(path: str) -> None:
    tree = tree_of(path)
    remote = [call for call, called in calls(tree) if called.attr in REMOTE[path] and is_clients(called, path)]
    assert remote
    assert [ast.unparse(call) for call in remote if not behind_the_door(call, tree)] == []


def is_clients(called: ast.Attribute, path: str) -> bool:
    owner = ast.unparse(called.value)
    of_client = ("blob", "self._bucket", "self._client", "self._client._http", "response.raw", "self._exporter")
    return owner in of_client or (path == "shared/bus.py" and owner == "self._client")


def test_vertex_ai_is_asked_through_the_door_within_a_time_and_again_only_where_that_is_harmless() -> None:
    tree = tree_of("shared/vertex.py")
    asked = [
        (call, called) for call, called in calls(tree)
        if isinstance(called.value, ast.Attribute) and called.value.attr in VERTEX
    ]  # fmt: skip
    assert len(asked) > 15
    for call, called in asked:
        given = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
        assert behind_the_door(call, tree), ast.unparse(call)
        assert given.get("timeout") == "_CALL_TIMEOUT_SECONDS", ast.unparse(call)
        if called.attr.startswith(NOT_IDEMPOTENT):
            assert given.get("retry") == "None", f"{called.attr} would be asked again by the client"


def test_the_other_clients_have_a_time_limit() -> None:
    from google.cloud.storage.constants import _DEFAULT_TIMEOUT

    assert _DEFAULT_TIMEOUT == 60
    for path, limit in (("shared/bus.py", "_PUBLISH_TIMEOUT_SECONDS"), ("shared/job_logs.py", "_TIMEOUT_SECONDS"),
                        ("shared/push_token.py", "_FETCH_SECONDS"),
                        ("shared/spans.py", "_SECONDS"), ("functions/notify/signed_webhook.py", "_SECONDS"),
                        ("shared/store.py", "_SILENT_SECONDS")):  # fmt: skip
        given = [
            ast.unparse(keyword.value) for node in ast.walk(tree_of(path)) if isinstance(node, ast.Call)
            for keyword in node.keywords if keyword.arg == "timeout"
        ]  # fmt: skip
        assert given, path
        assert all(limit in each for each in given), path


def test_notices_leave_through_the_door_only() -> None:
    tree = tree_of("functions/notify/notice_delivery.py")
    (sent,) = [node for node in ast.walk(tree) if is_door(node)]
    assert ast.unparse(sent) == "step.cloud.door('notify.send', told)"
    users = [
        path for path in sources()
        if "notice_channel" in path.read_text() and path.stem not in ("notice_channel", "notice_delivery")
    ]  # fmt: skip
    assert users == []


def test_a_way_round_the_door_would_be_seen() -> None:
    tree = with_parents(
        ast.parse("def f(self):\n  self._jobs.get(1)\ndef g(self):\n  self._door('x', lambda: self._jobs.get(1))\n")
    )
    round_it, through_it = [call for call, called in calls(tree) if called.attr == "get"]
    assert not behind_the_door(round_it, tree)
    assert behind_the_door(through_it, tree)
