"""A new TOM is whole, is called what it was given, has secrets of its own, and nothing of this folder's."""

import ast
import html
import re
import stat
import tomllib

import pytest
import yaml
from answers import IMPORTED, SURVEYS, AnswerError, check
from cookiecutter.exceptions import FailedHookException
from copy_site import COPIED, EXECUTABLE, LEFT_OUT, LEFT_OUT_BELOW, OWNED, copied

from tests.template.baking import ROOT, git, tree

OLD_NAMES = re.compile(rb"fink_tom_site|(?<!tom[_-])\bfink[ _-]tom\b", re.IGNORECASE)
ANSWERS = {
    "name": "A TOM",
    "slug": "a_tom",
    "surveys": "ZTF",
    "contact": "a@example.org",
    "time_zone": "UTC",
}
HOSTILE = [
    """O'Brien's "best" TOM""",
    r"back\slash \n \u00e9 \N{BULLET} %(x)s $HOME ${PORT} #no",
    "{x} {% if %} {# #} }}",
    "{{",
    "{{ 7 * 7 }}",
    "<script>alert(1)</script> & </title>",
    "Überwachung θ 天文 \N{TELESCOPE}",
    "  spaces   within  ",
    "'''\"\"\"; import os #",
    "`FINK_UNKNOWN` [a](missing.md) *b* _c_",
    "long " * 200,
    "name = 1",
    "=yes: - [no]",
]


def as_template(text: str) -> str:
    """A text that cookiecutter's rendering of answers gives back: what is typed at a prompt is not rendered."""
    return "{{ " + repr(text).replace("{", "{' '") + " }}" if "{" in text else text


# --- What is copied ---------------------------------------------------------------------------


def test_every_file_at_the_top_is_copied_or_left_out(repository):
    top = {path.partition("/")[0] for path in git(ROOT, "ls-files", "-z").split("\0") if path}
    assert top == COPIED | LEFT_OUT
    assert not COPIED & LEFT_OUT
    for path in LEFT_OUT_BELOW:
        assert (repository / path).exists(), path


def test_the_modes_that_an_archive_loses_are_those_of_git(repository):
    listed = git(repository, "ls-files", "--stage").splitlines()
    executable = {line.split("\t")[1] for line in listed if line.startswith("100755")}
    assert executable & set(copied(repository)) == EXECUTABLE
    assert not [line for line in listed if not line.startswith(("100644", "100755"))]  # no links


def test_an_update_leaves_alone_what_is_the_owner_s():
    skipped = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["cruft"]["skip"]
    assert skipped == [path.format(slug="fink_tom_site") for path in OWNED]


def test_the_template_holds_no_secret(repository):
    text = (repository / ".env.example").read_text()
    assert re.findall(r"^(?:SECRET_KEY|\w*PASSWORD)=(.*)$", text, re.MULTILINE) == [""] * 5
    assert not (repository / ".env").exists()


# --- The new TOM ------------------------------------------------------------------------------


def test_a_bake_is_quick(repository, bake, report):
    bake(repository, slug="quick_tom")
    report(f"a bake took {bake.seconds:.2f} s")
    assert bake.seconds < 10  # usually half a second; this many on a machine that is busy


def test_it_has_the_files_and_nothing_of_the_template_s(product, repository):
    expected = {path.replace("fink_tom_site", "ulm_tom") for path in copied(repository)}
    assert set(tree(product)) == expected | {"README.md", ".env"}
    assert not set(LEFT_OUT) - {"README.md"} & {path.name for path in product.iterdir()}


def test_the_old_name_is_nowhere_and_no_template_language_of_cookiecutter_s(product):
    for path, (_, content) in tree(product).items():
        assert not OLD_NAMES.search(path.encode()), path
        assert not OLD_NAMES.search(content), f"{path}: {OLD_NAMES.search(content)}"
        assert b"{{ cookiecutter" not in content, path
        assert b"{{cookiecutter" not in content, path
        assert b"not copied -->" not in content, path


def test_tom_fink_is_the_same(product, repository):
    assert tree(product / "tom_fink") == tree(repository / "tom_fink")


