"""A Talkover with a long call history that answers as fast as it can: its pages are made before anybody asks.

The sandbox filters its calls anew for every request, which would be most of what an export benchmark measures.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import uuid
from datetime import datetime, timedelta, timezone
from random import Random
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

PER_PAGE = 100
#: Every call was created in this window, and ended long ago.
START = datetime(2026, 3, 1, tzinfo=timezone.utc)
END = START + timedelta(days=1)
_ENDINGS = ("completed", "completed", "completed", "no-answer", "busy", "failed")


def rows(count: int, first: int, size: int) -> list[dict[str, object]]:
    """Return rows of the list as List calls shows them."""
    found = []
    for number in range(first, min(first + size, count)):
        rng = Random(number)
        created = START + (END - START) * (number / count)
        duration = rng.randint(0, 300)
        status = _ENDINGS[number % len(_ENDINGS)]
        to = f"+1415555{rng.randint(1000, 9999)}"
        found.append(
            {
                "id": str(uuid.UUID(int=rng.getrandbits(128), version=4)),
                "sid": f"CA{rng.getrandbits(128):032x}",
                "to": to,
                "to_formatted": f"(415) 555-{to[-4:]}",
                "from": "+14155550100",
                "from_formatted": "(415) 555-0100",
                "is_testing": False,
                "direction": "outbound",
                "status": status,
                "duration": duration if status == "completed" else 0,
                "agent": {"id": "agent_123456", "name": "sales_agent", "label": "Sales agent"},
                "created_at": created.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
                "updated_at": (created + timedelta(seconds=duration + 20)).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            }
        )
    return found


def pages(count: int) -> list[bytes]:
    """Return the answers to every page, whole with their heads."""
    last = -(-count // PER_PAGE)
    made = []
    for page in range(1, last + 1):
        part = rows(count, (page - 1) * PER_PAGE, PER_PAGE)
        pagination = {
            "current_page": page,
            "last_page": last,
            "per_page": PER_PAGE,
            "total": count,
            "from": (page - 1) * PER_PAGE + 1,
            "to": (page - 1) * PER_PAGE + len(part),
        }
        body = json.dumps({"success": True, "data": part, "pagination": pagination}).encode()
        made.append(_answer(body))
    return made


def _answer(body: bytes) -> bytes:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return (head + "Date: Fri, 20 Nov 2026 12:00:00 GMT\r\n\r\n").encode() + body


def _serve(count: int, latency: float, pipe: Connection) -> None:
    made = pages(count)
    empty = _answer(json.dumps({"data": [], "meta": {"total": 0}, "pagination": {"total": count}}).encode())

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                query = parse_qs(urlsplit(head.split(" ", 2)[1]).query)
                number = int(query.get("page", ["1"])[0])
                if latency:
                    await asyncio.sleep(latency)
                is_list = "/calls" in head.split(" ", 2)[1]
                writer.write(made[number - 1] if is_list and number <= len(made) else empty)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def main() -> None:
        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        pipe.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(main())


class HistoryServer:
    """The server in a process of its own.

    :param count: how many calls it has.
    :param latency: seconds before each answer.
    """

    def __init__(self, count: int, latency: float = 0.0) -> None:
        ours, theirs = multiprocessing.Pipe()
        self._process = multiprocessing.get_context("spawn").Process(
            target=_serve, args=(count, latency, theirs), daemon=True
        )
        self._process.start()
        self.url = f"http://127.0.0.1:{ours.recv()}"

    def stop(self) -> None:
        """End the process."""
        self._process.terminate()
        self._process.join()
