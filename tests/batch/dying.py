"""An output whose writers die, once each way: of processes that the tests start."""

import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vlcodec.batch.outputs import Output


class DyingOutput(Output):
    """The first worker that gets there is killed by its process id: in a write, whose shard is about to be moved into
    place, and after one, before anybody is told. Both beside the output, so that the run does not see the marks."""

    @contextmanager
    def writing(self, name: str) -> Iterator[Callable[[Mapping[str, Any]], None]]:
        with super().writing(name) as write:
            yield write
            self.die("in a write")
        self.die("between two writes")

    def die(self, when: str) -> None:
        mark = Path(f"{self.folder} {when}")
        try:
            mark.touch(exist_ok=False)
        except FileExistsError:
            return
        os.kill(os.getpid(), signal.SIGKILL)


class DeadlyOutput(Output):
    """Every worker that has a certain picture dies of it."""

    def put_stats(self, name: str, stats: Mapping[str, Any]) -> None:
        if stats["errors"]:
            os.kill(os.getpid(), signal.SIGKILL)
        super().put_stats(name, stats)