def test_it_says_who_it_is(product):
    assert tomllib.loads((product / "ulm_tom" / "site.toml").read_text()) == {
        "name": "TOM of Ulm",
        "contact": "tom@ulm.example",
        "time_zone": "Europe/Berlin",
        "surveys": ["ztf", "lsst"],
    }
    project = tomllib.loads((product / "pyproject.toml").read_text())
    assert project["project"]["name"] == "ulm-tom"
    assert project["tool"]["cruft"]["skip"] == [".env", "custom_code", "ulm_tom/local_settings.py"]
    compose = yaml.safe_load((product / "docker-compose.yml").read_text())
    assert {service.get("image") for service in compose["services"].values()} == {"postgres:17", "ulm-tom"}
    assert "\nCOMPOSE_PROJECT_NAME=ulm-tom\n" in (product / ".env").read_text()
    assert (product / "README.md").read_text().startswith("# TOM of Ulm\n")


@pytest.mark.parametrize("surveys", SURVEYS)
def test_it_reads_the_surveys_that_were_chosen(repository, bake, surveys):
    made = bake(repository, slug="a_tom", surveys=surveys)
    assert tomllib.loads((made / "a_tom" / "site.toml").read_text())["surveys"] == SURVEYS[surveys]
    variables = {"ztf": "`FINK_TOPIC`", "lsst": "`FINK_LSST_TOPIC`"}
    text = (made / "README.md").read_text()
    assert {survey for survey, name in variables.items() if name in text} == set(SURVEYS[surveys])


def secrets_of(folder) -> dict[str, str]:
    found = dict(re.findall(r"^(\w+)=(.*)$", (folder / ".env").read_text(), re.MULTILINE))
    return {name: found[name] for name in ("SECRET_KEY", "POSTGRES_PASSWORD")}


def test_it_has_secrets_of_its_own(product, repository, bake):
    one, other = secrets_of(product), secrets_of(bake(repository, slug="other_tom"))
    assert not set(one.values()) & set(other.values())
    for name, length in (("SECRET_KEY", 50), ("POSTGRES_PASSWORD", 30)):
        assert len(one[name]) >= length
        assert re.fullmatch(r"[\w-]+", one[name])
    assert stat.S_IMODE((product / ".env").stat().st_mode) == 0o600
    example = (product / ".env.example").read_text()
    assert (
        re.sub(r"(?m)^(SECRET_KEY|POSTGRES_PASSWORD)=.*$", r"\1=", (product / ".env").read_text()) == example
    )


def test_a_second_run_keeps_what_is_the_owner_s(repository, bake, tmp_path):
    made = bake(repository, tmp_path, slug="a_tom", name="First")
    kept = [made / ".env", made / "a_tom" / "local_settings.py", made / "custom_code" / "views.py"]
    for file in kept:
        file.write_text("# mine\n")
    (made / "custom_code" / "urls.py").unlink()
    (made / "manage.py").write_text("# spoilt\n")
    again = bake(repository, tmp_path, slug="a_tom", name="Second", overwrite_if_exists=True)
    assert again == made
    assert [file.read_text() for file in kept] == ["# mine\n"] * 3
    assert not (made / "custom_code" / "urls.py").exists()
    assert "django" in (made / "manage.py").read_text()
    assert 'name = "Second"' in (made / "a_tom" / "site.toml").read_text()


@pytest.mark.parametrize("name", HOSTILE, ids=lambda name: name[:12])
def test_any_name_is_written_so_that_it_is_read_again(repository, bake, name):
    made = bake(repository, name=as_template(name), slug="a_tom")
    assert tomllib.loads((made / "a_tom" / "site.toml").read_text())["name"] == name
    for path in made.rglob("*.py"):
        ast.parse(path.read_text())
    yaml.safe_load((made / "docker-compose.yml").read_text())
    tomllib.loads((made / "pyproject.toml").read_text())
    for line in (made / ".env").read_text().splitlines():
        assert re.fullmatch(r"(#.*|\w+=[^\s\"'#$]*|)", line), line
    heading = (made / "README.md").read_text().partition("\n")[0]
    assert html.unescape(heading) == f"# {name}"
    assert not set("<>`[]") & set(heading)


def test_a_long_name_has_a_slug(repository, bake):
    assert (
        bake(repository, name="The Extraordinarily Large TOM of a Group").name
        == "the_extraordinarily_large_tom"
    )
    assert bake(repository, name="Überwachung: l'œil 1").name == "uberwachung_l_oeil_1"


