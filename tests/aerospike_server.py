"""A real Aerospike server of our own for a test: started, frozen, killed and restarted at will.

Needs the program `asd` (Community Edition 8) on PATH. Listens on 127.0.0.1 only; its data and
configuration are in the folder that the test gives.
"""

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import aerospike
from aerospike import exception

START_TIMEOUT_S = 120.0  # on a busy machine a killed server reads a million records back in half of that

_CONFIG = """
service {{
    run-as-daemon false
    proto-fd-max 1024
    work-directory {folder}/work
    cluster-name tradewind-test-{port}
    node-id {port:x}
    min-cluster-size 1
}}
mod-lua {{
    user-path {folder}/work/usr/udf/lua
}}
logging {{
    console {{
        context any info
    }}
}}
network {{
    service {{
        address 127.0.0.1
        access-address 127.0.0.1
        port {port}
    }}
    fabric {{
        address 127.0.0.1
        port {fabric_port}
    }}
    heartbeat {{
        mode mesh
        address 127.0.0.1
        port {heartbeat_port}
        interval 150
        timeout 10
    }}
}}
namespace test {{
    replication-factor 1
    nsup-period 120
    index-stage-size 128M
    sindex-stage-size 128M
    storage-engine device {{
        file {folder}/store/test.dat
        filesize {megabytes}M
        flush-max-ms {flush_max_ms}
        {stop_writes}
    }}
}}
namespace memory_ns {{
    replication-factor 1
    index-stage-size 128M
    sindex-stage-size 128M
    storage-engine memory {{
        file {folder}/store/memory_ns.dat
        filesize 512M
        flush-max-ms {memory_flush_max_ms}
    }}
}}
"""


class AerospikeServer:
    """One node. `stop_writes_used_pct`: share of the device at which `test` takes no more writes.

    `flush_max_ms`, `memory_flush_max_ms`: how long `test` and `memory_ns` keep writes in memory only.
    """

    def __init__(
        self,
        folder: Path,
        *,
        megabytes: int = 1_024,
        stop_writes_used_pct: int = 0,
        flush_max_ms: int = 1,
        memory_flush_max_ms: int = 1,
    ) -> None:
        self._folder = folder
        self.port, fabric_port, heartbeat_port = _free_ports(3)
        for part in ("work/smd", "work/usr/udf/lua", "store"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        self._config = folder / "aerospike.conf"
        self._config.write_text(
            _CONFIG.format(
                folder=folder,
                port=self.port,
                fabric_port=fabric_port,
                heartbeat_port=heartbeat_port,
                megabytes=megabytes,
                flush_max_ms=flush_max_ms,
                memory_flush_max_ms=memory_flush_max_ms,
                stop_writes=f"stop-writes-used-pct {stop_writes_used_pct}" if stop_writes_used_pct else "",
            )
        )
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def host(self) -> tuple[str, int]:
        return ("127.0.0.1", self.port)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self) -> int | None:
        """The process; None while it is down."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Returns when a record can be written: some seconds after the port is open."""
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [find_asd() or "asd", "--config-file", self._config, "--foreground"],
                cwd=self._folder,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + START_TIMEOUT_S
        while not _takes_writes(self.host):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                tail = (self._folder / "server.log").read_text(errors="replace")[-2_000:]
                raise RuntimeError(f"asd did not start:\n{tail}")
            time.sleep(0.1)

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL: nothing that is not on the device survives."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def _end(self, number: int) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGCONT)
            process.send_signal(number)
            process.wait(timeout=30)

    def _signal(self, number: int) -> None:
        if self._process is not None:
            self._process.send_signal(number)


def find_asd() -> str | None:
    return shutil.which("asd")


def _takes_writes(host: tuple[str, int]) -> bool:
    try:
        client: Any = aerospike.client({"hosts": [host]})
    except exception.AerospikeError:
        return False
    try:
        for namespace in ("test", "memory_ns"):
            client.put((namespace, "ready", os.getpid()), {"a": 1})
    except exception.AerospikeError:
        return False
    finally:
        client.close()
    return True


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()
