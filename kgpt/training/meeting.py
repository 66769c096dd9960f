"""Processes wait for each other before the backend does, which would end in a crash where one of them stays away.

In: how many there are, which one this is, where the first one listens. Out: all are there; or an error that says who is
missing. Standard library only.
"""

from __future__ import annotations

import socket
import time

from kgpt.errors import KgptError, KgptFailure
from kgpt.language import _

WAIT_SECONDS = 300.0
PAUSE_SECONDS = 0.2


def meet(address: str, count: int, number: int, seconds: float = WAIT_SECONDS) -> None:
    """Come back when all processes are there.

    Raises:
        KgptError: the address cannot be had, or two processes have the same number.
        KgptFailure: they are not all there after `seconds`.
    """
    host, _colon, port = address.rpartition(":")
    if not port.isdecimal() or not 0 < int(port) < 2**16:
        raise KgptError(
            _("Bad address"), _("Expected host:port. Received: {address!r}", address=address), ""
        )
    deadline = time.monotonic() + seconds
    if number == 0:
        _receive(int(port), count, deadline)
    else:
        _call(host, int(port), number, deadline)


def _receive(port: int, count: int, deadline: float) -> None:
    """The first process: hear from every other one, then let them all go on."""
    here: dict[int, socket.socket] = {}
    try:
        with socket.create_server(("", port), backlog=count) as listening:
            while len(here) < count - 1:
                listening.settimeout(max(0.01, deadline - time.monotonic()))
                connection = listening.accept()[0]
                connection.settimeout(max(0.01, deadline - time.monotonic()))
                number = int.from_bytes(connection.recv(4), "big")
                if number in here or not 0 < number < count:
                    raise KgptError(
                        _("Two processes with one number"),
                        _(
                            "Process {number} of {count} came twice, or does not belong here.",
                            number=number,
                            count=count,
                        ),
                        _("Give each its own KERAS_DISTRIBUTION_PROCESS_ID, from 0 on."),
                    )
                here[number] = connection
        for connection in here.values():
            connection.sendall(b"go")
            connection.recv(1)  # until the other side has closed, so that the port is free again
    except TimeoutError:
        missing = sorted({*range(1, count)} - set(here))
        raise _not_met(
            _("Of {count} processes, these have not come: {missing}.", count=count, missing=missing)
        ) from None
    except OSError as error:
        message = _(
            "Port {port} cannot be used here: {strerror}",
            port=port,
            strerror=error.strerror or error,
        )
        raise KgptError(
            _("Port not free"), message, _("Give another port to all processes.")
        ) from None
    finally:
        for connection in here.values():
            connection.close()


def _call(host: str, port: int, number: int, deadline: float) -> None:
    """Another process: find the first one, and wait until it has heard from all."""
    reason = _("nobody listens")
    while time.monotonic() < deadline:
        left = max(0.01, deadline - time.monotonic())
        try:
            with socket.create_connection((host, port), timeout=left) as connection:
                connection.sendall(number.to_bytes(4, "big"))
                if connection.recv(2) == b"go":
                    return
                reason = _("it has gone again")
        except OSError as error:
            reason = str(error.strerror or error)
        time.sleep(PAUSE_SECONDS)
    raise _not_met(
        _(
            "Process {number} did not reach the first one at {host}:{port}: {reason}.",
            number=number,
            host=host,
            port=port,
            reason=reason,
        )
    )


def _not_met(message: str) -> KgptFailure:
    return KgptFailure(
        _("The processes do not meet"),
        message,
        _("Start all of them, and see that they reach that address."),
    )
