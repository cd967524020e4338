"""Files that others wrote: what is refused, and that nothing in them runs, explodes or leaves its folder."""

import io
import json
import pickle
import zipfile
from dataclasses import replace

import netCDF4
import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.fabricated import cube
from regimebench import records
from regimebench.arrays import arrays_in
from regimebench.config import make_plan, read_config
from regimebench.cube import read_cube, refuse_beyond_memory, write_cube
from regimebench.dataset import DataError
from regimebench.preprocess import preprocess
from regimebench.records import InvalidRecord
from regimebench.schema import InvalidFile, load_yaml, problems
from regimebench.tables import Cell, Table, latex, markdown
from regimebench.untrusted import Refused, parse_json, parse_yaml

CONFIG = {"datasets": {"tiny": {"plugin": "synthetic"}}, "methods": ["random"]}
DOCUMENTS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@settings(max_examples=60, deadline=None)
@given(DOCUMENTS)
def test_json_that_is_in_order_is_read_as_it_is(document):
    assert parse_json(json.dumps(document)) == document


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[NaN]", "holds NaN"),
        ("[-Infinity]", "holds -Infinity"),
        ("[1e999]", "too large"),
        ("[" + "9" * 5000 + "]", "whole number of 5000 digits"),
        ("[" * 100_000, "levels deep"),
        ("[" * 60 + "]" * 60, "levels deep"),
        ('{"a": 1, "a": 2}', "'a' occurs twice"),
        (r'["\ud800"]', "surrogate"),
        ("[" + "0," * 1_000_001 + "0]", "more than 1,000,000 values"),
        ("{", "not valid JSON"),
        ("", "not valid JSON"),
    ],
)
def test_json_beyond_json_is_refused(text, reason):
    with pytest.raises(Refused, match=reason):
        parse_json(text)


LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("!!python/object/apply:os.system ['touch x']", "could not determine a constructor"),
        ("a: 1\nb: 2\na: 3", "line 3: the key 'a' occurs twice"),
        ("? [a, b]\n: c", "line 1: a key is no word"),
        ("a: 2001-13-45", "a value is none of its kind"),
        ("a: 0b_", "a value is none of its kind"),
        ("a: =", "could not determine a constructor"),
        ("a: \x00", "characters are not allowed"),
        ("&a [*a]", "levels deep"),
        (LAUGHS, "aliases counted each time"),
        ("[" * 5000, "levels deep"),
        ("- " * 5000, "levels deep"),
        ("a: " + "1" * 5000, "a number of 5000 digits"),
        ("a: b\n" * 300_000, "longer than"),
    ],
    ids=lambda value: value[:20].replace("\n", " "),
)
def test_yaml_beyond_plain_values_is_refused(text, reason, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Refused, match=reason):
        parse_yaml(text)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_not_utf_8_is_refused_by_byte(tmp_path):
    (tmp_path / "c.yaml").write_bytes(b"a: \xff")
    with pytest.raises(InvalidFile, match="it is not UTF-8 text: byte 3 is 0xff"):
        load_yaml(tmp_path / "c.yaml")


@pytest.mark.parametrize("document", [0.5, "x", [1], True])
def test_found_by_fuzzing_a_configuration_that_is_no_mapping(document, tmp_path):
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(document))
    with pytest.raises(InvalidFile, match="expected object"):
        make_plan(read_config(tmp_path / "c.yaml"))


@pytest.mark.parametrize("change", [{"seeds": 10**30}, {"seeds": 3.0}, {"n_clusters": 3.0}, {"n_clusters": 10**9}])
def test_found_by_fuzzing_numbers_that_would_fill_the_memory_or_count_nothing(change):
    with pytest.raises(InvalidFile, match=next(iter(change))):
        make_plan({**CONFIG, **change})


@pytest.mark.parametrize("name", ["x; rm -rf ~", "$(touch x)", "../x", "x\n", "X", "truth", "", "a b", "a/b"])
def test_a_data_set_is_refused_by_its_name(name):
    with pytest.raises(InvalidFile) as caught:
        make_plan({**CONFIG, "datasets": {name: {"plugin": "synthetic"}}})
    assert "datasets" in str(caught.value)


