"""Networks as flax.nnx modules: NHWC float32, two channels for the real and the imaginary part of a row."""

from mpijax.models.blocks.layers import Network as Network
from mpijax.models.registry import check_name as check_name
from mpijax.models.registry import create as create
from mpijax.models.registry import names as names
from mpijax.models.registry import register_network as register_network
