"""Bundles: the same bytes for the same results; what is broken, foreign or hostile is refused; conflicts are told."""

import contextlib
import hashlib
import json
import os
import re
import shutil
import zipfile
from dataclasses import replace

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from benchmarks.fabricated import fabricate, write_fit
from regimebench import archive, given, records
from regimebench.__main__ import app
from regimebench.archive import InvalidBundle
from regimebench.bundle import pack
from regimebench.config import make_plan
from regimebench.cube import stored_hash
from regimebench.merge import Conflicts, merge
from regimebench.schema import InvalidFile
from regimebench.unpack import missing_fits, unpack, write_batches

SHAPE = (12, 3, 4, 2)
TINY = {"plugin": "synthetic", "params": {"n_days": 12}}
CONFIG = {"budget": "smoke", "n_clusters": 3, "seeds": 3, "datasets": {"tiny": TINY}, "methods": ["random", "kmeans"]}


class Machine:
    """A results folder with its configuration."""

    def __init__(self, folder, **changes):
        folder.mkdir()
        self.folder, self.results, self.path = folder, folder / "results", folder / "config.yaml"
        self.settings = {**CONFIG, "results": str(self.results), **changes}
        self.path.write_text(yaml.safe_dump(self.settings))
        self.plan = make_plan(self.settings)

    def fitted(self, seed=0, **fields):
        fabricate(self.plan, SHAPE, seed, arrays=False, **fields)
        return self

    def bundle(self, **options):
        out = self.folder.with_suffix(".zip")
        self.packed = pack(self.path, out, **options)
        return out

    def record(self, address, seed):
        return records.seed_folder(records.row_folder(self.results / "tiny", address), seed) / "record.json"

    def change(self, address, seed, **changes):
        path = self.record(address, seed)
        records.write_json(path, {**json.loads(path.read_text()), **changes})

    def fail(self, address, seed, **changes):
        hashes = json.loads(self.record(address, seed).read_text())["hashes"]
        nothing = {"labels": None, "clusters_found": None, "cluster_sizes": None, "hashes": {**hashes, "fit": None}}
        self.change(address, seed, **nothing, **changes)

    def refit(self, address, seed, rng):
        """Give a fit other labels."""
        path = self.record(address, seed)
        keys = ("dataset", "address", "seed", "n_clusters", "parameters", "fingerprint", "hashes")
        about = {key: value for key, value in json.loads(path.read_text()).items() if key in keys}
        write_fit(path.parents[1], {**about, "days": SHAPE[0]}, np.random.default_rng(rng), arrays=False)


@pytest.fixture
def machine(tmp_path):
    return lambda name="a", **changes: Machine(tmp_path / name, **changes)


@pytest.fixture
def bundle(machine):
    return machine().fitted().bundle()


