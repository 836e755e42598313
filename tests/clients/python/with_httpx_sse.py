import os
import sys

import httpx
from httpx_sse import connect_sse

verb, url, *last = sys.argv[1:]
http2 = "HTTP2" in os.environ


def check(answer):
    assert answer.http_version == ("HTTP/2" if http2 else "HTTP/1.1"), answer.http_version


with httpx.Client(timeout=60, http2=http2) as client:
    if verb == "publish":
        for body in sys.stdin.buffer:
            answer = client.post(url, content=body.rstrip(b"\n"), headers={"Content-Type": "application/json"})
            check(answer)
            print(answer.status_code, answer.text, flush=True)
    else:
        with connect_sse(client, "GET", url, headers={"Last-Event-ID": last[0]} if last else {}) as source:
            check(source.response)
            try:
                for event in source.iter_sse():
                    print(f"event:{event.event}\ndata:{event.data}\n", flush=True)
            except httpx.RemoteProtocolError as error:
                if not http2 or "error_code:0," not in str(error):  # GOAWAY without an error
                    raise
        print("end")
