"""README.md and every page in docs/ are true: its commands run and print what it shows, its links lead somewhere, and it is short."""

import json
import re

import pytest

from doc_pages import Reader, pages, read
from server import SOURCE

LINES_MAX = 200
MARKS = {"fails", "terminal", "needs", "not run", "run by", "typed", "appears", "options", "generated"}
PAGES = pages()


def name(page):
    return str(page.relative_to(SOURCE)).removeprefix("docs/")


def commands(page):
    return [block for block in read(page) if block.language == "sh"]


@pytest.mark.parametrize("page", [page for page in PAGES if any("not run" not in b.marks for b in commands(page))],
                         ids=name)
def test_a_reader_who_follows_the_page_sees_what_it_shows(page, tmp_path):
    with Reader(tmp_path) as reader:
        for block in read(page):
            reader.follow(block)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_the_page_is_short_and_says_in_its_first_line_what_it_is_about(page):
    lines = page.read_text().split("\n")
    assert lines[0].startswith("# ")
    assert len(lines) <= LINES_MAX + 1 or "<!-- generated -->" in lines


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_each_mark_of_a_block_is_one_that_is_known(page):
    for block in read(page):
        assert set(block.marks) <= MARKS, block.title()
        assert "not run" not in block.marks or block.marks["not run"], block.title()
        assert "run by" not in block.marks or (SOURCE / block.marks["run by"] / "CMakeLists.txt").exists(), block.title()


def anchors(page):
    """As GitHub makes them."""
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.S)
    return {re.sub(r"[^\w\- ]", "", re.sub(r"[`*]", "", title).lower()).replace(" ", "-")
            for title in re.findall(r"^#+ (.+)$", text, re.M)}


def links(page):
    """Each target in the project, its file and its heading."""
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.S)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if not re.match(r"https?:|mailto:", target):
            path, _, anchor = target.partition("#")
            yield target, (page.parent / path).resolve() if path else page, anchor


@pytest.mark.parametrize("page", [*PAGES, SOURCE / "CONTRIBUTING.md", SOURCE / "SECURITY.md"], ids=name)
def test_each_link_to_a_file_or_a_heading_leads_there(page):
    for target, file, anchor in links(page):
        assert file.exists(), target
        if anchor and file.suffix == ".md":
            assert anchor in anchors(file), target


def test_links_lead_from_the_readme_to_every_page():
    reached, new = set(), {SOURCE / "README.md"}
    while new:
        reached |= new
        new = {file for page in new for _, file, _ in links(page) if file in PAGES} - reached
    assert set(PAGES) - reached == set()


def test_the_vhost_with_tls_serves_what_the_plain_one_does():
    def vhost(path):
        text = re.sub(r"^\s*#.*$", "", (SOURCE / path).read_text(), flags=re.M)
        return json.loads(text)["vhosts"][0]
    plain, tls = vhost("conf.d/10-push"), vhost("docs/deploy/30-tls")
    plain["ws-protocols"][0]["push-broker"] = {"push-broker-vhost": plain["name"]}
    assert {key: tls[key] for key in plain.keys() - {"name", "port"}} == {
        key: plain[key] for key in plain.keys() - {"name", "port"}}
    assert tls.keys() - plain.keys() == {"host-ssl-cert", "host-ssl-key", "alpn"}


def test_each_command_of_the_readme_is_run_or_a_test_is_named_that_runs_it():
    for block in read(SOURCE / "README.md"):
        assert block.language in ("sh", "text") or "run by" in block.marks, block.title()


def test_the_picture_of_the_concepts_has_every_word_that_users_see():
    glossary = (SOURCE / "docs/GLOSSARY.md").read_text().split("\n## ")[1]
    picture = re.sub(r"<[^>]+>", " ", re.sub(r"<style>.*?</style>", "", (SOURCE / "docs/concepts.svg").read_text(), flags=re.S))
    words = [re.sub(r"`| \(.*", "", word) for word in re.findall(r"^\| (.+?) \|", glossary, re.M)][1:]
    assert len(words) > 20 and [word for word in words if word not in picture] == []
