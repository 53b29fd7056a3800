"""A program with every kind of pool and process in one run; started as `pools_program.py ENDPOINT METHOD`."""

import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.context import ForkProcess, ForkServerProcess, SpawnProcess
from multiprocessing.process import BaseProcess
from typing import Any

import backtrail

UNPICKLABLE: Any = [lambda: 1][0]


@backtrail.step
def work(name: str) -> str:
    return name


@backtrail.agent
def helper(name: str) -> str:
    return work(name)


def plain(name: str) -> str:
    return work(name)


def joined(first: str, second: str) -> str:
    return work(first + second)


def broken(name: str) -> str:
    work(name)
    raise LookupError(name)


def is_in_run() -> bool:
    return backtrail.has_active_run()


@backtrail.agent
def lead(method: Any) -> list[str]:
    context = multiprocessing.get_context(method)
    found: list[str] = []
    with ProcessPoolExecutor(2, mp_context=context) as executor:
        found.append(executor.submit(helper, "submit").result())
        found.extend(executor.map(work, ["map"] * 2))
        found.extend(executor.map(work, ["chunk"] * 4, chunksize=2))
        found.append(type(executor.submit(broken, "broken").exception()).__name__)
        found.append(repr(executor.submit(UNPICKLABLE).exception()).partition("0x")[0])
    with context.Pool(2) as pool:
        found.append(pool.apply(work, ("apply",)))
        found.append(pool.apply_async(work, kwds={"name": "apply_async"}).get())
        found.extend(pool.map(helper, ["pool"] * 3))
        found.extend(pool.map_async(plain, iter(["map_async"] * 2)).get())
        found.extend(pool.starmap(joined, [("star", "map")] * 2))
        found.extend(pool.starmap_async(joined, [("star", "map_async")]).get())
        found.extend(pool.imap(plain, ["imap"] * 2))
        found.extend(pool.imap_unordered(plain, ["imap_unordered"] * 2, 2))
    for process in (context.Process(target=work, args=("target",)), subclass_of(context.Process)):
        process.start()
        process.join()
        found.append(str(process.exitcode))
    return found


class InRun:
    def run(self) -> None:
        work("run method")


class ForkInRun(InRun, ForkProcess):
    pass


class SpawnInRun(InRun, SpawnProcess):
    pass


class ForkServerInRun(InRun, ForkServerProcess):
    pass


def subclass_of(process: type[BaseProcess]) -> BaseProcess:
    return next(cls for cls in (ForkInRun, SpawnInRun, ForkServerInRun) if issubclass(cls, process))()


@backtrail.run
def main(query: str, method: str) -> list[str]:
    return lead(method)


@backtrail.run
def starting(executor: ProcessPoolExecutor) -> bool:
    return executor.submit(is_in_run).result()


if __name__ == "__main__":
    endpoint, method = sys.argv[1:]
    backtrail.configure(endpoint, service_name="pools")
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context(method)) as executor:
        # The worker is started inside a run, and does work outside of one afterwards.
        print(starting(executor), executor.submit(is_in_run).result())
        print(repr(executor.submit(UNPICKLABLE).exception()).partition("0x")[0])
    print(*main("Where is it?", method), sep="\n")
