"""Name servers that answer as a test says."""

import socket

import pytest


def resolving(monkeypatch: pytest.MonkeyPatch, *answers: tuple[str, ...]) -> list[str]:
    """Have names answered with these addresses, one answer after the other, the last for ever; note what was asked."""
    real, asked, left = socket.getaddrinfo, list[str](), list(answers)

    def look_up(name: str | bytes, port: int, *how: int, **more: int) -> list[object]:
        host = name if isinstance(name, str) else name.decode()
        if host.replace(".", "").isdigit() or ":" in host:
            return list(real(host, port, *how, **more))
        asked.append(host)
        found = left.pop(0) if len(left) > 1 else left[0]
        return [entry for address in found for entry in real(address, port, type=socket.SOCK_STREAM)]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return asked
