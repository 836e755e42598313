"""Signatures that are wrong in what they are made of: numbers, paddings, hashes, curves; and texts that mean the same to a
careless reader.  Each is of a payload that grants everything, by a key that Push has or almost has."""

import base64
import hashlib
import hmac
import json

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, utils

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
ED25519_ORDER = 2**252 + 27742317777372353535851937790883648493
SHA256_INFO = bytes.fromhex("3031300d060960864801650304020105000420")


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def text_of(key, payload, **header):
    return f"{b64(json.dumps({'alg': key.algorithm, 'kid': key.kid, **header}).encode())}.{b64(payload)}"


def ecdsa_pairs(key, text):
    """(r, s) beside the one that is right; n - s is as right as s."""
    r, s = utils.decode_dss_signature(key.private.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
    n = P256_ORDER
    yield from {"0, 0": (0, 0), "0, 1": (0, 1), "1, 0": (1, 0), "n, n": (n, n), "n, 0": (n, 0), "0, n": (0, n), "1, 1": (1, 1),
                "swapped": (s, r), "n - r": (n - r, s)}.items()
    for name, pair in {"r + n": (r + n, s), "s + n": (r, s + n)}.items():
        if max(pair) < 2**256:
            yield name, pair


def of_ecdsa(key, payload):
    text = text_of(key, payload)
    for name, (r, s) in ecdsa_pairs(key, text):
        yield name, f"{text}.{b64(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"
    raw = base64.urlsafe_b64decode(key.sign(text) + "==")
    for name, signature in {"63 bytes": raw[:63], "65 bytes": raw + b"\0", "twice": raw + raw, "32 bytes": raw[:32],
                            "zeros in front": b"\0" + raw[:32] + b"\0" + raw[32:]}.items():
        yield name, f"{text}.{b64(signature)}"
    for curve in ec.SECP256K1(), ec.SECP384R1(), ec.SECP521R1():
        size = (curve.key_size + 7) // 8
        r, s = utils.decode_dss_signature(ec.generate_private_key(curve).sign(text.encode(), ec.ECDSA(hashes.SHA256())))
        yield curve.name, f"{text}.{b64(r.to_bytes(size, 'big') + s.to_bytes(size, 'big'))}"
    for digest in hashes.SHA1(), hashes.SHA384():
        r, s = utils.decode_dss_signature(key.private.sign(text.encode(), ec.ECDSA(digest)))
        yield digest.name, f"{text}.{b64(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def of_ed25519(key, payload):
    """S + L verifies where S is not compared with L; so does 0 with a point of small order where those are not."""
    text = text_of(key, payload)
    raw = key.private.sign(text.encode())
    for i in range(1, 16):
        s = int.from_bytes(raw[32:], "little") + i * ED25519_ORDER
        if s < 2**256:
            yield f"S + {i} L", f"{text}.{b64(raw[:32] + s.to_bytes(32, 'little'))}"
    for point in 0, 1, 2**255 - 20, 2**255 - 19, 2**255 - 18:
        for sign in 0, 1 << 255:
            yield f"R {point | sign:x}", f"{text}.{b64((point | sign).to_bytes(32, 'little') + bytes(32))}"


def of_rsa(key, payload):
    """PKCS #1 v1.5 by hand: whatever is not exactly the one encoding is wrong (RFC 8017, 8.2.2)."""
    text = text_of(key, payload)
    numbers, digest = key.private.private_numbers(), hashlib.sha256(text.encode()).digest()
    n = numbers.public_numbers.n

    def signed(block):
        return f"{text}.{b64(pow(int.from_bytes(block, 'big'), numbers.d, n).to_bytes(256, 'big'))}"

    def padded(info, kind=1, zero=b"\0", behind=b"", ones=None):
        return b"\0" + bytes([kind]) + b"\xff" * (253 - len(info + behind) if ones is None else ones) + zero + info + behind

    blocks = {"no DigestInfo": padded(digest), "more behind": padded(SHA256_INFO + digest, ones=8, behind=b"\xaa" * 194),
              "type 2": padded(SHA256_INFO + digest, kind=2), "type 0": padded(SHA256_INFO + digest, kind=0),
              "no zero": padded(SHA256_INFO + digest, zero=b"\xff"), "a zero behind": padded(SHA256_INFO + digest + b"\0"),
              "no NULL": padded(bytes.fromhex("302f300b0609608648016503040201") + b"\x04\x20" + digest)}
    yield from ((name, signed(block)) for name, block in blocks.items())
    right = key.private.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())
    for name, raw in {"0": bytes(256), "1": bytes(255) + b"\1", "n": n.to_bytes(256, "big"), "n - 1": (n - 1).to_bytes(256, "big"),
                      "257 bytes": b"\0" + right, "255 bytes": right[1:],
                      "SHA-1": key.private.sign(text.encode(), padding.PKCS1v15(), hashes.SHA1()),
                      "PSS": key.private.sign(text.encode(), pss(32), hashes.SHA256())}.items():
        yield name, f"{text}.{b64(raw)}"


