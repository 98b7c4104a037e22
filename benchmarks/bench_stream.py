"""What the stream costs a training: one refresh of the reservoir against one training step.

``python -m benchmarks.bench_stream``: 2-D calibrations of the restoration prior with 8 to 32 voxels per axis, 1,632 samples,
128 candidate frequencies and 32 rows per matrix; a small VRF-Net upsampling by 2 in batches of 64 rows. The reservoir gets
a new matrix every 8 steps. A third candidate takes those 8 steps and the refresh together, as training does.
"""

from typing import Any

import jax

import mpijax as mj
from benchmarks.common import Ratio, interleave, options, report
from mpijax.datasets import Bucket, RandomCorruption, RestorationPrior, RowStream
from mpijax.rows import Upsample
from mpijax.training import TrainConfig, adam, init_state, make_train_step, split

BATCH, REUSE = 64, 8


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--features", type=int, default=16, help="features of the network")
    parser.add_argument("--size", type=int, default=32, help="largest voxel count per axis")
    arguments = parser.parse_args()
    size = arguments.size
    prior = RestorationPrior(size_range=(8, size))
    task = RandomCorruption((Upsample(2, "stride"),))
    bucket = Bucket((size, size, 1), low=(8, 8, 1))

    def pair(*drawn: Any) -> dict[str, jax.Array]:
        return {name: value for name, value in task.pair(*drawn).items() if name in ("input", "target")}

    stream = RowStream(prior, pair, [bucket], key=jax.random.key(0), batch_size=BATCH, reuse=REUSE)
    model = mj.models.create("vrfnet", scale=2, input_shape=(size // 2, size // 2), features=arguments.features, rngs=0)
    network, weights = split(model)
    optimizer = adam(TrainConfig(steps=100))
    train_step = make_train_step(network, optimizer)
    key = jax.random.key(1)
    state, number = init_state(weights, optimizer), 0

    def step() -> object:
        nonlocal state
        state, loss = train_step(state, key, stream.at(number))
        return loss

    def refresh() -> object:
        nonlocal number
        number += REUSE
        stream.at(number)
        return stream.reservoirs

    def both() -> object:
        refresh()
        for _ in range(REUSE):
            loss = step()
        return loss

    stream.at(0)
    names = "training step", "refresh", f"refresh and {REUSE} steps"
    timings = interleave(dict(zip(names, (step, refresh, both), strict=True)), arguments.rounds)
    one, new, together = (timings[name] for name in names)
    share = new.median / (REUSE * one.median)
    print(
        f"{BATCH * REUSE / together.median:.0f} rows/s; refresh / ({REUSE} x step) = {share:.1%} on {jax.default_backend()}"
    )
    ratios = [Ratio(f"{REUSE} steps against one refresh", 1 / share, 10 if jax.default_backend() == "gpu" else None)]
    report(f"Stream of rows, grids up to {size} x {size}", list(timings.values()), ratios, arguments.json)


if __name__ == "__main__":
    main()
