"""The naive peer: kubernetes_asyncio's typed call, one task per Secret, on asyncio's own loop.

`peer PLAN` reads the floor's plan. Where that says ``own_pool`` it is as the library comes, with a hundred connections
per cluster at most; else its pool is held to as many as the floor has, which is kinder to it.
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from kubernetes_asyncio import client

from benchmarks.contenders.spent import measure


async def send(plan: dict[str, Any]) -> None:
    """Create every Secret."""
    clients = []
    tasks = []
    for cluster in plan["clusters"]:
        configuration = client.Configuration(host=cluster["url"])
        configuration.ssl_ca_cert = plan["ca"]
        if not plan["own_pool"]:
            configuration.connection_pool_maxsize = plan["in_flight"]
        configuration.api_key = {"BearerToken": plan["token"]}
        configuration.api_key_prefix = {"BearerToken": "Bearer"}
        api_client = client.ApiClient(configuration)
        clients.append(api_client)
        core = client.CoreV1Api(api_client)
        tasks += [asyncio.create_task(create(core, json.loads(body))) for _, body in cluster["requests"]]
    await asyncio.gather(*tasks)
    for api_client in clients:
        await api_client.close()


async def create(core: client.CoreV1Api, document: dict[str, Any]) -> None:
    """Create one Secret, as the library's examples do."""
    meta = document["metadata"]
    metadata = client.V1ObjectMeta(
        name=meta["name"], namespace=meta["namespace"], labels=meta["labels"], annotations=meta["annotations"]
    )
    secret = client.V1Secret(metadata=metadata, type=document["type"], data=document["data"])
    await core.create_namespaced_secret(meta["namespace"], secret)


def main() -> None:
    plan = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))

    def work() -> int:
        asyncio.run(send(plan))
        return 0

    measure(work)


if __name__ == "__main__":
    main()
