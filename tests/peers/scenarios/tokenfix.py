#!/usr/bin/env python3
"""Beside Dovecot 2.3.13 to 2.3.21.1, whose auth process announces DOVECOT-TOKEN on the token-login socket without the
flag `private`, on which imap-urlauth-login then dies, so that nobody can fetch another user's URL. Stands on
`tokenlogin` in the folder given, passes everything on to `real-tokenlogin`, and adds the flag."""
import asyncio
import os
import sys

HERE = sys.argv[1] + "/tokenlogin"
BEHIND = sys.argv[1] + "/real-tokenlogin"


async def pass_on(reader, writer, mend):
    try:
        while True:
            octets = await (reader.readline() if mend else reader.read(65536))
            if not octets:
                break
            if mend and octets == b"MECH\tDOVECOT-TOKEN\n":
                octets = b"MECH\tDOVECOT-TOKEN\tprivate\n"
            writer.write(octets)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


async def connected(reader, writer):
    try:
        behind = await asyncio.open_unix_connection(BEHIND, limit=1 << 20)
    except OSError:
        writer.close()
        return
    await asyncio.gather(pass_on(reader, behind[1], False), pass_on(behind[0], writer, True))


async def main():
    if os.path.exists(HERE):
        os.unlink(HERE)
    server = await asyncio.start_unix_server(connected, HERE, limit=1 << 20)
    os.chmod(HERE, 0o666)
    print("ready", flush=True)
    async with server:
        await server.serve_forever()


asyncio.run(main())
