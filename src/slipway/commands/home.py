"""The home directory, checked before anything depends on it."""

import tempfile

from slipway.errors import BadRequest
from slipway.settings import Settings


def check_home(settings: Settings) -> None:
    """Make the home and its logs, and see that both can be written. Raises BadRequest."""
    try:
        settings.logs.mkdir(parents=True, exist_ok=True)
        for directory in (settings.home, settings.logs):
            with tempfile.TemporaryFile(dir=directory):
                pass
    except OSError as error:
        raise BadRequest(
            f"the home directory {settings.home} cannot be used ({error.strerror or error}): "
            "name one that can be made and written, with SLIPWAY_HOME or, for `slipway serve`, --home"
        ) from None
