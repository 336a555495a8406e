import datetime as dt

from ingestion.scene import Scene, tables


def test_memory_is_bounded_and_spills(tmp_path):
    scene = Scene(
        store=tmp_path, spill=tmp_path / "spill", staged=[], live=[], replaced=[],
        window=dt.timedelta(0), memory_mb=64, note=print, lines=lambda log: [],
    )  # fmt: skip
    with tables(scene) as connection:
        names = ("memory_limit", "temp_directory")
        found = [connection.execute("SELECT current_setting(?)", [n]).fetchone() for n in names]
        assert found == [("64.0 MiB",), (str(tmp_path / "spill"),)]
        # Rows of 80 MB, which do not fit.
        connection.execute(
            "CREATE TABLE many AS SELECT range AS n, hash(range) FROM range(5000000)"
        )
        assert list((tmp_path / "spill").iterdir())
        assert connection.execute("SELECT count(*) FROM staged").fetchone() == (0,)
