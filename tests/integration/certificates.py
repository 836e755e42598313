"""A CA of the tests, and certificates by it."""

import datetime
import ssl

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


class Authority:
    """Its files are in `folder`; `path` is its own certificate."""

    def __init__(self, folder, name="ca"):
        self.folder, self.count = folder, 0
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.path = folder / f"{name}.pem"
        self.path.write_bytes(self._sign(self.name, self.key, -3600, 86400, True, ()).public_bytes(
            serialization.Encoding.PEM))

    def _sign(self, subject, key, begins_s, ends_s, is_ca, extensions):
        now = datetime.datetime.utcnow()
        builder = x509.CertificateBuilder(
            self.name, subject, key.public_key(), x509.random_serial_number(),
            now + datetime.timedelta(seconds=begins_s), now + datetime.timedelta(seconds=ends_s))
        builder = builder.add_extension(x509.BasicConstraints(is_ca, None), True)
        for extension in extensions:
            builder = builder.add_extension(extension, False)
        return builder.sign(self.key, hashes.SHA256())

    def issue(self, *common_names, names=(), begins_s=-3600, ends_s=86400):
        """A certificate with its key, in one file: its path.  names: subjectAltNames."""
        key = ec.generate_private_key(ec.SECP256R1())
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH])
        subject = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Acme")] +
                            [x509.NameAttribute(NameOID.COMMON_NAME, name) for name in common_names])
        extensions = [usage] + ([x509.SubjectAlternativeName(names)] if names else [])
        certificate = self._sign(subject, key, begins_s, ends_s, False, extensions)
        self.count += 1
        path = self.folder / f"{self.path.stem}-{self.count}.pem"
        path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
        return path

    def client(self, certificate=None):
        """An SSLContext of a client that trusts this CA."""
        context = ssl.create_default_context(cafile=self.path)
        if certificate:
            context.load_cert_chain(certificate)
        return context
