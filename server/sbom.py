"""sbom.py - the image's bill of materials: CycloneDX 1.6 as JSON, dpkg's entries for scanners, and the copyrights.

Taken from what was really copied and linked, not from lists: each library is looked up in dpkg's data base by its
file, with its SHA-256; what server/deps built says itself from which of Debian's packages.
"""

import hashlib
import json
import platform
import shutil
import subprocess
import time
import uuid
from pathlib import Path

PLACE = "usr/share/doc/push/sbom.json"

# What server/deps builds and the plugins hold: (name, licence, how it is used, file of the image or None)
BUILT = {
    "libwebsockets": ("MIT", "Debian's source package, built by server/deps with lwsws and plugins"),
    "hiredis": ("BSD-3-Clause", "Debian's, its static library or built from its source package by server/deps, linked into push-broker"),
    "llhttp": ("MIT", "Debian's static library, linked into the plugins"),
}
# inlined by the compiler from the headers of Debian's package
INLINED = {"libxxhash-dev": "BSD-2-Clause"}


def query(*arguments):
    done = subprocess.run(["dpkg-query", *map(str, arguments)], capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else ""


def names_of(path):
    """A file's names with and without /usr: dpkg knows it by the one under which it was packed."""
    path = str(path)
    return (path, path.removeprefix("/usr")) if path.startswith("/usr/") else (path, "/usr" + path)


def package_of(path):
    for name in names_of(path):
        owner = query("-S", name).partition(": ")[0]
        if owner and "," not in owner:
            return owner
    return None


def fields_of(package):
    text = query("-W", "-f", "${Package}\t${Version}\t${Architecture}\t${source:Package}\t${source:Version}", package)
    return dict(zip(("name", "version", "architecture", "source", "source_version"), text.split("\t")))


def release():
    """debian-13"""
    lines = Path("/etc/os-release").read_text(encoding="utf-8").splitlines()
    values = {key: value.strip('"') for key, _, value in (line.partition("=") for line in lines)}
    return "%s-%s" % (values.get("ID", "linux"), values.get("VERSION_ID", "unknown"))


def purl(name, version, **qualifiers):
    quoted = version.replace("%", "%25").replace("+", "%2B").replace(":", "%3A").replace("~", "~")
    text = "&".join("%s=%s" % item for item in sorted(qualifiers.items()) if item[1])
    return "pkg:deb/debian/%s@%s?%s" % (name.replace("+", "%2B"), quoted, text)


def file_component(root, path):
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    name = "/" + str(path.relative_to(root))
    return {"type": "file", "bom-ref": "file:" + name, "name": name, "hashes": [{"alg": "SHA-256", "content": digest}]}


def component(name, version, reference, **more):
    return {"type": "library", "bom-ref": reference, "name": name, "version": version, "purl": reference, **more}


def licence(name):
    return [{"license": {"id": name}}]


def copied_packages(root, libraries):
    """One component for each package that a file was copied from."""
    files = {}
    for path, source in sorted(libraries.items()):
        package = package_of(source)
        # made when ca-certificates is installed, so that no package has it
        if source.name == "ca-certificates.crt":
            package = "ca-certificates"
        if not package:
            raise LookupError("no package has %s" % source)
        files.setdefault(package, []).append(path)
    for package, paths in sorted(files.items()):
        about = fields_of(package)
        upstream = about["source"] if about["source"] != about["name"] else None
        yield about, component(
            about["name"], about["version"],
            purl(about["name"], about["version"], arch=about["architecture"], distro=release(), upstream=upstream),
            components=[file_component(root, path) for path in paths])


def linked_packages(deps):
    versions = dict(line.split() for line in (deps / "doc/versions").read_text(encoding="utf-8").splitlines())
    for name, (terms, how) in BUILT.items():
        yield component(name, versions[name], purl(name, versions[name], arch="source", distro="debian-13"),
                        licenses=licence(terms), description=how)
    for package, terms in INLINED.items():
        about = fields_of(package)
        if about.get("version"):
            yield component(package, about["version"],
                            purl(package, about["version"], arch=about["architecture"], distro=release()),
                            licenses=licence(terms), description="headers of Debian's package, inlined")


def own_files(root):
    for pattern in ("usr/bin/*", "usr/lib/push/pushload", "usr/lib/push/**/*.so", "usr/lib/libwebsockets.so.*"):
        yield from (file_component(root, path) for path in sorted(root.glob(pattern)))


def bill(root, version, components, epoch):
    reference = "pkg:generic/push@" + version
    document = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(epoch)),
            "lifecycles": [{"phase": "build"}],
            "component": {"type": "application", "bom-ref": reference, "name": "push", "version": version,
                          "purl": reference, "licenses": licence("MIT"), "components": list(own_files(root)),
                          "properties": [{"name": "push:architecture", "value": platform.machine()}]},
        },
        "components": components,
        "dependencies": [{"ref": reference, "dependsOn": [each["bom-ref"] for each in components]}],
    }
    # a name for these very contents: the same contents get the same one
    contents = json.dumps(document, sort_keys=True)
    document["serialNumber"] = "urn:uuid:%s" % uuid.uuid5(uuid.NAMESPACE_URL, contents)
    return document


def write_notes(root, source, deps, packages):
    """For scanners, dpkg's entries; for people, who holds which copyright."""
    documents = root / "usr/share/doc"
    status = root / "var/lib/dpkg/status.d"
    status.mkdir(parents=True, exist_ok=True)
    for name in packages:
        (status / name).write_text(query("-s", name), encoding="utf-8")
        text = Path("/usr/share/doc", name, "copyright")
        if text.exists():
            (documents / name).mkdir(parents=True, exist_ok=True)
            shutil.copyfile(text, documents / name / "copyright")
    for name in BUILT:
        (documents / name).mkdir(parents=True, exist_ok=True)
        shutil.copyfile(deps / "doc" / (name + ".copyright"), documents / name / "copyright")
    (documents / "push").mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source / "LICENSE", documents / "push/copyright")


def write(root, source, deps, libraries, version, epoch):
    """libraries: {file of the image: file that it was copied from}"""
    copied = list(copied_packages(root, libraries))
    write_notes(root, source, deps, [about["name"] for about, _ in copied])
    components = [each for _, each in copied] + list(linked_packages(deps))
    text = json.dumps(bill(root, version, components, epoch), indent=1) + "\n"
    (root / PLACE).write_text(text, encoding="utf-8")
