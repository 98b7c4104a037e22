"""The same training on one, two and four devices. Each count needs a process of its own, the host being split at its start."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
DEVICES = (1, 2, 4)

SCRIPT = """
import sys
import jax, numpy as np
import jax.numpy as jnp
from mpijax.datasets import RandomCorruption
from mpijax.rows import Upsample
from mpijax.training import TrainConfig, Weights, adam, init_state, make_train_step, replicate, row_sharding
from tests.datasets.tiny_stream import SMALL, make_stream

class Convolution:
    def told(self, inputs):
        return {}

    def learn(self, weights, x, **inputs):
        x = jax.image.resize(x, (8, 10, 10, 2), "nearest")
        return jax.lax.conv_general_dilated(x, weights.params["kernel"], (1, 1), "SAME",
                                            dimension_numbers=("NHWC", "HWIO", "NHWC")), 0, {}

rows = row_sharding()
assert rows.mesh.size == len(jax.devices()) == int(sys.argv[1])
task = RandomCorruption((Upsample(2, "stride"),), patch=(10, 10))
stream = make_stream(task.pair, (SMALL,), batch_size=8, sharding=rows)
optimizer = adam(TrainConfig(steps=9, batch_size=8))
state = replicate(init_state(Weights({"kernel": jnp.ones((3, 3, 2, 2)) / 9}, {}), optimizer), rows)
step, draw = make_train_step(Convolution(), optimizer), jax.jit(lambda batches, key: batches(key))
key, losses = jax.random.key(4), []
identity = lambda batch, key: batch
for t in range(4):
    batch = draw(stream.at(t), jax.random.fold_in(key, t))
    state, loss = step(state, key, jax.tree_util.Partial(identity, batch))
    losses.append(loss)
assert step._cache_size() == draw._cache_size() == 1
assert all(leaf.sharding.is_fully_replicated for leaf in jax.tree.leaves((state, stream.reservoirs)))
for leaf in batch.values():
    assert len({str(shard.index) for shard in leaf.addressable_shards}) == len(jax.devices()), leaf.sharding
reservoir = stream.reservoirs[0]
np.savez(
    sys.argv[2], **{"batch_" + k: v for k, v in batch.items()}, losses=np.array(losses), rows=reservoir.rows,
    kernel=state.weights.params["kernel"],
    **{k: getattr(reservoir, k) for k in ("channel", "frequency_index", "usable", "extent", "accepted", "number")},
)
"""


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    directory = tmp_path_factory.mktemp("devices")
    running = {}
    for n in DEVICES:
        flags = f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count={n}"
        environment = os.environ | {
            "XLA_FLAGS": flags,
            "JAX_PLATFORMS": "cpu",
            "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]),
        }
        command = [sys.executable, "-c", SCRIPT, str(n), str(directory / f"{n}.npz")]
        running[n] = subprocess.Popen(command, env=environment, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    for n, process in running.items():
        _, errors = process.communicate(timeout=280)
        assert process.returncode == 0, f"{n} devices:\\n{errors[-3000:]}"
    return {n: dict(np.load(directory / f"{n}.npz")) for n in DEVICES}


@pytest.mark.parametrize("n", DEVICES[1:])
def test_several_devices_draw_what_one_draws(results, n):
    one, several = results[1], results[n]
    assert one.keys() == several.keys()
    for name, want in one.items():
        if want.dtype.kind in "ib":
            np.testing.assert_array_equal(several[name], want, err_msg=name)
        else:
            np.testing.assert_allclose(several[name], want, rtol=1e-6, atol=1e-6, err_msg=name)
    assert sorted(one["number"]) == [1, 2, 3] and np.ptp(one["batch_target"]) > 1
    mask_sizes = one["batch_mask"].sum((1, 2, 3))
    assert len(set(mask_sizes.tolist())) > 1  # grids of several sizes in one batch
