"""The HTML page: escaped, self-contained, and there for an empty warehouse too."""

import datetime as dt
from pathlib import Path

import pytest

from driftmine.home import Home, create
from driftmine.report import page
from driftmine.report.page import write_page
from driftmine.settings import WarehouseOptions
from warehouse.catalog import Catalog
from warehouse.erase import erase
from warehouse.publish import Seen, begin, publish
from warehouse.records import Category, DsatTurn, Message, Role
from warehouse.schema import Partition, to_batch
from warehouse.staging import PartitionWriter

NOW = dt.datetime(2026, 11, 1, 3, 30, tzinfo=dt.UTC)
NIGHT = dt.date(2026, 11, 1)
HOSTILE = "<script>alert('x')</script>{{ 7 * 7 }}"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home")
    create(home, WarehouseOptions())
    return home


def publish_turn(catalog: Catalog, text: str) -> None:
    turn = DsatTurn(
        turn_id="t1", conversation_id=text, answer_turn_id="a1",
        context=(Message(role=Role.USER, content=text),), answer=text, feedback=text,
        category=Category.COMPLAINT, probability=0.9, trainable=True, detector="d",
        detector_version="1", model=text, user_key="0a1b2c3d4e5f",
    )  # fmt: skip
    partition = Partition("dsat_turns", NIGHT, "d@1")
    writer = PartitionWriter(catalog.root, partition)
    writer.write(to_batch("dsat_turns", NIGHT, [turn]))
    begin(catalog, run_id="r", stage="mine", log_date=NIGHT, now=NOW)
    publish(
        catalog, run_id="r", staged=[writer.close()], replaces=[partition], counts={}, now=NOW,
        seen=Seen(erasure=0),
    )  # fmt: skip


def test_what_users_wrote_is_escaped(home: Home, tmp_path: Path) -> None:
    catalog = Catalog.open(home.warehouse)
    publish_turn(catalog, HOSTILE)
    page = write_page(home, catalog, NOW, out=tmp_path / "deep" / "page.html").read_text()
    assert "<script" not in page
    assert page.count("&lt;script&gt;") == 6  # summary (model, feedback), three texts, id
    assert "49" not in page.partition("The clearest DSAT turns")[2]


def test_an_empty_warehouse_has_a_page(home: Home, tmp_path: Path) -> None:
    out = write_page(home, Catalog.open(home.warehouse), NOW, out=tmp_path / "page.html")
    page = out.read_text()
    assert "2026-11-01 03:30 UTC" in page
    assert "None yet." in page


def test_a_page_that_an_erasure_overtook_is_made_anew(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was read before it may quote the erased user."""
    catalog, texts = Catalog.open(home.warehouse), iter(["of an erased user", "of nobody", "late"])
    publish_turn(catalog, "a")

    def render(*_: object) -> str:
        text = next(texts)
        if text == "of an erased user":
            erase(catalog, ["0a1b2c3d4e5f"], NOW)
        return text

    monkeypatch.setattr(page, "render", render)
    out = write_page(home, catalog, NOW, out=tmp_path / "page.html")
    assert out.read_text() == "of nobody"


def test_the_page_asks_nothing_of_the_network(home: Home, tmp_path: Path) -> None:
    page = write_page(home, Catalog.open(home.warehouse), NOW, out=tmp_path / "p.html").read_text()
    assert "http" not in page
    assert "src=" not in page