@pytest.mark.parametrize("folder", ["x;touch${IFS}y", "$(id)", "`id`", "a b", "a\n", "x'y", 'x"y', "x|y", "x>y", "x&y"])
def test_a_results_folder_with_letters_for_a_shell_is_refused(folder):
    with pytest.raises(InvalidFile, match="results: "):
        make_plan({**CONFIG, "results": folder})


@pytest.mark.parametrize("plugin", ["../methods", "/etc", "synthetic/../synthetic", "a; b"])
def test_a_plugin_is_a_name_and_no_path(plugin):
    with pytest.raises(InvalidFile, match="there is no dataset"):
        make_plan({**CONFIG, "datasets": {"tiny": {"plugin": plugin}}})


def test_a_number_must_be_finite_and_a_pattern_ends_where_the_text_ends():
    assert problems({**CONFIG, "seeds": True}, "config")
    assert problems({**CONFIG, "seeds_per_job": float("inf")}, "config")
    assert problems({**CONFIG, "results": "x\n"}, "config")
    assert not problems({**CONFIG, "results": "x"}, "config")


def npz(**members):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return out.getvalue()


def npy(array):
    out = io.BytesIO()
    np.save(out, array, allow_pickle=True)
    return out.getvalue()


class Bomb:
    def __reduce__(self):
        return exec, ("raise SystemExit('a pickle was executed')",)


def everything(content):
    return arrays_in(content, lambda name: True)


@pytest.mark.parametrize(
    "array", [np.arange(5), np.zeros((2, 3), "f4"), np.zeros((0, 4)), np.asfortranarray(np.eye(3)[:2])]
)
def test_arrays_are_read_as_numpy_writes_them(array):
    (found,) = everything(npz(labels=npy(array))).values()
    np.testing.assert_array_equal(found, array)
    assert found.dtype == array.dtype


GOOD = npy(np.arange(5))
ARRAYS = {
    "a pickle": npz(labels=npy(np.array([Bomb()], dtype=object))),
    "a bare pickle": npz(labels=pickle.dumps(Bomb())),
    "text": npz(labels=npy(np.array(["a"]))),
    "dates": npz(labels=npy(np.array(["2001-01-01"], dtype="M8[D]"))),
    "fields": npz(labels=npy(np.zeros(2, dtype="i4, i4"))),
    "a larger claim": npz(labels=GOOD.replace(b"(5,), }   ", b"(5000,), }")),
    "an impossible claim": npz(labels=GOOD.replace(b"(5,), }          ", b"(999999999999,), }")),
    "a negative claim": npz(labels=GOOD.replace(b"(5,), } ", b"(-5,), }")),
    "code in the header": npz(labels=GOOD.replace(b"False, ", b"open(), ")),
    "found by fuzzing: an open bracket in the header": npz(labels=GOOD.replace(b"}", b"(")),
    "more after the end": npz(labels=GOOD + b"x"),
    "less": npz(labels=GOOD[:-1]),
    "a header without end": npz(labels=b"\x93NUMPY\x02\x00\xff\xff\xff\xff"),
    "nothing": npz(labels=b""),
    "no archive": b"x" * 100,
}


@pytest.mark.parametrize("case", ARRAYS)
def test_arrays_that_are_no_plain_numbers_are_refused(case):
    with pytest.raises(Refused):
        everything(ARRAYS[case])


def test_packed_arrays_are_refused_because_they_can_be_bombs():
    out = io.BytesIO()
    np.savez_compressed(out, labels=np.zeros(10**6, dtype=np.int64))
    with pytest.raises(Refused, match="is packed"):
        everything(out.getvalue())


@pytest.mark.parametrize("labels", [np.zeros((3, 3), int), np.array([0.5, 1]), np.array([-1, 0])])
def test_labels_are_one_whole_number_per_day(labels, tmp_path):
    np.savez(tmp_path / "fit.npz", labels=labels)
    with pytest.raises(InvalidRecord, match="one whole number per day"):
        records.load_labels(tmp_path)


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "/etc/passwd", "seed-0000/../x.json", "seed-0000/record.json\n", 3, None]
)
def test_a_batch_file_names_records_beside_it_alone(name, tmp_path):
    (tmp_path / "batch-0.json").write_text(json.dumps({"records": [name]}))
    with pytest.raises(InvalidRecord, match="not a readable batch file"):
        records.read_batch(tmp_path / "batch-0.json")


@pytest.fixture
def stored(tmp_path):
    path = tmp_path / "cube.nc"
    write_cube(cube("tiny", (4, 2, 3, 1), np.random.default_rng(0)), path)
    return path


