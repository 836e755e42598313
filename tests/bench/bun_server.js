// The least that a push server in JavaScript needs: Bun's own WebSocket server, which is µWebSockets, with its topics.
//
//   GET  /subscribe/CHANNEL   a WebSocket that gets what is published, the text alone
//   POST /publish/CHANNEL     the body is the message; the answer has the number of subscribers
//
// No event streams, no history, no heartbeats to clients, no limit on what waits for a slow one (backpressureLimit 0, as
// no run may meet a limit), one process: Bun's topics end at its process.
// With CERTIFICATE and KEY in the environment, over TLS.
const { CERTIFICATE, KEY } = process.env;
const server = Bun.serve({
  hostname: "127.0.0.1",
  port: Number(process.env.PORT),
  idleTimeout: 0,
  ...(CERTIFICATE && { tls: { cert: Bun.file(CERTIFICATE), key: Bun.file(KEY) } }),
  async fetch(request, server) {
    const [, verb, channel] = new URL(request.url).pathname.split("/");
    if (verb === "subscribe" && server.upgrade(request, { data: channel })) return;
    if (verb !== "publish" || request.method !== "POST") return new Response("no such path\n", { status: 404 });
    server.publish(channel, await request.text());
    return Response.json({ subscribers: server.subscriberCount(channel) }, { status: 202 });
  },
  websocket: {
    perMessageDeflate: false,
    idleTimeout: 960,
    backpressureLimit: 0,
    open: socket => socket.subscribe(socket.data),
    message() {},
  },
});
console.log(`Bun is ready on port ${server.port}`);
