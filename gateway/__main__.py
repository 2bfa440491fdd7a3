"""`python -m gateway`: read the settings, take the port, serve until told to stop.

Exit codes: 0 stopped by SIGINT or SIGTERM, 1 the port can't be had or a worker can't start,
2 wrong settings.
"""

import sys
from collections.abc import Sequence

from gateway.command_line import SettingsError, read_settings
from gateway.serving import PortError, listen, serve
from gateway.telemetry.log import set_up_log
from gateway.telemetry.tracing import Tracing, TracingError


def main(arguments: Sequence[str]) -> int:
    """Run the gateway; returns the exit code."""
    try:
        settings = read_settings(arguments)
        Tracing(settings.otlp_endpoint).close()
        listener = listen(settings)
    except (SettingsError, TracingError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except PortError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    set_up_log(settings.log_format)
    return serve(settings, listener)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