def test_a_cube_that_claims_more_than_its_bytes_or_the_memory_is_refused(tmp_path):
    for size in (10**4, 10**7):
        path = tmp_path / f"{size}.nc"
        with netCDF4.Dataset(path, "w") as file:
            for name, length in (("time", size), ("lat", 1000), ("lon", 1000), ("variable", 1)):
                file.createDimension(name, length)
            file.createVariable("data", "f4", ("time", "lat", "lon", "variable"), chunksizes=(1, 1000, 1000, 1))
            file.setncattr("content_sha256", "0" * 64)
        with pytest.raises(DataError, match=r"more than its bytes can|this machine has"):
            read_cube(path)


@pytest.mark.parametrize("name", ["data", "mask", "time", "lat", "variable_name", "minimum"])
def test_a_cube_whose_parts_have_another_kind_or_shape_is_refused(stored, tmp_path, name):
    other = tmp_path / "other.nc"
    with netCDF4.Dataset(stored) as old, netCDF4.Dataset(other, "w") as new:
        new.setncatts({key: old.getncattr(key) for key in old.ncattrs()})
        for key, dimension in old.dimensions.items():
            new.createDimension(key, len(dimension))
        for key, variable in old.variables.items():
            if key == name:
                new.createVariable(key, "i4" if variable.dtype is str else str, ("time",))
            else:
                new.createVariable(key, variable.dtype, variable.dimensions)[:] = variable[:]
    with pytest.raises(DataError, match=r"other\.nc"):
        read_cube(other)


def test_data_beyond_memory_are_refused_before_they_are_read():
    import dask.array as da
    import xarray as xr

    with pytest.raises(DataError, match=r"would be 365 x 1000000 x 1000000 values"):
        refuse_beyond_memory((365, 10**6, 10**6), "data set 'x'")
    days, n = np.datetime64("2001-01-01", "ns") + np.arange(3) * np.timedelta64(1, "D"), 10**5
    coords = {"time": days, "lat": np.linspace(80, -80, n), "lon": np.linspace(0, 359, n)}
    fields = xr.DataArray(da.zeros((3, n, n), chunks=(1, n, n)), dims=("time", "lat", "lon"), coords=coords)
    with pytest.raises(DataError, match="this machine has"):
        preprocess(fields.to_dataset(name="t"), "standard", name="x")


def test_a_pickle_in_a_zarr_store_is_not_executed(tmp_path):
    from datasets.blocks.files import open_parts

    store = tmp_path / "x.zarr"
    (store / "t").mkdir(parents=True)
    (store / ".zgroup").write_text('{"zarr_format": 2}')
    array = {"zarr_format": 2, "shape": [1], "chunks": [1], "dtype": "|O", "compressor": None, "fill_value": None}
    (store / "t" / ".zarray").write_text(
        json.dumps({**array, "order": "C", "filters": [{"id": "pickle", "protocol": 5}]})
    )
    (store / "t" / ".zattrs").write_text('{"_ARRAY_DIMENSIONS": ["time"]}')
    (store / "t" / "0").write_bytes(pickle.dumps(Bomb()))

    def read():
        return [part.fields.load() for part in open_parts(store, {})]

    with pytest.raises(Exception, match=r"(?i)pickle|object|cannot"):
        read()


EVIL = "<script>alert(1)</script> | \\input{/etc/passwd} $x$ ~ ^\n# heading"


def test_tables_let_no_text_from_outside_become_markup():
    table = Table(EVIL, ["a|b", EVIL], [[Cell(EVIL), Cell(EVIL, best=True)]], EVIL, [EVIL])
    text = markdown(table)
    assert "<script>" not in text
    assert not [line for line in text.splitlines() if line.startswith("# ")]
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert {len(line.replace(r"\|", "").split("|")) for line in rows} == {4}
    tex = latex(table)
    assert r"\input" not in tex
    assert r"\textbackslash{}input\{/etc/passwd\}" in tex
    assert r"\$x\$" in tex


def test_a_mask_that_hides_values_is_refused(tmp_path):
    made = cube("tiny", (4, 2, 3, 1), np.random.default_rng(0))
    with pytest.raises(DataError, match="not 0 where its mask is False"):
        write_cube(replace(made, mask=np.zeros_like(made.mask)), tmp_path / "x.nc")
