"""A long line without loss: what comes in goes on after a delay, both ways, however much it is. A program of its own:

    slow_line.py LISTENER TO-PORT MILLISECONDS-ONE-WAY
"""
import asyncio, socket, sys

PIECE, ON_THE_WAY = 1 << 18, 4096  # octets; pieces


async def carry(reader, writer, delay):
    loop, line = asyncio.get_running_loop(), asyncio.Queue(ON_THE_WAY)

    async def arrive():
        while (piece := await line.get())[1]:
            await asyncio.sleep(max(0, piece[0] - loop.time()))
            writer.write(piece[1])
            await writer.drain()
        writer.close()

    arrives = loop.create_task(arrive())
    try:
        while data := await reader.read(PIECE):
            await line.put((loop.time() + delay, data))
    except OSError:
        pass
    await line.put((loop.time() + delay, b""))
    await arrives


async def main(listener, to, delay):
    async def connected(reader, writer):
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", to, limit=PIECE)
            for w in (writer, far_writer):
                w.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await asyncio.gather(carry(reader, far_writer, delay), carry(far_reader, writer, delay))
        except OSError:
            writer.close()

    server = await asyncio.start_server(connected, sock=socket.socket(fileno=listener), limit=PIECE)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]) / 1000))
