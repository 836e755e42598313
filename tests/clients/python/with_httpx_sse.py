import sys

import httpx
from httpx_sse import connect_sse

verb, url = sys.argv[1:]
with httpx.Client(timeout=60) as client:
    if verb == "publish":
        for body in sys.stdin.buffer:
            answer = client.post(url, content=body.rstrip(b"\n"), headers={"Content-Type": "application/json"})
            print(answer.status_code, answer.text, flush=True)
    else:
        with connect_sse(client, "GET", url) as source:
            for event in source.iter_sse():
                print(f"event:{event.event}\ndata:{event.data}\n", flush=True)
        print("end")
