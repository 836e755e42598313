import asyncio
import sys

import aiohttp


async def publish(session, url):
    for body in sys.stdin.buffer:
        async with session.post(url, data=body.rstrip(b"\n"), headers={"Content-Type": "application/json"}) as answer:
            print(answer.status, await answer.text(), flush=True)


async def subscribe(session, url):
    async with session.get(url) as answer:
        rest = b""
        async for block in answer.content.iter_any():
            *lines, rest = (rest + block).split(b"\n")
            for line in lines:
                print(line.decode(), flush=True)
    print("end")


async def speak(session, url):
    async with session.ws_connect(url) as ws:
        for body in sys.stdin:
            await ws.send_str('{"event":"publish","data":%s}' % body.rstrip("\n"))
            text = await ws.receive_str()
            while '"event":"ping"' in text:
                text = await ws.receive_str()
            print(text, flush=True)
    print("close", ws.close_code)


async def listen(session, url):
    async with session.ws_connect(url) as ws:
        async for message in ws:
            print(message.data, flush=True)
    print("close", ws.close_code)


async def main(verb, url):
    async with aiohttp.ClientSession() as session:
        await {"publish": publish, "subscribe": subscribe, "ws-publish": speak, "ws-subscribe": listen}[verb](session, url)


asyncio.run(main(*sys.argv[1:]))
