"""Networks by name."""

import inspect
from typing import Any

from flax import nnx

from mpijax.core.nearest import meant
from mpijax.core.plugins import look_up
from mpijax.models.blocks.initial import streams
from mpijax.models.blocks.layers import Network, inputs_of
from mpijax.models.consistent_unet import ConsistentUNet
from mpijax.models.dncnn import DnCNN
from mpijax.models.guided_unet import GuidedUNet
from mpijax.models.mdsr import MDSR
from mpijax.models.mpi_mamba import MPIMamba
from mpijax.models.nafnet import NAFNet
from mpijax.models.pconv_unet import PConvUNet
from mpijax.models.rdn import RDN
from mpijax.models.restormer import Restormer
from mpijax.models.siren import Siren
from mpijax.models.smrnet import SMRnet
from mpijax.models.srcnn import SRCNN
from mpijax.models.swinir import SwinIR
from mpijax.models.transms import TranSMS
from mpijax.models.unet import UNet
from mpijax.models.vdsr import VDSR
from mpijax.models.vrfnet import VRFNet
from mpijax.models.wiener_unet import WienerUNet

_NETWORKS: dict[str, type[Network]] = {
    "consistent_unet": ConsistentUNet,
    "dncnn": DnCNN,
    "guided_unet": GuidedUNet,
    "mdsr": MDSR,
    "mpi_mamba": MPIMamba,
    "nafnet": NAFNet,
    "pconv_unet": PConvUNet,
    "rdn": RDN,
    "restormer": Restormer,
    "siren": Siren,
    "smrnet": SMRnet,
    "srcnn": SRCNN,
    "swinir": SwinIR,
    "transms": TranSMS,
    "unet": UNet,
    "vdsr": VDSR,
    "vrfnet": VRFNet,
    "wiener_unet": WienerUNet,
}
GROUP = "mpijax.networks"
"""Entry points of this group in other packages are networks, too."""

_COMMON = ("channels", "scale", "input_shape")


def names(*, takes: str | None = None) -> tuple[str, ...]:
    """Names that `create` knows; with ``takes``, of the networks that use this input, e.g. "mask" or "noise_level"."""
    return tuple(name for name, network in _NETWORKS.items() if takes is None or takes in inputs_of(network))


def check_name(name: str) -> None:
    """Raise ValueError unless a network of this name is known, or comes by an entry point "mpijax.networks"."""
    look_up(_NETWORKS, GROUP, name)
    if name not in _NETWORKS:
        hint = "One of your own is made known by mpijax.models.register_network."
        raise ValueError(f"unknown network {name!r}; known: {', '.join(names())}.{meant(name, names())} {hint}")


def register_network(name: str, network: Any) -> None:
    """Make a network known by name, so that weights that were trained can be read again; needed in every process that reads them.

    Args:
        name: a word that no other network has, the one that ``super().__init__`` is told.
        network: a class derived from :class:`mpijax.models.Network`.

    Raises:
        ValueError: a name that is taken by another network.
        TypeError: no such class.
    """
    if not (isinstance(network, type) and issubclass(network, Network)):
        raise TypeError(f"network {name!r} is {network!r}; expected a class derived from mpijax.models.Network.")
    look_up(_NETWORKS, GROUP, name)
    if _NETWORKS.setdefault(name, network) is not network:
        raise ValueError(f"there is a network {name!r} already, {_NETWORKS[name].__name__}; choose another name.")


def create(
    name: str,
    *,
    channels: int = 2,
    scale: int | None = None,
    input_shape: tuple[int, ...] | list[int] | None = None,
    rngs: nnx.Rngs | int | None = None,
    **config: Any,
) -> Network:
    """Create a network.

    ``model.config`` holds every resolved option, and ``create(**model.config, rngs=...)`` makes the same network again.

    Args:
        name: One of `names`.
        channels: Channels of input and output; 2 = real and imaginary part.
        scale: Upsampling factor per axis, for networks that upsample.
        input_shape: Spatial shape (h, w) of the input.
        rngs: Random streams of the initial weights, ``flax.nnx.Rngs(seed)``, or a seed.
        **config: Options of the network (its class documents them).

    Returns:
        A module with ``model(x, *, mask=None, noise_level=None)`` on NHWC float32 rows; ``model.takes`` names what it uses of them.

    Raises:
        ValueError: Unknown name or option, a value out of range, or no ``rngs``.
    """
    check_name(name)
    network = _NETWORKS[name]
    options = [p for p in inspect.signature(network.__init__).parameters if p not in ("self", "rngs", *_COMMON)]
    unknown = [key for key in config if key not in options]
    if unknown:
        raise ValueError(f"unknown option(s) {', '.join(unknown)} for {name!r}; known: {', '.join(options)}.")
    if rngs is None:
        raise ValueError("rngs is missing; pass a seed or rngs=flax.nnx.Rngs(seed) to draw the initial weights.")
    rngs = streams(rngs) if isinstance(rngs, int) else rngs
    shape = None if input_shape is None else tuple(input_shape)
    made = network(channels=channels, scale=scale, input_shape=shape, rngs=rngs, **config)
    missing = [key for key in ("name", *options) if key not in made.config]
    if missing:
        raise ValueError(
            f"{network.__name__} does not tell {', '.join(missing)}, from which its weights are read again; call "
            f"super().__init__(name={name!r}, channels=channels, scale=scale, input_shape=input_shape, ...) with all options."
        )
    return made
