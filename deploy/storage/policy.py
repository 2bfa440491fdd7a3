"""Which versions a model's configuration chooses, and a configuration that names them.

A bucket has no rename, so a version's files come one by one. The configuration is one object, and takes effect as a
whole: in a bucket it names its versions (`version_policy { specific … }`) and is written after them. Triton then never
loads half of one, whether it starts, polls or is told to load.
"""

from collections.abc import Collection, Iterable
from typing import Final

from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2 as pb

from deploy.storage.bucket import StorageError

_HEAD: Final = b"# Written by deploy/storage: it names the versions that are whole.\n"


def chosen_versions(content: bytes, name: str, there: Collection[str]) -> set[str]:
    """The versions that Triton would choose among those that are there; also those that are named and are not.

    Raises:
        StorageError: it is no configuration.
    """
    policy = _parse(content, name).version_policy
    kind = policy.WhichOneof("policy_choice")
    if kind == "specific":
        return set(map(str, policy.specific.versions))
    if kind == "all":
        return set(there)
    return set(sorted(there, key=int)[-max(policy.latest.num_versions, 1) :])


def naming(content: bytes, name: str, versions: Iterable[str]) -> bytes:
    """The same configuration, with these versions named.

    Raises:
        StorageError: it is no configuration.
    """
    config = _parse(content, name)
    specific = pb.ModelVersionPolicy.Specific(versions=sorted(map(int, versions)))
    config.version_policy.CopyFrom(pb.ModelVersionPolicy(specific=specific))
    return bytes(_HEAD + text_format.MessageToString(config, as_utf8=True).encode())


def _parse(content: bytes, name: str) -> pb.ModelConfig:
    config = pb.ModelConfig()
    try:
        text_format.Parse(content.decode(), config)
    except (text_format.ParseError, UnicodeDecodeError) as error:
        raise StorageError(f"{name} is no configuration of a model: {error}") from error
    return config
