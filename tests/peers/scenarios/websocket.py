#!/usr/bin/python3
"""A WebSocket client that speaks SIP (RFC 7118): websocket.py URL [ROOT NAME].

Each SIP message on stdin leaves as one frame; each frame must be one whole SIP message and goes to stdout.
ROOT is the certificate that a wss server's must come from, NAME whom it must be for.
"""
import asyncio
import os
import re
import ssl
import sys

import websockets

LENGTH = re.compile(rb"\r\n(?:Content-Length|l)[ \t]*:[ \t]*(\d+)", re.I)


def whole(octets):
    """The length of the first message, or None if it is not all there."""
    head = octets.find(b"\r\n\r\n") + 4
    if head < 4:
        return None
    length = head + int(LENGTH.search(octets, 0, head).group(1))
    return length if len(octets) >= length else None


async def send(socket):
    loop = asyncio.get_running_loop()
    stdin = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stdin), sys.stdin)
    pending = b""
    while octets := await stdin.read(65536):
        pending += octets
        while length := whole(pending):
            message, pending = pending[:length], pending[length:]
            try:
                await socket.send(message.decode())
            except UnicodeDecodeError:
                await socket.send(message)
    await socket.close()


async def receive(socket):
    async for frame in socket:
        octets = frame.encode() if isinstance(frame, str) else frame
        if whole(octets) != len(octets):
            sys.exit(f"a frame that is not one message: {octets!r}")
        os.write(1, octets)


async def main():
    tls = {}
    if len(sys.argv) > 2:
        tls = dict(ssl=ssl.create_default_context(cafile=sys.argv[2]), server_hostname=sys.argv[3])
    async with websockets.connect(sys.argv[1], subprotocols=["sip"], max_size=None, **tls) as socket:
        if socket.subprotocol != "sip":
            sys.exit(f"the subprotocol is {socket.subprotocol}")
        sending = asyncio.create_task(send(socket))
        await receive(socket)
        sending.cancel()


asyncio.run(main())
