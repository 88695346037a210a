"""Clusters in a process of their own: `python -m imps_multi.sandbox --clusters 3 --namespaces 20`.

Prints one line of JSON that says where everything is, and serves until SIGTERM, SIGINT or the end of its standard
input, so that it never outlives whoever started it. For benchmarks and for trying things out.
"""

import argparse
import asyncio
import base64
import contextlib
import gc
import os
import signal
import ssl
import sys
from contextlib import AsyncExitStack
from pathlib import Path

import msgspec

from imps_multi.sandbox.cluster import SandboxCluster
from imps_multi.sandbox.control import Control
from imps_multi.sandbox.ecr import SandboxEcr
from imps_multi.sandbox.server import Manners

__all__ = ["main"]

_USER = "imps-multi"
_STDIN = 0


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m imps_multi.sandbox", description=__doc__)
    parser.add_argument("--clusters", type=int, default=1)
    parser.add_argument("--namespaces", type=int, default=0, help="in each cluster: ns-0000, ns-0001, ...")
    parser.add_argument("--label", action="append", default=[], metavar="KEY=VALUE", help="of each namespace")
    parser.add_argument("--foreign-secrets", type=int, default=0, help="in each cluster, spread over its namespaces")
    parser.add_argument("--foreign-bytes", type=int, default=3000)
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before each answer")
    parser.add_argument("--token", default="", help="ask for this bearer token")
    parser.add_argument("--tls-cert", type=Path)
    parser.add_argument("--tls-key", type=Path)
    parser.add_argument("--ca", type=Path, help="what clients trust; the certificate itself where it is left out")
    parser.add_argument("--no-watch-list", action="store_true")
    parser.add_argument("--bookmark-seconds", type=float, default=60.0)
    parser.add_argument("--ecr", action="store_true", help="serve ECR and STS too")
    parser.add_argument("--lifetime", type=float, default=12 * 3600.0, help="seconds that an ECR token lives")
    parser.add_argument("--kubeconfig", type=Path, help="write a kubeconfig with a context per cluster there")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Run it."""
    options = _arguments(argv)
    try:
        import uvloop
    except ImportError:
        asyncio.run(_serve(options))
    else:
        uvloop.run(_serve(options))


async def _serve(options: argparse.Namespace) -> None:
    ending = _ending()
    async with AsyncExitStack() as stack:
        clusters = _clusters(options)
        for cluster in clusters:
            await stack.enter_async_context(cluster)
        ecr = None
        if options.ecr:
            ecr = await stack.enter_async_context(SandboxEcr(lifetime=options.lifetime))
        control = Control({cluster.name: cluster for cluster in clusters}, ecr)
        await control.start()
        stack.push_async_callback(control.stop)
        if options.kubeconfig:
            _write(options.kubeconfig, clusters)
        gc.freeze()  # what was seeded lives as long as the process
        _say(options, clusters, control, ecr)
        await ending.wait()


def _ending() -> asyncio.Event:
    """Return an event that is set when it is time to go."""
    ending, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ending.set)

    def read() -> None:
        if not os.read(_STDIN, 4096):
            loop.remove_reader(_STDIN)
            ending.set()

    with contextlib.suppress(OSError, ValueError):  # /dev/null cannot be waited for: signals alone end it then
        loop.add_reader(_STDIN, read)
    return ending


def _clusters(options: argparse.Namespace) -> list[SandboxCluster]:
    tls, ca = _tls(options)
    manners = Manners(watch_list=not options.no_watch_list, bookmark_seconds=options.bookmark_seconds)
    tokens = {options.token: _USER} if options.token else None
    found = []
    for number in range(options.clusters):
        cluster = SandboxCluster(name=f"cluster-{number:03}", tokens=tokens, ssl_context=tls, ca=ca, manners=manners)
        _seed(cluster, options)
        if options.latency:
            cluster.faults.slow(options.latency)
        found.append(cluster)
    return found


def _tls(options: argparse.Namespace) -> tuple[ssl.SSLContext | None, bytes]:
    if options.tls_cert is None:
        return None, b""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(options.tls_cert, options.tls_key)
    return context, (options.ca or options.tls_cert).read_bytes()


def _seed(cluster: SandboxCluster, options: argparse.Namespace) -> None:
    labels = dict(pair.split("=", 1) for pair in options.label)
    names = [f"ns-{number:04}" for number in range(options.namespaces)]
    for name in names:
        cluster.store.add_namespace(name, labels)
    value = base64.b64encode(b"x" * options.foreign_bytes).decode()
    for number in range(options.foreign_secrets):
        cluster.store.put(
            {
                "kind": "Secret",
                "metadata": {
                    "name": f"foreign-{number:06}",
                    "namespace": (names or ["default"])[number % len(names or "x")],
                },
                "type": "Opaque",
                "data": {"value": value},
            }
        )


def _write(path: Path, clusters: list[SandboxCluster]) -> None:
    merged: dict[str, object] = {"apiVersion": "v1", "kind": "Config", "current-context": clusters[0].name}
    single = [msgspec.convert(cluster.kubeconfig(), dict[str, object]) for cluster in clusters]
    for part in ("clusters", "users", "contexts"):
        merged[part] = [item for each in single for item in msgspec.convert(each[part], list[object])]
    path.write_bytes(msgspec.json.format(msgspec.json.encode(merged)))
    path.chmod(0o600)


def _say(options: argparse.Namespace, clusters: list[SandboxCluster], control: Control, ecr: SandboxEcr | None) -> None:
    ca = options.ca or options.tls_cert
    told: dict[str, object] = {
        "pid": os.getpid(),
        "control": control.url,
        "clusters": [{"name": each.name, "url": each.url, "identity": each.identity} for each in clusters],
        "token": options.token,
        "caFile": str(ca.resolve()) if ca else "",
    }
    if ecr is not None:
        key = ecr.credential
        told["ecr"] = {
            "url": ecr.url,
            "account": ecr.account,
            "accessKeyID": key.access_key,
            "secretAccessKey": key.secret_key,
        }
    sys.stdout.write(msgspec.json.encode(told).decode() + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
