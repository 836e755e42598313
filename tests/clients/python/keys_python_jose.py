"""Tokens of python-jose, which makes no keys and knows neither EdDSA nor PS256."""

import base64
import json
import os
import sys

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jose import jwk, jwt

MAKERS = {"ES256": lambda: ec.generate_private_key(ec.SECP256R1()), "ES384": lambda: ec.generate_private_key(ec.SECP384R1()),
          "RS256": lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048)}
claims = json.load(sys.stdin)
made = []
for algorithm, make in MAKERS.items():
    pem = make().private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()
    private = jwk.construct(pem, algorithm)
    made.append({"alg": algorithm, "private": private.to_dict(), "jwk": private.public_key().to_dict(), "private_pem": pem,
                 "pem": private.public_key().to_pem().decode(), "token": jwt.encode(claims, pem, algorithm)})
secret = {"kty": "oct", "alg": "HS256", "k": base64.urlsafe_b64encode(os.urandom(32)).rstrip(b"=").decode()}
made.append({"alg": "HS256", "private": secret, "jwk": secret, "pem": None, "private_pem": None,
             "token": jwt.encode(claims, secret, "HS256")})
json.dump(made, sys.stdout)
