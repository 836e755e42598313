import sys

from websockets.sync.client import connect

verb, url = sys.argv[1:]
with connect(url) as ws:
    if verb == "ws-publish":
        for body in sys.stdin:
            ws.send('{"event":"publish","data":%s}' % body.rstrip("\n"))
            text = ws.recv()
            while '"event":"ping"' in text:
                text = ws.recv()
            print(text, flush=True)
    else:
        for text in ws:
            print(text, flush=True)
print("close", ws.close_code)
