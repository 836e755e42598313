import sys

import requests

verb, url = sys.argv[1:]
if verb == "publish":
    with requests.Session() as session:
        for body in sys.stdin.buffer:
            answer = session.post(url, data=body.rstrip(b"\n"), headers={"Content-Type": "application/json"}, timeout=60)
            print(answer.status_code, answer.text, flush=True)
else:
    with requests.get(url, stream=True, timeout=60) as answer:
        answer.encoding = "utf-8"
        for line in answer.iter_lines(chunk_size=1, decode_unicode=True):
            print(line, flush=True)
    print("end")
