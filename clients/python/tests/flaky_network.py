"""The network between a client and a server, for a test to break."""

import asyncio


class Connection:
    """What comes from the server can be held, and comes later."""

    def __init__(self, near_writer, far_writer):
        self.writers = {near_writer, far_writer}
        self.near_writer = near_writer
        self.held = None
        self.brought = b""

    def carry(self, data):
        """To the client; b"" is the end."""
        if self.held is not None:
            self.held.append(data)
        elif data:
            self.near_writer.write(data)
        else:
            self.near_writer.close()

    def hold(self):
        self.held = self.held or []

    def release(self):
        """All of it at once, before this returns."""
        held, self.held = self.held or [], None
        for data in held:
            self.carry(data)

    def cut(self):
        for writer in self.writers:
            writer.transport.abort()


class Network:
    """async with Network(port) as network: connections to network.port reach the port, unless they are cut or held."""

    def __init__(self, port):
        self.target = port
        self.is_down = False
        self.is_held = False
        self.connections = []  # all that there were
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
        connection = Connection(near_writer, far_writer)
        self.connections.append(connection)
        if self.is_held:
            connection.hold()
        await asyncio.gather(self._ask(near, far_writer), self._answer(far, connection))

    async def _ask(self, near, far_writer):
        is_first = True
        try:
            while data := await near.read(65536):
                if is_first:
                    self.heads.append(data.split(b"\r\n", 1)[0].decode())
                    is_first = False
                far_writer.write(data)
        except OSError:
            pass
        far_writer.close()

    async def _answer(self, far, connection):
        try:
            while data := await far.read(65536):
                connection.brought += data
                connection.carry(data)
        except OSError:
            pass
        connection.carry(b"")

    def hold(self):
        """What comes from the server, on connections to come as well."""
        self.is_held = True
        for connection in self.connections:
            connection.hold()

    def release(self):
        self.is_held = False
        for connection in self.connections:
            connection.release()

    def cut(self):
        for connection in self.connections:
            connection.cut()
