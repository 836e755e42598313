"""The network between a client and a server, for a test to break."""

import asyncio


class Network:
    """async with Network(port) as network: connections to network.port reach the port, unless they are cut or held."""

    def __init__(self, port):
        self.target = port
        self.is_down = False
        self.is_held = False
        self.writers = set()
        self.heads = []  # the first lines of all requests

    async def __aenter__(self):
        self.server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self.server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        return self

    async def __aexit__(self, *_):
        self.server.close()
        self.cut()

    async def _accept(self, near, near_writer):
        if self.is_down:
            near_writer.transport.abort()
            return
        far, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
        self.writers |= {near_writer, far_writer}
        await asyncio.gather(self._carry(near, far_writer, is_request=True), self._carry(far, near_writer))

    async def _carry(self, reader, writer, is_request=False):
        is_first = is_request
        try:
            while data := await reader.read(65536):
                if is_first:
                    self.heads.append(data.split(b"\r\n", 1)[0].decode())
                    is_first = False
                if not self.is_held or is_request:
                    writer.write(data)
        except OSError:
            pass
        self.writers.discard(writer)
        writer.close()

    def cut(self):
        for writer in self.writers:
            writer.transport.abort()
        self.writers.clear()
