"""One file per question, budgets beside them; `python -m bench` runs them and prints the table.

    python -m bench                  every question of budgets.toml, exit 1 on a breach
    python -m bench decide token     some of them
    python -m bench report           bench/README.md and README.md's block, from results/latest.json

The first two write both pages too, so that they never differ from the results.

To add a question `swap`: write bench/swap.py and a table `[swap]` in bench/budgets.toml.

bench/swap.py is a pytest module whose tests take pytest-benchmark's `benchmark` and the tools of
`bench.measure`. It runs in a process of its own, and reports figures by name:

    from pytest_benchmark.fixture import BenchmarkFixture
    from bench.measure import interleaved, median, report, timed

    def test_a_swap_of_ten_thousand_rules(benchmark: BenchmarkFixture) -> None:
        rounds = interleaved(benchmark, {
            "small": timed(swap_small, cases),      # cases: a list; each call gets the next one
            "large": timed(swap_large, cases),      # or any function () -> float | Times
        })
        report(benchmark, {
            "large_p99_us": median(times.p99_us for times in rounds["large"]),
            "growth": median_ratio(rounds["large"], rounds["small"]),
        })

`interleaved` calls each contender once a round (a round of `timed` is one call per case), in an
order that turns, and gives the results of all rounds: a budget is compared with the median over
rounds, a ratio is taken within one round. What others' packages were measured goes into `report`'s
`versions`. Async code brings its own loop
(`loop.run_until_complete`) and hands in a function that returns a float.

bench/budgets.toml says what each figure may be. A figure without `max` or `min` is shown only; a
budget whose figure is not reported is a breach:

    [swap.large_p99_us]
    says = "one step of a swap, 10,000 rules, p99"
    unit = "us"
    max = 5000

`readme = "{large_p99_us} µs, growth {growth}"` makes it a row of README.md, which has twelve.

A time is compared at the reference's pace: `interleaved` runs a piece of work that never changes
between the contenders (`bench.pace`), and a machine that takes 1.4 times as long for it may take
1.4 times the budget. Ratios and sizes are compared as they are.

A breach is measured twice more in a fresh process, while there is time, and counts only if it
stays: the best of the three is compared. Keep a question under a minute: all of them have six.
"""