# --- Answers that are refused -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("slug", "why"),
    [
        ("", "takes lower-case letters"),
        ("MyTom", "takes lower-case letters"),
        ("my-tom", "takes lower-case letters"),
        ("my tom", "takes lower-case letters"),
        ("9tom", "takes lower-case letters"),
        ("_tom", "takes lower-case letters"),
        ("my__tom", "takes lower-case letters"),
        ("tom_", "takes lower-case letters"),
        ("tóm", "takes lower-case letters"),
        ("tom\n", "takes lower-case letters"),
        ("../tom", "takes lower-case letters"),
        ("a" * 31, "more than 30"),
        ("class", "a word of Python's"),
        ("match", "a word of Python's"),
        ("calendar", "a module of Python's"),
        ("site", "a module of Python's"),
        ("tom_fink", "the project has"),
        ("fink_tom_site", "the project has"),
        ("custom_code", "the project has"),
        ("tests", "the project has"),
        ("django", "a package which the TOM uses"),
        ("tom_targets", "a package which the TOM uses"),
        ("tomtoolkit", "a package which the TOM uses"),
        ("yaml", "a package which the TOM uses"),
        ("pytest", "a package which the TOM uses"),
        ("pip", "a package which the TOM uses"),
        ("git", "a package which the TOM uses"),
        ("text_unidecode", "a package which the TOM uses"),
        ("build", "tools make"),
        ("dist", "tools make"),
        ("test", "tools make"),
        ("node_modules", "tools make"),
    ],
)
def test_a_bad_slug_is_refused(slug, why):
    with pytest.raises(AnswerError, match=f"cannot be used: .*{why}"):
        check(ANSWERS | {"slug": slug}, ROOT / "requirements" / "dev.txt")


@pytest.mark.parametrize("slug", ["tom", "a", "tom_2", "observatory", "tom_paris", "a" * 30])
def test_a_good_slug_is_taken(slug):
    check(ANSWERS | {"slug": slug}, ROOT / "requirements" / "dev.txt")


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ("name", " "),
        ("name", "two\nlines"),
        ("name", "a\x7f"),
        ("name", "a\N{NO-BREAK SPACE}b"),
        ("name", "\N{WOMAN}\N{ZERO WIDTH JOINER}\N{MICROSCOPE}"),
        ("contact", "nobody"),
        ("contact", "a@b\nc@d"),
        ("contact", '"<a>"@b'),
        ("time_zone", "Mars"),
        ("time_zone", "../UTC"),
        ("surveys", "SDSS"),
    ],
)
def test_another_bad_answer_is_refused_by_name(answer, text):
    with pytest.raises(AnswerError, match=rf"^{answer} is ") as refused:
        check(ANSWERS | {answer: text}, ROOT / "requirements" / "dev.txt")
    assert (answer != "name") or "control or invisible characters" in str(refused.value)


@pytest.mark.parametrize("slug", ["MyTom", "calendar", "tom_fink"])
def test_nothing_is_written_for_a_bad_slug(repository, bake, tmp_path, capfd, slug):
    with pytest.raises(FailedHookException):
        bake(repository, tmp_path, slug=slug)
    assert f"No TOM was made: the slug {slug!r} cannot be used: " in capfd.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_bad_answer_leaves_a_folder_that_was_there_as_it_was(repository, bake, tmp_path):
    made = bake(repository, tmp_path, slug="a_tom")
    before = {path: path.read_bytes() for path in made.rglob("*") if path.is_file()}
    with pytest.raises(FailedHookException):
        bake(repository, tmp_path, slug="a_tom", time_zone="Mars", overwrite_if_exists=True)
    assert {path: path.read_bytes() for path in made.rglob("*") if path.is_file()} == before


def test_no_slug_hides_a_package_that_the_tom_imports():
    from importlib.metadata import packages_distributions

    pinned = (ROOT / "requirements" / "dev.txt").read_text()
    pins = {
        re.sub(r"[-_.]+", "-", name).lower() for name in re.findall(r"(?m)^([\w.-]+)(?:\[.*?\])?==", pinned)
    }
    imported = {
        name
        for name, distributions in packages_distributions().items()
        if pins & {re.sub(r"[-_.]+", "-", distribution).lower() for distribution in distributions}
    }
    by_hand = {"hatchling", "pip", "pkg_resources", "setuptools", "wheel"}  # what installs the others
    assert {"django", "tom_targets", *IMPORTED.split()} <= imported | by_hand
    for name in imported | by_hand:
        with pytest.raises(AnswerError):
            check(ANSWERS | {"slug": name}, ROOT / "requirements" / "dev.txt")
