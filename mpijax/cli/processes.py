"""``mpijax train`` on several devices and in several processes."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

import jax
from jax.sharding import NamedSharding

from mpijax.core.checks import check_count

HEARTBEAT = 30
"""Seconds of silence after which JAX takes a process for dead and ends the others."""

FAREWELL = 5.0
"""Seconds by which the first process, whose end ends the others, leaves them time to say why they stop."""

Devices = int | Literal["all"] | None


@contextmanager
def joined(
    distributed: bool, coordinator: str | None, processes: int | None, process: int | None, devices: Devices
) -> Iterator[Callable[[str], None]]:
    """Join the processes of a run while the block lasts, and yield what prints a line once for all of them.

    An error ends this process at once, with one line.

    Raises:
        ValueError: The processes are not described, or not in a way that makes sense.
    """
    given = {"--coordinator": coordinator, "--processes": processes, "--process": process}
    named = [name for name, value in given.items() if value is not None]
    if not distributed:
        if named:
            raise ValueError(f"{', '.join(named)} given without --distributed; add it, or leave them out.")
        yield print
        return
    _join(coordinator, processes, process, named, devices)
    try:
        yield print if jax.process_index() == 0 else lambda line: None
    except (KeyboardInterrupt, Exception) as error:
        # jax.distributed leaves by a barrier with the others, who wait elsewhere: it would abort with a trace
        interrupted = isinstance(error, KeyboardInterrupt)
        if not interrupted:
            print(f"error: process {jax.process_index()} of {jax.process_count()}: {_said(error)}", file=sys.stderr)
        sys.stdout.flush()
        sys.stderr.flush()
        if jax.process_index() == 0:
            time.sleep(FAREWELL)
        os._exit(130 if interrupted else 2)
    jax.distributed.shutdown()


def sharding(devices: Devices) -> NamedSharding | None:
    """Rows over the first devices of every process; None where that is one device.

    Raises:
        ValueError: A process has fewer.
    """
    from mpijax.training import row_sharding

    own = {k: [d for d in jax.devices() if d.process_index == k] for k in range(jax.process_count())}
    if devices is None and len(own) == 1:
        return None
    fewest = min(map(len, own.values()))
    if isinstance(devices, int):
        check_count("devices", devices)
        if devices > fewest:
            raise ValueError(
                f"devices = {devices}, but JAX sees {fewest} here ({jax.devices()[0].platform}); give at most as many, or 'all'."
            )
    chosen = [device for there in own.values() for device in there[: devices if isinstance(devices, int) else None]]
    return row_sharding(chosen) if len(chosen) > 1 else None


def _join(
    coordinator: str | None, processes: int | None, process: int | None, named: list[str], devices: Devices
) -> None:
    if named and (coordinator is None or processes is None or process is None):
        raise ValueError(
            f"--distributed with {', '.join(named)} alone; give --coordinator HOST:PORT --processes N --process K, or none of "
            "them under Slurm and Open MPI 4."
        )
    if coordinator is not None and processes is not None and process is not None:
        host, colon, port = coordinator.rpartition(":")
        if not (host and colon and port.isdigit() and 0 < int(port) < 2**16):
            raise ValueError(f"coordinator = {coordinator!r}; give HOST:PORT of process 0, e.g. node1:12345.")
        check_count("processes", processes)
        if not 0 <= process < processes:
            raise ValueError(
                f"process = {process} of {processes} processes; count from 0 to {processes - 1}, each number once."
            )
        if processes > 1:
            print(
                f"process {process} of {processes}: waiting for the others at {coordinator}",
                file=sys.stderr,
                flush=True,
            )
    jax.config.update("jax_enable_preemption_service", False)  # it takes SIGTERM and ends nothing
    try:
        jax.distributed.initialize(
            coordinator,
            processes,
            process,
            local_device_ids=None
            if devices is None
            else [],  # [] lifts JAX's limit of one device per process of a cluster
            cluster_detection_method="deactivate" if named else None,
            heartbeat_timeout_seconds=HEARTBEAT,
            shutdown_timeout_seconds=HEARTBEAT,
        )
    except ValueError as error:
        if named:
            raise
        raise ValueError(
            f"JAX finds no cluster here, neither Slurm nor Open MPI 4 ({error}); give --coordinator HOST:PORT --processes N "
            "--process K."
        ) from error


def _said(error: BaseException) -> str:
    """The error's own words, or what the breakdown of a connection to another process means."""
    text = (str(error).splitlines() or [type(error).__name__])[0]
    if any(word in text for word in ("Gloo", "NCCL", "RCCL")):
        return (
            f"another process ended or is out of reach ({text[:160]}). Start all of them again: the run continues from its last "
            "checkpoint."
        )
    return text
