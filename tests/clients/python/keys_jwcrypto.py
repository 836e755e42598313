import json
import sys

from jwcrypto.jwk import JWK
from jwcrypto.jwt import JWT

KINDS = {"ES256": {"kty": "EC", "crv": "P-256"}, "ES384": {"kty": "EC", "crv": "P-384"}, "EdDSA": {"kty": "OKP", "crv": "Ed25519"},
         "RS256": {"kty": "RSA", "size": 2048}, "PS256": {"kty": "RSA", "size": 2048}, "HS256": {"kty": "oct", "size": 256}}
claims = json.load(sys.stdin)
made = []
for algorithm, kind in KINDS.items():
    key = JWK.generate(**kind, alg=algorithm, use="sig", kid=f"jwcrypto-{algorithm}")
    token = JWT(header={"alg": algorithm, "kid": key["kid"], "typ": "JWT"}, claims=claims)
    token.make_signed_token(key)
    is_secret = kind["kty"] == "oct"
    made.append({"alg": algorithm, "token": token.serialize(), "private": key.export(as_dict=True),
                 "jwk": key.export(as_dict=True) if is_secret else key.export_public(as_dict=True),
                 "pem": None if is_secret else key.export_to_pem().decode(),
                 "private_pem": None if is_secret else key.export_to_pem(private_key=True, password=None).decode()})
json.dump(made, sys.stdout)
