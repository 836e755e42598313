"""The Terraform module: its rendering by its own tests, what it says to who makes a mistake, and what its README promises."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from server import SOURCE, TOOLS

MODULE = SOURCE / "k8s/terraform"
RENDER = MODULE / "render"
EXAMPLES = sorted((MODULE / "examples").iterdir())
README = (MODULE / "README.md").read_text()


if not (SOURCE / "k8s/cluster.yml").exists():
    pytest.skip("no k8s/cluster.yml, of which the module is made", allow_module_level=True)


@pytest.fixture(scope="module")
def terraform(tmp_path_factory):
    """terraform(ARGUMENT..., cwd=FOLDER); OpenTofu will do, too."""
    program = next(filter(None, (shutil.which(name, path=f"{TOOLS / 'bin'}:{os.environ['PATH']}") for name in ("terraform", "tofu"))), None)
    if not program:
        pytest.skip("neither terraform nor tofu: Debian has none (hashicorp.com)")
    env = {**os.environ, "TF_IN_AUTOMATION": "1", "CHECKPOINT_DISABLE": "1", "TF_CLI_ARGS": "",
           "TF_DATA_DIR": str(tmp_path_factory.mktemp("terraform"))}
    if not Path(env.get("TF_CLI_CONFIG_FILE", "/")).exists():
        del env["TF_CLI_CONFIG_FILE"]

    def run(*arguments, cwd=RENDER, check=True):
        done = subprocess.run([program, *arguments], cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, check=False)
        assert not check or done.returncode == 0, f"{arguments}:\n{done.stdout}"
        return done

    version = json.loads(run("version", "-json").stdout)["terraform_version"].split(".")
    if (int(version[0]), int(version[1])) < (1, 9):
        pytest.skip(f"terraform {'.'.join(version)}: variables that are compared with each other want 1.9")
    run("init", "-backend=false", "-input=false")
    return run


def test_it_is_formatted(terraform):
    terraform("fmt", "-check", "-recursive", "-diff", cwd=MODULE)


def test_the_rendering_is_valid(terraform):
    terraform("validate", "-no-color")


def test_what_is_rendered_is_what_the_variables_say(terraform):
    """render/tests: each variable, each refusal, and cluster.yml as it is."""
    assert re.search(r"Success! \d\d+ passed, 0 failed", terraform("test", "-no-color").stdout)


@pytest.mark.parametrize("folder", [MODULE, *EXAMPLES], ids=lambda folder: folder.name)
def test_what_applies_it_is_valid(terraform, folder, tmp_path):
    """With the provider, which has to be had: from the registry, or from TF_CLI_CONFIG_FILE."""
    work = tmp_path / "k8s"
    shutil.copytree(SOURCE / "k8s", work, symlinks=True, ignore=shutil.ignore_patterns(".terraform*"))
    here = work / folder.relative_to(SOURCE / "k8s")
    ready = terraform("init", "-backend=false", "-input=false", "-no-color", cwd=here, check=False)
    checked = terraform("validate", "-no-color", cwd=here, check=False)
    if checked.returncode and ready.returncode and "gavinbunney/kubectl" in ready.stdout:
        pytest.skip("no provider gavinbunney/kubectl: the registry cannot be reached")
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize("wrong,said", [
    ({"image": "push"}, 'image: "push" has neither a tag nor a digest'),
    ({"replicas": 2, "redis": "none", "autoscaling": {"kind": "none"}}, "replicas: 2 pods without Redis"),
    ({"redis": "external"}, 'redis = "external" wants either this or redis_url'),
    ({"redis_replicas": 7}, "redis_replicas: 7 is no even number from 6 to 100"),
    ({"hosts": ["push.example.com", "http://x"]}, "hosts: http://x: not a name such as"),
    ({"environment": {"HOME": "/"}}, "environment: HOME: Push's options begin with PUSH_"),
    ({"route": "gateway"}, 'gateway: goes with route = "gateway", which wants one'),
    ({"requests": {"cpu": "half"}}, "requests: cpu = half"),
])
def test_a_mistake_is_named_with_its_value(terraform, tmp_path, wrong, said):
    file = tmp_path / "wrong.tfvars.json"
    file.write_text(json.dumps({"image": "push:1", "hosts": ["push.example.com"], **wrong}))
    done = terraform("plan", "-no-color", "-input=false", "-lock=false", f"-var-file={file}", check=False)
    text = " ".join(re.sub(r"^[│╵╷]", "", line).strip() for line in done.stdout.splitlines())
    assert done.returncode != 0 and said in text, done.stdout


def test_a_password_is_not_shown(terraform, tmp_path):
    file = tmp_path / "right.tfvars.json"
    file.write_text(json.dumps({"image": "push:1", "hosts": ["push.example.com"], "redis": "external",
                                "redis_url": "redis://push:hunter2hunter2@redis.example.com"}))
    shown = terraform("plan", "-no-color", "-input=false", "-lock=false", f"-var-file={file}").stdout
    assert "push-redis" in shown and "hunter2" not in shown


def blocks(file, kind):
    """[(name, its text)]; braces stand at the beginning of a line where a block ends, as `terraform fmt` has it."""
    return re.findall(rf'^{kind} "(\w+)" {{\n(.*?)^}}$', file.read_text(), re.M | re.S)


def attribute(text, name):
    found = re.search(rf"^  {name} += (.*?)$(?=\n(?:  \w|\n|\Z))", text, re.M | re.S)
    return found and found[1]


def description(text):
    return json.loads(attribute(text, "description"))


def inputs():
    """The rows that the README should have."""
    rows = []
    for name, text in blocks(RENDER / "variables.tf", "variable"):
        kind = attribute(text, "type")
        kind = "object" if kind.startswith("object") else kind
        default = attribute(text, "default")
        rows.append(f"| `{name}` | {kind} | {f'`{default}`' if default else 'must be given'} | {description(text)} |")
    return rows


def table(mark):
    return re.search(rf"<!-- {mark} -->\n\|.*\n\|[-|]+\|\n((?:\|.*\n)*)", README)[1].splitlines()


def test_the_readme_lists_the_inputs():
    assert table("inputs") == inputs()


def test_the_readme_lists_the_outputs():
    assert table("outputs") == [f"| `{name}` | {description(text)} |" for name, text in blocks(MODULE / "outputs.tf", "output")]


def test_all_that_the_rendering_takes_is_passed_on():
    names = [name for name, _ in blocks(RENDER / "variables.tf", "variable")]
    assert (MODULE / "variables.tf").resolve() == (RENDER / "variables.tf").resolve()
    assert re.findall(r"^  (\w+) += var\.(\w+)$", (MODULE / "main.tf").read_text(), re.M) == [(name, name) for name in names]
