"""What every sink must do. An implementation's tests inherit the class and give its fixtures."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from edge.sinks.row import Row
from edge.sinks.sink import Sink

MOST = 50  # rows that the sink under test may hold


def rows(*numbers: int) -> list[Row]:
    return [Row(id=str(number), type="article_read", received=1.0) for number in numbers]


class Made(list[Row]):
    """Rows that count how often they were made."""

    times = 0

    def __iter__(self) -> Iterator[Row]:
        self.times += 1
        return super().__iter__()


class SinkContract:
    """What a visit counts on. Fixtures: `sink`, which holds MOST rows and is not started;
    `kept`, the ids of the rows that were kept, to be asked after the end; `dropped`, how many were
    counted as dropped."""

    def test_what_was_put_is_kept_in_its_order(
        self, sink: Sink, kept: Callable[[], list[str]], dropped: Callable[[], int]
    ) -> None:
        sink.start()
        sink.put(rows(3, 1))
        sink.put(rows(2))
        sink.close()
        assert kept() == ["3", "1", "2"]
        assert dropped() == 0

    def test_what_waits_at_the_end_is_kept_even_if_nothing_was_started(
        self, sink: Sink, kept: Callable[[], list[str]]
    ) -> None:
        sink.put(rows(1))
        sink.close()
        assert kept() == ["1"]

    def test_nothing_is_made_while_a_visitor_waits(
        self, sink: Sink, kept: Callable[[], list[str]]
    ) -> None:
        made = Made(rows(1, 2))
        sink.put(made)
        assert made.times == 0
        sink.close()
        assert kept() == ["1", "2"]

    def test_a_visit_that_tells_nothing_is_nothing(
        self, sink: Sink, kept: Callable[[], list[str]], dropped: Callable[[], int]
    ) -> None:
        sink.put([])
        sink.close()
        assert (kept(), dropped()) == ([], 0)

    def test_what_cannot_be_held_is_dropped_and_counted_a_visit_as_a_whole(
        self, sink: Sink, kept: Callable[[], list[str]], dropped: Callable[[], int]
    ) -> None:
        sink.put(rows(*range(MOST - 1)))
        sink.put(rows(100, 101))
        sink.put(rows(102))
        sink.close()
        assert kept() == [*map(str, range(MOST - 1)), "102"]
        assert dropped() == 2

    def test_what_comes_after_the_end_is_dropped_and_counted(
        self, sink: Sink, kept: Callable[[], list[str]], dropped: Callable[[], int]
    ) -> None:
        sink.start()
        sink.put(rows(1))
        sink.close()
        sink.put(rows(2, 3))
        sink.close()
        assert kept() == ["1"]
        assert dropped() == 2

    def test_while_all_is_well_there_is_no_trouble(self, sink: Sink) -> None:
        assert sink.trouble() == ""
        sink.start()
        sink.put(rows(1))
        sink.close()
        assert sink.trouble() == ""
