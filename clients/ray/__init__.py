"""Ray Data: `emotions` for one's own pipeline, `python -m clients.ray` for files.

May import: `contract`, `clients.scoring`, `clients.cluster`, ray.
"""

from clients.ray.dataset import emotions

__all__ = ["emotions"]