def rewritten(path, change):
    """Return a copy of a bundle with altered members; the manifest's hashes follow, as an attacker's would."""
    with zipfile.ZipFile(path) as packed:
        members = {info.filename: packed.read(info) for info in packed.infolist()}
    manifest = json.loads(members.pop("manifest.json"))
    change(members, manifest)
    known = manifest.get("files")
    if isinstance(known, dict):
        for name, content in members.items():
            known[name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    out = path.with_name("changed.zip")
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in members.items():
            packed.writestr(name, content)
        packed.writestr("manifest.json", json.dumps(manifest))
    return out


def files(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.glob("**/*") if path.is_file()}


def test_the_same_results_give_the_same_bytes_whenever_they_are_packed(machine):
    one = machine().fitted()
    first = one.bundle().read_bytes()
    for path in one.results.glob("**/*"):
        os.utime(path, (0, 0))
    assert one.bundle().read_bytes() == first


def test_an_unpacked_bundle_holds_the_same_files_and_packs_to_the_same_bundle(machine, bundle, tmp_path):
    unpack(bundle, tmp_path / "there")
    found, before = files(tmp_path / "there"), files(tmp_path / "a" / "results")
    assert found.pop("config.yaml")
    assert found.pop("tiny/given.json")
    assert found == before
    pack(tmp_path / "there" / "config.yaml", tmp_path / "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == bundle.read_bytes()


def test_an_unfinished_run_travels_and_its_batch_is_left_to_the_next_run_or_lists_what_there_is(machine, tmp_path):
    one = machine().fitted()
    shutil.rmtree(one.record("kmeans", 1).parent)
    one.record("random", 2).write_text("{")
    plan = unpack(one.bundle(), tmp_path / "there")
    assert one.packed.records == 4
    assert "random/default/seed-0002/record.json" in one.packed.left_out[0]
    assert missing_fits(plan, tmp_path / "there") == {"tiny": 2}
    batch = tmp_path / "there" / "tiny" / "kmeans" / "default" / "batch-0.json"
    assert not batch.exists()
    write_batches(plan, tmp_path / "there", unfinished=True)
    assert [record["seed"] for record in records.read_batch(batch)] == [0, 2]


def test_a_cube_that_came_is_given_as_long_as_it_is_there_and_the_configuration_asks_for_it(bundle, tmp_path):
    plan = unpack(bundle, tmp_path / "there")
    cube, truth = tmp_path / "there" / "tiny" / "cube.nc", tmp_path / "there" / "truth" / "tiny.csv"
    tiny = plan.datasets["tiny"]
    other = replace(plan, datasets={"tiny": replace(tiny, params={**tiny.params, "n_days": 60})})
    assert given.cubes(plan) == {"tiny"}
    assert given.cubes(replace(plan, datasets={"tiny": replace(tiny, title="Tiny")})) == {"tiny"}
    with pytest.raises(InvalidFile, match=r"datasets\.tiny: its cube came in a bundle, made with other settings"):
        given.cubes(other)
    truth.rename(truth.with_suffix(".gone"))
    assert given.cubes(plan) == set()
    truth.with_suffix(".gone").rename(truth)
    cube.rename(cube.with_suffix(".gone"))
    assert given.cubes(plan) == given.cubes(other) == set()
    cube.with_suffix(".gone").rename(cube)
    given.forget(cube)
    assert given.cubes(plan) == given.cubes(other) == set()


def test_a_derived_cube_depends_on_the_settings_of_the_one_it_is_made_of(machine, tmp_path):
    changed = {"of": "tiny", "change": "deseasonalised"}
    plan = unpack(machine(datasets={"tiny": TINY, "flat": changed}).fitted().bundle(), tmp_path / "there")
    assert given.cubes(plan) == {"tiny", "flat"}
    tiny = replace(plan.datasets["tiny"], gaps="mask")
    (tmp_path / "there" / "tiny" / "cube.nc").unlink()
    with pytest.raises(InvalidFile, match=r"1 problem\n  - datasets\.flat: its cube"):
        given.cubes(replace(plan, datasets={**plan.datasets, "tiny": tiny}))


def test_what_is_made_from_records_is_older_than_they_are(machine, tmp_path):
    one = machine().fitted()
    (one.results / "tiny" / "scores.csv").write_text("address\n")
    unpack(one.bundle(), tmp_path / "there")
    there = tmp_path / "there" / "tiny"
    inputs = (there / "cube.nc", there / "kmeans" / "default" / "batch-0.json", there.parent / "truth" / "tiny.csv")
    times = {path.stat().st_mtime for path in inputs}
    assert len(times) == 1
    assert (there / "scores.csv").stat().st_mtime < times.pop() - 3600


def test_without_cubes_the_data_are_still_told_apart(machine, tmp_path):
    one = machine().fitted()
    path = one.bundle(cubes=False)
    unpack(path, tmp_path / "there")
    assert not (tmp_path / "there" / "tiny" / "cube.nc").exists()
    with archive.opened(path) as opened:
        assert opened.manifest["data"] == {"tiny": stored_hash(one.results / "tiny" / "cube.nc")}


def test_no_folder_of_this_machine_and_no_user_name_travels(machine, tmp_path):
    params = {"files": "/data/secret/era5.nc"}
    one = machine(datasets={"tiny": TINY, "mine": {"plugin": "local", "params": params}}).fitted()
    with archive.opened(one.bundle()) as opened:
        assert opened.manifest["config"]["datasets"]["mine"]["params"] == {"files": "era5.nc"}
        assert str(tmp_path).encode() not in b"".join(map(opened.read, opened.files))
    one.change("kmeans", 0, message=f"saved {one.results}/model.pt")
    with pytest.raises(InvalidBundle, match=r"kmeans/default/seed-0000/record\.json names a folder of this machine"):
        one.bundle()


HOSTILE = {
    "a name that leads out": (lambda m, _: m.update({"../x.csv": b""}), r"'\.\./x\.csv' is nothing that a bundle"),
    "an absolute name": (lambda m, _: m.update({"/tmp/x.csv": b""}), "is nothing that a bundle holds"),
    "a name of another system": (lambda m, _: m.update({"truth\\x.csv": b""}), "is nothing that a bundle holds"),
    "code": (lambda m, _: m.update({"tiny/kmeans/default/seed-0000/fit.py": b""}), "is nothing that a bundle holds"),
    "a pickle": (lambda m, _: m.update({"tiny/labels.pkl": b""}), "is nothing that a bundle holds"),
    "another version": (lambda _, x: x.update(schema_version=2), r"its schema_version is '2' and this suite reads 1"),
    "other records": (lambda _, x: x.update(record_schema_version=9), r"its record_schema_version is '9'"),
    "another format": (lambda _, x: x.update(format="photo album"), "does not say that it is a bundle"),
    "an unknown key": (lambda _, x: x.update(run="rm -rf ~"), "unknown key 'run'"),
    "another fit's record": (
        lambda m, _: m.update({RECORD: m[RECORD.replace("0000", "0001")]}),
        r"is the record of another fit \(seed 1\)",
    ),
    "a broken record": (lambda m, _: m.update({RECORD: b"[" * 100_000}), "nests more than"),
    "a record of NaN": (lambda m, _: m.update({RECORD: m[RECORD].replace(b"10.0", b"NaN")}), "NaN"),
    "labels without a record": (lambda m, x: (m.pop(RECORD), x["files"].pop(RECORD)), "has no record"),
    "other labels": (lambda m, _: m.update({FIT: m[FIT] + b"x"}), "are not those of its record"),
    "a row of its own": (lambda _, x: x["config"].update(methods=["random"]), "is no fit of its configuration"),
    "a wrong configuration": (
        lambda _, x: x["config"].update(datasets={"x; rm -rf ~": {}}),
        "configuration is invalid",
    ),
    "other data": (lambda _, x: x["data"].update(tiny="0" * 64), "was fitted on other data than the manifest says"),
}
FOLDER = "tiny/kmeans/default/seed-0000/"
RECORD, FIT = FOLDER + "record.json", FOLDER + "fit.npz"


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_bundle_is_refused_with_its_reason_and_writes_nothing(bundle, tmp_path, case):
    change, reason = HOSTILE[case]
    path = rewritten(bundle, change)
    before = sorted(tmp_path.glob("**/*"))
    with pytest.raises(InvalidBundle, match=reason):
        unpack(path, tmp_path / "there")
    assert sorted(tmp_path.glob("**/*")) == before


@pytest.mark.parametrize("content", [b"", b"PK\x05\x06", b"not a zip", b"PK\x03\x04" + bytes(100)])
def test_a_file_that_is_no_archive_is_refused(tmp_path, content):
    path = tmp_path / "x.zip"
    path.write_bytes(content)
    with pytest.raises(InvalidBundle, match="is refused: it is no readable ZIP archive"):
        unpack(path, tmp_path / "there")


def test_a_foreign_archive_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w"):
        pass
    with pytest.raises(InvalidBundle, match=r"it is a ZIP archive without manifest\.json, so no bundle"):
        unpack(tmp_path / "x.zip", tmp_path / "there")


def test_a_damaged_bundle_is_refused(bundle, tmp_path):
    content = bytearray(bundle.read_bytes())
    content[len(content) // 3] ^= 255
    bundle.write_bytes(content)
    with pytest.raises(InvalidBundle):
        unpack(bundle, tmp_path / "there")


def test_a_member_that_begins_before_the_file_is_refused(bundle, tmp_path):
    content = bytearray(bundle.read_bytes())
    offset = slice(len(content) - 6, len(content) - 2)  # of the directory, which the places of members are taken from
    content[offset] = (int.from_bytes(content[offset], "little") + 1).to_bytes(4, "little")
    bundle.write_bytes(content)
    with pytest.raises(InvalidBundle, match="begins outside the file"):
        unpack(bundle, tmp_path / "there")


@pytest.mark.parametrize("change", ["link", "folder", "encrypted", "twice", "bomb"])
def test_an_archive_with_special_members_is_refused(bundle, tmp_path, change):
    expected = pytest.warns() if change == "twice" else contextlib.nullcontext()
    path = tmp_path / "special.zip"
    shutil.copy(bundle, path)
    info = zipfile.ZipInfo("truth/tiny.csv" if change == "twice" else "truth/x.csv")
    info.external_attr = {"link": 0o120777, "folder": 0o040777}.get(change, 0o100644) << 16
    with zipfile.ZipFile(path, "a") as packed, expected:
        packed.writestr(info, b"/etc/passwd")
        if change == "encrypted":
            packed.getinfo("truth/x.csv").flag_bits |= 1
        if change == "bomb":
            packed.getinfo("truth/x.csv").file_size = 2**40
    reason = {
        "link": "is not a plain file",
        "folder": "is not a plain file",
        "encrypted": "is encrypted",
        "twice": "occurs twice",
        "bomb": "is larger than",
    }
    with pytest.raises(InvalidBundle, match=reason[change]):
        unpack(path, tmp_path / "there")


def test_a_bundle_never_overwrites(bundle, tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "mine").touch()
    with pytest.raises(InvalidBundle, match="is not empty"):
        unpack(bundle, tmp_path / "there")


def test_nothing_to_pack_is_a_sentence(machine):
    with pytest.raises(InvalidBundle, match="holds no finished fit"):
        machine().bundle()


def test_bundles_of_different_rows_and_seeds_are_joined(machine, tmp_path):
    one = machine("a", methods=["random"], seeds=2).fitted()
    two = machine("b", seeds=3).fitted()
    merged = merge([one.bundle(), two.bundle()], tmp_path / "ab.zip")
    assert (merged.records, merged.same, merged.choices) == (6, 2, [])
    plan = unpack(tmp_path / "ab.zip", tmp_path / "there")
    assert sorted(plan.methods) == ["kmeans", "random"]
    assert missing_fits(plan, tmp_path / "there") == {}


def test_the_order_of_bundles_decides_about_costs_alone(machine, tmp_path):
    one, two = machine("a").fitted(), machine("b").fitted(seconds=99.0)
    merge([one.bundle(), two.bundle()], tmp_path / "ab.zip")
    merge([two.bundle(), one.bundle()], tmp_path / "ba.zip")
    for name, seconds in (("ab", False), ("ba", True)):
        unpack(tmp_path / f"{name}.zip", tmp_path / name)
        record = json.loads((tmp_path / name / RECORD).read_text())
        assert (record["seconds"] == 99.0) is seconds


def test_different_labels_are_a_conflict_that_names_the_fit(machine, tmp_path):
    one, two = machine("a").fitted(), machine("b").fitted()
    two.refit("kmeans", 1, rng=5)
    bundles = [one.bundle(), two.bundle()]
    with pytest.raises(Conflicts) as caught:
        merge(bundles, tmp_path / "ab.zip")
    assert re.fullmatch(
        r"tiny kmeans seed 1: different labels on \d+ of 12 days in a.zip and b.zip", *caught.value.found
    )
    assert not (tmp_path / "ab.zip").exists()
    merged = merge(bundles, tmp_path / "ab.zip", prefer=bundles[1])
    assert len(merged.choices) == 1
    unpack(tmp_path / "ab.zip", tmp_path / "there")
    name = "tiny/kmeans/default/seed-0001/fit.npz"
    assert (tmp_path / "there" / name).read_bytes() == (two.results / name).read_bytes()
    with archive.opened(tmp_path / "ab.zip") as opened:
        assert opened.manifest["choices"] == merged.choices


def test_other_statuses_code_data_and_parameters_are_conflicts(machine, tmp_path):
    one = machine("a").fitted().bundle()

    def found(other):
        with pytest.raises(Conflicts) as caught:
            merge([one, other.bundle()], tmp_path / "ab.zip")
        return "\n".join(caught.value.found)

    failed = machine("b").fitted()
    failed.fail("kmeans", 2, status="timeout", message="too slow")
    assert found(failed) == "tiny kmeans seed 2: ok in a.zip, timeout in b.zip"
    code = machine("c").fitted()
    for seed in range(3):
        hashes = json.loads(code.record("kmeans", seed).read_text())["hashes"]
        code.change("kmeans", seed, fingerprint="1" * 64, hashes={**hashes, "plugin": "2" * 64})
    one_code = r"[0-9a-f]{12} \(a\.zip, seeds 0, 1, 2\)"
    assert re.fullmatch(
        rf"tiny kmeans: different code: {one_code} and 222222222222 \(c\.zip, seeds 0, 1, 2\)", found(code)
    )
    data = found(machine("d").fitted(seed=1))
    assert "data set tiny: a.zip and d.zip hold different data" in data
    params = found(machine("e", methods=["random", {"kmeans": {"n_init": 7}}]).fitted())
    assert "methods.kmeans: {} in a.zip, {'n_init': 7} in e.zip" in params
    assert "n_init = " in params
    clusters = found(machine("f", n_clusters=4).fitted())
    assert "datasets.tiny.n_clusters: 3 in a.zip, 4 in f.zip" in clusters


def test_a_fit_that_was_not_tried_gives_way(machine, tmp_path):
    one, two = machine("a").fitted(), machine("b").fitted()
    one.fail("kmeans", 0, status="skipped", message="no framework", fingerprint=None)
    merge([one.bundle(), two.bundle()], tmp_path / "ab.zip")
    unpack(tmp_path / "ab.zip", tmp_path / "there")
    assert json.loads((tmp_path / "there" / RECORD).read_text())["status"] == "ok"


def test_the_command_line_says_what_was_done(machine, tmp_path):
    one = machine().fitted()
    out, there = tmp_path / "a.zip", tmp_path / "there"

    def said(*arguments):
        done = CliRunner().invoke(app, list(map(str, arguments)))
        assert done.exit_code == 0, done.output
        return done.output

    assert "6 of 6 planned fits" in said("bundle", out, "--config", one.path)
    assert f"--configfile {there}/config.yaml" in said("unpack", out, there)
    assert "were there more than once" in said("merge", out, out, "--out", tmp_path / "b.zip")
