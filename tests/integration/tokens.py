"""Keys and tokens, as an application makes them with PyJWT."""

import base64
import json
import time

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

MAKERS = {
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "ES384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate,
    "RS256": lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048),
    "PS256": lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048),
}
TO_JWK = {"ES256": ECAlgorithm, "ES384": ECAlgorithm, "EdDSA": OKPAlgorithm, "RS256": RSAAlgorithm, "PS256": RSAAlgorithm}


class Key:
    def __init__(self, algorithm="ES256", kid="k1"):
        self.algorithm, self.kid = algorithm, kid
        self.private = MAKERS[algorithm]()

    def jwk(self):
        jwk = TO_JWK[self.algorithm].to_jwk(self.private.public_key())
        jwk = json.loads(jwk) if isinstance(jwk, str) else jwk
        return {**jwk, "kid": self.kid, "alg": self.algorithm, "use": "sig"}

    def sign(self, text):
        """The signature of a header and a payload, as it stands in a token."""
        raw = jwt.get_algorithm_by_name(self.algorithm).sign(text.encode(), self.private)
        return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()

    def token(self, subscribe=(), publish=(), history=(), channels=(), headers=None, **claims):
        """`exp`: seconds from now, as all times; None: it has none."""
        now = int(time.time())
        for name in ("exp", "nbf", "iat"):
            if claims.get(name) is not None:
                claims[name] = now + claims[name]
        claims.setdefault("exp", now + 600)
        claims = {name: value for name, value in claims.items() if value is not None}
        rights = {"subscribe": subscribe, "publish": publish, "history": history, "channels": channels}
        rights = {name: list(value) for name, value in rights.items() if value}
        if rights:
            claims["push"] = rights
        return jwt.encode(claims, self.private, algorithm=self.algorithm, headers={"kid": self.kid, **(headers or {})})


def write_jwks(path, *keys):
    """Replaced as a whole, as programs that rotate keys do."""
    new = path.with_suffix(".new")
    new.write_text(json.dumps({"keys": [key.jwk() for key in keys]}))
    new.rename(path)


def bearer(token):
    """The header lines."""
    return [f"Authorization: Bearer {token}"]