def pss(salt, digest=None):
    return padding.PSS(mgf=padding.MGF1(digest or hashes.SHA256()), salt_length=salt)


def of_pss(key, payload):
    text = text_of(key, payload)
    for name, how in {**{f"salt {salt}": (pss(salt), hashes.SHA256()) for salt in (0, 20, 31, 33, 64, 222)},
                      "MGF of SHA-1": (pss(32, hashes.SHA1()), hashes.SHA256()), "SHA-512": (pss(32, hashes.SHA512()), hashes.SHA512()),
                      "PKCS #1": (padding.PKCS1v15(), hashes.SHA256())}.items():
        yield name, f"{text}.{b64(key.private.sign(text.encode(), *how))}"


def of_hmac(secret, kid, payload):
    text = f"{b64(json.dumps({'alg': 'HS256', 'kid': kid}).encode())}.{b64(payload)}"
    right = hmac.new(secret, text.encode(), hashlib.sha256).digest()
    for name, raw in {"cut": right[:16], "empty": b"", "longer": right + b"\0", "hexadecimal": right.hex().encode(),
                      "SHA-512": hmac.new(secret, text.encode(), hashlib.sha512).digest()[:32]}.items():
        yield name, f"{text}.{b64(raw)}"


def of_texts(token, key, payload):
    """token: a good one of this key and payload."""
    header, body, signature = token.split(".")
    for name, between in {"a space": " ", "a tab": "\t", "%2e": "%2e", "+": "+", "/": "/", "=": "=", "a comma": ","}.items():
        yield f"{name} within", f"{header}.{body[:8]}{between}{body[8:]}.{signature}"
    yield "JSON, flat", json.dumps({"protected": header, "payload": body, "signature": signature})
    yield "JSON, general", json.dumps({"payload": body, "signatures": [{"protected": header, "signature": signature}]})
    yield "twice", f"{token},{token}"
    yield "quoted", f'"{token}"'
    yield "detached", f"{header}..{key.sign(header + '.')}"
    yield "the header spelt in another way", f"{b64(json.dumps({'kid': key.kid, 'alg': key.algorithm}).encode())}.{body}.{signature}"
    yield "only the payload signed", f"{header}.{body}.{key.sign(body)}"
    text = f"{text_of(key, b'', b64=False, crit=['b64'])}{payload.decode()}"
    yield "not encoded", f"{text}.{key.sign(text)}"


def of_claims(key, payload):
    """The right signature, over what must not be taken for the claim that it looks like."""
    whole, exp = payload.decode(), json.dumps(json.loads(payload)["exp"])
    texts = {f"{name} {value}": whole[:-1].replace(f'"exp": {exp}', f'"exp": {exp if name != "exp" else value}')
             + ("}" if name == "exp" else f',"{name}": {value}}}')
             for name in ("exp", "nbf", "iat") for value in ("1e400", "-1", "9999999999.0", "1e10", "[]", "{}", "true", '""', "null",
                                                              "9007199254740993", "18446744073709551616", "-0")}
    texts.update({
        "exp twice, one with escapes in front": '{"\\u0065xp":9999999999,' + whole[1:],
        "exp in other letters": whole.replace('"exp"', '"Exp"'),
        "push twice, one with escapes": whole[:-1] + ',"p\\u0075sh":{}}',
        "half of a surrogate pair": whole[:-1].replace('"ann"', '"\\ud800"') + "}",
        "deep": whole[:-1] + ',"x":' + "[" * 500 + "]" * 500 + "}",
        "a NUL behind": whole + "\0", "two": whole + whole, "a comma behind": whole[:-1] + ",}", "in UTF-16": whole,
        "aud nested": whole.replace('"aud": "push"', '"aud": [["push"]]'),
        "aud with a number": whole.replace('"aud": "push"', '"aud": ["push", 1]'),
        "aud an object": whole.replace('"aud": "push"', '"aud": {"push": 1}'),
        "iss with a NUL": whole.replace('.test", "aud"', '.test\\u0000", "aud"')})
    for name, text in texts.items():
        signed = text_of(key, text.encode("utf-16" if name == "in UTF-16" else "utf-8"))
        yield name, f"{signed}.{key.sign(signed)}"
