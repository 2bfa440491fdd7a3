"""Every failure the launcher explains. Each message says what happened and what to do."""


class LauncherError(Exception):
    """Base of all failures with an explanation; the launcher prints it and exits with 1."""


class WrongPlatformError(LauncherError):
    """Not Linux on x86-64, or a C library that is too old or not glibc."""


class WrongPythonError(LauncherError):
    """The environment's Python has no stub in the wheel that works with this stack."""


class IncompletePythonError(LauncherError):
    """This Python lacks a part of itself that an environment or Triton needs."""


class MissingLibpythonError(LauncherError):
    """The stub finds no shared libpython (or another library): Triton would wait for ever."""


class TritonEnvironmentError(LauncherError):
    """Triton's environment is missing, incomplete or inconsistent, or can't be made."""


class MissingGrpcError(LauncherError):
    """The launcher's own Python lacks what it asks Triton with."""


class MissingGpuError(LauncherError):
    """A GPU was asked for, and no NVIDIA driver answers."""


class PortInUseError(LauncherError):
    """One of the ports can't be listened on."""


class ModelRepositoryError(LauncherError):
    """The model repository is missing, empty or not a directory."""


class ConfigurationFileError(LauncherError):
    """A configuration that was named is damaged, changed, or another device's."""


class StartError(LauncherError):
    """Tritonserver did not become ready in time, or ended before it did."""
