import json
import sys

from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

KINDS = {"ES256": (ECKey, "P-256"), "ES384": (ECKey, "P-384"), "EdDSA": (OKPKey, "Ed25519"), "RS256": (RSAKey, 2048),
         "PS256": (RSAKey, 2048), "HS256": (OctKey, 256)}
claims = json.load(sys.stdin)
made = []
for algorithm, (kind, size) in KINDS.items():
    key = kind.generate_key(size, {"alg": algorithm, "use": "sig"}, auto_kid=True)
    is_secret = kind is OctKey
    made.append({"alg": algorithm, "private": key.as_dict(private=True), "jwk": key.as_dict(private=is_secret),
                 "token": jwt.encode({"alg": algorithm, "kid": key.kid}, claims, key, algorithms=[algorithm]),
                 "pem": None if is_secret else key.as_pem(private=False).decode(),
                 "private_pem": None if is_secret else key.as_pem(private=True).decode()})
json.dump(made, sys.stdout)
