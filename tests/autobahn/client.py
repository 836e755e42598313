"""The Autobahn fuzzing client, started by Python 2.7 with a specification: client.py SPEC.json

`wstest`, its own starter, wants a dozen more packages for what is not used here: TLS, templates, WAMP.  They
are stood in for before the suite is imported.
"""

import json
import sys
import types
import unittest

import twisted.internet
import txaio


class Absent(types.ModuleType):
    """A module whose functions may be named and called, and do nothing."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *args, **options: None


for missing in ("twisted.internet.ssl", "jinja2"):
    sys.modules[missing] = Absent(missing)
twisted.internet.ssl = sys.modules["twisted.internet.ssl"]
sys.modules["unittest2"] = unittest
txaio.use_twisted()

from autobahntestsuite import fuzzing  # noqa: E402 - after what it lacks is there
from twisted.internet import reactor  # noqa: E402 - the suite chooses which

with open(sys.argv[1]) as specification:
    fuzzing.startClient(json.load(specification))
reactor.run()
